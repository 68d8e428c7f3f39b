"""What is measured: a row for each line of the table in docs/performance.md, with the ratios it is to reach."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One comparison. Both sides get the same model folder, samples, batch and element type."""

    name: str
    title: str
    shape: str
    """A shape of `attune bench model`."""
    dtype: str = "bf16"
    speed: float | None = None
    """Attune's tokens a second over the peer's: at least this."""
    memory: float | None = None
    """Attune's peak memory over the peer's: at most this."""
    ours: tuple[str, ...] = field(default=())
    """Options of Attune alone."""


@dataclass(frozen=True)
class Training(Row):
    batch: int = 4
    length: int | None = 256
    """Tokens of a random sample; None takes real data."""
    method: str = "lora"
    dropout: float = 0.05
    """LoRA's."""
    own_dropout: bool = True
    """Whether the model's own dropouts stay as published."""
    steps: int = 5
    warmup: int = 2


@dataclass(frozen=True)
class Generation(Row):
    streams: int = 1
    prompt: int = 64
    new: int = 128
    calls: int = 2


SMOLLM2, GPT2, TINYLLAMA = "smollm2-135m", "gpt2-124m", "tinyllama-1.1b"

ROWS = [
    Training("smollm2-lora-bf16", "SmolLM2-135M, LoRA, 4×256, bf16", SMOLLM2, speed=3.5, memory=0.4),
    Training("smollm2-lora-f32", "SmolLM2-135M, LoRA, 4×256, f32", SMOLLM2, "f32", speed=1.7, memory=0.5),
    Training("gpt2-lora-bf16", "GPT-2, LoRA, 2×1024, bf16", GPT2, speed=7, memory=0.25, batch=2, length=1024),
    Training("gpt2-lora-f32", "GPT-2, LoRA, 2×1024, f32", GPT2, "f32", speed=2.5, memory=0.25, batch=2, length=1024),
    Training(
        "gpt2-lora-bf16-nodropout", "GPT-2, LoRA, 2×1024, bf16, every dropout 0", GPT2, speed=2.5, memory=0.4,
        batch=2, length=1024, dropout=0.0, own_dropout=False,
    ),
    Training("tinyllama-lora-bf16", "TinyLlama-1.1B, LoRA, 1×512, bf16", TINYLLAMA, speed=2.5, memory=0.7, batch=1, length=512),
    Training("smollm2-full-bf16", "SmolLM2-135M, every parameter, 4×256, bf16", SMOLLM2, speed=2.5, memory=0.7, method="full"),
    Training(
        "smollm2-lora-real", "SmolLM2-135M, LoRA, instruction data, 8 samples, bf16", SMOLLM2, speed=5, memory=0.4,
        batch=8, length=None, steps=10,
    ),
    Generation("generate-1", "SmolLM2-135M, generate, 1 stream, bf16", SMOLLM2, speed=3),
    Generation(
        "generate-1-int8", "SmolLM2-135M, generate, 1 stream, 8-bit weights beside bf16", SMOLLM2, speed=4.5,
        ours=("--quantize", "int8"),
    ),
    Generation("generate-16", "SmolLM2-135M, generate, 16 streams, bf16", SMOLLM2, speed=2, streams=16),
]


def chosen(names):
    """The rows of these names, all where there are none."""
    known = {row.name: row for row in ROWS}
    for name in names:
        if name not in known:
            raise SystemExit(f"there is no row “{name}”; known are {', '.join(known)}")
    return [known[name] for name in names] or ROWS
