"""Writes Tests/Goldens/methods/<name>/: for every method that changes weights an adapter as peft saves it on a tiny model, the logits of
the adapted and the merged model, and the losses of ten optimizer steps that start from it. Run models.py, adapters.py and training.py first.

  adapter_config.json, adapter_model.safetensors   the adapter
  expected.safetensors                             input_ids, logits, merged_logits, base_logits
  training.json                                    settings, and loss and penalty of each step
  trained/                                         AdaLoRA only: the adapter after the ten steps, with its rank pattern, and its logits

An adapter starts from random numbers (`adapters.randomize`), so that nothing of it is zero. PiSSA and OLoRA start as peft initialises them;
their adapter is the one after the ten steps, converted to a plain LoRA.

Versions: requirements.txt. Seeds: token ids 41, adapter weights 61. Steps: AdamW, rate 1e-2, no decay, no clipping, two samples a step in
their order, from training/samples.json.
"""

import json
import os
import shutil
import sys
import warnings
from dataclasses import dataclass, field

import torch
from peft import AdaLoraConfig, IA3Config, LNTuningConfig, LoHaConfig, LoKrConfig, LoraConfig, PeftModel, TrainableTokensConfig, VeraConfig
from peft import get_peft_model
from peft.optimizers import create_loraplus_optimizer

from adapters import base, logits, save
from golden_files import GOLDENS, generator, write_json, write_tensors
from tiny_models import token_ids
from training import collate

FOLDER = GOLDENS / "methods"
STEPS, BATCH, RATE = 10, 2, 1e-2
warnings.filterwarnings("ignore")

TOKENS = [*token_ids((2, 10), seed=41)[0, :3].tolist(), 95]
"""Tokens whose rows are trained: three of those that the logits are computed for, and one that is not."""
QV = dict(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"])
QVD = dict(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj", "down_proj"])
GPT2 = dict(task_type="CAUSAL_LM", target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)


@dataclass
class Case:
    model: str
    config: object
    keeps_start: bool = False
    """The adapter trains from peft's own initialisation, and is saved as a plain LoRA after the steps."""
    optimizer: dict = field(default_factory=dict)
    frozen: str | None = None
    """Parameters with this in their name stay as they are."""


CASES = {
    "dora": Case("llama-tied", LoraConfig(**QVD, r=4, lora_alpha=8, use_dora=True)),
    "dora-gpt2": Case("gpt2", LoraConfig(**GPT2, r=4, lora_alpha=8, use_dora=True)),
    "pissa": Case("llama-tied", LoraConfig(**QVD, r=4, lora_alpha=8, init_lora_weights="pissa"), keeps_start=True),
    "pissa-gpt2": Case("gpt2", LoraConfig(**GPT2, r=4, lora_alpha=8, init_lora_weights="pissa"), keeps_start=True),
    "olora": Case("llama-tied", LoraConfig(**QVD, r=4, lora_alpha=4, init_lora_weights="olora"), keeps_start=True),
    "lora-plus": Case("llama-tied", LoraConfig(**QVD, r=4, lora_alpha=8), optimizer={"loraplus_lr_ratio": 4.0}),
    "lora-fa": Case("llama-tied", LoraConfig(**QVD, r=4, lora_alpha=8), frozen="lora_A"),
    "ia3": Case("llama-tied", IA3Config(task_type="CAUSAL_LM")),
    "ia3-qwen2": Case("qwen2", IA3Config(task_type="CAUSAL_LM")),
    "ia3-gpt2": Case("gpt2", IA3Config(task_type="CAUSAL_LM", fan_in_fan_out=True)),
    "ln-tuning": Case("llama-tied", LNTuningConfig(task_type="CAUSAL_LM")),
    "ln-tuning-gpt2": Case("gpt2", LNTuningConfig(task_type="CAUSAL_LM")),
    "vera": Case("llama-tied", VeraConfig(**QVD, r=8)),
    "vera-gpt2": Case("gpt2", VeraConfig(**GPT2, r=8)),
    "loha": Case("llama-tied", LoHaConfig(**QVD, r=4, alpha=8)),
    "lokr": Case("llama-tied", LoKrConfig(**QVD, r=4, alpha=8)),
    "lokr-both": Case("llama-tied", LoKrConfig(**QVD, r=2, alpha=2, decompose_both=True, decompose_factor=8)),
    "adalora": Case(
        "llama-tied",
        AdaLoraConfig(**QVD, init_r=6, target_r=3, lora_alpha=8, tinit=2, tfinal=2, deltaT=2, total_step=STEPS, orth_reg_weight=0.1),
    ),
    "lora-embedding": Case(
        "llama", LoraConfig(task_type="CAUSAL_LM", target_modules=["embed_tokens", "q_proj", "lm_head"], r=4, lora_alpha=8)
    ),
    "trainable-tokens": Case("llama", TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=TOKENS)),
    "trainable-tokens-tied": Case("llama-tied", TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=TOKENS)),
    "lora-trainable-tokens": Case("llama-tied", LoraConfig(**QV, r=4, lora_alpha=8, trainable_token_indices=TOKENS)),
}

