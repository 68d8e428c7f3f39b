"""The tiny random models that the goldens of models, adapters, training and GGUF are made with.

Each entry of `CONFIGS` is one transformers configuration. `build` fills it with weights that make an error visible: linear
weights N(0, 0.3²), embeddings and heads N(0, 0.5²), norm weights 1 + N(0, 0.3²), biases N(0, 0.3²). Models of the same shapes
get the same weights (seed 20260101, drawn in the order of `named_parameters`).
"""

import torch
from transformers import GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
from transformers import AutoModelForCausalLM, PreTrainedModel

from golden_files import generator

WEIGHT_SEED = 20260101
VOCABULARY = 96
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 64,
    **IDS,
}


def _rope(theta: float = 10000.0, kind: str = "default", **settings) -> dict:
    return {"rope_type": kind, "rope_theta": theta, **settings}


CONFIGS = {
    "gpt2": lambda: GPT2Config(
        vocab_size=VOCABULARY, n_positions=32, n_embd=32, n_layer=2, n_head=4, n_inner=64, layer_norm_epsilon=1e-5,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **IDS,
    ),
    "llama": lambda: LlamaConfig(**COMMON, tie_word_embeddings=False, rope_parameters=_rope()),
    "llama-tied": lambda: LlamaConfig(**COMMON, tie_word_embeddings=True, rope_parameters=_rope(100000.0)),
    "llama-bias": lambda: LlamaConfig(
        **COMMON, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, rope_parameters=_rope()
    ),
    "llama3-rope": lambda: LlamaConfig(
        **{**COMMON, "max_position_embeddings": 512},
        tie_word_embeddings=False,
        rope_parameters=_rope(
            10000.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64
        ),
    ),
    "llama-linear-rope": lambda: LlamaConfig(
        **COMMON, tie_word_embeddings=False, rope_parameters=_rope(10000.0, "linear", factor=4.0)
    ),
    "llama-dynamic-rope": lambda: LlamaConfig(
        **{**COMMON, "max_position_embeddings": 8},
        tie_word_embeddings=False,
        rope_parameters=_rope(10000.0, "dynamic", factor=2.0),
    ),
    "llama-yarn": lambda: LlamaConfig(
        **{**COMMON, "max_position_embeddings": 256},
        tie_word_embeddings=False,
        rope_parameters=_rope(
            10000.0, "yarn", factor=4.0, original_max_position_embeddings=64, beta_fast=4.0, beta_slow=1.0
        ),
    ),
    "mistral": lambda: MistralConfig(
        **COMMON, head_dim=6, sliding_window=6, tie_word_embeddings=False, rope_parameters=_rope()
    ),
    "qwen2": lambda: Qwen2Config(
        **COMMON, tie_word_embeddings=False, use_sliding_window=False, sliding_window=4, max_window_layers=1,
        rope_parameters=_rope(1000000.0),
    ),
    "qwen2-window": lambda: Qwen2Config(
        **COMMON, tie_word_embeddings=False, use_sliding_window=True, sliding_window=4, max_window_layers=1,
        rope_parameters=_rope(1000000.0),
    ),
    "qwen3": lambda: Qwen3Config(
        **{**COMMON, "intermediate_size": 40}, head_dim=16, tie_word_embeddings=True, rope_parameters=_rope(1000000.0)
    ),
}

# The spellings of rotary settings that configurations had before `rope_parameters`: `rope_theta` beside `rope_scaling`.
LEGACY_SCALING = {
    "llama3-rope": {
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        "rope_type": "llama3",
    },
    "llama-linear-rope": {"type": "linear", "factor": 4.0},
    "llama-dynamic-rope": {"type": "dynamic", "factor": 2.0},
    "llama-yarn": {
        "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 4.0, "beta_slow": 1.0,
    },
}


def build(name: str) -> PreTrainedModel:
    """The tiny model of that name in float32, evaluation mode, with attention computed step by step (`eager`)."""
    config = CONFIGS[name]()
    config.dtype = torch.float32
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    draw = generator(WEIGHT_SEED)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=draw)
            if key.endswith("bias"):
                parameter.copy_(0.3 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(1 + 0.3 * noise)
            else:
                embedding = any(part in key for part in ("wte", "wpe", "embed_tokens", "lm_head"))
                parameter.copy_((0.5 if embedding else 0.3) * noise)
    return model


def token_ids(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Random token ids from 3 up: none of pad, bos and eos."""
    return torch.randint(3, VOCABULARY, shape, generator=generator(seed))
