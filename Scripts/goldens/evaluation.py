"""Writes Tests/Goldens/evaluation/: statistics.json (intervals, exact tests and class scores by SciPy and scikit-learn) and
language.json (log-probabilities of continuations and perplexity in overlapping windows by transformers).

Needs what models.py wrote. Versions: requirements.txt. Seeds: classes 21; items 22 and 23; running text 24.
"""

import torch
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from transformers import AutoModelForCausalLM

from golden_files import GOLDENS, generator, write_json
from tiny_models import token_ids

FOLDER = GOLDENS / "evaluation"
WINDOW, STRIDE = 12, 5


def intervals() -> list[dict]:
    found = []
    for count, total in [(0, 10), (10, 10), (1, 1), (7, 10), (81, 263), (500, 1000), (1319, 1319)]:
        interval = binomtest(count, total).proportion_ci(confidence_level=0.95, method="wilson")
        found.append({"count": count, "total": total, "low": interval.low, "high": interval.high})
    return found


def exact_tests() -> list[dict]:
    pairs = [(0, 0), (1, 0), (0, 5), (3, 3), (10, 2), (2, 10), (31, 17), (150, 101), (1200, 1000)]
    return [
        {"only_before": b, "only_after": c, "p_value": binomtest(b, b + c, 0.5).pvalue if b + c else 1.0} for b, c in pairs
    ]


def classes() -> dict:
    """Three classes that occur, of which one is never predicted, and a fourth that is neither."""
    truths = torch.randint(0, 3, (60,), generator=generator(21)).tolist()
    predictions = [truth if i % 3 else (truth + i) % 2 for i, truth in enumerate(truths)]
    predictions = [0 if prediction == 2 else prediction for prediction in predictions]
    labels = [0, 1, 2, 3]
    precision, recall, f1, support = precision_recall_fscore_support(truths, predictions, labels=labels, zero_division=0)
    return {
        "truths": truths,
        "predictions": predictions,
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": confusion_matrix(truths, predictions, labels=labels).tolist(),
    }


def log_probs(model, ids: list[int]) -> torch.Tensor:
    """ln p(token i | tokens < i) for i from 1, in float64."""
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    return scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def choices(model) -> list[dict]:
    """Items that share their first five tokens, with prompts of three lengths and choices of one to four tokens."""
    shared, found = token_ids((5,), 22).tolist(), []
    for index, length in enumerate([4, 2, 4, 3, 2]):
        prompt = shared + token_ids((length,), 230 + index).tolist()
        options = [token_ids((1 + (index + n) % 4,), 240 + 10 * index + n).tolist() for n in range(2 + index % 3)]
        sums = [log_probs(model, prompt + option)[len(prompt) - 1 :].sum().item() for option in options]
        found.append({"prompt": prompt, "choices": options, "log_probs": sums})
    return found


def rolling(model) -> dict:
    """Loss of a running text; each window scores the tokens that the one before did not reach."""
    ids, total, scored = token_ids((40,), 24).tolist(), 0.0, 1
    for start in range(0, len(ids), STRIDE):
        end = min(start + WINDOW, len(ids))
        if scored < end:
            total -= log_probs(model, ids[start:end])[scored - start - 1 :].sum().item()
            scored = end
    return {"tokens": ids, "window": WINDOW, "stride": STRIDE, "loss": total}


def language(name: str) -> dict:
    model = AutoModelForCausalLM.from_pretrained(GOLDENS / "models" / name, attn_implementation="eager", dtype=torch.float64)
    return {"model": name, "items": choices(model.eval()), "text": rolling(model)}


if __name__ == "__main__":
    write_json(
        FOLDER / "statistics.json",
        {
            "source": "scipy 1.17.1, scikit-learn 1.9.1",
            "intervals": intervals(),
            "exact_tests": exact_tests(),
            "classes": classes(),
        },
    )
    write_json(
        FOLDER / "language.json",
        {"source": "transformers 5.23.0, float64, eager attention", "cases": [language(n) for n in ("llama-tied", "gpt2", "mistral")]},
    )
