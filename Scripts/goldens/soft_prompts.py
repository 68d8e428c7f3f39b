"""Writes Tests/Goldens/soft-prompts/NAME/: prompt tuning, P-tuning, prefix tuning and multitask prompt tuning as peft has them on the
tiny models. Each folder has the adapter as peft saves it, what its encoder holds besides, the logits with it, greedy tokens, and 10
optimizer steps from it. Run models.py, training.py and command_line.py first.

No sample's first token is a target here: peft has the last virtual token predict it, but a prefix of keys and values cannot.

Versions: requirements.txt. Seeds: token ids 61, encoders 62. Samples are those of training/samples.json, two a step, in order.
"""

import json
import os
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import (
    MultitaskPromptTuningConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
    initialize_kv_prefix_from_text,
)
from transformers import AutoTokenizer

from adapters import base, save
from golden_files import GOLDENS, write_json, write_tensors
from tiny_models import token_ids
from training import collate

FOLDER = GOLDENS / "soft-prompts"
TOKENIZER = "../cli"
TEXT = "Say whether the review is good or bad."
STEPS, BATCH, RATE = 10, 2, 1e-2
warnings.filterwarnings("ignore")


@dataclass(frozen=True)
class Case:
    """A configuration of peft on one of the tiny models."""

    model: str
    config: type
    settings: dict = field(default_factory=dict)
    text: str | None = None
    """A text whose keys and values a prefix begins as."""
    tasks: bool = False
    """Whether samples have tasks: the first nine 0, the others 1."""


CASES = {
    "prompt-tuning-gpt2": Case("gpt2", PromptTuningConfig, {"num_virtual_tokens": 5}),
    "prompt-tuning-llama": Case("llama-tied", PromptTuningConfig, {"num_virtual_tokens": 5}),
    "prompt-tuning-vocabulary": Case(
        "qwen2", PromptTuningConfig, {"num_virtual_tokens": 4, "prompt_tuning_init": "SAMPLE_VOCAB"}
    ),
    "prompt-tuning-text": Case(
        "llama-tied",
        PromptTuningConfig,
        {
            "num_virtual_tokens": 4,
            "prompt_tuning_init": "TEXT",
            "prompt_tuning_init_text": TEXT,
            "tokenizer_name_or_path": TOKENIZER,
        },
    ),
    "prompt-tuning-window": Case("mistral", PromptTuningConfig, {"num_virtual_tokens": 4}),
    "p-tuning-mlp-gpt2": Case("gpt2", PromptEncoderConfig, {"num_virtual_tokens": 5, "encoder_hidden_size": 24}),
    "p-tuning-mlp-qwen2": Case("qwen2", PromptEncoderConfig, {"num_virtual_tokens": 5, "encoder_hidden_size": 24}),
    "p-tuning-lstm-llama": Case(
        "llama-tied",
        PromptEncoderConfig,
        {"num_virtual_tokens": 4, "encoder_hidden_size": 12, "encoder_reparameterization_type": "LSTM"},
    ),
    "prefix-tuning-gpt2": Case("gpt2", PrefixTuningConfig, {"num_virtual_tokens": 5}),
    "prefix-tuning-llama": Case("llama-tied", PrefixTuningConfig, {"num_virtual_tokens": 5}),
    "prefix-tuning-qwen3": Case("qwen3", PrefixTuningConfig, {"num_virtual_tokens": 4}),
    "prefix-tuning-window": Case("mistral", PrefixTuningConfig, {"num_virtual_tokens": 4}),
    "prefix-tuning-zero": Case("qwen2", PrefixTuningConfig, {"num_virtual_tokens": 4, "init_weights": "zero"}),
    "prefix-tuning-text": Case("llama-tied", PrefixTuningConfig, {"num_virtual_tokens": 5}, text=TEXT),
    "prefix-projection-gpt2": Case(
        "gpt2", PrefixTuningConfig, {"num_virtual_tokens": 5, "prefix_projection": True, "encoder_hidden_size": 24}
    ),
    "prefix-projection-llama": Case(
        "llama-tied", PrefixTuningConfig, {"num_virtual_tokens": 5, "prefix_projection": True, "encoder_hidden_size": 24}
    ),
    "multitask-llama": Case(
        "llama-tied", MultitaskPromptTuningConfig, {"num_virtual_tokens": 4, "num_tasks": 3, "num_ranks": 2}, tasks=True
    ),
}


def task(sample: int) -> int:
    return int(sample >= 9)


