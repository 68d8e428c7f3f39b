"""Writes Tests/Goldens/reinforcement/: what TRL makes of answers that a policy gave. Run models.py and preference.py first.

Output:
  losses.json   log-probabilities of three answers (new, old, of a reference), advantages, and for each case the settings, the loss and its
                gradient by TRL's GRPOTrainer and RLOOTrainer
  runs.json     prompts and answers as ids with what each is worth; runs {name: {trainer, settings, steps: [{loss, kl, clip_ratio…}], final: ln p of the first answers}} of
                TRL's GRPOTrainer and RLOOTrainer with these answers on the tiny model, from the adapter of preference/, AdamW at a
                constant rate

Versions: requirements.txt, and trl 1.16.0 (pip install --no-deps). Seeds: answers 71, numbers 72. The order is sequential.
"""

import os
import tempfile
import warnings
from collections import defaultdict
from types import SimpleNamespace

import torch
from golden_files import GOLDENS, check_sizes, generator, write_json
from adapters import base
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import SequentialSampler
from transformers import PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

FOLDER = GOLDENS / "reinforcement"
MODEL = "llama-tied"
STEPS, PROMPTS, GROUP, LIMIT, EOS = 8, 2, 4, 7, 2
warnings.filterwarnings("ignore")

# name: (trainer, settings, batches an optimizer step)
RUNS = {
    "dapo": ("grpo", {}, 1),
    "grpo": ("grpo", {"loss_type": "grpo"}, 1),
    "bnpo": ("grpo", {"loss_type": "bnpo"}, 1),
    "dr_grpo": ("grpo", {"loss_type": "dr_grpo", "scale_rewards": "none"}, 1),
    "cispo": ("grpo", {"loss_type": "cispo", "epsilon_high": 1.2, "num_iterations": 2}, 1),
    "gspo": ("grpo", {"loss_type": "grpo", "importance_sampling_level": "sequence", "num_iterations": 2, "epsilon": 0.02}, 1),
    "beta": ("grpo", {"beta": 0.1}, 1),
    "beta-uncorrected": ("grpo", {"beta": 0.1, "use_bias_correction_kl": False, "num_iterations": 2}, 1),
    "iterations": ("grpo", {"num_iterations": 2, "epsilon": 0.05, "epsilon_high": 0.1}, 1),
    "delta": ("grpo", {"num_iterations": 2, "epsilon": 0.02, "delta": 1.04}, 1),
    "batch-scale": ("grpo", {"scale_rewards": "batch"}, 1),
    "masked": ("grpo", {"mask_truncated_completions": True}, 1),
    "temperature": ("grpo", {"temperature": 0.7, "num_iterations": 2}, 1),
    "accumulation": ("grpo", {"loss_type": "grpo"}, 2),
    "accumulation-dapo": ("grpo", {}, 2),
    "rloo": ("rloo", {}, 1),
    "rloo-iterations": ("rloo", {"num_iterations": 2, "epsilon": 0.05, "beta": 0.2}, 1),
    "rloo-normalized": ("rloo", {"normalize_advantages": True, "reward_clip_range": (0.2, 0.8)}, 1),
}


def make_answers() -> tuple[list[list[int]], list[list[list[int]]], list[list[float]]]:
    """Prompts of 2 to 5 random ids; four answers of 3 to 7 to each, about half of them ended by EOS; what each is worth, 0 to 1."""
    draw = generator(71)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    prompts, answers, worth = [], [], []
    for _ in range(STEPS * PROMPTS):
        prompts.append([number(4, 60) for _ in range(number(2, 6))])
        group = []
        for _ in range(GROUP):
            ids = [number(4, 60) for _ in range(number(2, LIMIT))]
            group.append(ids + ([EOS] if number(0, 2) else [number(4, 60)]))
        answers.append(group)
        worth.append([number(0, 9) / 8 for _ in range(GROUP)])
    return prompts, answers, worth


def recorder(trainer_class):
    """A trainer that takes prompts in order, gets its answers from a list, and keeps losses unrounded."""

    class Recorder(trainer_class):
        def _get_train_sampler(self, dataset=None):
            sampler = super()._get_train_sampler(dataset)
            sampler.shuffle = False
            return sampler

        def _tokenize_prompts(self, prompts):
            self.asked = [int(prompt) for prompt in prompts]
            return [self.given[0][index] for index in self.asked], None, {}

        def _generate_single_turn(self, prompt_ids, *arguments, **options):
            seen = defaultdict(int)
            completions = []
            for index in self.asked:
                completions.append(self.given[1][index][seen[index]])
                seen[index] += 1
            return completions if trainer_class is RLOOTrainer else (completions, None)

        def _compute_loss(self, model, inputs):
            loss = super()._compute_loss(model, inputs)
            metrics = {name: values[-1] for name, values in self._metrics["train"].items() if name in KEPT and values}
            self.kept.append({"loss": loss.item()} | metrics)
            return loss

    return Recorder


KEPT = ("kl", "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean")


