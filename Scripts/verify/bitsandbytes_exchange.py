"""Checks that transformers with bitsandbytes loads a folder written by `attune quantize`, and that Attune reads one of theirs.

Usage: bitsandbytes_exchange.py ATTUNE MODEL TYPE
  ATTUNE   the program
  MODEL    Hugging Face folder of a model with float32 or bfloat16 weights and a tokenizer
  TYPE     nf4, fp4 or int8

1. `attune quantize` writes a folder; transformers quantizes MODEL itself. Each packed tensor has to be the same to the byte, and
   transformers has to load the folder of ours.
2. transformers saves its quantized model; `attune score` over that folder and over ours have to agree to 1e-4.

Exit status: 0 all checks passed, 1 a check failed (the message says which), 2 bad usage. Versions: Scripts/goldens/requirements.txt.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

warnings.filterwarnings("ignore")
ROWS = [[3, 9, 27, 81, 50, 7, 12], [4, 8, 16, 32, 64]]


def fail(message: str) -> None:
    raise SystemExit(f"FAILED: {message}")


def settings(kind: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def compare(ours: Path, theirs: Path) -> int:
    """Packed tensors to the byte; a dense one is compared, too."""
    own, reference = load_file(ours / "model.safetensors"), load_file(theirs / "model.safetensors")
    if own.keys() != reference.keys():
        fail(f"keys differ: {sorted(own.keys() ^ reference.keys())[:8]}")
    for key, tensor in reference.items():
        mine = own[key]
        if mine.dtype != tensor.dtype or mine.shape != tensor.shape or not torch.equal(mine, tensor):
            fail(f"{key}: {mine.dtype} {list(mine.shape)} of ours is not {tensor.dtype} {list(tensor.shape)} of theirs")
    return len(own)


def scores(attune: str, folder: Path, scratch: Path) -> list[list[float]]:
    lines, out = scratch / "rows.jsonl", scratch / "scores.jsonl"
    lines.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in ROWS))
    subprocess.run(
        [attune, "score", "--model", str(folder), "--input", str(lines), "--output", str(out), "--dtype", "f32"], check=True
    )
    return [json.loads(line)["logprobs"][1:] for line in out.read_text().splitlines()]


def main() -> None:
    if len(sys.argv) != 4 or sys.argv[3] not in ("nf4", "fp4", "int8"):
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    attune, source, kind = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    name = json.loads((source / "config.json").read_text())["dtype"]
    dtype = getattr(torch, name)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        ours, theirs = scratch / "ours", scratch / "theirs"
        options = ["--threads", "1", "--dtype", "bf16" if name == "bfloat16" else "f32"]
        subprocess.run([attune, "quantize", str(source), "--type", kind, "--output", str(ours), *options], check=True)
        torch.set_num_threads(1)
        AutoModelForCausalLM.from_pretrained(source, dtype=dtype, quantization_config=settings(kind, dtype)).save_pretrained(theirs)
        for file in source.glob("*token*"):
            shutil.copy(file, theirs)
        print(f"{compare(ours, theirs)} tensors are equal to the byte")
        loaded = AutoModelForCausalLM.from_pretrained(ours, dtype=dtype)
        kinds = {type(module).__name__ for module in loaded.modules()}
        if not kinds & {"Linear4bit", "Linear8bitLt"}:
            fail("transformers loaded the folder of ours without bitsandbytes' layers")
        print("transformers loads the folder of ours with bitsandbytes' layers")
        mine, reference = scores(attune, ours, scratch), scores(attune, theirs, scratch)
        distance = max(abs(a - b) for one, other in zip(mine, reference) for a, b in zip(one, other))
        if distance > 1e-4:
            fail(f"the scores of their folder differ from those of ours by {distance}")
        print(f"attune reads theirs: scores differ by at most {distance}")


if __name__ == "__main__":
    main()
