"""Writes Tests/Goldens/kto/runs.json: what TRL's KTOTrainer makes of answers with labels. Run models.py and preference.py first.

Output: answers [{prompt, completion, label}] as ids; runs {name: {settings, steps: [{loss, kl, rewards…, logps…}]}} on the tiny model with
the LoRA of preference/adapter, measured against the base, four answers a step, in order, AdamW at a constant rate.

Versions: requirements.txt, and trl 1.16.0 (pip install --no-deps). Seeds: answers 63. The order is sequential.
"""

import os
import tempfile
import warnings

import torch
from golden_files import GOLDENS, check_sizes, generator, write_json
from adapters import base
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import SequentialSampler
from transformers import PreTrainedTokenizerFast
from trl import KTOConfig, KTOTrainer

FOLDER = GOLDENS / "kto"
MODEL = "llama-tied"
STEPS, BATCH = 8, 4
warnings.filterwarnings("ignore")

RUNS = {
    "kto": {},
    "beta": {"beta": 0.5},
    "weights": {"desirable_weight": 1.5, "undesirable_weight": 0.7},
    "apo": {"loss_type": "apo_zero_unpaired"},
    "apo-weights": {"loss_type": "apo_zero_unpaired", "beta": 0.3, "desirable_weight": 0.8, "undesirable_weight": 1.2},
}


def make_answers() -> list[dict]:
    """Prompts of 2 to 5 random ids; good answers of 1 to 7 ids count up, bad ones are random. The fourth step has no good ones."""
    draw = generator(63)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    answers = []
    for index in range(STEPS * BATCH):
        prompt = [number(4, 60) for _ in range(number(2, 6))]
        label = bool(number(0, 2)) and index // BATCH != 3
        length = number(1, 8)
        answer = [(prompt[-1] + step) % 60 + 1 for step in range(1, length + 1)] if label else [number(4, 60) for _ in range(length)]
        answers.append({"prompt": prompt, "completion": answer, "label": label})
    return answers


class Recorder(KTOTrainer):
    """Takes the samples in order and keeps the losses unrounded."""

    def _prepare_dataset(self, dataset, *arguments, **options):
        return dataset

    def _get_train_sampler(self, *arguments):
        return SequentialSampler(self.train_dataset)

    def _compute_loss(self, model, inputs, return_outputs):
        before = {name: len(values) for name, values in self._metrics["train"].items() if isinstance(values, list)}
        loss = super()._compute_loss(model, inputs, return_outputs)
        wanted = ("kl", "rewards/", "logps/")
        self.kept.append({"loss": loss.item()} | {
            name: values[-1] for name, values in self._metrics["train"].items()
            if name.startswith(wanted) and len(values) > before.get(name, 0)})
        return loss


def run(settings: dict, answers: list[dict]) -> list[dict]:
    model = PeftModel.from_pretrained(base(MODEL), GOLDENS / "preference" / "adapter", is_trainable=True)
    rows = [{"prompt_ids": row["prompt"], "completion_ids": row["completion"], "label": row["label"]} for row in answers]
    if settings.get("loss_type", "kto") == "kto":
        # Each prompt with the completion before it in its batch, as the trainer pairs them while it tokenizes.
        for place, row in enumerate(rows):
            first = place - place % BATCH
            row["KL_completion_ids"] = rows[first + (place - first - 1) % BATCH]["completion_ids"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(GOLDENS / "cli" / "tokenizer.json"), eos_token="</s>", pad_token="<pad>")
    with tempfile.TemporaryDirectory() as folder:
        config = KTOConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, max_steps=STEPS, learning_rate=1e-2, lr_scheduler_type="constant",
            logging_steps=1, report_to=[], max_length=None, gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no",
            disable_tqdm=True, optim="adamw_torch", weight_decay=0.0, train_sampling_strategy="sequential", **settings)
        trainer = Recorder(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        trainer.kept = []
        trainer.train()
    assert len(trainer.kept) == STEPS
    return trainer.kept


def main() -> None:
    os.chdir(GOLDENS / "models")
    FOLDER.mkdir(parents=True, exist_ok=True)
    answers = make_answers()
    runs = {name: {"settings": settings, "steps": run(settings, answers)} for name, settings in RUNS.items()}
    write_json(FOLDER / "runs.json", {"batch_size": BATCH, "learning_rate": 1e-2, "answers": answers, "runs": runs})
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
