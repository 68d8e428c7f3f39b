"""Writes Tests/Goldens/combine/: LoRA adapters, and what peft's add_weighted_adapter makes of them. Run models.py first.

first/ and second/ have one rank and other scales (one by rsLoRA), third/ another rank and one target more: what the methods that add
factors cannot take. <case>.safetensors holds, for every case that draws nothing at random, s·B·A [out, in] of the projections in
PATHS; cases.json says the method, adapters, weights and settings of each.

Versions: requirements.txt. Seeds: adapter weights 51, 52, 53, N(0, 0.2²).
"""

import os
import shutil
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from adapters import base, randomize, save
from golden_files import GOLDENS, write_json, write_tensors

FOLDER = GOLDENS / "combine"
warnings.filterwarnings("ignore")

ADAPTERS = {
    "first": dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]),
    "second": dict(r=4, lora_alpha=3, target_modules=["q_proj", "down_proj"], use_rslora=True),
    "third": dict(r=2, lora_alpha=6, target_modules=["q_proj", "v_proj"]),
}
PATHS = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj", "model.layers.1.self_attn.v_proj"]
PAIR = ["first", "second"]
ALL = ["first", "second", "third"]

CASES = {
    "linear": dict(adapters=PAIR, weights=[0.7, 0.3]),
    "linear-negative": dict(adapters=PAIR, weights=[1.0, -0.5], combination_type="linear"),
    "cat": dict(adapters=ALL, weights=[0.7, -0.4, 0.5]),
    "svd": dict(adapters=ALL, weights=[0.7, -0.4, 0.5]),
    "svd-rank-3": dict(adapters=ALL, weights=[0.7, 0.4, 0.5], combination_type="svd", svd_rank=3),
    "ties": dict(adapters=PAIR, weights=[0.7, 0.6], density=0.4),
    "ties-frequency": dict(
        adapters=PAIR, weights=[0.7, 0.6], combination_type="ties", density=0.7, majority_sign_method="frequency"
    ),
    "ties_svd": dict(adapters=ALL, weights=[0.7, 0.4, 0.5], density=0.3),
    "magnitude_prune": dict(adapters=PAIR, weights=[0.7, 0.6], density=0.4),
    "magnitude_prune_svd": dict(adapters=ALL, weights=[0.7, -0.4, 0.5], density=0.3, svd_rank=5),
}


def write_adapters() -> PeftModel:
    model = None
    for index, (name, settings) in enumerate(ADAPTERS.items()):
        config = LoraConfig(task_type="CAUSAL_LM", **settings)
        if model is None:
            model = get_peft_model(base("llama-tied"), config, adapter_name=name).eval()
        else:
            model.add_adapter(name, config)
        model.set_adapter(name)
        randomize(model, name, seed=51 + index)
    save(model, FOLDER)
    return model


def write_cases(model: PeftModel) -> None:
    for case, settings in CASES.items():
        kind = settings.setdefault("combination_type", case)
        model.base_model.add_weighted_adapter(adapter_name=case, **settings)
        tensors = {}
        modules = dict(model.base_model.model.named_modules())
        for path in PATHS:
            layer = modules[path]
            if case not in layer.lora_A:
                continue
            # By design; with rsLoRA in the settings of the adapter named first it would not be.
            a, b = layer.lora_A[case].weight, layer.lora_B[case].weight
            assert layer.scaling[case] == 1.0, case
            tensors[path] = b @ a
        write_tensors(FOLDER / f"{case}.safetensors", tensors)
        print(f"{case:20s} {kind:20s} rank {a.shape[0]}")
    write_json(FOLDER / "cases.json", CASES)


if __name__ == "__main__":
    os.chdir(GOLDENS / "models")
    shutil.rmtree(FOLDER, ignore_errors=True)
    write_cases(write_adapters())
