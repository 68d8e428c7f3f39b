"""Writes Tests/Goldens/distillation/: what TRL and torchtune make of a student beside its teacher. Run models.py and training.py first.

Output:
  logits.safetensors     student, teacher [R, V] and labels [R] (-100: not trained) of fixed numbers; ids, log_probs [R, k] of the teacher's
                         likeliest tokens at temperature 1
  losses.json            cases [{name, settings, loss}]: sums over the trained rows, by TRL's GKDTrainer.generalized_jsd_loss, by torchtune's
                         losses of knowledge distillation, by TRL's loss of a teacher on a server (top-k), and cross_entropy of the labels.
                         torchtune's forward loss is the cross-entropy of the teacher's probabilities: KL plus `entropy`
  gradients.safetensors  of each case, d loss / d student under its name
  runs.json              runs {name: {settings, losses}} of ten optimizer steps of TRL's GKDTrainer with lmbda 0: student llama-tied with the
                         adapter that training.py starts from, teacher llama, samples of training.py with the first label masked

Versions: requirements.txt, trl 1.16.0 and torchtune 0.6.1 (both pip install --no-deps). Of torchtune one file is loaded, which needs torch
alone. Seeds: logits 71, labels 72. The order of samples is sequential.
"""

import importlib.util
import os
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import torch
from golden_files import GOLDENS, check_sizes, generator, write_json, write_tensors
from adapters import base
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import SequentialSampler
from training import collate, make_samples
from transformers import PreTrainedTokenizerFast
from trl.experimental.gkd import GKDConfig, GKDTrainer
from trl.experimental.server_distillation import server_distillation_trainer as server

FOLDER = GOLDENS / "distillation"
ROWS, VOCABULARY, TOP_K = 11, 29, 5
STEPS, BATCH, RATE = 10, 2, 1e-2
warnings.filterwarnings("ignore")

RUNS = {
    "beta-0": {"beta": 0.0},
    "beta-0.5": {"beta": 0.5},
    "beta-0.9-accumulated": {"beta": 0.9, "gradient_accumulation_steps": 2},
    "beta-1": {"beta": 1.0},
}


