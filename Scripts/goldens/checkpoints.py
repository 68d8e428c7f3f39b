"""Writes Tests/Goldens/checkpoints/: safetensors files by the reference library, a sharded folder by transformers, GGUF files by
gguf-py with the values that gguf-py and transformers read from them.

Versions: torch 2.13.0, safetensors 0.8.0, transformers 5.23.0, gguf 0.19.0, numpy 2.4.6.
Seeds: quantized blocks 20260301, model weights 20260302. Other values follow from their index.
"""

import json
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
    Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

FOLDER = Path(__file__).resolve().parents[2] / "Tests" / "Goldens" / "checkpoints"
SIZE_LIMIT = 100_000
TYPES = gguf.GGMLQuantizationType
TORCH_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}


def every_type() -> dict[str, torch.Tensor]:
    """A [2, 3] tensor a type: element i is (i - 3) / 2, for unsigned and Boolean types i and i odd."""
    tensors = {}
    for name, dtype in TORCH_TYPES.items():
        index = torch.arange(6, dtype=torch.float64).reshape(2, 3)
        if name == "BOOL":
            tensors[f"type.{name}"] = index % 2 == 1
        elif dtype.is_floating_point:
            tensors[f"type.{name}"] = ((index - 3) / 2).to(dtype)
        else:
            tensors[f"type.{name}"] = index.to(dtype) if name == "U8" else (index - 3).to(dtype)
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors['odd "name"\\ é\n'] = torch.tensor([1.0, 2.0])
    tensors["a"] = torch.tensor([7], dtype=torch.int8)
    return tensors


def write_safetensors() -> None:
    tensors = every_type()
    save_file(tensors, FOLDER / "every_type.safetensors", metadata={"format": "pt"})
    save_file({"x": torch.tensor([1.5])}, FOLDER / "no_metadata.safetensors")
    save_file({}, FOLDER / "no_tensors.safetensors")
    save_file(
        {"a": torch.zeros(2, dtype=torch.float8_e4m3fn), "b": torch.ones(2), "c": torch.zeros(2, dtype=torch.uint32)},
        FOLDER / "other_types.safetensors")


def write_shards() -> None:
    """A tiny Llama as transformers saves it with at most 20 kB in a file."""
    folder = FOLDER / "sharded"
    model = LlamaForCausalLM(LlamaConfig(**DECODER, num_key_value_heads=2))
    fill(model)
    model.save_pretrained(folder, max_shard_size="20KB")
    (folder / "generation_config.json").unlink()


def fill(model: torch.nn.Module) -> None:
    """Random weights; those of norms near one, so that no family differs in them by accident."""
    generator = torch.Generator().manual_seed(20260302)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1


def write_quantized() -> None:
    """One tensor [3, 512] for each type, with what gguf-py makes of it. K blocks, which it cannot write, are random bytes with
    scales in the range of real ones."""
    random = np.random.default_rng(20260301)
    writer = gguf.GGUFWriter(FOLDER / "quantized.gguf", "none")
    expected = {}
    for kind in (TYPES.F32, TYPES.F16, TYPES.BF16, TYPES.Q4_0, TYPES.Q4_1, TYPES.Q5_0, TYPES.Q5_1, TYPES.Q8_0):
        values = random.standard_normal((3, 512), dtype=np.float32)
        data = quantize(values, kind)
        writer.add_tensor(f"type.{kind.name}", data, raw_dtype=kind)
        expected[f"type.{kind.name}"] = dequantize(data, kind)
    for kind, scales in ((TYPES.Q4_K, (0, 2)), (TYPES.Q5_K, (0, 2)), (TYPES.Q6_K, (208,))):
        length, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (3 * 512 // length, size), dtype=np.uint8)
        for place in scales:
            blocks[:, place:place + 2] = random.uniform(-0.01, 0.01, (len(blocks), 1)).astype(np.float16).view(np.uint8)
        data = blocks.reshape(3, -1)
        writer.add_tensor(f"type.{kind.name}", data, raw_dtype=kind)
        expected[f"type.{kind.name}"] = dequantize(data, kind).reshape(3, 512)
    # Every half there is: subnormals, infinities and NaN among them.
    halves = np.arange(1 << 16, dtype=np.uint16)[::7].view(np.float16)
    writer.add_tensor("halves", halves)
    for name, kind in (("I8", np.int8), ("I16", np.int16), ("I32", np.int32), ("I64", np.int64), ("F64", np.float64)):
        writer.add_tensor(f"stored.{name}", (np.arange(6) - 3).astype(kind).reshape(2, 3))
    add_values(writer)
    finish(writer)
    save_file(
        {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in expected.items()},
        FOLDER / "quantized.expected.safetensors")


def add_values(writer: gguf.GGUFWriter) -> None:
    writer.add_uint8("value.uint8", 200)
    writer.add_int8("value.int8", -100)
    writer.add_uint16("value.uint16", 60_000)
    writer.add_int16("value.int16", -30_000)
    writer.add_uint32("value.uint32", 4_000_000_000)
    writer.add_int32("value.int32", -2_000_000_000)
    writer.add_uint64("value.uint64", 2**63 + 1)
    writer.add_int64("value.int64", -(2**62))
    writer.add_float32("value.float32", 1e-5)
    writer.add_float64("value.float64", 1e-300)
    writer.add_bool("value.bool", True)
    writer.add_string("value.string", "text é")
    writer.add_array("value.strings", ["a", "", "ü"])
    writer.add_array("value.ints", [1, -2, 3])
    writer.add_array("value.floats", [0.5, -1.5])
    writer.add_array("value.bools", [True, False])


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


DECODER = dict(
    vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
    tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(
        **DECODER, num_key_value_heads=2, attention_bias=True, rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192})),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**DECODER | {"tie_word_embeddings": True}, num_key_value_heads=2)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**DECODER, num_key_value_heads=2, head_dim=16)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(
        **DECODER | {"tie_word_embeddings": True, "num_hidden_layers": 7, "hidden_size": 16, "intermediate_size": 24},
        num_key_value_heads=1, head_dim=8, sliding_window=16, query_pre_attn_scalar=8)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(
        vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=64, n_inner=48, bos_token_id=1, eos_token_id=2)),
}


