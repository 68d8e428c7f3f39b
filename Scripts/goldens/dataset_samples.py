"""Writes what reference implementations make of small data sets.

Output (Tests/Goldens/datasets/):
  formats.json     rows in Alpaca and ShareGPT, and the conversations LLaMA-Factory's converters make of them
  packing.json     lengths, capacity, and the rows of TRL's best-fit-decreasing packing (as lengths)
  masks.json       conversations, their ids and the assistant mask of transformers with a {% generation %} template
  family-masks.json  the same with the small tokenizers of six model families in Tests/Goldens/tokenizers
  completions.json prompts and completions with ids and mask as TRL's SFT trainer prepares them
  quantiles.json   numbers and their nearest-rank quantiles by numpy (method "inverted_cdf")

Pinned: transformers 5.23.0, tokenizers 0.23.3, trl 1.16.0, llamafactory 0.9.5, numpy 2.4.6. Seed 7.
trl and llamafactory are needed as source only: pip download --no-deps, unzip, and put the folder on PYTHONPATH.
"""

import json
import random
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from datasets import Dataset
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl.data_utils import pack_dataset

# Only the converters of LLaMA-Factory are used; its audio package is not.
for name in ("torchaudio",):
    sys.modules.setdefault(name, types.ModuleType(name))

from llamafactory.data.converter import AlpacaDatasetConverter, SharegptDatasetConverter
from llamafactory.data.parser import DatasetAttr

OUT = Path(__file__).resolve().parents[2] / "Tests" / "Goldens" / "datasets"
RANDOM = random.Random(7)


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert len(text.encode()) <= 100_000, name
    (OUT / name).write_text(text + "\n", encoding="utf-8")


ALPACA = [
    {"instruction": "Name a colour.", "input": "", "output": "Blue."},
    {"instruction": "Translate to French.", "input": "Good morning", "output": "Bonjour"},
    {"instruction": "", "input": "Only an input", "output": "Then an answer"},
    {"instruction": "And now?", "output": "Now this.", "system": "Be short.",
     "history": [["First?", "One."], ["Second?", "Two."]]},
    {"instruction": "Zürich 你好 😀", "input": "línea\nnueva", "output": "ok", "history": []},
]

SHAREGPT = [
    {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]},
    {"conversations": [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hi"},
                       {"from": "gpt", "value": "Dear friend"}, {"from": "human", "value": "Bye"},
                       {"from": "gpt", "value": "Farewell"}]},
    {"system": "From the column.", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    {"tools": '[{"name": "weather", "description": "The weather.", "parameters": {"type": "object", "properties": {}}}]',
     "conversations": [{"from": "human", "value": "Rain?"},
                       {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Bern", "days": 1}}'},
                       {"from": "observation", "value": '{"rain": true}'}, {"from": "gpt", "value": "Yes."}]},
]


def formats():
    def attributes(row, formatting):
        attr = DatasetAttr(load_from="file", dataset_name="rows")
        attr.formatting = formatting
        attr.system = "system" if "system" in row else None
        attr.tools = "tools" if "tools" in row else None
        if formatting == "alpaca":
            attr.history = "history" if "history" in row else None
            attr.query = "input" if "input" in row else None
        return attr

    out = {}
    for name, rows, converter in (
        ("alpaca", ALPACA, AlpacaDatasetConverter), ("sharegpt", SHAREGPT, SharegptDatasetConverter)
    ):
        cases = []
        for row in rows:
            made = converter(dataset_attr=attributes(row, name), data_args=SimpleNamespace(media_dir="."))(row)
            cases.append({
                "row": row, "system": made["_system"], "tools": made["_tools"], "turns": made["_prompt"] + made["_response"],
            })
        out[name] = cases
    write("formats.json", out)


def packing():
    cases = []
    for count, capacity in ((1, 5), (12, 8), (60, 32), (300, 100), (300, 129), (500, 64)):
        lengths = [RANDOM.randint(1, capacity) for _ in range(count)]
        if count == 300:
            lengths = [max(1, int(length**2 / capacity)) for length in lengths]
        data = Dataset.from_dict({"input_ids": [[0] * length for length in lengths]})
        packed = pack_dataset(data, capacity, "bfd", map_kwargs={"batch_size": None})
        cases.append({"lengths": lengths, "capacity": capacity, "rows": packed["seq_lengths"][:]})
    write("packing.json", cases)


MERGES = ["t h", "Ġ t", "i n", "h e", "Ġ a", "th e", "Ġt h", "e r", "o u", "in g", "Ġth e", "Ġ y", "Ġy ou", "l l", "o ll",
          "Ġ h"]
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
)


