"""Writes Tests/Goldens/adapterhub/<name>/: bottleneck adapters as AdapterHub's `adapters` package saves them on the tiny models, with the
logits of the adapted model and the losses of ten optimizer steps that start from them. Run models.py and training.py first.

  <adapter>/adapter_config.json, adapter.safetensors   each adapter, by its name
  adapter_fusion_config.json, model_adapter_fusion.safetensors   AdapterFusion over them, where there is one
  expected.safetensors   input_ids, logits, base_logits
  training.json          settings, and loss and penalty of each step

Versions: adapterhub.txt, an environment of its own, since `adapters` wants an older transformers. Seeds: token ids 41, adapter weights 71
and on. Steps: AdamW, rate 1e-2, of a fusion 1e-3, no decay, no clipping, two samples a step in their order, from training/samples.json.
"""

import json
import shutil
import sys
from dataclasses import dataclass, field

from golden_files import GOLDENS, generator, write_json, write_tensors

here = sys.path.pop(0)  # a script of this folder has the package's name
import adapters  # noqa: E402

sys.path.insert(0, here)
import torch  # noqa: E402
from adapters.composition import Fuse, Stack  # noqa: E402
from adapters.configuration import DynamicAdapterFusionConfig, StaticAdapterFusionConfig  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tiny_models import token_ids  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel  # noqa: E402

FOLDER = GOLDENS / "adapterhub"
STEPS, BATCH = 10, 2
MULTIPLIED = ("scaling", "norm")
"""Parameters whose own start is not zero: they are multiplied by noise about 1 instead of being replaced."""


@dataclass
class Case:
    model: str
    config: str
    """One of the package's own names for a configuration, with changes in brackets."""
    below: list[str] = field(default_factory=list)
    """Configurations of frozen adapters below the one that is trained."""
    fused: list[str] = field(default_factory=list)
    """Configurations of frozen adapters beside it, with a fusion over all of them."""
    fusion: type = DynamicAdapterFusionConfig

    @property
    def rate(self) -> float:
        return 1e-3 if self.fused else 1e-2


SMALL = "[reduction_factor=8]"
CASES = {
    "pfeiffer": Case("llama-tied", "seq_bn"),
    "pfeiffer-gpt2": Case("gpt2", "seq_bn" + SMALL),
    "pfeiffer-mistral": Case("mistral", "seq_bn" + SMALL),
    "pfeiffer-qwen2": Case("qwen2", "seq_bn" + SMALL),
    "houlsby": Case("llama", "double_seq_bn" + SMALL),
    "houlsby-gpt2": Case("gpt2", "double_seq_bn" + SMALL),
    "houlsby-qwen3": Case("qwen3", "double_seq_bn[reduction_factor=8,leave_out=[1]]"),
    "parallel": Case("llama-tied", "par_bn" + SMALL),
    "parallel-gpt2": Case("gpt2", "par_bn" + SMALL),
    "scaled-parallel": Case("llama-tied", "scaled_par_bn" + SMALL),
    "channel-scaled": Case("llama-tied", "seq_bn[reduction_factor=8,scaling='channel',original_ln_after=False,residual_before_ln=False]"),
    "compacter": Case("llama-tied", "compacter" + SMALL),
    "compacter-gpt2": Case("gpt2", "compacter[reduction_factor=4,phm_rank=2,factorized_phm_rule=True]"),
    "compacter-own-rules": Case("llama-tied", "compacter++[reduction_factor=8,shared_phm_rule=False,factorized_phm_W=False]"),
    "stack": Case("llama-tied", "seq_bn" + SMALL, below=["seq_bn" + SMALL]),
    "stack-gpt2": Case("gpt2", "double_seq_bn" + SMALL, below=["seq_bn" + SMALL]),
    "fusion": Case("llama-tied", "seq_bn" + SMALL, fused=["seq_bn" + SMALL, "seq_bn[reduction_factor=4]"]),
    "fusion-gpt2": Case("gpt2", "double_seq_bn" + SMALL, fused=["double_seq_bn" + SMALL], fusion=StaticAdapterFusionConfig),
    "invertible": Case("llama-tied", "seq_bn_inv" + SMALL),
    "invertible-stack": Case("gpt2", "seq_bn" + SMALL, below=["seq_bn_inv" + SMALL]),
}


def base(name: str) -> PreTrainedModel:
    """A tiny model with places for adapters. This version of transformers knows `rope_theta` by its old place alone."""
    folder = GOLDENS / "models" / name
    config = AutoConfig.from_pretrained(folder)
    rope = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("rope_parameters")
    if rope:
        config.rope_theta = rope["rope_theta"]
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, attn_implementation="eager", torch_dtype=torch.float32).eval()
    expected = load_file(folder / "expected.safetensors")
    adapters.init(model)
    assert torch.allclose(logits(model, expected["input_ids"]), expected["logits"], atol=1e-5), name
    model.config._name_or_path = name
    return model


