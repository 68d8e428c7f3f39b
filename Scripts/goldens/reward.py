"""Writes Tests/Goldens/reward/: what transformers, peft and TRL make of models that score texts. Run models.py first.

Output:
  classifier/        a tiny Llama with one label as transformers saves it, its number of labels in config.json
  adapter/           a LoRA as peft saves it with task_type SEQ_CLS, its `score.weight` among the tensors
  scores.safetensors input_ids [3, 9], lengths [3]; <name>.score [labels, 32] and <name>.scores [3, labels] of every architecture with a
                     score head of its own; classifier.scores, adapter.scores
  runs.json          pairs [{chosen, rejected, margin}] as ids; runs {name: {settings, steps: [{loss, accuracy, margin, mean_reward}]}} of
                     TRL's RewardTrainer on the tiny Llama with the adapter, three pairs a step, in order, AdamW at a constant rate

Versions: requirements.txt, and trl 1.16.0 (pip install --no-deps). Seeds: token ids 41, heads 71, adapter 72, pairs 73.
"""

import os
import shutil
import tempfile
import warnings

import torch
from golden_files import GOLDENS, check_sizes, generator, write_json, write_tensors
from adapters import randomize, save
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_models import token_ids
from torch.utils.data import SequentialSampler
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer

FOLDER = GOLDENS / "reward"
MODEL = "llama-tied"
STEPS, BATCH = 20, 3
LENGTHS = [9, 4, 7]
warnings.filterwarnings("ignore")

ARCHITECTURES = {"llama": 1, "llama-tied": 3, "gpt2": 1, "mistral": 1, "qwen2": 1, "qwen3": 1}
"""Tiny models, each with the number of labels it gets."""
RUNS = {
    "plain": ({}, False),
    "centred": ({"center_rewards_coefficient": 0.05}, False),
    "margins": ({}, True),
    "both": ({"center_rewards_coefficient": 0.01}, True),
}
"""Settings of RewardConfig, and whether the pairs come with margins."""


def classifier(name: str, labels: int = 1) -> PreTrainedModel:
    """The tiny model with a score head of N(0, 0.5²) instead of the one that predicts tokens."""
    model = AutoModelForSequenceClassification.from_pretrained(
        name, num_labels=labels, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        model.score.weight.copy_(0.5 * torch.randn(model.score.weight.shape, generator=generator(71)))
    return model


def scores(model, ids: torch.Tensor) -> torch.Tensor:
    """Each row alone and without padding: [rows, labels]."""
    with torch.no_grad():
        return torch.cat([model(input_ids=row[None, :length]).logits for row, length in zip(ids, LENGTHS)])


def make_pairs() -> list[dict]:
    """A prompt of 2 to 5 random ids with two answers of 1 to 7, the better one counting up, and a margin."""
    draw = generator(73)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    pairs = []
    for _ in range(STEPS * BATCH):
        prompt = [number(4, 60) for _ in range(number(2, 6))]
        chosen = [(prompt[-1] + step) % 60 + 1 for step in range(1, number(2, 8))]
        rejected = [number(4, 60) for _ in range(number(1, 8))]
        pairs.append({"chosen": prompt + chosen, "rejected": prompt + rejected, "margin": number(0, 5) / 4})
    return pairs


class Recorder(RewardTrainer):
    """Takes the samples in order and keeps the losses unrounded."""

    def _prepare_dataset(self, dataset, *arguments, **options):
        return dataset

    def _get_train_sampler(self, *arguments):
        return SequentialSampler(self.train_dataset)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        metrics = self._metrics["train"]
        self.kept.append({"loss": loss.item()} | {name: metrics[name][-1] for name in ("accuracy", "margin", "mean_reward")})
        return loss


def run(settings: dict, with_margins: bool, pairs: list[dict]) -> list[dict]:
    model = PeftModel.from_pretrained(classifier(MODEL), FOLDER / "adapter", is_trainable=True)
    rows = [{"chosen_ids": pair["chosen"], "rejected_ids": pair["rejected"]} for pair in pairs]
    if with_margins:
        rows = [row | {"margin": pair["margin"]} for row, pair in zip(rows, pairs)]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(GOLDENS / "cli" / "tokenizer.json"), eos_token="</s>", pad_token="<pad>")
    with tempfile.TemporaryDirectory() as folder:
        config = RewardConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, max_steps=STEPS, learning_rate=1e-3, lr_scheduler_type="constant",
            logging_steps=1, report_to=[], max_length=None, gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no",
            disable_tqdm=True, optim="adamw_torch", weight_decay=0.0, **settings)
        trainer = Recorder(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        trainer.kept = []
        trainer.train()
    assert len(trainer.kept) == STEPS
    return trainer.kept


def main() -> None:
    os.chdir(GOLDENS / "models")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    ids = token_ids((3, 9), seed=41)
    tensors = {"input_ids": ids, "lengths": torch.tensor(LENGTHS)}
    for name, labels in ARCHITECTURES.items():
        model = classifier(name, labels)
        tensors |= {f"{name}.score": model.score.weight, f"{name}.scores": scores(model, ids)}
    whole = classifier("llama")
    whole.save_pretrained(FOLDER / "classifier")
    (FOLDER / "classifier" / "model.safetensors").chmod(0o644)
    tensors["classifier.scores"] = scores(whole, ids)
    config = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=4, lora_dropout=0.1, target_modules=["q_proj", "v_proj", "down_proj"])
    start = get_peft_model(classifier(MODEL), config).eval()
    randomize(start, "default", 72)
    save(start, FOLDER / "adapter")
    loaded = PeftModel.from_pretrained(classifier(MODEL), FOLDER / "adapter").eval()
    tensors["adapter.scores"] = scores(loaded, ids)
    assert (tensors["adapter.scores"] - scores(classifier(MODEL), ids)).abs().max() > 0.1
    write_tensors(FOLDER / "scores.safetensors", tensors)
    pairs = make_pairs()
    runs = {name: {"settings": settings, "margins": margins, "steps": run(settings, margins, pairs)} for name, (settings, margins) in RUNS.items()}
    write_json(FOLDER / "runs.json", {"batch_size": BATCH, "learning_rate": 1e-3, "pairs": pairs, "runs": runs})
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
