"""Writes Tests/Goldens/generation/greedy-more.json: greedy tokens where a cache can go wrong: prompts and continuations longer than
a sliding window, scaled rotary angles, a repetition penalty.

Needs what models.py wrote. Versions: requirements.txt. Seeds: prompts 100 + their length.
"""

import torch
from transformers import AutoModelForCausalLM

from golden_files import GOLDENS, write_json
from tiny_models import token_ids

LENGTHS, NEW_TOKENS = (13, 5, 9, 1), 16
CASES = [
    ("mistral", {}),
    ("qwen2-window", {}),
    ("qwen3", {}),
    ("llama-yarn", {}),
    ("llama-tied", {"repetition_penalty": 1.7}),
    ("gpt2", {"repetition_penalty": 1.7}),
]


def rows(name: str, settings: dict) -> list[dict]:
    """Each prompt alone, with the cache; `smallest_margin` is the least distance of the two best scores, after the penalty."""
    model = AutoModelForCausalLM.from_pretrained(GOLDENS / "models" / name, attn_implementation="eager").eval()
    found = []
    for length in LENGTHS:
        prompt = token_ids((length,), 100 + length)
        out = model.generate(
            prompt[None], attention_mask=torch.ones_like(prompt)[None], do_sample=False, max_new_tokens=NEW_TOKENS,
            return_dict_in_generate=True, output_scores=True, output_logits=True, **settings
        )  # fmt: skip
        new = out.sequences[0, length:]
        best = torch.cat(out.scores).topk(2).values
        margin = (best[:, 0] - best[:, 1]).min().item()
        assert margin > 1e-3, (name, length, margin)
        logits = torch.cat(out.logits).log_softmax(-1)
        found.append(
            {
                "prompt": prompt.tolist(),
                "new_tokens": new.tolist(),
                "log_probs": logits.gather(1, new[:, None])[:, 0].tolist(),
                "smallest_margin": margin,
            }
        )
    return found


if __name__ == "__main__":
    write_json(
        GOLDENS / "generation" / "greedy-more.json",
        {
            "source": "transformers 5.23.0 generate(do_sample=False, max_new_tokens=16), float32, eager attention",
            "cases": [{"model": name, "settings": settings, "rows": rows(name, settings)} for name, settings in CASES],
        },
    )
