"""Writes Tests/Goldens/preference/: what TRL makes of pairs of answers. Run models.py first.

Output:
  adapter/           the LoRA that every run starts from, and measures against
  runs.json          pairs [{prompt, chosen, rejected}] as ids; runs {name: {settings, steps: [{loss, rewards…, logps…}]}} of TRL's
                     DPOTrainer on the tiny model, three pairs a step, in order, AdamW at a constant rate
  losses.json        numbers l_c, l_r, tokens of both, and the losses of TRL's CPO (with SimPO) and ORPO for each pair

Versions: requirements.txt, and trl 1.16.0 (pip install --no-deps). Seeds: pairs 61, adapter 62. The order is sequential.
"""

import json
import os
import tempfile
import warnings
from types import SimpleNamespace

import torch
from golden_files import GOLDENS, check_sizes, generator, write_json
from adapters import base, randomize, save
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from torch.utils.data import SequentialSampler
from transformers import PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer

FOLDER = GOLDENS / "preference"
MODEL = "llama-tied"
STEPS, BATCH = 6, 3
warnings.filterwarnings("ignore")

RUNS = {
    "sigmoid": {},
    "beta": {"beta": 0.5},
    "forward-kl": {"f_divergence_type": "forward_kl"},
    "js": {"f_divergence_type": "js_divergence"},
    "alpha": {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.3},
    "weighted": {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0]},
    "robust": {"loss_type": ["robust"], "label_smoothing": 0.1},
    "exo": {"loss_type": ["exo_pair"], "label_smoothing": 1e-3},
} | {
    name: {"loss_type": [name]}
    for name in (
        "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft",
        "sigmoid_norm")
}


def make_pairs() -> list[dict]:
    """Prompts of 2 to 5 random ids; answers of 1 to 7, the better one counting up."""
    draw = generator(61)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    pairs = []
    for _ in range(STEPS * BATCH):
        prompt = [number(4, 60) for _ in range(number(2, 6))]
        chosen = [(prompt[-1] + step) % 60 + 1 for step in range(1, number(2, 8))]
        rejected = [number(4, 60) for _ in range(number(1, 8))]
        pairs.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return pairs


class Recorder(DPOTrainer):
    """Takes the samples in order and keeps the losses unrounded."""

    def _prepare_dataset(self, dataset, *arguments, **options):
        return dataset

    def _get_train_sampler(self, *arguments):
        return SequentialSampler(self.train_dataset)

    def _compute_loss(self, model, inputs, return_outputs):
        loss = super()._compute_loss(model, inputs, return_outputs)
        self.kept.append(
            {"loss": loss.item()} | {name: values[-1] for name, values in self._metrics["train"].items() if "/" in name})
        return loss


def run(settings: dict, pairs: list[dict]) -> list[dict]:
    model = PeftModel.from_pretrained(base(MODEL), FOLDER / "adapter", is_trainable=True)
    rows = [{f"{key}_ids": value for key, value in pair.items()} for pair in pairs]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(GOLDENS / "cli" / "tokenizer.json"), eos_token="</s>", pad_token="<pad>")
    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, max_steps=STEPS, learning_rate=1e-2, lr_scheduler_type="constant",
            logging_steps=1, report_to=[], max_length=None, gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no",
            disable_tqdm=True, optim="adamw_torch", weight_decay=0.0, **settings)
        trainer = Recorder(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        trainer.kept = []
        trainer.train()
    assert len(trainer.kept) == STEPS
    return trainer.kept


def reference_free() -> dict:
    """The losses of fixed numbers, by the trainers' own functions."""
    chosen, rejected = torch.tensor([-3.2, -0.4, -11.0, -7.7]), torch.tensor([-4.0, -2.5, -6.5, -7.6])
    tokens = {"chosen": torch.tensor([4.0, 1.0, 6.0, 5.0]), "rejected": torch.tensor([3.0, 2.0, 5.0, 7.0])}
    means = (chosen / tokens["chosen"], rejected / tokens["rejected"])
    cases = []
    for kind, beta, smoothing in [("sigmoid", 0.1, 0.0), ("sigmoid", 0.7, 0.1), ("simpo", 2.0, 0.0), ("simpo", 2.5, 0.2)]:
        trainer = SimpleNamespace(
            alpha=0.0, beta=beta, label_smoothing=smoothing, loss_type=kind, simpo_gamma=0.5, accelerator=SimpleNamespace(device="cpu"))
        numbers = means if kind == "simpo" else (chosen, rejected)
        losses = CPOTrainer.cpo_loss(trainer, *numbers)[0]
        cases.append({"kind": kind, "beta": beta, "label_smoothing": smoothing, "losses": losses.tolist()})
    trainer = SimpleNamespace(beta=0.1, accelerator=SimpleNamespace(device="cpu"))
    cases.append({"kind": "orpo", "beta": 0.1, "label_smoothing": 0.0, "losses": (-ORPOTrainer.odds_ratio_loss(trainer, *means)[0]).tolist()})
    return {
        "chosen": chosen.tolist(), "rejected": rejected.tolist(),
        "tokens": {name: values.tolist() for name, values in tokens.items()}, "cases": cases,
    }


def main() -> None:
    os.chdir(GOLDENS / "models")
    FOLDER.mkdir(parents=True, exist_ok=True)
    start = get_peft_model(
        base(MODEL), LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=4, lora_dropout=0.1, target_modules=["q_proj", "v_proj", "down_proj"]))
    randomize(start, "default", 62)
    save(start, FOLDER / "adapter")
    pairs = make_pairs()
    runs = {name: {"settings": settings, "steps": run(settings, pairs)} for name, settings in RUNS.items()}
    write_json(FOLDER / "runs.json", {"batch_size": BATCH, "learning_rate": 1e-2, "pairs": pairs, "runs": runs})
    write_json(FOLDER / "losses.json", reference_free())
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
