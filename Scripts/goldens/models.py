"""Writes Tests/Goldens/models/<name>/ and Tests/Goldens/generation/: tiny models with the logits, losses, gradients and greedy
tokens that transformers computes from them.

Versions: requirements.txt. Seeds: weights 20260101 (tiny_models.py), token ids 11, labels 12, processors 13, prompts as listed in
PROMPTS.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.generation import logits_process

from golden_files import GOLDENS, check_sizes, generator, write_json, write_tensors
from safetensors.torch import load_file, save_file
from tiny_models import CONFIGS, LEGACY_SCALING, build, token_ids

FOLDER = GOLDENS / "models"
BATCH, LENGTH, SHORT = 2, 16, 11


def load(folder: Path, attention: str = "eager", dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention, dtype=dtype).eval()


def forward(folder: Path, ids: torch.Tensor, attention: str = "eager", dtype=torch.float32, **inputs):
    """A forward pass of a freshly loaded model: dynamic rotary scaling keeps state between passes."""
    with torch.no_grad():
        return load(folder, attention, dtype)(input_ids=ids, output_hidden_states=True, **inputs)


def padded(ids: torch.Tensor, side: str) -> dict[str, torch.Tensor]:
    """The batch with its first row cut to SHORT tokens and padded on one side; positions count real tokens from 0."""
    row, gap = ids[0, :SHORT], LENGTH - SHORT
    pad, zeros, ones = torch.zeros(gap, dtype=torch.int64), torch.zeros(gap), torch.ones(SHORT)
    left = side == "left"
    first = torch.cat([pad, row] if left else [row, pad])
    mask = torch.stack([torch.cat([zeros, ones] if left else [ones, zeros]), torch.ones(LENGTH)]).long()
    return {
        "input_ids": torch.stack([first, ids[1]]),
        "attention_mask": mask,
        "position_ids": (mask.cumsum(-1) - 1).masked_fill(mask == 0, 0),
    }


def padded_tensors(name: str, folder: Path, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    tensors = {}
    alone = forward(folder, ids[:1, :SHORT]).logits[0]
    whole = forward(folder, ids[1:]).logits[0]
    for side in ("left", "right"):
        batch = padded(ids, side)
        logits = forward(folder, batch["input_ids"], **{k: v for k, v in batch.items() if k != "input_ids"}).logits
        real = batch["attention_mask"].bool()
        assert torch.allclose(logits[1], whole, atol=2e-5), name
        if name != "llama-dynamic-rope":  # there the longest row of the batch sets the frequencies of all rows
            assert torch.allclose(logits[0][real[0]], alone, atol=2e-5), (name, side)
        batch["logits"] = logits * real[..., None]
        tensors |= {f"{side}_padded.{key}": value for key, value in batch.items()}
    return tensors


def labels_for(ids: torch.Tensor) -> torch.Tensor:
    """The ids with about a third of them set to -100, a run at the start of row 0 and the last of row 1 among them."""
    labels = ids.clone()
    labels[torch.rand(ids.shape, generator=generator(12)) < 0.3] = -100
    labels[0, :5], labels[1, -1] = -100, -100
    return labels


def legacy_config(name: str, config: dict) -> dict:
    """The configuration as transformers 4 spelled it."""
    parameters = config.pop("rope_parameters", None)
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    config["transformers_version"] = "4.45.0"
    if parameters is not None:
        config["rope_theta"] = parameters["rope_theta"]
        config["rope_scaling"] = LEGACY_SCALING.get(name)
    if name.startswith("qwen2"):
        config["sliding_window"] = CONFIGS[name]().sliding_window or 4
    return config


def check_legacy(name: str, folder: Path, ids: torch.Tensor, logits: torch.Tensor) -> None:
    """Writes config.legacy.json and checks that transformers computes the same from it."""
    config = legacy_config(name, json.loads((folder / "config.json").read_text()))
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / "config.legacy.json").write_text(text)
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(folder / "model.safetensors", scratch)
        (Path(scratch) / "config.json").write_text(text)
        assert torch.equal(forward(Path(scratch), ids).logits, logits), name


def check_distinct(name: str, logits: torch.Tensor) -> None:
    """A rotary or window setting that changed nothing would test nothing."""
    plain = {"llama3-rope": "llama", "llama-linear-rope": "llama", "llama-dynamic-rope": "llama", "llama-yarn": "llama"}
    other = plain.get(name) or {"qwen2-window": "qwen2"}.get(name)
    ids = token_ids((BATCH, LENGTH), seed=11)
    if other:
        assert (forward(FOLDER / other, ids).logits - logits).abs().max() > 0.1, name
    if name == "mistral":
        model = load(FOLDER / name)
        model.config.sliding_window = None
        assert (model(input_ids=ids).logits - logits).abs().max() > 0.1, name


def write_gpt2_original_keys(folder: Path) -> None:
    """The same weights under the keys of the published GPT-2 files: no prefix, and the causal mask stored as a buffer."""
    weights = load_file(folder / "model.safetensors")
    bare = {key.removeprefix("transformer."): value for key, value in weights.items()}
    for layer in range(2):
        bare[f"h.{layer}.attn.bias"] = torch.ones(32, 32).tril().view(1, 1, 32, 32)
    save_file(bare, folder / "model.original-keys.safetensors")
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(folder / "config.json", scratch)
        shutil.copy(folder / "model.original-keys.safetensors", Path(scratch) / "model.safetensors")
        ids = token_ids((BATCH, LENGTH), seed=11)
        assert torch.equal(forward(Path(scratch), ids).logits, forward(folder, ids).logits)


def write_gradients(folder: Path, ids: torch.Tensor, labels: torch.Tensor) -> None:
    """d loss / d parameter for every parameter; a tied head has one gradient, under the embedding's key."""
    model = load(folder)
    model(input_ids=ids, labels=labels).loss.backward()
    write_tensors(folder / "gradients.safetensors", {key: p.grad for key, p in model.named_parameters()})


