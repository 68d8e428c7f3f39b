"""Shows that policies learn: SmolLM2 is rewarded for answering with a JSON object of a given schema, once for each seed.

Usage: policy_learns.py ATTUNE [--model NAME] [--objective grpo|ppo] [--steps N] [--seeds 1,2,3] [--folder DIR] [--page FILE]

Writes the prompts and a recipe into the folder, runs `attune tune` for each seed, and prints a table of mean rewards and divergences
with a curve of the rewards; with --page it replaces what stands between the markers `<!-- policy-OBJECTIVE -->` of that page. Ends with
status 1 where the mean reward of the last fifth of the steps is not above that of the first fifth by 0.2 for every seed, or a mean
divergence over an answer's tokens is above 1. Python's standard library alone.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

NAMES = ["Ann", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Karin", "Leo", "Mara", "Nils", "Olga", "Paul"]
TOWNS = ["Berlin", "Oslo", "Lima", "Cairo", "Quito", "Paris", "Dublin", "Kyoto"]
SCHEMA = {
    "type": "object", "required": ["name", "age"], "additionalProperties": False,
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
}
OBJECTIVES = {
    "grpo": {"type": "grpo", "num_generations": 8, "beta": 0.02},
    "ppo": {"type": "ppo", "kl_coef": 0.02, "num_ppo_epochs": 2, "temperature": 1.0, "vf_coef": 0.5},
}


def prompts() -> list[dict]:
    rows = []
    for number in range(64):
        name, age, town = NAMES[number % 16], 20 + 7 * number % 60, TOWNS[number * 5 % 8]
        text = f"Answer with one line of JSON with the keys name and age. {name} from {town} is {age} years old."
        rows.append({"prompt": [{"role": "user", "content": text}], "name": name, "age": age})
    return rows


def run(attune: str, folder: pathlib.Path, options, seed: int) -> list[dict]:
    objective = OBJECTIVES[options.objective] | {
        "max_completion_length": 24, "rewards": [{"type": "json_schema", "schema": SCHEMA, "partial": 0.5}]}
    recipe = {
        "model": options.model, "method": {"type": "lora", "r": 16}, "objective": objective,
        "data": {"train": str(folder / "prompts.jsonl"), "max_length": 128},
        "train": {
            "epochs": 1000, "max_steps": options.steps, "batch_size": 16, "learning_rate": options.rate, "schedule": {"type": "constant"},
            "log_every": 1, "save_every": 0, "seed": seed},
        "output": str(folder / f"{options.objective}-{seed}"),
    }
    path = folder / f"{options.objective}-{seed}.yaml"
    path.write_text(json.dumps(recipe, indent=1), encoding="utf-8")  # JSON is YAML
    subprocess.run([attune, "tune", str(path), "--overwrite"], check=True)
    lines = (folder / f"{options.objective}-{seed}" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [row["figures"] for row in map(json.loads, lines) if "loss" in row]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def curve(values: list[float], width: int = 40) -> str:
    """Means of equal parts as bars, 0 to 1."""
    parts = [values[i * len(values) // width:max((i + 1) * len(values) // width, i * len(values) // width + 1)] for i in range(width)]
    return "".join(" ▁▂▃▄▅▆▇█"[min(8, max(0, round(8 * mean(part))))] for part in parts if part)


def divergence(row: dict) -> float:
    """Nats a token: GRPO reports that, PPO the sum over an answer."""
    return row["kl"] if "kl" in row else row["objective/kl"] / row["completions/mean_length"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("attune")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--objective", default="grpo", choices=OBJECTIVES)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/policy"))
    parser.add_argument("--page", type=pathlib.Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts()), encoding="utf-8")
    lines = [f"{options.objective}, {options.model}, {options.steps} steps of 16 answers of at most 24 tokens", ""]
    lines.append("seed   first fifth   last fifth   divergence   answering   reward by step, 0 to 1")
    failed = False
    for seed in map(int, options.seeds.split(",")):
        start = time.monotonic()
        rows = run(options.attune, options.folder, options, seed)
        seconds = time.monotonic() - start
        rewards, fifth = [row["reward"] for row in rows], max(1, len(rows) // 5)
        first, last, kl = mean(rewards[:fifth]), mean(rewards[-fifth:]), mean([divergence(row) for row in rows[-fifth:]])
        share = sum(row.get("rollout/seconds", 0) for row in rows) / seconds
        failed = failed or last < first + 0.2 or kl > 1
        lines.append(f"{seed:4}   {first:11.3f}   {last:10.3f}   {kl:10.3f}   {100 * share:7.0f} %   |{curve(rewards)}|")
    text = "\n".join(lines)
    print(text)
    if options.page:
        page, mark = options.page.read_text(encoding="utf-8"), f"policy-{options.objective}"
        before, rest = page.split(f"<!-- {mark} -->", 1)
        after = rest.split(f"<!-- /{mark} -->", 1)[1]
        options.page.write_text(f"{before}<!-- {mark} -->\n```\n{text}\n```\n<!-- /{mark} -->{after}", encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
