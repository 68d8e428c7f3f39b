"""Writes Tests/Goldens/quantization/: weights as bitsandbytes packs them on a CPU, tiny models as transformers saves them with it, and the
losses of 20 optimizer steps of a LoRA adapter over a packed base. Run models.py and training.py first.

  weights.safetensors                 NAME.weight, and for int8 NAME.int8.numbers, .SCB, .expanded
  nf4.safetensors, fp4.safetensors    NAME.FORMAT.numbers, .absmax, .expanded (in the weight's type), and of double quantization .codes,
                                      .nested_absmax, .offset, .double (expanded)
  nested-FORMAT.safetensors           the same of a weight with over 256 blocks, nested.weight
  maps.safetensors                    nf4, fp4: values of 4 bits; dynamic: values of 8 bits
  models/NAME/                        config.json and model.safetensors as save_pretrained writes them
  models/NAME/expected.safetensors    input_ids, logits (in float32, of the expanded weights), expanded.KEY for one weight
  training.json                       for each run settings and the loss of each step

A weight is packed by the functions that the layers of bitsandbytes call: quantize_4bit, int8_vectorwise_quant of float16. The mean of the
scales is that of torch on one thread.

4-bit weights are expanded by bitsandbytes' generic code. Its kernel for CPUs takes the scales of other blocks where a row has a number of
features that no block size divides, as those of the tiny models have: 32 × 32 numbers in blocks of 64 come out up to seven times as far from
the weight as they went in. `check_kernel` shows that, and that the two agree elsewhere.

Versions: requirements.txt. Seeds: weights 71, token ids 41, samples and starting adapter those of training.py. Steps: AdamW, rate 1e-2, no
decay, no clipping, two samples a step in their order.
"""

import json
import shutil
import warnings

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

import bitsandbytes.functional as F
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from bitsandbytes.backends.utils import _get_4bit_code
from golden_files import GOLDENS, check_sizes, generator, write_json, write_tensors
from tiny_models import token_ids
from training import collate

FOLDER = GOLDENS / "quantization"
STEPS, BATCH, RATE = 20, 2, 1e-2
warnings.filterwarnings("ignore")


def generic(A, absmax, blocksize, quant_type, shape, dtype):
    code = _get_4bit_code(quant_type, A.device)
    return _dequantize_4bit_compute.__wrapped__(A.reshape(-1), absmax.float(), code, blocksize, shape, dtype)


def check_kernel() -> torch.library.Library:
    """Puts the generic code in the kernel's place after comparing them."""
    packed = {rows: F.quantize_4bit(torch.randn((64, rows), generator=generator(72)), quant_type="nf4") for rows in (32, 64, 192)}
    kernel = {rows: F.dequantize_4bit(*pair) for rows, pair in packed.items()}
    library = torch.library.Library("bitsandbytes", "IMPL")
    library.impl("dequantize_4bit", generic, "CPU", allow_override=True)
    same = {rows: torch.equal(kernel[rows], F.dequantize_4bit(*pair)) for rows, pair in packed.items()}
    assert same[64] and same[192], "the kernel and the generic code differ where they did not"
    return library


def weights() -> dict[str, torch.Tensor]:
    draw = generator(71)

    def normal(*shape: int) -> torch.Tensor:
        return 0.02 * torch.randn(shape, generator=draw)

    mixed = normal(8, 96) * torch.logspace(-30, 30, 96)
    return {
        "random": normal(24, 64),
        "nested": normal(300, 64).to(torch.bfloat16),  # over 256 blocks
        "half": normal(12, 48).to(torch.float16),
        "partial": normal(33, 50).to(torch.bfloat16),  # the last block has 50 numbers
        "odd": normal(5, 13),
        "constant": torch.full((4, 64), -0.37),
        "zero": torch.zeros(6, 33),
        "huge": 3e38 * torch.rand((4, 64), generator=draw) - 1e38,
        "tiny": 1e-40 * torch.randn((4, 64), generator=draw),
        "mixed": mixed,
        "midpoints": midpoints(),
    }


def midpoints() -> torch.Tensor:
    """Numbers that lie between two values of a format, to the last bit."""
    rows = []
    for kind in ("nf4", "fp4"):
        code = F.get_4bit_type(kind, device="cpu").sort().values
        middle = (code[:-1] + code[1:]) / 2
        rows.append(torch.cat([middle, torch.nextafter(middle, torch.tensor(2.0)), torch.nextafter(middle, torch.tensor(-2.0)),
                               torch.tensor([1.0]), torch.zeros(18)]))  # fmt: skip
    return torch.stack(rows)


def packed(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    out = {}
    for kind in ("nf4", "fp4"):
        numbers, state = F.quantize_4bit(weight, quant_type=kind, blocksize=64)
        out[f"{kind}.numbers"], out[f"{kind}.absmax"] = numbers, state.absmax
        out[f"{kind}.expanded"] = F.dequantize_4bit(numbers, state)
        if not torch.isfinite(out[f"{kind}.absmax"].sum()):
            continue  # the mean of such scales is not finite
        again, double = F.quantize_4bit(weight, quant_type=kind, blocksize=64, compress_statistics=True)
        assert torch.equal(numbers, again)
        out[f"{kind}.codes"], out[f"{kind}.nested_absmax"] = double.absmax, double.state2.absmax
        out[f"{kind}.offset"] = double.offset.reshape(1)
        out[f"{kind}.double"] = F.dequantize_4bit(again, double)
    if torch.isfinite(weight.half()).all() and weight.half().abs().amax(1).min() > 0:
        numbers, scb, _ = F.int8_vectorwise_quant(weight.half())
        out["int8.numbers"], out["int8.SCB"] = numbers, scb
        out["int8.expanded"] = F.int8_vectorwise_dequant(numbers, scb)
    return out


def settings(kind: str, double: bool, dtype: torch.dtype) -> BitsAndBytesConfig:
    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=double, bnb_4bit_compute_dtype=dtype
    )


