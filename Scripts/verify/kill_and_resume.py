"""Checks that a run of `attune tune` that is killed again and again ends as one that never was.

Usage: kill_and_resume.py ATTUNE [KILLS] [SEED]
  ATTUNE    the program, such as .build/release/attune
  KILLS     how often the run is killed (default 10)
  SEED      of the moments it is killed at (default 1)

A tiny model of Tests/Goldens is tuned with dropout, evaluations and a checkpoint every third step. One run goes through; the other
gets SIGKILL at random moments and goes on with --resume (with --overwrite where there is no checkpoint yet). One kill in five comes
while it loads, the others after a random number of steps, within the time that a step, an evaluation and a checkpoint take. Its adapter, its best adapter and its metrics, but for times and memory, have to be the same bytes. Before each
resumption every folder `checkpoints/step-N` has to be whole by its manifest.

Exit status: 0 passed, 1 failed (the message says what differs), 2 bad usage. Python's standard library is all it needs.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

GOLDENS = Path(__file__).resolve().parents[2] / "Tests" / "Goldens"
STEPS = 240
RECIPE = f"""
model: model
method: {{ type: lora, r: 4, alpha: 8, dropout: 0.2 }}
data: {{ train: rows.jsonl, eval_split: 0.1, max_length: 128, packing: true }}
train:
  max_steps: {STEPS}
  batch_size: 2
  gradient_accumulation: 2
  learning_rate: 1e-3
  dtype: f32
  threads: 1
  log_every: 1
  eval_every: 7
  save_every: 3
output: OUTPUT
"""
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def fail(message: str) -> None:
    raise SystemExit(f"FAILED: {message}")


def prepare(folder: Path) -> None:
    """The model, the data and two recipes that differ in their output."""
    model = folder / "model"
    model.mkdir()
    for name in ("models/llama-tied/model.safetensors", "cli/tokenizer.json", "cli/tokenizer_config.json"):
        shutil.copy(GOLDENS / name, model)
    config = json.loads((GOLDENS / "models/llama-tied/config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 256}))
    (model / "chat_template.jinja").write_text(TEMPLATE)
    draw, words = random.Random(0), "the cat sat on a mat and dog ran far off in rain sun sea big red".split()
    say = lambda role, most: {"role": role, "content": " ".join(draw.choices(words, k=draw.randint(1, most)))}  # noqa: E731
    rows = [{"messages": [say("user", 8), say("assistant", 6)]} for _ in range(200)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("whole", "killed"):
        (folder / f"{name}.yaml").write_text(RECIPE.replace("OUTPUT", name))


def start(program: Path, folder: Path, name: str, *options: str) -> subprocess.Popen:
    log = open(folder / f"{name}.log", "a", encoding="utf-8")
    return subprocess.Popen([program, "tune", f"{name}.yaml", *options], cwd=folder, stdout=log, stderr=log)


def check_checkpoints(run: Path) -> int:
    """The number of checkpoints. What has a checkpoint's name must be whole."""
    folders = [path for path in (run / "checkpoints").glob("step-*") if path.name.removeprefix("step-").isdigit()]
    for folder in folders:
        manifest = json.loads((folder / "attune-manifest.json").read_text())
        for entry in manifest["files"]:
            data = (folder / entry["name"]).read_bytes()
            if len(data) != entry["bytes"] or zlib.crc32(data) != int(entry["crc32"], 16):
                fail(f"{folder / entry['name']} is not what its manifest says")
    return len(folders)


def metrics(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    varying = ("tokens_per_second", "peak_memory_bytes")
    return [{key: value for key, value in row.items() if key not in varying} for row in rows]


def rows_written(run: Path) -> int:
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_moment(process: subprocess.Popen, run: Path, kills: int, step: float, draw: random.Random) -> None:
    """Waits for the moment of a kill, or for the end of the process. `step` is how long a step takes, in seconds."""
    if draw.random() < 0.2:
        time.sleep(draw.uniform(0, 0.5))
        return
    before = rows_written(run)
    while rows_written(run) == before and process.poll() is None:  # it drops the rows after its checkpoint, then writes one
        time.sleep(0.001)
    goal = rows_written(run) + draw.randrange(2 * STEPS // kills)
    while rows_written(run) < goal and process.poll() is None:
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 3 * step))


def run_killed(program: Path, folder: Path, kills: int, step: float, draw: random.Random) -> None:
    """Kills the run `kills` times, then lets it end."""
    run, places = folder / "killed", []
    while True:
        has_checkpoint = (run / "metrics.jsonl").exists() and check_checkpoints(run) > 0
        begun = run.exists()
        process = start(program, folder, "killed", *(["--resume"] if has_checkpoint else ["--overwrite"] if begun else []))
        if len(places) < kills:
            wait_for_moment(process, run, kills, step, draw)
            ended = process.poll() is not None
            process.send_signal(signal.SIGKILL)
        status = process.wait()
        if len(places) == kills:
            break
        if ended and status != 0:
            fail(f"the run ended with status {status}; see the end of its log:\n" + (folder / "killed.log").read_text()[-2000:])
        if ended:
            print(f"the run ended before kill {len(places) + 1}; started anew")
            shutil.rmtree(run)
            continue
        places.append(rows_written(run))
    if status != 0:
        fail(f"the last sitting ended with status {status}:\n" + (folder / "killed.log").read_text()[-2000:])
    print(f"killed {kills} times, with these rows of metrics written: {places}")


def compare(folder: Path) -> None:
    whole, killed = folder / "whole", folder / "killed"
    for name in ("adapter/adapter_model.safetensors", "best/adapter_model.safetensors", "adapter/adapter_config.json"):
        if (whole / name).read_bytes() != (killed / name).read_bytes():
            fail(f"{name} differs from that of the run that was not killed")
    for row, other in zip(metrics(whole), metrics(killed), strict=True):
        if row != other:
            fail(f"metrics.jsonl differs: {row} became {other}")
    left = [str(path) for path in killed.rglob("*") if ".tmp-" in path.name or ".old-" in path.name]
    if left:
        fail("left lying: " + ", ".join(left))


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 3 or not os.access(arguments[0], os.X_OK):
        print(__doc__, file=sys.stderr)
        return 2
    program = Path(arguments[0]).resolve()
    kills, seed = (int(arguments[i]) if len(arguments) > i else default for i, default in ((1, 10), (2, 1)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder)
        begin = time.monotonic()
        if start(program, folder, "whole").wait() != 0:
            fail("the run that is not killed failed:\n" + (folder / "whole.log").read_text()[-2000:])
        span = time.monotonic() - begin
        print(f"whole run: {STEPS} steps in {span:.1f} s")
        run_killed(program, folder, kills, span / STEPS, random.Random(seed))
        compare(folder)
    print("OK: same adapter, same best adapter, same metrics")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
