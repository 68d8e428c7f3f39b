"""Writes Tests/Goldens/adapters/<name>/: LoRA adapters as peft saves them on the tiny models, with the logits of the adapted and the
merged model. Run models.py first.

Versions: requirements.txt. Seeds: token ids 41, adapter weights 42 (first adapter) and 43 (second). Adapter matrices are N(0, 0.2²), so B is
not zero; trained biases and heads are the base's plus N(0, 0.2²).
"""

import os
import shutil
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel

from golden_files import GOLDENS, generator, write_tensors
from tiny_models import token_ids

FOLDER = GOLDENS / "adapters"
warnings.filterwarnings("ignore")

CASES = {
    "lora": ("llama-tied", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "lora-all-linear-rslora": ("llama-tied", dict(r=4, lora_alpha=8, target_modules="all-linear", use_rslora=True)),
    "lora-patterns": (
        "llama-tied",
        dict(
            r=4,
            lora_alpha=8,
            target_modules=["q_proj", "v_proj", "down_proj"],
            rank_pattern={"q_proj": 2, "layers.1.self_attn.v_proj": 6, r"^model\.layers\.0\.mlp\.down_proj": 3},
            alpha_pattern={"v_proj": 3, r"layers\.[1-9]\.mlp\.down_proj": 16},
        ),
    ),
    "lora-layers-to-transform": (
        "llama-tied",
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], layers_to_transform=[1]),
    ),
    "lora-regex": (
        "llama-tied",
        dict(r=4, lora_alpha=8, target_modules=r".*\.layers\.\d+\.(self_attn\.[ko]_proj|mlp\.up_proj)"),
    ),
    "lora-exclude": (
        "llama-tied",
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], exclude_modules=["layers.0.self_attn.q_proj"]),
    ),
    "lora-dora": ("llama-tied", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], use_dora=True)),
    "lora-bias-lora-only": ("llama-bias", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], bias="lora_only")),
    "lora-bias-all": ("llama-bias", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], bias="all")),
    "lora-modules-to-save": (
        "llama",
        dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head"]),
    ),
    "lora-embedding": ("llama", dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "q_proj"])),
    "lora-gpt2": ("gpt2", dict(r=4, lora_alpha=8, target_modules=["c_attn"], fan_in_fan_out=True)),
    "lora-gpt2-all": (
        "gpt2",
        dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True, bias="lora_only"),
    ),
}


def base(name: str) -> PreTrainedModel:
    """Loaded by its bare name from the folder of the tiny models, so that adapter_config.json names no path."""
    return AutoModelForCausalLM.from_pretrained(name, attn_implementation="eager", dtype=torch.float32).eval()


def randomize(model: PeftModel, adapter: str, seed: int) -> None:
    """Gives every trained parameter of that adapter a value that an untrained one does not have."""
    draw = generator(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.2 * torch.randn(parameter.shape, generator=draw)
            if not parameter.requires_grad or ("lora_" in name and f".{adapter}" not in name):
                continue
            if "magnitude" in name:
                parameter.mul_(1 + noise)
            else:
                parameter.copy_(noise if "lora_" in name else parameter + noise)


def logits(model, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids).logits


def changed_weights(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The parameters that merging changed, under the keys of the base model."""
    assert before.keys() == after.keys()
    return {f"merged.{key}": after[key] for key in before if not torch.equal(before[key], after[key])}


def save(model: PeftModel, folder: Path) -> None:
    model.save_pretrained(folder)
    for card in folder.rglob("README.md"):
        card.unlink()
    for weights in folder.rglob("*.safetensors"):
        weights.chmod(0o644)


def write_case(name: str, base_name: str, settings: dict) -> None:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    ids = token_ids((2, 10), seed=41)
    model = get_peft_model(base(base_name), LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
    randomize(model, "default", seed=42)
    save(model, folder)
    loaded = PeftModel.from_pretrained(base(base_name), folder).eval()
    adapted, plain = logits(loaded, ids), logits(base(base_name), ids)
    assert torch.equal(adapted, logits(model, ids)), name
    assert (adapted - plain).abs().max() > 0.5, name
    merged = loaded.merge_and_unload()
    tensors = {"input_ids": ids, "logits": adapted, "merged_logits": logits(merged, ids), "base_logits": plain}
    assert torch.allclose(tensors["merged_logits"], adapted, atol=1e-4), name
    tensors |= changed_weights(base(base_name).state_dict(), merged.state_dict())
    write_tensors(folder / "expected.safetensors", tensors)
    difference = (tensors["merged_logits"] - adapted).abs().max()
    print(f"{name:28s} |adapted - base| {(adapted - plain).abs().max():.2f} |merged - adapted| {difference:.1e}")


def write_two_adapters() -> None:
    """Two adapters of different targets and ranks on one base: each alone, both off, and both on at once."""
    folder = FOLDER / "two-adapters"
    shutil.rmtree(folder, ignore_errors=True)
    ids = token_ids((2, 10), seed=41)
    first = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    second = LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=6, target_modules=["q_proj", "up_proj"])
    model = get_peft_model(base("llama-tied"), first, adapter_name="first").eval()
    randomize(model, "first", seed=42)
    model.add_adapter("second", second)
    model.set_adapter("second")
    randomize(model, "second", seed=43)
    save(model, folder)
    tensors = {"input_ids": ids}
    for name in ("first", "second"):
        model.set_adapter(name)
        tensors[f"{name}.logits"] = logits(model, ids)
        alone = PeftModel.from_pretrained(base("llama-tied"), folder / name).eval()
        assert torch.equal(logits(alone, ids), tensors[f"{name}.logits"])
    with model.disable_adapter():
        tensors["disabled.logits"] = logits(model, ids)
    assert torch.equal(tensors["disabled.logits"], logits(base("llama-tied"), ids))
    model.base_model.set_adapter(["first", "second"])
    tensors["both.logits"] = logits(model, ids)
    write_tensors(folder / "expected.safetensors", tensors)


if __name__ == "__main__":
    os.chdir(GOLDENS / "models")
    for name, (base_name, settings) in CASES.items():
        write_case(name, base_name, settings)
    write_two_adapters()
