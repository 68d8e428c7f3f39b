"""Tunes a tiny model by each method with the program, and checks that peft loads what it wrote and computes the same scores.

Usage: methods_in_peft.py ATTUNE [METHOD…]
  ATTUNE    the program, such as .build/release/attune
  METHOD    names of `METHODS`; all of them where none is given

For every method, and for new tokens: `attune tune` for six steps, `attune score` with the adapter in float32, then
peft_loads_ours.py. Where the model's own weights are tuned, transformers loads the model and computes the scores.

Exit status: 0 all checks passed, 1 one failed. Versions: Scripts/goldens/requirements.txt.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "Tests" / "Goldens"
ROWS = [[3, 5, 7, 9, 11, 13], [4, 6, 5, 40, 12, 9, 20, 33]]
FEW = "target_modules: [q_proj, v_proj, down_proj], r: 4, alpha: 8"
METHODS = {
    "lora": ("llama-tied", "{type: lora, r: 4}"),
    "rslora": ("llama-tied", "{type: rslora, r: 4}"),
    "dora": ("llama-tied", f"{{type: dora, {FEW}}}"),
    "dora-gpt2": ("gpt2", "{type: dora, r: 4}"),
    "pissa": ("llama-tied", f"{{type: pissa, {FEW}}}"),
    "pissa-patterns": ("llama-tied", f"{{type: pissa, {FEW}, rank_pattern: {{v_proj: 2}}, alpha_pattern: {{q_proj: 3}}, use_rslora: true}}"),
    "olora": ("llama-tied", "{type: olora, r: 4, alpha: 4}"),
    "lora_plus": ("llama-tied", f"{{type: lora_plus, {FEW}}}"),
    "lora_fa": ("llama-tied", f"{{type: lora_fa, {FEW}}}"),
    "lora-tables": ("llama", "{type: lora, r: 4, target_modules: [embed_tokens, q_proj, lm_head]}"),
    "lora-tokens": ("llama-tied", "{type: lora, r: 4, target_modules: [q_proj], trainable_token_indices: [5, 9, 40]}"),
    "adalora": ("llama-tied", "{type: adalora, init_r: 6, target_r: 3}"),
    "vera": ("llama-tied", "{type: vera, r: 16}"),
    "vera-gpt2": ("gpt2", "{type: vera, r: 16, save_projection: false}"),
    "loha": ("llama-tied", f"{{type: loha, {FEW}}}"),
    "lokr": ("llama-tied", f"{{type: lokr, {FEW}}}"),
    "lokr-both": ("llama-tied", "{type: lokr, r: 2, decompose_both: true, decompose_factor: 8}"),
    "ia3": ("llama-tied", "{type: ia3}"),
    "ia3-gpt2": ("gpt2", "{type: ia3}"),
    "ln_tuning": ("qwen3", "{type: ln_tuning}"),
    "ln_tuning-gpt2": ("gpt2", "{type: ln_tuning}"),
    "trainable_tokens": ("llama", "{type: trainable_tokens, token_indices: [5, 9, 40]}"),
    "trainable_tokens-tied": ("llama-tied", "{type: trainable_tokens, token_indices: [5, 9, 40]}"),
    "full": ("llama-tied", "{type: full}"),
    "full-gpt2": ("gpt2", "{type: full, trainable: [norms, last-1-layers]}"),
    "bitfit": ("llama-bias", "{type: bitfit}"),
}
PROMPTS = {
    "prompt_tuning": "{type: prompt_tuning, num_virtual_tokens: 4}",
    "prompt_tuning-text": "{type: prompt_tuning, num_virtual_tokens: 4, prompt_tuning_init: TEXT, prompt_tuning_init_text: the sea}",
    "p_tuning": "{type: p_tuning, num_virtual_tokens: 4, encoder_hidden_size: 8}",
    "p_tuning-lstm": "{type: p_tuning, num_virtual_tokens: 4, encoder_reparameterization_type: LSTM, encoder_hidden_size: 8}",
    "prefix_tuning": "{type: prefix_tuning, num_virtual_tokens: 4}",
    "prefix_tuning-text": "{type: prefix_tuning, num_virtual_tokens: 4, init_weights: TEXT, init_text: the sea}",
    "prefix_tuning-network": "{type: prefix_tuning, num_virtual_tokens: 4, prefix_projection: true, encoder_hidden_size: 8}",
    "multitask_prompt_tuning": "{type: multitask_prompt_tuning, num_virtual_tokens: 4, num_tasks: 2}",
}
METHODS |= {f"{name}/{model}": (model, method) for name, method in PROMPTS.items() for model in ("gpt2", "llama-tied", "qwen3")}
NEW_TOKENS = "add_tokens: [bloodhound]\nadd_special_tokens: [<note_call>]\n"
METHODS |= {
    "new-tokens": ("llama", "{type: trainable_tokens}", NEW_TOKENS),
    "new-tokens-tied": ("llama-tied", "{type: trainable_tokens}", NEW_TOKENS),
    "new-tokens-lora": ("llama", "{type: lora, r: 4}", NEW_TOKENS),
    "new-tokens-lora-tied": ("llama-tied", "{type: lora, r: 4}", NEW_TOKENS),
    "new-tokens-full": ("llama", "{type: full}", NEW_TOKENS),
}


def model_folder(name: str, folder: Path) -> Path:
    """The tiny model with the tokenizer of the goldens of the command line."""
    target = folder / name
    if not target.exists():
        target.mkdir()
        for file in (GOLDENS / "models" / name).iterdir():
            if file.name in ("config.json", "model.safetensors", "generation_config.json"):
                shutil.copy(file, target)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(GOLDENS / "cli" / file, target)
    return target


def new_tokens(folder: Path) -> list[int]:
    """The ids of the new tokens in the tokenizer of a folder."""
    added = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return [token["id"] for token in added if token["content"] in ("bloodhound", "<note_call>")]


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def check_model(model: Path, scores: Path) -> str:
    """The scores of the model that transformers loads."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation="eager").eval()
    worst = 0.0
    for line in map(json.loads, scores.read_text().splitlines()):
        tokens = torch.tensor([line["tokens"]])
        with torch.no_grad():
            theirs = loaded(input_ids=tokens).logits[0, :-1].log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0]
        worst = max(worst, (theirs - torch.tensor(line["logprobs"][1:])).abs().max().item())
    if worst > 1e-4:
        raise SystemExit(f"FAILED: {model}: scores differ by {worst}")
    return f"transformers loads the model: largest difference {worst:.2e}"


