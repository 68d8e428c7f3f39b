"""Writes Tests/Goldens/training/: runs of 20 optimizer steps of transformers' Trainer on LoRA adapters of the tiny models, each repeated
by a loop written out below, which must give the same losses. Run models.py first. The run `packed` says which samples share a row; Trainer
computes a row as a padded batch, the loop sample by sample, so in neither can one sample see another.

Versions: requirements.txt. Seeds: samples 51, starting adapter 52. Order of samples: sequential, never shuffled.
"""

import json
import os
import shutil
import tempfile
import warnings
from dataclasses import asdict, dataclass
from math import cos, pi

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from adapters import base, randomize, save
from golden_files import GOLDENS, generator, write_json, write_tensors

FOLDER = GOLDENS / "training"
STEPS, BATCH = 20, 2
warnings.filterwarnings("ignore")


@dataclass(frozen=True)
class Run:
    """The settings of a run that differ between runs; the rest is in `trainer_settings`."""

    model: str
    accumulation: int = 1
    schedule: str = "linear"
    warmup_steps: int = 2
    weight_decay: float = 0.01
    samples: int = 40
    learning_rate: float = 1e-2
    max_grad_norm: float = 1.0
    first_label_masked: bool = False
    """Sets each sample's first label to -100. transformers counts it for gpt2, though nothing predicts it, and not for llama."""
    packed_length: int | None = None
    """A batch is a row of samples that are at most this long together; None for `BATCH` samples a batch."""


RUNS = {
    "accumulation-1": Run("llama-tied"),
    "accumulation-4": Run("llama-tied", accumulation=4, max_grad_norm=0.65),
    "accumulation-4-remainder": Run("llama-tied", accumulation=4, samples=21, max_grad_norm=0.65),
    "cosine": Run("llama-tied", schedule="cosine", weight_decay=0.0),
    "packed": Run("llama-tied", accumulation=2, max_grad_norm=0.65, packed_length=48),
    "gpt2": Run("gpt2", first_label_masked=True),
}

ADAPTERS = {
    "llama-tied": LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=1, target_modules=["q_proj", "v_proj", "down_proj"]),
    "gpt2": LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=1, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True),
}


class Batches(Dataset):
    """Items are whole batches, lists of samples, so that Trainer takes those that are planned here."""

    def __init__(self, rows: list[dict], batches: list[list[int]]):
        self.rows, self.batches = rows, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> list[dict]:
        return [self.rows[i] for i in self.batches[index]]


def make_samples() -> list[dict]:
    """Prompt of 2 to 6 random ids, then an answer of 1 to 14 ids that counts up from the last id; only the answer is trained.

    Every seventh sample trains the prompt as well, its first token too, which no position predicts."""
    draw, rows = generator(51), []
    for index in range(40):
        prompt_length, answer_length = (int(torch.randint(a, b, (), generator=draw)) for a, b in ((2, 7), (1, 15)))
        prompt = torch.randint(3, 96, (prompt_length,), generator=draw).tolist()
        answer = [3 + (prompt[-1] + 5 * step) % 93 for step in range(1, answer_length + 1)] + [2]
        masked = prompt if index % 7 == 6 else [-100] * prompt_length
        rows.append({"input_ids": prompt + answer, "labels": masked + answer})
    return rows


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Pads behind: ids with 0, labels with -100, attention mask with 0."""
    width = max(len(row["input_ids"]) for row in rows)
    pad = lambda values, filler: values + [filler] * (width - len(values))  # noqa: E731
    return {
        "input_ids": torch.tensor([pad(row["input_ids"], 0) for row in rows]),
        "attention_mask": torch.tensor([pad([1] * len(row["input_ids"]), 0) for row in rows]),
        "labels": torch.tensor([pad(row["labels"], -100) for row in rows]),
    }


def start(run: Run) -> PeftModel:
    return PeftModel.from_pretrained(base(run.model), FOLDER / run.model / "initial_adapter", is_trainable=True)


class RecordingTrainer(Trainer):
    """Reads the samples in order and keeps what each optimizer step saw."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.logged, self.counts = [], []

    def _get_train_sampler(self, train_dataset=None):
        return SequentialSampler(self.train_dataset)

    def training_step(self, model, inputs, num_items_in_batch=None):
        assert num_items_in_batch is not None, "the trainer did not count the labels of the whole step"
        self.counts.append((self.state.global_step, int(num_items_in_batch)))
        return super().training_step(model, inputs, num_items_in_batch)

    def log(self, logs, *arguments, **keywords):
        if "loss" in logs:
            self.logged.append(dict(logs))
        super().log(logs, *arguments, **keywords)


