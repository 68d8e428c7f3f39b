"""Writes Tests/Goldens/layers/: single operations with inputs, outputs and gradients, optimizer steps, gradient clipping, rotary
frequencies of real settings, and learning rate schedules.

Versions: requirements.txt. Seeds: 31 to 38, one a file, as the code below states them. In each group `input` tensors are leaves; `output`
is what the operation gives; `cotangent` is the gradient fed into `output`; `grad.NAME` is the gradient that reaches NAME.
"""

import torch
from torch import nn
from transformers import LlamaConfig, MistralConfig, Qwen2Config, optimization
from transformers.activations import ACT2FN
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm, LlamaRotaryEmbedding, apply_rotary_pos_emb

from golden_files import GOLDENS, generator, write_json, write_tensors

FOLDER = GOLDENS / "layers"


def recorded(prefix: str, leaves: dict[str, torch.Tensor], compute, draw: torch.Generator) -> dict[str, torch.Tensor]:
    """Runs `compute(**leaves)` and a backward pass with a random cotangent; names every tensor after the group."""
    leaves = {key: value.clone().requires_grad_() for key, value in leaves.items()}
    output = compute(**leaves)
    cotangent = torch.randn(output.shape, generator=draw)
    output.backward(cotangent)
    tensors = {key: leaf for key, leaf in leaves.items()} | {"output": output, "cotangent": cotangent}
    tensors |= {f"grad.{key}": leaf.grad for key, leaf in leaves.items()}
    return {f"{prefix}.{key}": value.detach() for key, value in tensors.items()}


def write_norms() -> None:
    draw = generator(31)
    x = 3 * torch.randn(2, 5, 24, generator=draw) + 1
    weight, bias = 1 + 0.3 * torch.randn(24, generator=draw), 0.3 * torch.randn(24, generator=draw)

    def rms(eps):
        def compute(input, weight):
            module = LlamaRMSNorm(24, eps=eps)
            return torch.func.functional_call(module, {"weight": weight}, (input,))

        return compute

    tensors = recorded("rms_norm_eps1e-5", {"input": x, "weight": weight}, rms(1e-5), draw)
    tensors |= recorded("rms_norm_eps1e-2_small_input", {"input": 0.05 * x, "weight": weight}, rms(1e-2), draw)
    tensors |= recorded(
        "layer_norm_eps1e-5",
        {"input": x, "weight": weight, "bias": bias},
        lambda input, weight, bias: nn.functional.layer_norm(input, (24,), weight, bias, eps=1e-5),
        draw,
    )
    write_tensors(FOLDER / "norms.safetensors", tensors)


