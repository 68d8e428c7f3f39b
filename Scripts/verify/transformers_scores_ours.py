"""Checks that transformers and peft load a reward model written by Attune and give the same scores.

Usage: transformers_scores_ours.py MODEL INPUT SCORES [ADAPTER]
  MODEL    Hugging Face folder of the reward model; of its base where ADAPTER is given
  INPUT    lines {"tokens": […]}
  SCORES   what `attune reward score --dtype f32` made of them
  ADAPTER  folder of an adapter with a score head

Exit status: 0 all scores are within 1e-4, 1 one is not, 2 bad usage. Versions: Scripts/goldens/requirements.txt.
"""

import json
import os
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

TOLERANCE = 1e-4
warnings.filterwarnings("ignore")


def lines(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


def main(arguments: list[str]) -> int:
    if len(arguments) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    folder, texts, scores = arguments[0], lines(arguments[1]), lines(arguments[2])
    if not texts or len(texts) != len(scores):
        raise SystemExit(f"FAILED: {len(texts)} lines of tokens, {len(scores)} scores")
    adapted = len(arguments) == 4
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", **({"num_labels": 1} if adapted else {}))
    if adapted:
        model = PeftModel.from_pretrained(model, arguments[3])
    model.eval()
    worst = 0.0
    for number, (text, ours) in enumerate(zip(texts, scores), 1):
        with torch.no_grad():
            theirs = model(input_ids=torch.tensor([text["tokens"]])).logits[0]
        distance = (theirs - torch.tensor(ours["scores"] if "scores" in ours else [ours["score"]])).abs().max().item()
        if not distance <= TOLERANCE:
            raise SystemExit(f"FAILED: line {number}: scores differ by {distance:.3g}; the limit is {TOLERANCE:g}")
        worst = max(worst, distance)
    spread = max(json.dumps(score) for score in scores) != min(json.dumps(score) for score in scores)
    if len(scores) > 1 and not spread:
        raise SystemExit("FAILED: all scores are the same; this would not notice a head that is ignored")
    print(f"OK: {len(scores)} scores, largest difference {worst:.2e}, limit {TOLERANCE:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