def train_with_trainer(run: Run, rows: list[dict]) -> tuple[list[dict], dict[str, torch.Tensor]]:
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch, use_cpu=True, max_steps=STEPS, per_device_train_batch_size=1,
            gradient_accumulation_steps=run.accumulation, learning_rate=run.learning_rate, lr_scheduler_type=run.schedule,
            warmup_steps=run.warmup_steps, weight_decay=run.weight_decay, max_grad_norm=run.max_grad_norm,
            optim="adamw_torch", logging_steps=1, save_strategy="no", report_to="none", seed=0, disable_tqdm=True,
            remove_unused_columns=False, bf16=False, fp16=False, gradient_checkpointing=False,
        )  # fmt: skip
        model = start(run)
        trainer = RecordingTrainer(
            model=model, args=arguments, train_dataset=Batches(rows, batches_of(run, rows)), data_collator=lambda items: collate(*items)
        )
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        trainer.train()
    counts = dict(trainer.counts)
    records = [
        {"loss": row["loss"], "grad_norm": row["grad_norm"], "learning_rate": row["learning_rate"], "tokens": counts[step]}
        for step, row in enumerate(trainer.logged)
    ]
    return records, get_peft_model_state_dict(model)


def packed(lengths: list[int], capacity: int) -> list[list[int]]:
    """Best fit decreasing: the longest sample first, each into the row with the least room that takes it; of several, the one that has
    had that room longest."""
    rows, room, since = [], [], []
    for turn, sample in enumerate(sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))):
        fitting = [row for row in range(len(rows)) if room[row] >= lengths[sample]]
        if not fitting:
            fitting = [len(rows)]
            rows, room, since = [*rows, []], [*room, capacity], [*since, turn]
        row = min(fitting, key=lambda row: (room[row], since[row]))
        rows[row].append(sample)
        room[row], since[row] = room[row] - lengths[sample], turn
    return rows


def batches_of(run: Run, rows: list[dict]) -> list[list[int]]:
    """The batches of an epoch, each the indices of its samples."""
    if run.packed_length is not None:
        return packed([len(row["input_ids"]) for row in rows], run.packed_length)
    indices = list(range(run.samples))
    return [indices[i : i + BATCH] for i in range(0, run.samples, BATCH)]


def steps_of(run: Run, rows: list[dict]) -> list[list[list[int]]]:
    """For each optimizer step the micro-batches. An epoch's last step may be short."""
    batches = batches_of(run, rows)
    epoch = [batches[i : i + run.accumulation] for i in range(0, len(batches), run.accumulation)]
    return [epoch[step % len(epoch)] for step in range(STEPS)]


def rate(run: Run, step: int) -> float:
    if step < run.warmup_steps:
        return run.learning_rate * step / run.warmup_steps
    done = (step - run.warmup_steps) / (STEPS - run.warmup_steps)
    return run.learning_rate * (0.5 * (1 + cos(pi * done)) if run.schedule == "cosine" else 1 - done)