def make(case: Case) -> PeftModel:
    torch.manual_seed(62)
    model = get_peft_model(base(case.model), case.config(task_type="CAUSAL_LM", **case.settings))
    if case.text is not None:
        tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
        initialize_kv_prefix_from_text(model, tokenizer, text=case.text, use_chat_template=False)
    if case.tasks:
        with torch.no_grad():  # at peft's N(0, 0.02²) a task's product is all but nothing
            for weights in (model.prompt_encoder.default.prefix_task_cols, model.prompt_encoder.default.prefix_task_rows):
                weights.mul_(40)
    return model


def logits(model: PeftModel, ids: torch.Tensor, mask: torch.Tensor | None = None, tasks: list[int] | None = None) -> torch.Tensor:
    """The logits of the tokens alone."""
    extra = {} if tasks is None else {"task_ids": torch.tensor(tasks)}
    return model(input_ids=ids, attention_mask=mask, **extra).logits[:, -ids.shape[1] :]


def greedy(model: PeftModel, prompt: list[int], count: int, tasks: list[int] | None) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(logits(model, torch.tensor([ids]), tasks=tasks)[0, -1].argmax()))
    return ids[len(prompt) :]


def loss_of(model: PeftModel, rows: list[dict], tasks: list[int] | None) -> torch.Tensor:
    batch = collate(rows)
    scores = logits(model, batch["input_ids"], batch["attention_mask"], tasks)[:, :-1].log_softmax(-1)
    chosen = batch["labels"][:, 1:]
    kept = chosen != -100
    loss = -scores[kept].gather(1, chosen[kept][:, None]).sum() / kept.sum()
    extra = {} if tasks is None else {"task_ids": torch.tensor(tasks)}
    assert (model(**batch, **extra).loss - loss).abs() < 1e-5
    return loss


def train(model: PeftModel, case: Case, samples: list[dict]) -> list[float]:
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)
    losses = []
    for step in range(STEPS):
        indices = range(step * BATCH, (step + 1) * BATCH)
        loss = loss_of(model, [samples[i] for i in indices], [task(i) for i in indices] if case.tasks else None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


def write_case(name: str, case: Case, samples: list[dict]) -> None:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    model = make(case).eval()
    save(model, folder)
    encoder = {key: value.detach().clone() for key, value in model.prompt_encoder.default.state_dict().items()}
    ids, tasks = token_ids((2, 10), seed=61), [2, 1] if case.tasks else None
    with torch.no_grad():
        adapted, plain = logits(model, ids, tasks=tasks), base(case.model)(input_ids=ids).logits
        loaded = logits(PeftModel.from_pretrained(base(case.model), folder).eval(), ids, tasks=tasks)
    assert (loaded - adapted).abs().max() < 1e-5, (name, (loaded - adapted).abs().max())
    assert (adapted - plain).abs().max() > 0.1, name
    prompts = [token_ids((7,), seed=63).tolist(), token_ids((4,), seed=64).tolist()]
    rows = [{"prompt": p, "new_tokens": greedy(model, p, 8, tasks and [t])} for p, t in zip(prompts, tasks or [0, 0])]
    tensors = {"input_ids": ids, "logits": adapted, "base_logits": plain}
    losses = train(model, case, samples)
    with torch.no_grad():
        tensors["trained_logits"] = logits(model, ids, tasks=tasks)
    tensors["trained_embeddings"] = model.get_prompt_embedding_to_save("default")
    write_tensors(folder / "expected.safetensors", tensors)
    if set(encoder) != {"embedding.weight"} and not case.tasks:
        write_tensors(folder / "encoder.safetensors", encoder)
    settings = {"model": case.model, "learning_rate": RATE, "weight_decay": 0.0, "batch_size": BATCH}
    if tasks is not None:
        settings |= {"logits_tasks": tasks, "sample_tasks": [task(i) for i in range(STEPS * BATCH)]}
    if case.text is not None:
        settings["text"] = case.text
    note = "peft 0.21.2, transformers 5.23.0, float32; greedy tokens by whole passes"
    write_json(folder / "run.json", {"source": note, "settings": settings, "losses": losses, "greedy": rows})
    print(f"{name:26s} |adapted - base| {(adapted - plain).abs().max():.2f}  loss {losses[0]:.4f} -> {losses[-1]:.4f}")


if __name__ == "__main__":
    samples = json.loads((GOLDENS / "training/samples.json").read_text())["samples"]
    samples = [{**row, "labels": [-100] + row["labels"][1:]} for row in samples]
    os.chdir(GOLDENS / "models")
    for name, case in CASES.items():
        write_case(name, case, samples)