def write_activations() -> None:
    draw = generator(32)
    grid = torch.cat([torch.linspace(-12, 12, 97), torch.tensor([-1e-6, 1e-6, -40.0, 40.0])])
    tensors = {}
    for name in ("gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "silu", "relu"):
        tensors |= recorded(name, {"input": grid}, lambda input: ACT2FN[name](input), draw)
    write_tensors(FOLDER / "activations.safetensors", tensors)


def write_swiglu() -> None:
    draw = generator(33)
    config = LlamaConfig(hidden_size=12, intermediate_size=20, num_attention_heads=2, mlp_bias=True)
    module = LlamaMLP(config)
    leaves = {"input": torch.randn(2, 5, 12, generator=draw)}
    for key, parameter in module.named_parameters():
        leaves[key.replace(".", "_")] = 0.4 * torch.randn(parameter.shape, generator=draw)

    def compute(input, **weights):
        named = {key.replace("_weight", ".weight").replace("_bias", ".bias"): value for key, value in weights.items()}
        return torch.func.functional_call(module, named, (input,))

    write_tensors(FOLDER / "swiglu.safetensors", recorded("swiglu", leaves, compute, draw))


def write_cross_entropy() -> None:
    draw = generator(34)
    logits = 3 * torch.randn(11, 17, generator=draw)
    targets = torch.randint(0, 17, (11,), generator=draw)
    targets[[0, 4, 10]] = -100
    tensors = {"targets": targets}
    for reduction in ("mean", "sum"):
        tensors |= recorded(
            reduction,
            {"logits": logits},
            lambda logits: nn.functional.cross_entropy(logits, targets, ignore_index=-100, reduction=reduction),
            draw,
        )
    tensors["none.output"] = nn.functional.cross_entropy(logits, targets, ignore_index=-100, reduction="none")
    tensors["log_softmax.output"] = logits.log_softmax(-1)
    write_tensors(FOLDER / "cross_entropy.safetensors", tensors)


def rope_settings() -> dict[str, tuple]:
    """Name: (transformers configuration, sequence length given to the frequency function)."""
    llama31 = dict(hidden_size=4096, num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=131072)
    qwen25 = dict(hidden_size=3584, num_attention_heads=28, num_key_value_heads=4, max_position_embeddings=32768)
    old_llama = dict(hidden_size=4096, num_attention_heads=32, max_position_embeddings=2048)
    deepseek = dict(hidden_size=4096, num_attention_heads=32, max_position_embeddings=163840)
    smollm2 = dict(hidden_size=576, num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=8192)
    llama3 = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192, "rope_theta": 500000.0,
    }
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "rope_theta": 1000000.0}
    mscale = {**yarn, "factor": 40.0, "original_max_position_embeddings": 4096, "rope_theta": 10000.0}
    mscale |= {"beta_fast": 32.0, "beta_slow": 1.0}
    dynamic = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    return {
        "default_smollm2": (LlamaConfig(**smollm2, rope_parameters={"rope_type": "default", "rope_theta": 100000.0}), None),
        "llama3_llama_3_1_8b": (LlamaConfig(**llama31, rope_parameters=llama3), None),
        "llama3_llama_3_2_1b": (
            LlamaConfig(
                hidden_size=2048, num_attention_heads=32, num_key_value_heads=8, head_dim=64, max_position_embeddings=131072,
                rope_parameters={**llama3, "factor": 32.0},
            ),
            None,
        ),
        "linear_factor_8": (
            LlamaConfig(**old_llama, rope_parameters={"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0}),
            None,
        ),
        "dynamic_factor_4_length_2048": (LlamaConfig(**old_llama, rope_parameters=dynamic), 2048),
        "dynamic_factor_4_length_5000": (LlamaConfig(**old_llama, rope_parameters=dynamic), 5000),
        "yarn_qwen2_5_7b": (Qwen2Config(**qwen25, rope_parameters=yarn), None),
        "yarn_mscale_equal": (
            LlamaConfig(**deepseek, rope_parameters={**mscale, "mscale": 1.0, "mscale_all_dim": 1.0}),
            None,
        ),
        "yarn_mscale_unequal": (
            LlamaConfig(**deepseek, rope_parameters={**mscale, "mscale": 1.0, "mscale_all_dim": 0.707}),
            None,
        ),
        "yarn_attention_factor_given": (LlamaConfig(**deepseek, rope_parameters={**mscale, "attention_factor": 0.9}), None),
        "yarn_no_truncate": (LlamaConfig(**deepseek, rope_parameters={**mscale, "truncate": False}), None),
        "default_head_dim_given": (
            MistralConfig(
                hidden_size=5120, num_attention_heads=32, num_key_value_heads=8, head_dim=128,
                max_position_embeddings=131072, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
            ),
            None,
        ),
    }


def write_rope_frequencies() -> None:
    rows = {}
    for name, (config, length) in rope_settings().items():
        kind = config.rope_parameters["rope_type"]
        if kind == "default":
            frequencies, factor = LlamaRotaryEmbedding.compute_default_rope_parameters(config)
        else:
            frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"), seq_len=length)
        rows[name] = {
            "hidden_size": config.hidden_size,
            "num_attention_heads": config.num_attention_heads,
            "head_dim": getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            "max_position_embeddings": config.max_position_embeddings,
            "rope_parameters": config.rope_parameters,
            "sequence_length": length,
            "attention_factor": factor,
            "inv_freq": [float(value) for value in frequencies],
        }
    write_json(FOLDER / "rope_frequencies.json", {"source": "transformers 5.23.0 modeling_rope_utils, float32", "cases": rows})


def write_rotation() -> None:
    """Rotation of queries and keys (halves, not pairs) at positions that skip, with a scaled cosine and sine."""
    draw = generator(35)
    rope = {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 10000.0,
        "beta_fast": 4.0, "beta_slow": 1.0,
    }
    config = LlamaConfig(hidden_size=32, num_attention_heads=4, max_position_embeddings=256, rope_parameters=rope)
    module = LlamaRotaryEmbedding(config)
    positions = torch.tensor([[0, 1, 2, 3, 4], [0, 0, 7, 100, 255]])
    query, key = torch.randn(2, 4, 5, 8, generator=draw), torch.randn(2, 2, 5, 8, generator=draw)
    cos, sin = module(query, positions)
    tensors = {"position_ids": positions, "cos": cos, "sin": sin, "inv_freq": module.inv_freq}
    tensors |= recorded("query", {"input": query}, lambda input: apply_rotary_pos_emb(input, key, cos, sin)[0], draw)
    tensors |= recorded("key", {"input": key}, lambda input: apply_rotary_pos_emb(query, input, cos, sin)[1], draw)
    tensors["attention_factor"] = torch.tensor(module.attention_scaling)
    write_tensors(FOLDER / "rotary.safetensors", tensors)


def write_attention() -> None:
    """Scaled dot-product attention: causal, with a window of 3, and with the first key masked in row 0; grouped heads 4 over 2."""
    draw = generator(38)
    leaves = {
        "query": torch.randn(2, 4, 6, 8, generator=draw),
        "key": torch.randn(2, 2, 6, 8, generator=draw),
        "value": torch.randn(2, 2, 6, 8, generator=draw),
    }
    distance = torch.arange(6)[:, None] - torch.arange(6)[None]
    causal = (distance >= 0).expand(2, 1, 6, 6)
    masked = causal.clone()
    masked[0, :, 1:, 0] = False
    tensors = {}
    for name, mask in {"causal": causal, "window_3": causal & (distance < 3), "key_0_masked": masked}.items():

        def compute(query, key, value):
            k, v = (t.repeat_interleave(2, dim=1) for t in (key, value))
            scores = (query @ k.mT / 8**0.5).masked_fill(~mask, float("-inf"))
            return scores.softmax(-1) @ v

        tensors |= recorded(name, leaves, compute, draw) | {f"{name}.allowed": mask[:, 0].to(torch.uint8)}
    write_tensors(FOLDER / "attention.safetensors", tensors)


def write_adamw() -> None:
    """Five steps of torch.optim.AdamW from given gradients; parameters and both moments after each."""
    draw = generator(36)
    start = torch.randn(3, 4, generator=draw)
    gradients = torch.randn(5, 3, 4, generator=draw) * torch.tensor([1.0, 10.0, 1e-3, 0.1, 1e-9])[:, None, None]
    tensors = {"start": start, "gradients": gradients}
    cases = {
        "wd0.1": dict(lr=1e-2, weight_decay=0.1, betas=(0.9, 0.999), eps=1e-8),
        "wd0_betas0.8_0.95_eps1e-6": dict(lr=1e-2, weight_decay=0.0, betas=(0.8, 0.95), eps=1e-6),
    }
    for name, settings in cases.items():
        parameter = nn.Parameter(start.clone())
        optimizer = torch.optim.AdamW([parameter], foreach=False, fused=False, **settings)
        for step, gradient in enumerate(gradients, start=1):
            parameter.grad = gradient.clone()
            optimizer.step()
            state = optimizer.state[parameter]
            tensors[f"{name}.step{step}.parameter"] = parameter.detach().clone()
            tensors[f"{name}.step{step}.exp_avg"] = state["exp_avg"].clone()
            tensors[f"{name}.step{step}.exp_avg_sq"] = state["exp_avg_sq"].clone()
    write_tensors(FOLDER / "adamw.safetensors", tensors)


def write_clipping() -> None:
    draw = generator(37)
    shapes = {"a": (3, 4), "b": (5,), "c": (2, 2, 2)}
    gradients = {key: torch.randn(shape, generator=draw) for key, shape in shapes.items()}
    tensors = {f"gradient.{key}": value for key, value in gradients.items()}
    for limit in (1.0, 100.0):
        parameters = {key: nn.Parameter(torch.zeros_like(value)) for key, value in gradients.items()}
        for key, parameter in parameters.items():
            parameter.grad = gradients[key].clone()
        tensors["total_norm"] = nn.utils.clip_grad_norm_(parameters.values(), limit)
        tensors |= {f"clipped_at_{limit:g}.{key}": parameter.grad for key, parameter in parameters.items()}
    write_tensors(FOLDER / "clip_grad_norm.safetensors", tensors)


def rates(schedule: str, steps: int, warmup: int, **specific) -> list[float]:
    """The rate used at each of `steps` steps and, last, the one that a further step would use; base rate 1e-2."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-2)
    scheduler = optimization.get_scheduler(
        schedule, optimizer, num_warmup_steps=warmup, num_training_steps=steps, scheduler_specific_kwargs=specific or None
    )
    values = []
    for _ in range(steps + 1):
        values.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return values


def write_schedules() -> None:
    rows = [
        {"name": name, "steps": 20, "warmup_steps": warmup, **specific, "rates": rates(name, 20, warmup, **specific)}
        for name, warmup, specific in [
            ("constant", 0, {}),
            ("constant_with_warmup", 5, {}),
            ("linear", 0, {}),
            ("linear", 3, {}),
            ("cosine", 0, {}),
            ("cosine", 3, {}),
            ("cosine", 3, {"num_cycles": 0.5}),
            ("cosine", 3, {"num_cycles": 1.25}),
            ("cosine_with_restarts", 2, {"num_cycles": 3}),
            ("cosine_with_min_lr", 3, {"min_lr_rate": 0.1}),
            ("polynomial", 3, {"power": 2.0, "lr_end": 1e-4}),
            ("inverse_sqrt", 4, {}),
        ]
    ]
    note = "transformers 5.23.0 get_scheduler; rates[i] is the rate that step i (from 0) uses, rates[20] that of a step after the last"
    write_json(FOLDER / "schedules.json", {"source": note, "base_rate": 1e-2, "cases": rows})


if __name__ == "__main__":
    for write in (
        write_norms, write_activations, write_swiglu, write_cross_entropy, write_rope_frequencies, write_rotation,
        write_attention, write_adamw, write_clipping, write_schedules,
    ):
        write()
