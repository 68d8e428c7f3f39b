#!/usr/bin/env python3
"""Measures transformers with PEFT as `attune bench` measures Attune: the same model folder, samples, batch and element type.

    peer.py train --model FOLDER --samples FILE --method lora --batch-size 4 --dtype bf16
    peer.py generate --model FOLDER --streams 1 --prompt-length 64 --new-tokens 128 --dtype bf16

Prints one JSON object with the keys of `attune bench --json` (those that are not about Attune itself).

What is done for the peer: torch's own number of threads, fused attention (SDPA), AdamW in its fused form, LoRA adapters in
float32 on bfloat16 weights as PEFT makes them, a cache of keys and values. Full fine-tuning in bf16 keeps float32 weights and
computes under autocast, as `bf16=True` of transformers' Trainer does.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from transformers import AutoModelForCausalLM

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
IGNORED = -100
SEED = 42


def main():
    arguments = parse()
    torch.manual_seed(SEED)
    transformers.logging.set_verbosity_error()
    report = train(arguments) if arguments.verb == "train" else generate(arguments)
    report["peak_memory_bytes"] = peak_bytes()
    report["versions"] = versions()
    report["threads"] = torch.get_num_threads()
    print(json.dumps(report, indent=2, sort_keys=True))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("train", "generate"):
        part = verbs.add_parser(verb)
        part.add_argument("--model", required=True, help="a Hugging Face folder")
        part.add_argument("--dtype", choices=DTYPES, default="bf16")
        part.add_argument("--device", default="cpu")
        part.add_argument("--steps", type=int, default=5 if verb == "train" else 3, help="steps or calls that count")
        part.add_argument("--warmup", type=int, default=2 if verb == "train" else 1, help="steps or calls before them")
        if verb == "train":
            part.add_argument("--samples", required=True, help='a line each: {"tokens": […], "trained": […]}')
            part.add_argument("--method", choices=["lora", "full"], default="lora")
            part.add_argument("--batch-size", type=int, default=4)
            part.add_argument("--rank", type=int, default=8)
            part.add_argument("--dropout", type=float, default=0.05, help="LoRA's; the model's own are in its config.json")
            part.add_argument("--target-modules", nargs="+")
        else:
            part.add_argument("--streams", type=int, default=1)
            part.add_argument("--prompt-length", type=int, default=64)
            part.add_argument("--new-tokens", type=int, default=128)
    return parser.parse_args()


def load(arguments, dtype):
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=dtype, attn_implementation="sdpa")
    return model.to(arguments.device)


# Training


def train(arguments):
    """Steps of a plain loop: zero the gradients, forward, backward, clip to a norm of 1, AdamW."""
    dtype = DTYPES[arguments.dtype]
    is_full = arguments.method == "full"
    model = load(arguments, torch.float32 if is_full else dtype)
    model.config.use_cache = False
    if not is_full:
        model = adapted(model, arguments)
    model.train()
    tuned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(tuned, lr=2e-4, weight_decay=0.0, fused=True)
    computes_lower = is_full and dtype != torch.float32
    batches = padded_batches(arguments)
    tokens, seconds, losses = [], [], []
    for batch in batches:
        start = time.perf_counter()
        inputs = {name: values.to(arguments.device) for name, values in batch["inputs"].items()}
        with torch.autocast(arguments.device, dtype=dtype, enabled=computes_lower):
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tuned, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
        tokens.append(batch["tokens"])
    tokens, seconds, losses = (values[arguments.warmup :] for values in (tokens, seconds, losses))
    mean = sum(tokens) / sum(seconds)
    return {
        "model": arguments.model,
        "method": arguments.method,
        "dtype": arguments.dtype,
        "device": arguments.device,
        "batch_size": arguments.batch_size,
        "warmup": arguments.warmup,
        "trainable_parameters": sum(parameter.numel() for parameter in tuned),
        "step_tokens": tokens,
        "step_seconds": seconds,
        "losses": losses,
        "min_step_seconds": min(seconds),
        "median_step_seconds": statistics.median(seconds),
        "mean_tokens_per_second": mean,
        # Of the fastest step where all have as many tokens, else of all together; padding is no token.
        "tokens_per_second": tokens[0] / min(seconds) if len(set(tokens)) == 1 else mean,
    }


def adapted(model, arguments):
    from peft import LoraConfig, get_peft_model

    targets = arguments.target_modules or (["c_attn"] if model.config.model_type == "gpt2" else ["q_proj", "v_proj"])
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=arguments.rank,
        lora_alpha=16,
        lora_dropout=arguments.dropout,
        target_modules=targets,
        fan_in_fan_out=model.config.model_type == "gpt2",
    )
    return get_peft_model(model, config)


def padded_batches(arguments):
    """The samples in their order, a batch padded to its longest; made before the clock starts."""
    with open(arguments.samples, encoding="utf-8") as file:
        samples = [json.loads(line) for line in file]
    count = (arguments.steps + arguments.warmup) * arguments.batch_size
    if len(samples) < count:
        raise SystemExit(f"{arguments.samples} has {len(samples)} samples, and {count} are needed")
    batches = []
    for start in range(0, count, arguments.batch_size):
        rows = samples[start : start + arguments.batch_size]
        width = max(len(row["tokens"]) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        labels = torch.full((len(rows), width), IGNORED)
        for place, row in enumerate(rows):
            length = len(row["tokens"])
            ids[place, :length] = torch.tensor(row["tokens"])
            mask[place, :length] = 1
            learnt = row.get("trained", [True] * length)
            labels[place, :length] = torch.tensor([t if on else IGNORED for t, on in zip(row["tokens"], learnt)])
        inputs = {"input_ids": ids, "labels": labels}
        # Without padding there is nothing to mask, and attention stays on its fast path.
        if not mask.all():
            inputs["attention_mask"] = mask
        batches.append({"inputs": inputs, "tokens": int(mask.sum())})
    return batches


# Generation


def generate(arguments):
    """Greedy continuations of random prompts, to the full number of new tokens."""
    model = load(arguments, DTYPES[arguments.dtype])
    model.eval()
    prompts = torch.randint(0, model.config.vocab_size, (arguments.streams, arguments.prompt_length)).to(arguments.device)
    first, whole = [], []
    for call in range(arguments.warmup + arguments.steps):
        times = [seconds_to_generate(model, prompts, count) for count in (1, arguments.new_tokens)]
        if call >= arguments.warmup:
            first.append(times[0])
            whole.append(times[1])
    new, prompt = arguments.streams * arguments.new_tokens, arguments.streams * arguments.prompt_length
    return {
        "model": arguments.model,
        "dtype": arguments.dtype,
        "device": arguments.device,
        "streams": arguments.streams,
        "prompt_length": arguments.prompt_length,
        "new_tokens": arguments.new_tokens,
        "first_seconds": first,
        "whole_seconds": whole,
        "time_to_first_token": min(first),
        "prefill_tokens_per_second": prompt / min(first),
        "decode_tokens_per_second": (new - arguments.streams) / (min(whole) - min(first)),
        "tokens_per_second": new / min(whole),
    }


def seconds_to_generate(model, prompts, count):
    start = time.perf_counter()
    with torch.inference_mode():
        output = model.generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            use_cache=True,
            min_new_tokens=count,
            max_new_tokens=count,
            pad_token_id=0,
        )
    if output.shape[1] != prompts.shape[1] + count:
        raise SystemExit(f"asked for {count} new tokens, got {output.shape[1] - prompts.shape[1]}")
    return time.perf_counter() - start


# The process


def peak_bytes():
    """The most memory the process has held: VmHWM."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def versions():
    import importlib.metadata

    return {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}


if __name__ == "__main__":
    main()