def tokenizer():
    """Byte-level BPE: id = byte for the 256 bytes, then one id a merge, then the special tokens."""
    visible = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    spelling, extra = {}, 0
    for byte in range(256):
        if byte in visible:
            spelling[byte] = chr(byte)
        else:
            spelling[byte] = chr(256 + extra)
            extra += 1
    vocabulary = {spelling[byte]: byte for byte in range(256)}
    pairs = [tuple(merge.split(" ")) for merge in MERGES]
    for left, right in pairs:
        vocabulary[left + right] = len(vocabulary)
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")
    fast.chat_template = TEMPLATE
    return fast


def conversations(count):
    """Turns without white space in front: a token that joins it to the header's line end is the assistant's for transformers only."""
    words = ["the", "thing", "you", "hollow", "é", "你好", "😀", "her", "a", "\n", "<b>", "in"]
    for _ in range(count):
        messages = [{"role": "system", "content": "be there"}] if RANDOM.random() < 0.4 else []
        for _ in range(RANDOM.randint(1, 4)):
            for role in ("user", "assistant"):
                content = " ".join(RANDOM.choices(words, k=RANDOM.randint(1, 6)))
                messages.append({"role": role, "content": content.lstrip() or "in"})
        yield messages


def masked(fast, count):
    cases = []
    for messages in conversations(count):
        made = fast.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
        cases.append({"messages": messages, "ids": list(made["input_ids"]), "mask": list(made["assistant_masks"])})
    return cases


def masks(fast):
    write("masks.json", {"template": TEMPLATE, "merges": MERGES, "special": SPECIAL, "cases": masked(fast, 40)})


FAMILIES = {
    "smollm2": "<|im_end|>", "qwen2": "<|im_end|>", "llama3": "<|eot_id|>", "llama2": "</s>", "gemma": "</s>", "mistral": "</s>",
}


def family_masks():
    out = {}
    for name, closing in FAMILIES.items():
        path = OUT.parent / "tokenizers" / name / "tokenizer.json"
        fast = PreTrainedTokenizerFast(tokenizer_file=str(path))
        assert fast.convert_tokens_to_ids(closing) is not None, (name, closing)
        fast.chat_template = TEMPLATE.replace("<|im_end|>", closing)
        out[name] = {"closing": closing, "cases": masked(fast, 12)}
    write("family-masks.json", out)


def completions(fast):
    pairs = [("Say the thing", " to you"), ("th", "e thing"), ("Q: hollow?\nA:", " in the hollow</s>"), ("", "all of it"),
             ("é", "é"), ("Answer", "")]
    cases = []
    for prompt, completion in pairs:
        ended = completion if completion.endswith(fast.eos_token) else completion + fast.eos_token
        head = fast(prompt)["input_ids"]
        ids = fast(prompt + ended)["input_ids"]
        is_prefix = ids[: len(head)] == head
        alone = fast(ended)["input_ids"]
        cases.append({"prompt": prompt, "completion": completion, "ids": ids if is_prefix else head + alone,
                      "prompt_length": len(head), "is_prefix": is_prefix})
    write("completions.json", cases)


def quantiles():
    cases = []
    for count in (1, 2, 3, 10, 99, 100, 101, 1000):
        values = [RANDOM.randint(0, 5000) for _ in range(count)] if count < 200 else [(i * 7919) % 4999 for i in range(count)]
        found = np.quantile(values, [0.5, 0.9, 0.95, 0.99], method="inverted_cdf")
        cases.append({"values": values, "quantiles": [int(q) for q in found]})
    write("quantiles.json", cases)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    formats()
    packing()
    fast = tokenizer()
    masks(fast)
    completions(fast)
    quantiles()
    family_masks()
