"""Tunes a tiny model by each bottleneck method with the program, and checks that AdapterHub's `adapters` loads what it wrote and computes
the same scores.

Usage: methods_in_adapterhub.py ATTUNE [METHOD…]
  ATTUNE    the program, such as .build/release/attune
  METHOD    names of `METHODS`; all of them where none is given

For every method: `attune tune` for six steps, `attune score` with its adapters in float32, and the same scores by `adapters`, with no tensor
missing or left over. A stack and a fusion are made of adapters that the program tuned before.

Exit status: 0 all checks passed, 1 one failed. Versions: Scripts/goldens/adapterhub.txt.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "Tests" / "Goldens"
sys.path.insert(0, str(ROOT / "Scripts" / "goldens"))

import adapterhub  # noqa: E402
import torch  # noqa: E402
from adapters.composition import Fuse, Stack  # noqa: E402

ROWS = [[3, 5, 7, 9, 11, 13], [4, 6, 5, 40, 12, 9, 20, 33]]
METHODS = {
    "pfeiffer": ("llama-tied", "{type: pfeiffer, reduction_factor: 8}"),
    "pfeiffer-mistral": ("mistral", "{type: seq_bn, reduction_factor: 4, leave_out: [0]}"),
    "pfeiffer-qwen2": ("qwen2", "{type: pfeiffer}"),
    "houlsby": ("llama", "{type: houlsby, reduction_factor: 8}"),
    "houlsby-gpt2": ("gpt2", "{type: houlsby}"),
    "houlsby-qwen3": ("qwen3", "{type: houlsby, non_linearity: gelu}"),
    "parallel": ("llama-tied", "{type: parallel}"),
    "parallel-gpt2": ("gpt2", "{type: parallel, scaling: channel}"),
    "scaled_par_bn": ("llama-tied", "{type: scaled_par_bn}"),
    "compacter": ("llama-tied", "{type: compacter, reduction_factor: 4}"),
    "compacter++-gpt2": ("gpt2", "{type: compacter++, reduction_factor: 4, phm_dim: 2, shared_phm_rule: false, factorized_phm_W: false}"),
    "invertible": ("gpt2", "{type: seq_bn_inv}"),
    "stack": ("llama-tied", "{type: houlsby, reduction_factor: 8, stack_on: [FOLDER/pfeiffer]}"),
    "fusion": ("llama-tied", "{type: fusion, adapters: [FOLDER/pfeiffer, FOLDER/second]}"),
}
NEEDS = {"stack": ["pfeiffer"], "fusion": ["pfeiffer", "second"]}
"""What has to be tuned before, in this order; of a stack it is loaded, too."""
OTHERS = {"second": ("llama-tied", "{type: pfeiffer, reduction_factor: 4}")}


def model_folder(name: str, folder: Path) -> Path:
    """The tiny model with the tokenizer of the goldens of the command line."""
    target = folder / f"model-{name}"
    if not target.exists():
        target.mkdir()
        for file in (GOLDENS / "models" / name).iterdir():
            if file.name in ("config.json", "model.safetensors", "generation_config.json"):
                shutil.copy(file, target)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(GOLDENS / "cli" / file, target)
    return target


def run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def tune(attune: str, name: str, folder: Path) -> None:
    base, method = (METHODS | OTHERS)[name]
    data, recipe = folder / "data.jsonl", folder / f"{name}.yaml"
    data.write_text("".join(json.dumps({"prompt": "a b", "completion": f"c d {i}"}) + "\n" for i in range(8)))
    recipe.write_text(
        f"model: {model_folder(base, folder)}\nmethod: {method.replace('FOLDER', str(folder))}\ndata: {{train: {data}}}\n"
        f"output: {folder / name}\n"
        "train: {max_steps: 6, batch_size: 2, learning_rate: 5e-2, dtype: f32, device: cpu, threads: 1}\n"
    )
    run(attune, "tune", recipe)


def load(model, folder: Path, name: str, fusion: bool = False) -> None:
    info: dict = {}
    if fusion:
        model.load_adapter_fusion(str(folder), with_head=False, use_safetensors=True, loading_info=info)
    else:
        model.load_adapter(str(folder), load_as=name, with_head=False, use_safetensors=True, loading_info=info)
    if any(info.values()):
        raise SystemExit(f"FAILED: {folder}: {info}")


def loaded(name: str, folder: Path):
    """The model with the adapters that `adapters` loads."""
    model = adapterhub.base(METHODS[name][0])
    own = folder / name / "adapter"
    if (own / "adapter_fusion_config.json").exists():
        names = json.loads((own / "adapter_fusion_config.json").read_text())["adapter_names"]
        for adapter in names:
            load(model, own / adapter, adapter)
        load(model, own, "", fusion=True)
        model.set_active_adapters(Fuse(*names))
        return model
    names = [*NEEDS.get(name, []), name]
    for adapter in names:
        load(model, folder / adapter / "adapter", adapter)
    model.set_active_adapters(Stack(*names))
    return model


def check(attune: str, name: str, folder: Path) -> None:
    for needed in [*NEEDS.get(name, []), name]:
        if not (folder / needed).exists():
            tune(attune, needed, folder)
    rows, scores = folder / "rows.jsonl", folder / f"{name}.scores.jsonl"
    rows.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in ROWS))
    stack = NEEDS.get(name, []) if name == "stack" else []
    chosen = [part for adapter in [*stack, name] for part in ("--adapter", folder / adapter)]
    base = model_folder(METHODS[name][0], folder)
    run(attune, "score", "--model", base, *chosen, "--input", rows, "--output", scores, "--dtype", "f32", "--threads", "1")
    model, plain = loaded(name, folder), adapterhub.base(METHODS[name][0])
    worst = effect = 0.0
    for line in map(json.loads, scores.read_text().splitlines()):
        tokens = torch.tensor([line["tokens"]])
        theirs, without = (
            adapterhub.logits(one, tokens)[0, :-1].log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0] for one in (model, plain)
        )
        worst = max(worst, (theirs - torch.tensor(line["logprobs"][1:])).abs().max().item())
        effect = max(effect, (theirs - without).abs().max().item())
    if not worst <= 1e-4 < effect:
        raise SystemExit(f"FAILED: {name}: scores differ by {worst:.3g}, and the adapter changes them by {effect:.3g}")
    print(f"{name:20s} no tensor missing or left over · largest difference {worst:.2e}, the adapter changes scores by {effect:.2e}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[2:] or METHODS:
            check(sys.argv[1], name, Path(scratch))
