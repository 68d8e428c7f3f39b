"""Writes Tests/Goldens/gguf/: one small file for each tensor type with the values that gguf-py reads from it, a file with every kind
of metadata value, and tiny Llama models as llama.cpp's converter lays them out. Run models.py first.

Versions: requirements.txt. Seeds: values 61, random block bytes 62. Types that gguf-py cannot quantize (the K types) hold random bytes with
scales in a sane range: any bytes are a valid block.
"""

import shutil
import struct
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from golden_files import GOLDENS, check_sizes, generator, write_json, write_tensors
from tiny_models import token_ids

FOLDER = GOLDENS / "gguf"
SHAPE = (3, 512)
QUANTIZED = [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0]
RANDOM_BLOCKS = [Type.Q4_K, Type.Q5_K, Type.Q6_K]


def write_file(path: Path, add) -> None:
    """Writes one GGUF file; `add` receives the writer."""
    writer = gguf.GGUFWriter(path, arch="llama")
    add(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    check_sizes(path.parent)


def values() -> np.ndarray:
    """Normal numbers of growing scale by row; the first 64 of row 0 are zero (blocks whose scale is zero)."""
    array = torch.randn(SHAPE, generator=generator(61)).numpy() * np.array([[0.1], [1.0], [30.0]], dtype=np.float32)
    array[0, :64] = 0
    return array


def random_blocks(kind: Type) -> np.ndarray:
    """Rows of raw blocks [3, bytes a row]; the half-precision scales are set, one of them subnormal."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    draw = np.random.default_rng(62)
    raw = draw.integers(0, 256, (SHAPE[0] * SHAPE[1] // block, size), dtype=np.uint8)
    scales = draw.uniform(1e-3, 2e-2, (len(raw), 2)).astype(np.float16)
    scales[0, 0] = 3e-6
    if kind is Type.Q6_K:  # low bits, high bits, 8-bit scales, then the block's scale
        raw[:, -2:] = scales[:, :1].view(np.uint8)
    else:  # the scale and the scale of the minima come first
        raw[:, :4] = scales.view(np.uint8)
    return raw.reshape(SHAPE[0], -1)


def write_types() -> None:
    source = values()
    expected = {"source": torch.from_numpy(source)}
    for kind in QUANTIZED + RANDOM_BLOCKS:
        name = kind.name.lower()
        data = random_blocks(kind) if kind in RANDOM_BLOCKS else gguf.quants.quantize(source, kind)
        if kind is Type.BF16:
            data = data.view(np.uint8)
        raw = None if kind in (Type.F32, Type.F16) else kind
        write_file(FOLDER / f"{name}.gguf", lambda writer: writer.add_tensor("weight", data, raw_dtype=raw))
        tensor = gguf.GGUFReader(FOLDER / f"{name}.gguf").tensors[0]
        assert tensor.tensor_type is kind and tuple(reversed(tensor.shape.tolist())) == SHAPE, name
        expected[name] = torch.from_numpy(gguf.quants.dequantize(tensor.data, kind).astype(np.float32).reshape(SHAPE))
    old = bytearray((FOLDER / "f32.gguf").read_bytes())
    old[4:8] = struct.pack("<I", 2)  # version 3 added byte orders, not another layout
    (FOLDER / "f32-version-2.gguf").write_bytes(old)
    assert np.array_equal(gguf.GGUFReader(FOLDER / "f32-version-2.gguf").tensors[0].data, source)

    shapes = {
        "first": source[1:2, :5].copy(),
        "second": source[:2, :7].astype(np.float16),
        "third": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    }

    def aligned(writer: gguf.GGUFWriter) -> None:
        writer.add_custom_alignment(64)
        for name, array in shapes.items():
            writer.add_tensor(name, array)

    write_file(FOLDER / "alignment-64.gguf", aligned)
    expected |= {f"alignment-64.{name}": torch.from_numpy(array.astype(np.float32)) for name, array in shapes.items()}
    write_tensors(FOLDER / "expected.safetensors", expected)


METADATA = [
    ("a.uint8", 200, Value.UINT8, None),
    ("a.int8", -100, Value.INT8, None),
    ("a.uint16", 60000, Value.UINT16, None),
    ("a.int16", -30000, Value.INT16, None),
    ("a.uint32", 4000000000, Value.UINT32, None),
    ("a.int32", -2000000000, Value.INT32, None),
    ("a.uint64", 18446744073709551615, Value.UINT64, None),
    ("a.int64", -9223372036854775808, Value.INT64, None),
    ("a.float32", 0.15625, Value.FLOAT32, None),
    ("a.float64", 0.1, Value.FLOAT64, None),
    ("a.true", True, Value.BOOL, None),
    ("a.false", False, Value.BOOL, None),
    ("a.string", "naïve 漢字 🙂", Value.STRING, None),
    ("a.empty_string", "", Value.STRING, None),
    ("array.uint32", [1, 2, 4000000000], Value.ARRAY, Value.UINT32),
    ("array.int32", [-1, 0, 1], Value.ARRAY, Value.INT32),
    ("array.float32", [-10000.0, 0.5], Value.ARRAY, Value.FLOAT32),
    ("array.bool", [True, False, True], Value.ARRAY, Value.BOOL),
    ("array.string", ["", "Ġa", "two words"], Value.ARRAY, Value.STRING),
]


def write_metadata() -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        for key, value, kind, element in METADATA:
            writer.add_key_value(key, value, kind, element)

    write_file(FOLDER / "metadata.gguf", add)
    fields = gguf.GGUFReader(FOLDER / "metadata.gguf").fields
    rows = {}
    for key, value, kind, element in METADATA:
        assert fields[key].contents() == value, key
        rows[key] = {"type": kind.name.lower() if element is None else f"array of {element.name.lower()}", "value": value}
    rows["general.architecture"] = {"type": "string", "value": "llama"}
    write_json(FOLDER / "metadata.json", rows)


NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(key: str) -> str:
    stem, leaf = key.rsplit(".", 1)
    if stem.startswith("model.layers."):
        _, _, layer, rest = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[rest]}.{leaf}"
    return f"{NAMES[stem]}.{leaf}"


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Within each head, rows of the two halves alternate: the order that rotates neighbouring pairs instead of halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def add_metadata(writer: gguf.GGUFWriter, config, file_type: gguf.LlamaFileType) -> None:
    writer.add_name("tiny llama")
    writer.add_file_type(file_type)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    tokens = ["<pad>", "<s>", "</s>"] + [chr(code) for code in range(33, 33 + 90)] + ["Ġ", "Ċ", "ab"]
    assert len(tokens) == config.vocab_size
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * 93)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def write_model(base: str, name: str, kind: Type) -> None:
    """A Llama model in GGUF. Matrices whose rows do not divide into blocks stay float32, and so do norms."""
    weights = load_file(GOLDENS / "models" / base / "model.safetensors")
    original = AutoModelForCausalLM.from_pretrained(GOLDENS / "models" / base, attn_implementation="eager").eval()
    config, block = original.config, gguf.GGML_QUANT_SIZES[kind][0]

    def add(writer: gguf.GGUFWriter) -> None:
        add_metadata(writer, config, gguf.LlamaFileType.ALL_F32 if kind is Type.F32 else gguf.LlamaFileType.MOSTLY_Q8_0)
        for key, tensor in weights.items():
            array = tensor.numpy()
            if "q_proj" in key or "k_proj" in key:
                array = interleaved(array, config.num_attention_heads if "q_proj" in key else config.num_key_value_heads)
            if kind is Type.F32 or array.ndim == 1 or array.shape[1] % block:
                writer.add_tensor(gguf_name(key), np.ascontiguousarray(array))
            else:
                writer.add_tensor(gguf_name(key), gguf.quants.quantize(array, kind), raw_dtype=kind)

    path = FOLDER / f"{name}.gguf"
    write_file(path, add)
    ids = token_ids((2, 16), seed=11)
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(path, scratch)
        loaded = AutoModelForCausalLM.from_pretrained(
            scratch, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
        ).eval()
    with torch.no_grad():
        logits, exact = loaded(input_ids=ids).logits, original(input_ids=ids).logits
    difference = (logits - exact).abs().max().item()
    assert difference == 0 if kind is Type.F32 else difference < 1, (name, difference)
    print(f"{name}: {path.stat().st_size} bytes, |gguf - original| {difference:.1e}")
    write_tensors(FOLDER / f"{name}.expected.safetensors", {"input_ids": ids, "logits": logits})


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_types()
    write_metadata()
    write_model("llama-tied", "llama-tied-f32", Type.F32)
    write_model("llama-tied", "llama-tied-q8_0", Type.Q8_0)
    write_model("llama", "llama-q8_0", Type.Q8_0)
