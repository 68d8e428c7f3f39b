"""Writes Tests/Goldens/cli: a tokenizer of 96 tokens with a chat template, and what transformers makes of the tiny model
`llama-tied` with it: token ids, log-probabilities with and without the adapter `lora`, greedy answers.

The tokenizer knows ASCII letters, digits and some signs, merges a few pairs, and puts `<bos>` before a text. transformers 5.23.0,
tokenizers 0.23.3, peft 0.21.2; nothing random. Run models.py and adapters.py first.
"""

import json

import torch
from golden_files import GOLDENS, write_json
from peft import PeftModel
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

FOLDER = GOLDENS / "cli"
SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>", "<|im_start|>", "<|im_end|>"]
CHARACTERS = list("\n abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?:'-")
PAIRS = [
    ("t", "h"), ("th", "e"), ("i", "n"), ("a", "n"), ("an", "d"), ("e", "r"), ("o", "n"), ("r", "e"), ("i", "s"), ("o", "u"),
    ("a", "t"), ("e", "s"), ("i", "t"), (" ", "the"), (" ", "and"), ("l", "l"), ("s", "t"), ("in", "g"), ("s", "e"),
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = ["the sea and the sky", "Is it 42, or 7?\nNo: it's on the hill.", "a", "ünknown signs #", ""]
PROMPT = "the sea and "
CHAT = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello there"}]


def tokenizer() -> PreTrainedTokenizerFast:
    pieces = SPECIAL + CHARACTERS + [left + right for left, right in PAIRS]
    assert len(pieces) == len(set(pieces)) <= 96, len(pieces)
    core = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, PAIRS, unk_token="<unk>", fuse_unk=False))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?[A-Za-z]+|[^A-Za-z]"), "isolated")
    core.decoder = decoders.Fuse()
    core.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    core.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    FOLDER.mkdir(parents=True, exist_ok=True)
    core.save(str(FOLDER / "tokenizer.json"))
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    write_json(FOLDER / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    (FOLDER / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=TEMPLATE, clean_up_tokenization_spaces=False, **names)


def log_probabilities(model: torch.nn.Module, ids: list[int]) -> list[float | None]:
    if len(ids) < 2:
        return [None] * len(ids)
    with torch.no_grad():
        scores = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return [None] + [scores[i - 1, token].item() for i, token in enumerate(ids) if i > 0]


def answer(model: torch.nn.Module, ids: list[int], count: int, ends: list[int], text: PreTrainedTokenizerFast) -> dict:
    out = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False, max_new_tokens=count,
        eos_token_id=ends, pad_token_id=0, return_dict_in_generate=True, output_logits=True,
    )
    best = torch.stack(out.logits)[:, 0].topk(2).values
    new = out.sequences[0, len(ids):].tolist()
    return {
        "prompt_tokens": ids, "new_tokens": new, "text": text.decode(new, skip_special_tokens=True),
        "smallest_margin": (best[:, 0] - best[:, 1]).min().item(),
    }


def main() -> None:
    text = tokenizer()
    model = AutoModelForCausalLM.from_pretrained(GOLDENS / "models" / "llama-tied", attn_implementation="eager").eval()
    rendered = text.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    tokens = {t: {"with_special": text(t).input_ids, "plain": text(t, add_special_tokens=False).input_ids} for t in TEXTS}
    scored = [{"text": t, "tokens": tokens[t]["plain"], "logprobs": log_probabilities(model, tokens[t]["plain"])} for t in TEXTS]
    raw = answer(model, text(PROMPT).input_ids, 16, [2], text)
    chat = answer(model, text(rendered, add_special_tokens=False).input_ids, 8, [2], text)
    adapted = PeftModel.from_pretrained(model, GOLDENS / "adapters" / "lora").eval()
    with_adapter = [{"tokens": s["tokens"], "logprobs": log_probabilities(adapted, s["tokens"])} for s in scored]
    assert min(raw["smallest_margin"], chat["smallest_margin"]) > 1e-3
    write_json(
        FOLDER / "expected.json",
        {
            "model": "llama-tied", "adapter": "lora", "tokens": tokens, "scores": scored, "scores_with_adapter": with_adapter,
            "raw": {"prompt": PROMPT, **raw}, "chat": {"messages": CHAT, "rendered": rendered, **chat},
        },
    )
    assert json.loads((FOLDER / "tokenizer.json").read_text())["model"]["vocab"]["<eos>"] == 2


main()