def torchtune_losses():
    """torchtune/modules/loss/kd_losses.py, without the package around it."""
    (place,) = importlib.util.find_spec("torchtune").submodule_search_locations
    spec = importlib.util.spec_from_file_location("kd_losses", Path(place) / "modules" / "loss" / "kd_losses.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fixed() -> dict[str, torch.Tensor]:
    draw = generator(71)
    student, teacher = (2.5 * torch.randn(ROWS, VOCABULARY, generator=draw) for _ in range(2))
    labels = torch.randint(0, VOCABULARY, (ROWS,), generator=generator(72))
    labels[[2, 7]] = -100
    best = teacher.log_softmax(-1).topk(TOP_K)
    return {
        "student": student, "teacher": teacher, "labels": labels, "ids": best.indices.to(torch.int32), "log_probs": best.values}


def losses(numbers: dict[str, torch.Tensor]) -> tuple[dict, dict[str, torch.Tensor]]:
    tune = torchtune_losses()
    teacher, labels = numbers["teacher"], numbers["labels"]
    trained = labels != -100
    cases, gradients = [], {}

    def case(name: str, settings: dict, function) -> None:
        student = numbers["student"].clone().requires_grad_()
        loss = function(student)
        loss.backward()
        cases.append({"name": name, "settings": settings, "loss": loss.item()})
        gradients[name] = student.grad

    def jsd(beta: float, temperature: float):
        return lambda student: GKDTrainer.generalized_jsd_loss(
            student[None], teacher[None], labels[None], beta=beta, temperature=temperature, reduction="sum")

    def cross_entropy(student: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(student, labels, reduction="sum")

    for beta in (0.0, 0.1, 0.5, 0.9, 1.0):
        for temperature in (0.9, 1.0, 2.0):
            settings = {"loss_type": "generalized_jsd", "beta": beta, "temperature": temperature}
            case(f"jsd-{beta}-{temperature}", settings, jsd(beta, temperature))
    kinds = {
        "forward_kl": (tune.ForwardKLLoss(), {}),
        "reverse_kl": (tune.ReverseKLLoss(), {}),
        "symmetric_kl-0.5": (tune.SymmetricKLLoss(0.5), {"sym_kd_ratio": 0.5}),
        "symmetric_kl-0.3": (tune.SymmetricKLLoss(0.3), {"sym_kd_ratio": 0.3}),
    }
    for name, (function, settings) in kinds.items():
        settings = {"loss_type": name.split("-")[0], **settings}
        case(name, settings, lambda student: function(student, teacher, labels, normalize=False))
        mixed = lambda student: 0.25 * cross_entropy(student) + 0.75 * function(student, teacher, labels, normalize=False)  # noqa: E731
        case(f"{name}-mixed", {**settings, "kd_ratio": 0.75}, mixed)
    case("cross_entropy", {"kd_ratio": 0.0}, cross_entropy)
    known = {"topk_logprobs": numbers["log_probs"][None], "topk_token_ids": numbers["ids"].long()[None]}
    for tail in (True, False):
        asked = SimpleNamespace(loss_add_tail=tail, _reduce_divergence_loss=server.ServerDistillationTrainer._reduce_divergence_loss)

        def forward(student: torch.Tensor) -> torch.Tensor:
            return trained.sum() * server.ServerDistillationTrainer._compute_server_forward_kl_loss(
                asked, known, student.log_softmax(-1)[None], labels[None])

        def some(student: torch.Tensor) -> torch.Tensor:
            """Its functions for the classes, at a β that it offers for one token alone."""
            own = student.log_softmax(-1).gather(-1, known["topk_token_ids"][0])
            theirs, mask = known["topk_logprobs"][0], torch.ones_like(own, dtype=torch.bool)
            if tail:
                (own, mask), (theirs, _) = server._add_tail_bucket(own, mask), server._add_tail_bucket(theirs, mask)
            else:
                own, theirs = own.log_softmax(-1), theirs.log_softmax(-1)
            return server._jsd_divergence(own, theirs, 0.3, mask)[trained].sum()

        case(f"top-k-{tail}", {"loss_type": "forward_kl", "loss_add_tail": tail}, forward)
        case(f"top-k-{tail}-0.3", {"loss_type": "generalized_jsd", "beta": 0.3, "loss_add_tail": tail}, some)
    entropy = -(teacher.softmax(-1) * teacher.log_softmax(-1)).sum(-1)[trained].sum().item()
    return {"entropy": entropy, "cases": cases}, gradients


class Recorder(GKDTrainer):
    """Takes the samples in order and keeps the losses unrounded, those of one step together."""

    def _get_train_sampler(self, *arguments):
        return SequentialSampler(self.train_dataset)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        self.kept[self.state.global_step] = self.kept.get(self.state.global_step, 0.0) + loss.item()
        return loss


def run(settings: dict) -> list[float]:
    student = PeftModel.from_pretrained(base("llama-tied"), GOLDENS / "training" / "llama-tied" / "initial_adapter", is_trainable=True)
    rows = [{**row, "labels": [-100, *row["labels"][1:]]} for row in make_samples()]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(GOLDENS / "cli" / "tokenizer.json"), eos_token="</s>", pad_token="<pad>")
    with tempfile.TemporaryDirectory() as folder:
        config = GKDConfig(
            output_dir=folder, lmbda=0.0, per_device_train_batch_size=BATCH, max_steps=STEPS, learning_rate=RATE,
            lr_scheduler_type="constant", logging_steps=1, report_to=[], max_length=None, gradient_checkpointing=False, bf16=False,
            use_cpu=True, save_strategy="no", disable_tqdm=True, optim="adamw_torch", weight_decay=0.0, **settings)
        trainer = Recorder(
            model=student, teacher_model=base("llama"), args=config, train_dataset=Dataset.from_list(rows), data_collator=collate,
            processing_class=tokenizer)
        trainer.kept = {}
        trainer.train()
    assert list(trainer.kept) == list(range(STEPS))
    return list(trainer.kept.values())


def main() -> None:
    os.chdir(GOLDENS / "models")
    numbers = fixed()
    sums, gradients = losses(numbers)
    write_tensors(FOLDER / "logits.safetensors", numbers)
    write_tensors(FOLDER / "gradients.safetensors", gradients)
    write_json(FOLDER / "losses.json", sums)
    runs = {name: {"settings": settings, "losses": run(settings)} for name, settings in RUNS.items()}
    write_json(FOLDER / "runs.json", {"batch_size": BATCH, "learning_rate": RATE, "runs": runs})
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