def train_by_hand(run: Run, rows: list[dict], dtype: torch.dtype) -> tuple[list[dict], dict, dict]:
    """The same run with the loss, clipping, AdamW and the schedule written out; samples that are packed go through the model alone."""
    model = start(run).to(dtype).train()
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    first = {name: torch.zeros_like(p) for name, p in weights.items()}
    second = {name: torch.zeros_like(p) for name, p in weights.items()}
    records, gradients = [], {}
    for step, micro_batches in enumerate(steps_of(run, rows)):
        if run.packed_length is not None:
            micro_batches = [[i] for indices in micro_batches for i in indices]
        batches = [collate([rows[i] for i in indices]) for indices in micro_batches]
        tokens = sum(int((batch["labels"][:, 1:] != -100).sum()) for batch in batches)
        total = 0.0
        for batch in batches:
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            chosen = batch["labels"][:, 1:].reshape(-1)
            scores = logits[:, :-1].reshape(len(chosen), -1).log_softmax(-1)[chosen != -100]
            loss = -scores.gather(1, chosen[chosen != -100][:, None]).sum() / tokens
            loss.backward()
            total += loss.item()
        norm = torch.stack([p.grad.norm() for p in weights.values()]).norm()
        if step == 0:
            gradients = {name: p.grad.clone() for name, p in weights.items()}
        scale = min(1.0, run.max_grad_norm / (norm.item() + 1e-6))
        with torch.no_grad():
            for name, p in weights.items():
                gradient = p.grad * scale
                first[name].mul_(0.9).add_(gradient, alpha=0.1)
                second[name].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                p.mul_(1 - rate(run, step) * run.weight_decay)
                mean, square = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.999 ** (step + 1))
                p.sub_(rate(run, step) * mean / (square.sqrt() + 1e-8))
                p.grad = None
        records.append({"loss": total, "grad_norm": norm.item(), "learning_rate": rate(run, step), "tokens": tokens})
    return records, get_peft_model_state_dict(model), gradients


def largest(left: list[dict], right: list[dict], key: str) -> float:
    return max(abs(a[key] - b[key]) for a, b in zip(left, right, strict=True))


def write_run(name: str, run: Run, samples: list[dict]) -> None:
    rows = samples[: run.samples]
    if run.first_label_masked:
        rows = [{**row, "labels": [-100] + row["labels"][1:]} for row in rows]
    records, final = train_with_trainer(run, rows)
    by_hand, final_by_hand, gradients = train_by_hand(run, rows, torch.float32)
    exact, final_exact, _ = train_by_hand(run, rows, torch.float64)
    assert len(records) == STEPS
    for row, other in zip(records, by_hand, strict=True):
        assert abs(row["loss"] / other["loss"] - 1) < 1e-6, (name, row, other)
    assert largest(records, by_hand, "learning_rate") < 1e-12
    assert [row["tokens"] for row in records] == [row["tokens"] for row in by_hand]
    bitten = sum(row["grad_norm"] > run.max_grad_norm for row in records)
    distance = lambda a, b: max((a[key] - b[key]).abs().max().item() for key in a)  # noqa: E731
    assert 0 < bitten < STEPS, (name, [row["grad_norm"] for row in records])
    print(
        f"{name:26s} loss {records[0]['loss']:.4f} -> {records[-1]['loss']:.4f}, clipped {bitten} of {STEPS};",
        f"by hand: loss {largest(records, by_hand, 'loss'):.1e} weights {distance(final, final_by_hand):.1e};",
        f"float64: loss {largest(records, exact, 'loss'):.1e} norm {largest(records, exact, 'grad_norm'):.1e}",
        f"weights {distance(final, final_exact):.1e}",
    )
    settings = {key: value for key, value in asdict(run).items() if value is not None} | {
        "max_steps": STEPS, "batch_size": BATCH if run.packed_length is None else 1, "optimizer": "AdamW", "betas": [0.9, 0.999], "eps": 1e-8,
        "initial_adapter": f"{run.model}/initial_adapter",
    }  # fmt: skip
    for row, micro_batches in zip(records, steps_of(run, rows), strict=True):
        row["micro_batches"] = micro_batches
    note = "transformers 5.23.0 Trainer, peft 0.21.2, float32, sequential sampler"
    write_json(FOLDER / run.model / f"{name}.json", {"source": note, "settings": settings, "steps": records})
    write_tensors(FOLDER / run.model / f"{name}.final_adapter.safetensors", final)
    if name in ("accumulation-1", "gpt2"):
        named = {key.replace(".default", ""): value for key, value in gradients.items()}
        write_tensors(FOLDER / run.model / f"{name}.first_gradients.safetensors", named)


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    os.chdir(GOLDENS / "models")
    samples = make_samples()
    write_json(FOLDER / "samples.json", {"pad_token_id": 0, "samples": samples})
    for name, config in ADAPTERS.items():
        model = get_peft_model(base(name), config)
        randomize(model, "default", seed=52)
        save(model, FOLDER / name / "initial_adapter")
    for name, run in RUNS.items():
        write_run(name, run, samples)