def write_model(name: str) -> None:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    build(name).save_pretrained(folder)
    ids = token_ids((BATCH, LENGTH), seed=11)
    labels = labels_for(ids)
    result = forward(folder, ids, labels=labels)
    tensors = {"input_ids": ids, "logits": result.logits, "labels": labels, "loss": result.loss}
    tensors |= {f"hidden_states.{i}": state for i, state in enumerate(result.hidden_states)}
    if name == "llama-dynamic-rope":
        tensors["short.input_ids"] = ids[:, :6]
        tensors["short.logits"] = forward(folder, ids[:, :6]).logits
    tensors |= padded_tensors(name, folder, ids)
    write_tensors(folder / "expected.safetensors", tensors)
    if name in ("gpt2", "llama", "llama-tied", "llama-bias", "mistral", "qwen2", "qwen3"):
        write_gradients(folder, ids, labels)
    if name == "gpt2":
        write_gpt2_original_keys(folder)
    check_legacy(name, folder, ids, result.logits)
    check_distinct(name, result.logits)
    check_sizes(folder)
    exact = forward(folder, ids, dtype=torch.float64).logits
    fused = forward(folder, ids, attention="sdpa").logits
    print(
        f"{name:20s} logits std {result.logits.std():.2f} loss {result.loss:.6f}",
        f"|f32 - f64| {(result.logits - exact).abs().max():.1e}",
        f"|eager - sdpa| {(result.logits - fused).abs().max():.1e}",
    )


PROMPTS = {"llama-tied": [(7, 49), (4, 34), (4, 56)], "gpt2": [(7, 29), (4, 24), (4, 54)]}  # (length, seed)


def greedy(name: str) -> list[dict]:
    """Up to twelve greedy tokens after each prompt, with the cache; checked against full passes and as a padded batch."""
    model, rows = load(FOLDER / name), []
    prompts = [token_ids((length,), seed) for length, seed in PROMPTS[name]]
    for prompt in prompts:
        mask = torch.ones_like(prompt)[None]
        out = model.generate(prompt[None], attention_mask=mask, do_sample=False, max_new_tokens=12, use_cache=True)[0]
        new = out[len(prompt) :]
        logits = forward(FOLDER / name, out[None]).logits[0, len(prompt) - 1 : -1]
        assert torch.equal(logits.argmax(-1), new)
        best = logits.topk(2).values
        margin = (best[:, 0] - best[:, 1]).min().item()
        assert margin > 3e-2 and (len(new) == 12 or new[-1] == model.config.eos_token_id)
        rows.append({"prompt": prompt.tolist(), "new_tokens": new.tolist(), "smallest_margin": margin})
    batch, mask = torch.zeros(3, 7, dtype=torch.int64), torch.zeros(3, 7, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        batch[row, -len(prompt) :], mask[row, -len(prompt) :] = prompt, 1
    together = model.generate(batch, attention_mask=mask, do_sample=False, max_new_tokens=12)[:, 7:]
    for row, new in zip(rows, together.tolist()):
        assert new == row["new_tokens"] + [0] * (12 - len(row["new_tokens"]))
    return rows


def processed(processors: list, ids: torch.Tensor, logits: torch.Tensor) -> dict:
    scores = logits[None].clone()
    for processor in processors:
        scores = processor(ids[None], scores)
    kept = torch.isfinite(scores[0])
    return {
        "kept": kept.nonzero()[:, 0].tolist(),
        "scores_of_kept": scores[0][kept].tolist(),
        "probabilities": scores.softmax(-1)[0].tolist(),
    }


def write_processors() -> None:
    logits = 2.0 * torch.randn(24, generator=generator(13))
    ids = torch.tensor([3, 7, 7, 20, 1])
    temperature = logits_process.TemperatureLogitsWarper(0.7)
    top_k = logits_process.TopKLogitsWarper(5)
    top_p = logits_process.TopPLogitsWarper(0.8)
    min_p = logits_process.MinPLogitsWarper(0.1)
    penalty = logits_process.RepetitionPenaltyLogitsProcessor(1.3)
    assert (logits[ids] > 0).any() and (logits[ids] < 0).any()
    cases = [
        ({}, []),
        ({"temperature": 0.7}, [temperature]),
        ({"top_k": 5}, [top_k]),
        ({"top_p": 0.8}, [top_p]),
        ({"min_p": 0.1}, [min_p]),
        ({"repetition_penalty": 1.3}, [penalty]),
        ({"temperature": 0.7, "top_k": 5, "top_p": 0.8}, [temperature, top_k, top_p]),
        (
            {"repetition_penalty": 1.3, "temperature": 0.7, "top_k": 5, "top_p": 0.8, "min_p": 0.1},
            [penalty, temperature, top_k, top_p, min_p],
        ),
    ]
    rows = [{"settings": settings, **processed(steps, ids, logits)} for settings, steps in cases]
    write_json(
        GOLDENS / "generation" / "processors.json",
        {
            "source": "transformers 5.23.0, classes of generation/logits_process.py, applied in the order of `settings`",
            "previous_tokens": ids.tolist(),
            "logits": logits.tolist(),
            "cases": rows,
        },
    )


if __name__ == "__main__":
    for name in CONFIGS:
        write_model(name)
    write_json(
        GOLDENS / "generation" / "greedy.json",
        {
            "source": "transformers 5.23.0 generate(do_sample=False, max_new_tokens=12, use_cache=True), float32",
            "cases": {name: greedy(name) for name in ("llama-tied", "gpt2")},
        },
    )
    write_processors()
