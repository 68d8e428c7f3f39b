"""Writes Tests/Goldens/mlx/: LoRA adapters in mlx-lm's own files, with the logits that mlx-lm gives with them. Run models.py first.

Needs mlx[cpu] and mlx-lm in an environment of their own, since they pin other versions. Versions: mlx 0.32.4, mlx-lm 0.32.2. Seeds:
token ids 41 (those of adapters.py), adapter weights 61: N(0, 0.2²).

lora/ adapts q_proj and v_proj of the last of two layers, all/ every projection of every layer; expected.safetensors beside them
holds input_ids and logits.
"""

import json
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters
from mlx_lm.utils import load_model, save_config

GOLDENS = Path(__file__).resolve().parents[2] / "Tests" / "Goldens"
FOLDER = GOLDENS / "mlx"
BASE = "llama"  # the rotary base of 10000 is what mlx-lm takes where a config has it in rope_parameters

CASES = {
    "lora": dict(num_layers=1, rank=4, scale=2.5, keys=["self_attn.q_proj", "self_attn.v_proj"]),
    "all": dict(num_layers=-1, rank=3, scale=20.0, keys=None),
}


def numbers(name: str) -> np.ndarray:
    """The token ids of the adapters' goldens, read without torch."""
    return np.array(mx.load(str(GOLDENS / "adapters" / name / "expected.safetensors"))["input_ids"])


def write_case(name: str, num_layers: int, rank: int, scale: float, keys: list[str] | None) -> None:
    folder = FOLDER / name
    folder.mkdir(parents=True)
    model, _ = load_model(GOLDENS / "models" / BASE)
    model.freeze()
    parameters = {"rank": rank, "scale": scale, "dropout": 0.0} | ({"keys": keys} if keys else {})
    if keys is None:  # as mlx-lm chooses them, without the token table
        parameters["keys"] = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    linear_to_lora_layers(model, num_layers, parameters)
    draw = np.random.default_rng(61)
    weights = {
        key: mx.array(0.2 * draw.standard_normal(value.shape), dtype=mx.float32)
        for key, value in tree_flatten(model.trainable_parameters())
        if ".lora_" in key
    }
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    config = {"fine_tune_type": "lora", "model": BASE, "num_layers": num_layers, "lora_parameters": parameters}
    save_config(config, folder / "adapter_config.json")
    ids = numbers("lora")
    plain, _ = load_model(GOLDENS / "models" / BASE)
    adapted = load_adapters(plain, str(folder))
    logits = adapted(mx.array(ids)).astype(mx.float32)
    mx.save_safetensors(str(folder / "expected.safetensors"), {"input_ids": mx.array(ids), "logits": logits})
    for path in folder.iterdir():
        path.chmod(0o644)
        assert path.stat().st_size <= 100_000, path
    print(name, json.dumps(parameters))


if __name__ == "__main__":
    mx.set_default_device(mx.cpu)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, case in CASES.items():
        write_case(name, **case)