MULTIPLIED = ("magnitude", "ia3_l", "ln_tuning_layers", "vera_lambda_d")
"""Parameters whose own start is not zero: they are multiplied by noise about 1 instead of being replaced."""


def randomize(model: PeftModel) -> None:
    draw = generator(61)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.2 * torch.randn(parameter.shape, generator=draw)
            if not parameter.requires_grad:
                continue
            if any(word in name for word in MULTIPLIED):
                parameter.mul_(1 + noise)
            elif "trainable_tokens" in name:
                parameter.add_(noise)
            else:
                parameter.copy_(noise)


def batches() -> list[dict[str, torch.Tensor]]:
    samples = json.loads((GOLDENS / "training" / "samples.json").read_text(encoding="utf-8"))["samples"]
    return [collate(samples[i : i + BATCH]) for i in range(0, STEPS * BATCH, BATCH)]


def optimizer(case: Case, model: PeftModel) -> torch.optim.Optimizer:
    if case.optimizer:
        return create_loraplus_optimizer(model, torch.optim.AdamW, lr=RATE, **case.optimizer)
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)


def train(case: Case, model: PeftModel) -> list[dict]:
    """The loss is that of transformers, over the labels of the batch; AdaLoRA's penalty is what peft adds to it."""
    model.train()
    for name, parameter in model.named_parameters():
        if case.frozen and case.frozen in name:
            parameter.requires_grad_(False)
    steps, mover = [], optimizer(case, model)
    adalora = isinstance(case.config, AdaLoraConfig)
    for step, batch in enumerate(batches(), 1):
        whole = model(**batch).loss
        with torch.no_grad():
            plain = model.base_model.model(**batch).loss if adalora else whole
        whole.backward()
        mover.step()
        if adalora:
            model.base_model.update_and_allocate(step)
        mover.zero_grad()
        steps.append({"loss": whole.item(), "penalty": (whole - plain).item()})
    return steps


def expected(model: PeftModel, base_name: str) -> dict[str, torch.Tensor]:
    ids = token_ids((2, 10), seed=41)
    model.eval()
    adapted, plain = logits(model, ids), logits(base(base_name), ids)
    merged = logits(model.merge_and_unload(), ids)
    assert (adapted - plain).abs().max() > 0.05, base_name
    assert torch.allclose(merged, adapted, atol=1e-4), base_name
    return {"input_ids": ids, "logits": adapted, "merged_logits": merged, "base_logits": plain}


def write_case(name: str, case: Case) -> None:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(61)
    model = get_peft_model(base(case.model), case.config)
    if case.keeps_start:
        model.peft_config["default"].init_lora_weights = True
        start = folder / "start"
        save(model, start)
        model.peft_config["default"].init_lora_weights = case.config.init_lora_weights
        steps = train(case, model)
        model.save_pretrained(folder, path_initial_model_for_weight_conversion=start)
        (folder / "README.md").unlink()
        (folder / "adapter_model.safetensors").chmod(0o644)
        shutil.rmtree(start)
    else:
        randomize(model)
        save(model, folder)
    loaded = PeftModel.from_pretrained(base(case.model), folder)
    write_tensors(folder / "expected.safetensors", expected(loaded, case.model))
    if not case.keeps_start:
        model = PeftModel.from_pretrained(base(case.model), folder, is_trainable=True)
        steps = train(case, model)
        if isinstance(case.config, AdaLoraConfig):
            save(model, folder / "trained")
            trained = PeftModel.from_pretrained(base(case.model), folder / "trained")
            write_tensors(folder / "trained" / "expected.safetensors", expected(trained, case.model))
    note = f"peft 0.21.2, transformers 5.23.0, float32; {type(case.config).__name__} on {case.model}"
    settings = {"model": case.model, "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, **case.optimizer}
    write_json(folder / "training.json", {"source": note, "settings": settings, "steps": steps})
    print(f"{name:24s} loss {steps[0]['loss']:.4f} -> {steps[-1]['loss']:.4f}")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.chdir(GOLDENS / "models")
    for name in sys.argv[1:] or CASES:
        write_case(name, CASES[name])