def base(name: str, kind: str, double: bool, dtype: torch.dtype):
    return AutoModelForCausalLM.from_pretrained(
        GOLDENS / "models" / name, attn_implementation="eager", dtype=dtype, quantization_config=settings(kind, double, dtype)
    )


MODELS = {
    "llama-tied-nf4": ("llama-tied", "nf4", True, torch.float32),
    "llama-bias-fp4": ("llama-bias", "fp4", False, torch.bfloat16),
    "gpt2-nf4": ("gpt2", "nf4", True, torch.float32),
    "qwen2-int8": ("qwen2", "int8", False, torch.float32),
}


def write_model(name: str) -> None:
    folder = FOLDER / "models" / name
    source, kind, double, dtype = MODELS[name]
    model = base(source, kind, double, dtype)
    model.save_pretrained(folder)
    for extra in ("generation_config.json",):
        (folder / extra).unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    # The logits of the expanded weights in float32, by a dense model.
    dense = AutoModelForCausalLM.from_pretrained(GOLDENS / "models" / source, attn_implementation="eager", dtype=torch.float32).eval()
    expanded = {}
    for path, module in model.named_modules():
        if type(module).__name__ == "Linear4bit":
            expanded[path] = F.dequantize_4bit(module.weight.data, module.weight.quant_state).float()
        elif type(module).__name__ == "Linear8bitLt":
            scb = module.weight.SCB if module.weight.SCB is not None else module.state.SCB
            expanded[path] = F.int8_vectorwise_dequant(module.weight.data, scb)
    assert expanded
    with torch.no_grad():
        for path, weight in expanded.items():
            target = dense.get_submodule(path).weight
            target.copy_(weight.T if type(dense.get_submodule(path)).__name__ == "Conv1D" else weight)
        if dtype != torch.float32:
            for key, value in model.state_dict().items():
                if key.endswith("norm.weight") or "embed" in key or "lm_head" in key or key.endswith("bias"):
                    dense.get_parameter(key).copy_(value.float())
        ids = token_ids((2, 10), seed=41)
        logits = dense(input_ids=ids).logits
    key, value = next(iter(expanded.items()))
    write_tensors(folder / "expected.safetensors", {"input_ids": ids, "logits": logits, f"expanded.{key}.weight": value})


RUNS = {
    "nf4-double-f32": ("nf4", True, torch.float32),
    "fp4-f32": ("fp4", False, torch.float32),
    "nf4-double-bf16": ("nf4", True, torch.bfloat16),
}


def train(kind: str, double: bool, dtype: torch.dtype) -> list[float]:
    model = PeftModel.from_pretrained(
        base("llama-tied", kind, double, dtype), GOLDENS / "training" / "llama-tied" / "initial_adapter", is_trainable=True
    )
    model.train()
    samples = json.loads((GOLDENS / "training" / "samples.json").read_text(encoding="utf-8"))["samples"]
    mover = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)
    losses = []
    for step in range(STEPS):
        loss = model(**collate(samples[step * BATCH : (step + 1) * BATCH])).loss
        loss.backward()
        mover.step()
        mover.zero_grad()
        losses.append(loss.item())
    return losses


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    library = check_kernel()  # noqa: F841: it holds as long as this lives
    tensors = {}
    for name, weight in weights().items():
        tensors[f"{name}.weight"] = weight
        tensors |= {f"{name}.{key}": value for key, value in packed(weight).items()}
    large = {key: value for key, value in tensors.items() if key.startswith("nested.")}
    small = {key: value for key, value in tensors.items() if key not in large}
    for part, kind in (("nested-nf4", "nf4"), ("nested-fp4", "fp4")):
        write_tensors(
            FOLDER / f"{part}.safetensors",
            {key: value for key, value in large.items() if key == "nested.weight" or f".{kind}." in key and "expanded" not in key and "double" not in key},
        )
    for kind in ("nf4", "fp4"):
        write_tensors(FOLDER / f"{kind}.safetensors", {key: value for key, value in small.items() if f".{kind}." in key})
    rest = {key: value for key, value in small.items() if ".nf4." not in key and ".fp4." not in key}
    write_tensors(FOLDER / "weights.safetensors", rest)
    maps = {kind: F.get_4bit_type(kind, device="cpu") for kind in ("nf4", "fp4")}
    write_tensors(FOLDER / "maps.safetensors", maps | {"dynamic": F.create_dynamic_map()})
    for name in MODELS:
        write_model(name)
    runs = {
        name: {"type": kind, "double_quant": double, "dtype": str(dtype).removeprefix("torch."), "losses": train(kind, double, dtype)}
        for name, (kind, double, dtype) in RUNS.items()
    }
    write_json(FOLDER / "training.json", runs)
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
