"""Writes Tests/Goldens/tokenizers/new-tokens.json: what Hugging Face `tokenizers` makes of texts after tokens were added to the
tokenizers of Tests/Goldens/tokenizers/<name>/tokenizer.json, which tokenizer_cases.py writes.

  tokens    [{content, special}]: what is added, in order
  families  {name: [{text, ids, skipped}]}: ids with special tokens added, and decoded without special tokens

Versions: requirements.txt. Nothing is random.
"""

import json

from golden_files import GOLDENS, check_sizes
from tokenizers import AddedToken, Tokenizer

FOLDER = GOLDENS / "tokenizers"
FAMILIES = ["gpt2", "smollm2", "llama3", "qwen2", "llama2", "mistral", "gemma", "deepseek", "added-tokens"]
TOKENS = [("<note_call>", True), ("bloodhound", False), ("Größenwahn", False), ("  two  spaces", False), ("ﬁn", False)]
TEXTS = [
    "The bloodhound runs.", "abloodhoundb", " bloodhound", "bloodhound bloodhoundbloodhound", "<note_call>{}<note_call>\n",
    "so <note_call> is special", "Größenwahn", "Gro\u0308ßenwahn", "x  two  spaces y", "ﬁn fin", "<note_call", "nothing new",
]


def main() -> None:
    families = {}
    for name in FAMILIES:
        tokenizer = Tokenizer.from_file(str(FOLDER / name / "tokenizer.json"))
        assert all(tokenizer.token_to_id(content) is None for content, _ in TOKENS), name
        added = tokenizer.add_tokens([AddedToken(content, special=special, normalized=not special) for content, special in TOKENS])
        assert added == len(TOKENS), name
        families[name] = []
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            families[name].append({"text": text, "ids": ids, "skipped": tokenizer.decode(ids, skip_special_tokens=True)})
    golden = {"tokens": [{"content": content, "special": special} for content, special in TOKENS], "families": families}
    path = FOLDER / "new-tokens.json"
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
