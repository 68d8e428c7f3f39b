"""Checks that peft loads an adapter written by Attune and computes the same logits from it.

Usage: peft_loads_ours.py BASE ADAPTER EXPECTED
  BASE      Hugging Face folder of the base model
  ADAPTER   folder with adapter_config.json and adapter_model.safetensors, written by Attune
            a tokenizer in it with more tokens than the base has rows makes the base's table grow, as users of peft do
  EXPECTED  what Attune computed with the adapter on, in float32: the output of `attune score --adapter ADAPTER --dtype f32`
            (.jsonl), or a safetensors file with input_ids [B, S] int64 and logits [B, S, V] float32; attention_mask [B, S] int64
            is used where present

Exit status: 0 all checks passed, 1 a check failed (the message says which), 2 bad usage. Versions: Scripts/goldens/requirements.txt.
"""

import dataclasses
import json
import os
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import torch
from peft import PeftConfig, PeftModel, PeftType, get_peft_model, get_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

TOLERANCE = 1e-4
warnings.filterwarnings("ignore")


def fail(message: str) -> None:
    raise SystemExit(f"FAILED: {message}")


def load_base(folder: Path, adapter: Path) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    if (adapter / "tokenizer.json").is_file():
        size = len(AutoTokenizer.from_pretrained(adapter))
        if size > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(size, mean_resizing=False)
    return model


def check_config(adapter: Path) -> None:
    """peft drops configuration keys that it does not know with a warning; here they are errors."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    kind = PEFT_TYPE_TO_CONFIG_MAPPING.get(config.get("peft_type"))
    if kind is None:
        fail(f"adapter_config.json: peft knows no peft_type {config.get('peft_type')!r}")
    unknown = sorted(config.keys() - {field.name for field in dataclasses.fields(kind)})
    if unknown:
        fail(f"adapter_config.json: keys that peft's {kind.__name__} does not have: {', '.join(unknown)}")


def check_keys(base: Path, adapter: Path) -> None:
    """The tensors of the file are exactly those that peft would save for this configuration, with the same shapes."""
    model = get_peft_model(load_base(base, adapter), PeftConfig.from_pretrained(adapter))
    # peft saves the base's own token table or head along with an adapter of it, and loads adapters without them.
    state = {key: value for key, value in get_peft_model_state_dict(model).items() if not key.endswith(".base_layer.weight")}
    wanted = {key: tuple(value.shape) for key, value in state.items()}
    found = {key: tuple(value.shape) for key, value in load_file(adapter / "adapter_model.safetensors").items()}
    problems = [f"missing {key} {list(wanted[key])}" for key in sorted(wanted.keys() - found.keys())]
    problems += [f"unexpected {key} {list(found[key])}" for key in sorted(found.keys() - wanted.keys())]
    problems += [
        f"{key} has shape {list(found[key])}, peft has {list(wanted[key])}"
        for key in sorted(wanted.keys() & found.keys())
        if wanted[key] != found[key]
    ]
    if problems:
        fail("adapter_model.safetensors:\n  " + "\n  ".join(problems))
    print(f"keys: {len(found)} tensors, none missing, none unexpected")


def tasks(model: PeftModel, rows: int) -> dict[str, torch.Tensor]:
    """The first task for every row, where the adapter knows tasks."""
    several = model.active_peft_config.peft_type == PeftType.MULTITASK_PROMPT_TUNING
    return {"task_ids": torch.zeros(rows, dtype=torch.long)} if several else {}


def check_logits(base: Path, adapter: Path, expected: dict[str, torch.Tensor]) -> None:
    model = PeftModel.from_pretrained(load_base(base, adapter), adapter).eval()
    mask = expected.get("attention_mask")
    with torch.no_grad():
        logits = model(input_ids=expected["input_ids"], attention_mask=mask, **tasks(model, len(expected["input_ids"]))).logits
        logits = logits[:, -expected["input_ids"].shape[1] :]  # those of virtual tokens come first
        with model.disable_adapter():
            plain = model(input_ids=expected["input_ids"], attention_mask=mask).logits
    ours = expected["logits"]
    if ours.shape != logits.shape:
        fail(f"logits have shape {list(ours.shape)}, peft computes {list(logits.shape)}")
    real = torch.ones(logits.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
    distance = (ours - logits).abs()[real].max().item()
    effect = (plain - logits).abs()[real].max().item()
    if not distance <= TOLERANCE:
        at = [int(i) for i in torch.unravel_index(((ours - logits).abs() * real[..., None]).argmax(), logits.shape)]
        fail(f"logits differ by {distance:.3g} at [row, position, id] {at}; the limit is {TOLERANCE:g}")
    if effect <= TOLERANCE:
        fail(f"the adapter changes the logits by {effect:.3g} only: this would not notice an adapter that is ignored")
    print(f"logits: largest difference {distance:.2e}, limit {TOLERANCE:g}; the adapter changes them by {effect:.2e}")


def check_scores(base: Path, adapter: Path, lines: list[dict]) -> None:
    """Compares the log-probabilities of the tokens of each line."""
    model = PeftModel.from_pretrained(load_base(base, adapter), adapter).eval()

    def scores(tokens: list[int], adapted: bool = True) -> torch.Tensor:
        with torch.no_grad():
            extra = tasks(model, 1) if adapted else {}
            logits = model(input_ids=torch.tensor([tokens]), **extra).logits[0, -len(tokens) : -1].log_softmax(-1)
        return logits.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]

    distance = effect = 0.0
    count = 0
    for number, line in enumerate(lines, 1):
        tokens, ours = line["tokens"], torch.tensor(line["logprobs"][1:])
        theirs = scores(tokens)
        with model.disable_adapter():
            effect = max(effect, (scores(tokens, adapted=False) - theirs).abs().max().item())
        here = (ours - theirs).abs().max().item()
        if not here <= TOLERANCE:
            fail(f"line {number}: log-probabilities differ by {here:.3g}; the limit is {TOLERANCE:g}")
        distance, count = max(distance, here), count + len(ours)
    if effect <= TOLERANCE:
        fail(f"the adapter changes the scores by {effect:.3g} only: this would not notice an adapter that is ignored")
    print(f"scores of {count} tokens: largest difference {distance:.2e}, limit {TOLERANCE:g}; the adapter changes them by {effect:.2e}")


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    base, adapter, expected_path = (Path(argument) for argument in arguments)
    needed = [base / "config.json", adapter / "adapter_config.json", adapter / "adapter_model.safetensors", expected_path]
    for path in needed:
        if not path.is_file():
            print(f"{path}: no such file", file=sys.stderr)
            return 2
    if expected_path.suffix == ".jsonl":
        lines = [json.loads(line) for line in expected_path.read_text(encoding="utf-8").splitlines()]
        check_config(adapter)
        check_keys(base, adapter)
        check_scores(base, adapter, [line for line in lines if len(line["tokens"]) > 1])
        print(f"OK: peft loads {adapter}")
        return 0
    expected = load_file(expected_path)
    if missing := {"input_ids", "logits"} - expected.keys():
        fail(f"{expected_path}: no tensor {' and no tensor '.join(sorted(missing))}")
    check_config(adapter)
    check_keys(base, adapter)
    check_logits(base, adapter, expected)
    print(f"OK: peft loads {adapter}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