def check(attune: str, name: str, folder: Path) -> None:
    base_name, method, *more = METHODS[name]
    base, out = model_folder(base_name, folder), folder / name.replace("/", "-")
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps({"prompt": "a b", "completion": f"c d {i}"}) + "\n" for i in range(8)))
    recipe = folder / f"{out.name}.yaml"
    recipe.write_text(
        f"model: {base}\nmethod: {method}\ndata: {{train: {data}}}\noutput: {out}\n{''.join(more)}"
        "train: {max_steps: 6, batch_size: 2, learning_rate: 5e-2, dtype: f32, device: cpu, threads: 1}\n"
    )
    run(attune, "tune", recipe)
    rows, scores = folder / "rows.jsonl", folder / f"{out.name}.scores.jsonl"
    tuned = (out / "model").exists()
    wanted = [*ROWS, [3, *new_tokens(out / ("model" if tuned else "adapter")), 5, 7]] if more else ROWS
    rows.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in wanted))
    chosen = ["--model", out / "model"] if tuned else ["--model", base, "--adapter", out]
    run(attune, "score", *chosen, "--input", rows, "--output", scores, "--dtype", "f32", "--threads", "1")
    if tuned:
        report = check_model(out / "model", scores)
    else:
        report = run(sys.executable, ROOT / "Scripts" / "verify" / "peft_loads_ours.py", base, out / "adapter", scores)
    print(f"{name:24s} {' · '.join(line for line in report.splitlines() if not line.startswith('OK'))}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[2:] or METHODS:
            check(sys.argv[1], name, Path(scratch))