def write_model(name: str) -> None:
    """A tiny model as llama.cpp's converter writes it to GGUF, and its state as transformers' own GGUF loader reads it back."""
    model = MODELS[name]().eval()
    fill(model)
    config = model.config
    path = FOLDER / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, name)
    layers = config.num_hidden_layers
    add_config(writer, name, config)
    names = gguf.get_tensor_name_map({v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[name], layers)
    for key, value in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = value.numpy()
        if name == "gpt2" and key.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            array = np.ascontiguousarray(array.T)
        if name == "gemma3" and key.endswith("norm.weight"):
            array = array + 1
        if name == "llama" and ".q_proj." in key:
            array = interleave(array, config.num_attention_heads)
        if name == "llama" and ".k_proj." in key:
            array = interleave(array, config.num_key_value_heads)
        kind = TYPES.Q8_0 if array.ndim == 2 and array.shape[-1] % 32 == 0 else TYPES.F32
        writer.add_tensor(names.get_name(key, (".weight", ".bias")), quantize(array, kind), raw_dtype=kind)
    if name == "llama":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    finish(writer)
    # transformers does not read every size of a head from the file, so it is told the configuration.
    loaded = AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file=path.name, config=config, dtype=torch.float32)
    state = {key: value.contiguous() for key, value in loaded.state_dict().items()}
    if config.tie_word_embeddings:
        state.pop("lm_head.weight")
    save_file(state, FOLDER / f"{name}.expected.safetensors")
    (FOLDER / f"{name}.config.json").write_text(json.dumps(legacy(config), indent=2, sort_keys=True) + "\n")


def interleave(array: np.ndarray, heads: int) -> np.ndarray:
    """The row order in which llama.cpp's rotary embedding wants query and key projections."""
    return np.ascontiguousarray(
        array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape))


def llama3_factors(config: LlamaConfig) -> np.ndarray:
    rope = config.rope_parameters
    size = config.hidden_size // config.num_attention_heads
    waves = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, size, 2, dtype=np.float64) / size)
    low, high, length = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    blend = np.clip((length / waves - low) / (high - low), 0, 1)
    return (1 / ((1 - blend) / rope["factor"] + blend)).astype(np.float32)


def add_config(writer: gguf.GGUFWriter, name: str, config) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.n_inner if name == "gpt2" else config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if name == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    rope = config.rope_parameters
    writer.add_rope_freq_base((rope["full_attention"] if name == "gemma3" else rope)["rope_theta"])
    if name in ("qwen3", "gemma3"):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if name == "gemma3":
        writer.add_sliding_window(config.sliding_window)


def legacy(config) -> dict:
    """The configuration as transformers 4 spells it, as far as a GGUF file can tell it."""
    keys = (
        "model_type vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim "
        "max_position_embeddings rms_norm_eps tie_word_embeddings attention_bias mlp_bias bos_token_id eos_token_id hidden_act "
        "hidden_activation sliding_window query_pre_attn_scalar layer_types n_embd n_layer n_head n_positions n_inner "
        "layer_norm_epsilon activation_function architectures use_sliding_window").split()
    values = {key: value for key in keys if (value := config.to_dict().get(key)) is not None}
    if config.model_type == "gpt2":
        return values
    rope = dict(config.rope_parameters)
    if config.model_type == "gemma3_text":
        values["rope_theta"] = rope["full_attention"]["rope_theta"]
        values["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    else:
        values["rope_theta"] = rope.pop("rope_theta")
        if rope["rope_type"] != "default":
            values["rope_scaling"] = rope
        if config.model_type == "llama" or config.model_type == "qwen2":
            values["head_dim"] = config.hidden_size // config.num_attention_heads
    if config.model_type == "qwen2":
        values.pop("sliding_window", None), values.pop("layer_types", None)
    if config.model_type == "qwen3":
        values.pop("sliding_window", None), values.pop("layer_types", None)
    return values


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_safetensors()
    write_shards()
    write_quantized()
    for name in MODELS:
        write_model(name)
    for path in FOLDER.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            if path.stat().st_size > SIZE_LIMIT:
                raise SystemExit(f"{path}: {path.stat().st_size} bytes, the limit is {SIZE_LIMIT}")


main()