def run(kind: str, settings: dict, accumulation: int, given) -> dict:
    model = PeftModel.from_pretrained(base(MODEL), GOLDENS / "preference" / "adapter", is_trainable=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(GOLDENS / "cli" / "tokenizer.json"), eos_token="</s>", pad_token="<pad>")
    prompts, answers, worth = given
    table = {tuple(ids): value for group, values in zip(answers, worth) for ids, value in zip(group, values)}
    assert len(table) == sum(len(group) for group in answers)

    def reward(completion_ids, **columns):
        return [table[tuple(ids)] for ids in completion_ids]

    config_class, trainer_class = {"grpo": (GRPOConfig, GRPOTrainer), "rloo": (RLOOConfig, RLOOTrainer)}[kind]
    with tempfile.TemporaryDirectory() as folder:
        config = config_class(
            output_dir=folder, per_device_train_batch_size=PROMPTS * GROUP // accumulation, gradient_accumulation_steps=accumulation,
            num_generations=GROUP, max_completion_length=LIMIT, max_steps=STEPS, learning_rate=1e-2, lr_scheduler_type="constant",
            logging_steps=1, report_to=[], gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no", disable_tqdm=True,
            optim="adamw_torch", weight_decay=0.0, disable_dropout=True, shuffle_dataset=False, **settings)
        rows = Dataset.from_list([{"prompt": str(index)} for index in range(len(prompts))])
        trainer = recorder(trainer_class)(
            model=model, reward_funcs=reward, args=config, train_dataset=rows, processing_class=tokenizer)
        trainer.given, trainer.kept = (prompts, answers), []
        trainer.eos_token_ids = [EOS]
        trainer.train()
    kept = trainer.kept
    assert len(kept) == STEPS * accumulation
    if accumulation > 1:
        kept = [{"loss": sum(row["loss"] for row in kept[start:start + accumulation])} for start in range(0, len(kept), accumulation)]
    return {"steps": kept, "final": [sequence_log_prob(model, prompts[index], ids) for index in range(2) for ids in answers[index]]}


@torch.no_grad()
def sequence_log_prob(model, prompt: list[int], answer: list[int]) -> float:
    """ln p of an answer by the tuned model: a loss whose ratios are 1 says nothing of the gradient, this does."""
    logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1:-1].log_softmax(-1)
    return logits.gather(1, torch.tensor(answer)[:, None]).sum().item()


def losses() -> dict:
    """The losses of fixed numbers, by the trainers' own functions."""
    draw = generator(72)
    lengths = [4, 1, 6]
    mask = torch.tensor([[1] * n + [0] * (6 - n) for n in lengths])
    new = -2 * torch.rand(3, 6, generator=draw)
    old, reference = new + 0.5 * torch.randn(3, 6, generator=draw), new + 0.4 * torch.randn(3, 6, generator=draw)
    advantages = torch.tensor([1.5, -0.5, -1.0])
    cases = []
    grpo = [
        {"loss_type": loss, "importance_sampling_level": level, "beta": beta}
        for loss in ("grpo", "bnpo", "dr_grpo", "dapo", "cispo") for level in ("token", "sequence") for beta in (0.0, 0.1)
    ] + [{"loss_type": "dapo", "delta": 1.1, "epsilon_high": 0.4}, {"loss_type": "grpo", "beta": 0.3, "use_bias_correction_kl": False}]
    for settings in grpo:
        high = settings.get("epsilon_high", 1.3 if settings["loss_type"] == "cispo" else 0.2)
        cases.append(case("grpo", settings | {"epsilon_high": high}, new, old, reference, advantages, mask))
    cases.append(case("rloo", {"epsilon_high": 0.3}, new, old, reference, advantages, mask))
    flat = lambda tensor: tensor[mask.bool()].tolist()
    return {
        "counts": lengths, "max_completion_length": LIMIT, "log_probs": flat(new), "old": flat(old), "reference": flat(reference),
        "advantages": advantages.tolist(), "cases": cases,
    }


def case(kind: str, settings: dict, new, old, reference, advantages, mask) -> dict:
    leaf = new.clone().requires_grad_()
    accelerator = SimpleNamespace(gather=lambda x: x, reduce=lambda x, reduction: x, num_processes=1)
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True), accelerator=accelerator, _metrics={"train": defaultdict(list)}, epsilon_low=0.2,
        epsilon_high=settings["epsilon_high"], beta=settings.get("beta", 0.0), loss_type=settings.get("loss_type"), use_vllm=False,
        importance_sampling_level=settings.get("importance_sampling_level", "token"), top_entropy_quantile=1.0,
        off_policy_mask_threshold=None, max_completion_length=LIMIT, current_gradient_accumulation_steps=1, aux_loss_enabled=False,
        _entropy_bonus_enabled=False,
        args=SimpleNamespace(
            delta=settings.get("delta"), use_bias_correction_kl=settings.get("use_bias_correction_kl", True), steps_per_generation=1),
        _get_per_token_logps_and_entropies=lambda *arguments, **options: (leaf, torch.zeros_like(leaf), None))
    inputs = {
        "prompt_ids": torch.zeros(3, 1, dtype=torch.long), "prompt_mask": torch.ones(3, 1, dtype=torch.long),
        "completion_ids": torch.zeros(3, 6, dtype=torch.long), "completion_mask": mask, "advantages": advantages,
        "old_per_token_logps": old, "ref_per_token_logps": reference, "num_items_in_batch": mask.sum(), "old_logps": (old * mask).sum(1),
    }
    function = {"grpo": GRPOTrainer, "rloo": RLOOTrainer}[kind]._compute_loss
    loss = function(trainer, None, inputs)
    loss.backward()
    return {"trainer": kind, "settings": settings, "loss": loss.item(), "gradient": leaf.grad[mask.bool()].tolist()}


def main() -> None:
    os.chdir(GOLDENS / "models")
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_json(FOLDER / "losses.json", losses())
    given = make_answers()
    runs = {}
    for name, (kind, settings, accumulation) in RUNS.items():
        runs[name] = {"trainer": kind, "settings": settings, "accumulation": accumulation} | run(kind, settings, accumulation, given)
    write_json(
        FOLDER / "runs.json", {
            "group": GROUP, "batch_size": PROMPTS * GROUP, "learning_rate": 1e-2, "max_completion_length": LIMIT, "end": EOS,
            "prompts": given[0], "answers": given[1], "worth": given[2], "runs": runs})
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