def logits(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids).logits


def randomize(model: PreTrainedModel, infix: str, seed: int) -> None:
    draw = generator(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if infix not in name:
                continue
            noise = 0.2 * torch.randn(parameter.shape, generator=draw)
            if "fusion_layer" in name:
                noise /= 4  # scores that let one adapter take it all have no gradients but noise
            if any(word in name for word in MULTIPLIED):
                parameter.mul_(1 + noise)
            elif ".value." in name:
                parameter.add_(noise)
            else:
                parameter.copy_(noise)


def build(case: Case) -> tuple[PreTrainedModel, list[str]]:
    """The model with all adapters of a case at work, and their names, the one that is trained last."""
    model = base(case.model)
    configs = case.below + case.fused + [case.config]
    names = [f"adapter{index}" for index in range(len(configs) - 1)] + ["task"]
    for index, (name, config) in enumerate(zip(names, configs)):
        model.add_adapter(name, config=config)
        for infix in ("adapters", "shared_parameters"):
            randomize(model, f"{infix}.{name}.", seed=71 + index)
    if case.fused:
        setup = Fuse(*names)
        model.add_adapter_fusion(setup, config=case.fusion(dropout_prob=0.0))
        randomize(model, "adapter_fusion_layer.", seed=91)
        model.train_adapter_fusion(setup)
        model.set_active_adapters(setup)
    else:
        model.train_adapter(names[-1])
        model.set_active_adapters(Stack(*names) if case.below else names[-1])
    head = model.get_output_embeddings().weight
    if head is not model.get_input_embeddings().weight:
        head.requires_grad_(False)  # `adapters` leaves the head of such a model as it is: trainable
    return model, names


def batches() -> list[dict[str, torch.Tensor]]:
    """Pads behind: ids with 0, labels with -100, attention mask with 0."""
    samples = json.loads((GOLDENS / "training" / "samples.json").read_text(encoding="utf-8"))["samples"]

    def batch(rows: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)
        pad = lambda values, filler: values + [filler] * (width - len(values))  # noqa: E731
        return {
            "input_ids": torch.tensor([pad(row["input_ids"], 0) for row in rows]),
            "attention_mask": torch.tensor([pad([1] * len(row["input_ids"]), 0) for row in rows]),
            "labels": torch.tensor([pad(row["labels"], -100) for row in rows]),
        }

    return [batch(samples[i : i + BATCH]) for i in range(0, STEPS * BATCH, BATCH)]


def train(case: Case, model: PreTrainedModel) -> list[dict]:
    """The penalty is what AdapterTrainer adds for a fusion: it does so after a step, for the next one."""
    model.train()
    mover = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=case.rate, weight_decay=0.0)
    steps = []
    for batch in batches():
        loss = model(**batch).loss
        penalty = model.base_model.get_fusion_regularization_loss() if case.fused else None
        whole = loss if penalty is None else loss + penalty
        whole.backward()
        mover.step()
        mover.zero_grad()
        steps.append({"loss": whole.item(), "penalty": 0.0 if penalty is None else penalty.item()})
    model.eval()
    return steps


def write_case(name: str, case: Case) -> None:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(71)
    model, names = build(case)
    for adapter in names:
        model.save_adapter(folder / adapter, adapter, with_head=False, use_safetensors=True)
    if case.fused:
        model.save_adapter_fusion(folder, ",".join(names), with_head=False, use_safetensors=True)
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)
    ids = token_ids((2, 10), seed=41)
    adapted, plain = logits(model, ids), logits(base(case.model), ids)
    assert (adapted - plain).abs().max() > 0.05, name
    write_tensors(folder / "expected.safetensors", {"input_ids": ids, "logits": adapted, "base_logits": plain})
    steps = train(case, model)
    note = f"adapters {adapters.__version__}, float32; {case.config} on {case.model}"
    settings = {"model": case.model, "steps": STEPS, "batch_size": BATCH, "learning_rate": case.rate}
    settings |= {"adapters": names, "fused": bool(case.fused)}
    write_json(folder / "training.json", {"source": note, "settings": settings, "steps": steps})
    print(f"{name:24s} |adapted - base| {(adapted - plain).abs().max():.2f} loss {steps[0]['loss']:.4f} -> {steps[-1]['loss']:.4f}")


if __name__ == "__main__":
    for case_name in sys.argv[1:] or CASES:
        write_case(case_name, CASES[case_name])
