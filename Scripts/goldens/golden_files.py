"""Where golden files go, how they are written, and what holds for all of them.

Importing this module makes torch single-threaded and keeps Hugging Face libraries off the network. A file above 100 kB is
refused. Values are reproducible to the last bits on one kind of CPU; another CPU may differ in the last bits of a float32.
"""

import json
import math
import os
import sys
from pathlib import Path

if os.environ.get("PYTHONHASHSEED") != "0":  # peft writes lists from sets: their order follows the hash seed
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, sys.orig_argv)

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

GOLDENS = Path(__file__).resolve().parents[2] / "Tests" / "Goldens"
SIZE_LIMIT = 100_000


def check_sizes(folder: Path) -> None:
    """Refuses a folder that holds a file above the size limit."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > SIZE_LIMIT:
            raise SystemExit(f"{path}: {path.stat().st_size} bytes, the limit is {SIZE_LIMIT}")


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes a safetensors file; every tensor is made contiguous and owns its memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise SystemExit(f"{path}: {name} holds a value that is not finite")
    save_file({name: t.detach().clone().contiguous() for name, t in tensors.items()}, path)
    path.chmod(0o644)
    check_sizes(path.parent)


def write_json(path: Path, value: object) -> None:
    """Writes JSON with one entry of the outer levels a line; floats keep their shortest exact decimal form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_render(value, 0) + "\n", encoding="utf-8")
    check_sizes(path.parent)


def _render(value: object, depth: int) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise SystemExit("a value that JSON cannot hold: " + repr(value))
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) <= 120 or not isinstance(value, (dict, list)) or not value:
        return flat
    if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
        return flat
    pad, close = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        rows = [f"{pad}{json.dumps(key, ensure_ascii=False)}: {_render(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{close}}}"
    return "[\n" + ",\n".join(pad + _render(item, depth + 1) for item in value) + f"\n{close}]"


def generator(seed: int) -> torch.Generator:
    """A CPU generator of its own, so that one golden does not depend on what was drawn for another."""
    return torch.Generator(device="cpu").manual_seed(seed)
