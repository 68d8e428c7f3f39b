"""Goldens of chat templates, rendered by transformers itself.

Writes Tests/Goldens/templates/conversations.json (shared inputs), one JSON per template in models/, and snippets.json.
Pinned: Python 3.11, transformers 5.23, jinja2 3.1.6. No randomness; strftime_now stands at 2025-03-09 14:05:07.

Run: HF_HUB_OFFLINE=1 python Scripts/goldens/templates.py
"""

import json
import pathlib
from datetime import datetime

import jinja2
import transformers.utils.chat_template_utils as chat
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from template_snippets import SNIPPETS, VARIABLES

OUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens/templates"


class StoppedClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 3, 9, 14, 5, 7)


chat.datetime = StoppedClock

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, <now> & \"here\".",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "A city, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "array", "items": {"type": "integer"}},
                "where": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}},
            },
            "required": ["city"],
        },
    },
}
STOCK = {
    "type": "function",
    "function": {
        "name": "get_stock_price",
        "description": "Price of a stock",
        "parameters": {"type": "object", "properties": {"symbol": {"type": "string"}}, "required": ["symbol"]},
    },
}


def turn(role, content, **extra):
    return {"role": role, "content": content, **extra}


def call(name, arguments, id="abcdef123"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = {
    "single": [turn("user", "What is 2 + 2?")],
    "multi": [turn("user", "Hi"), turn("assistant", "Hello!"), turn("user", "Bye"), turn("assistant", "See you.")],
    "open": [turn("user", "Hi"), turn("assistant", "Hello!"), turn("user", "And now?")],
    "system": [turn("system", "Be brief."), turn("user", "Hi"), turn("assistant", "Yo."), turn("user", "Who?"), turn("assistant", "Me.")],
    "system only": [turn("system", "Be brief.")],
    "unicode": [turn("user", "日本語 😀 e\u0301 \u00a0"), turn("assistant", "Größe “ß”\r\nzwei\u2028drei")],
    "spaces": [turn("user", "  two lines\n\n"), turn("assistant", "\n  indented \t"), turn("user", " \n ")],
    "empty": [turn("user", "Say nothing."), turn("assistant", ""), turn("user", "Thanks"), turn("assistant", "")],
    "two users": [turn("user", "One"), turn("user", "Two")],
    "assistant first": [turn("assistant", "Welcome"), turn("user", "Hi")],
    "markup": [turn("user", "<|im_start|> {{ bos_token }} {% if %}"), turn("assistant", "<b>&amp;</b> 'q' \"d\" \\n")],
    "unknown role": [turn("user", "Hi"), turn("critic", "Hm")],
    "thinking": [
        turn("user", "1+1?"),
        turn("assistant", "<think>\nEasy.\n</think>\n\n2"),
        turn("user", "2+2?"),
        turn("assistant", "<think>\nStill easy.\n</think>\n\n4"),
    ],
    "reasoning": [
        turn("user", "1+1?"),
        turn("assistant", "2", reasoning_content="Easy."),
        turn("user", "2+2?"),
        turn("assistant", "4", reasoning_content="\nStill easy.\n"),
    ],
    "reasoning alias": [turn("user", "1+1?"), turn("assistant", "2", reasoning="Easy.")],
    "tool call": [
        turn("user", "Weather in Bern?"),
        turn("assistant", None, tool_calls=[call("get_weather", {"city": "Bern", "unit": "celsius", "days": [1, 2]})]),
        turn("tool", "{\"temperature\": 4.5}", tool_call_id="abcdef123", name="get_weather"),
        turn("assistant", "It is 4.5 degrees."),
        turn("user", "Thanks"),
        turn("assistant", "Welcome."),
    ],
    "tool call with text": [
        turn("system", "Use tools."),
        turn("user", "Weather?"),
        turn("assistant", "Let me look.", tool_calls=[call("get_weather", {"city": "Zürich \"1\""})]),
        turn("tool", "cold", tool_call_id="abcdef123", name="get_weather"),
        turn("assistant", "Cold."),
    ],
    "two tool calls": [
        turn("user", "Both?"),
        turn(
            "assistant",
            "",
            tool_calls=[call("get_weather", {"city": "Bern"}), call("get_stock_price", {"symbol": "X"}, "abcdef124")],
        ),
        turn("tool", "4", tool_call_id="abcdef123", name="get_weather"),
        turn("tool", "5", tool_call_id="abcdef124", name="get_stock_price"),
        turn("assistant", "Four and five."),
    ],
    "tool call as text": [
        turn("user", "Weather?"),
        turn("assistant", None, tool_calls=[call("get_weather", "{\"city\": \"Bern\"}")]),
        turn("tool", "cold", tool_call_id="abcdef123"),
    ],
    "long": [turn("user" if i % 2 == 0 else "assistant", f"Turn {i}: " + "word " * i) for i in range(8)],
}
DOCUMENTS = [{"title": "Geese", "text": "Geese are birds."}, {"title": "Größe", "text": "1.5 m"}]

# name in models/: special tokens, then variables to try
CHATML = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
LLAMA3 = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
GEMMA = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
PHI3 = {"bos_token": "<s>", "eos_token": "<|endoftext|>"}
THINK = [{"enable_thinking": False}, {"enable_thinking": True}]
MODELS = {
    "chatml-openhermes-2.5": (CHATML, []),
    "command-r7b-tool-use": ({"bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>"}, []),
    "deepseek-r1-distill-llama-8b": ({"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>"}, []),
    "gemma-2-2b-it": (GEMMA, []),
    "gemma-3-it": (GEMMA, []),
    "gemma-7b-it": (GEMMA, []),
    "gpt-oss-120b": (
        {"bos_token": "<|startoftext|>", "eos_token": "<|return|>"},
        [{"reasoning_effort": "high", "model_identity": "You are Attune."}, {"builtin_tools": ["browser", "python"]}],
    ),
    "granite-3.3-2b-instruct": ({"bos_token": "<|end_of_text|>", "eos_token": "<|end_of_text|>"}, [{"thinking": True}]),
    "hermes-3-llama-3.1-8b-tool-use": (LLAMA3, []),
    "llama-2-7b-chat": (LLAMA, []),
    "llama-3-8b-instruct": (LLAMA3, []),
    "llama-3.1-8b-instruct": (LLAMA3, [{"tools_in_user_message": False}, {"date_string": "1 Jan 2025"}]),
    "llama-3.2-3b-instruct": (LLAMA3, [{"tools_in_user_message": False}]),
    "mistral-7b-instruct-v0.2": (LLAMA, []),
    "mistral-nemo-instruct-2407": (LLAMA, []),
    "mistral-small-3.2": (LLAMA, []),
    "mistral-v1": (LLAMA, []),
    "phi-3-medium": (PHI3, []),
    "phi-3-mini": (PHI3, []),
    "phi-3.5-mini-instruct": (PHI3, []),
    "phi-4": ({"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}, []),
    "qwen2.5-7b-instruct": (CHATML, []),
    "qwen3-8b": (CHATML, THINK),
    "qwen3-coder": (CHATML, []),
    "qwq-32b": (CHATML, []),
    "smollm2-135m-instruct": ({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}, []),
    "smollm3-3b": ({"eos_token": "<|im_end|>"}, [*THINK, {"xml_tools": [WEATHER["function"]]}]),
    "trl-gemma-training": (GEMMA, []),
    "trl-llama-3-training": (LLAMA3, []),
    "trl-phi-3-training": (PHI3, []),
    "trl-qwen2.5-training": (CHATML, []),
    "trl-qwen3-training": (CHATML, THINK),
    "zephyr-7b-beta": (LLAMA, []),
}


def outcome(render):
    """What a rendering gives: text, what raise_exception said, what is undefined, or some other error."""
    try:
        return {"text": render()}
    except jinja2.exceptions.UndefinedError as error:
        return {"undefined": error.message}
    except jinja2.exceptions.TemplateError as error:
        return {"refused": error.message} if type(error) is jinja2.exceptions.TemplateError else {"error": type(error).__name__}
    except Exception as error:
        return {"error": type(error).__name__}


def tokenizer(source, special):
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"x": 0}, unk_token="x")), **special)
    made.chat_template = source
    return made


def spans(source, messages, tools, special):
    """UTF-8 ranges of the generation blocks."""
    messages = [{key: value for key, value in message.items() if value is not None} for message in messages]
    rendered, indices = chat.render_jinja_template(
        [messages], tools=tools, chat_template=source, return_assistant_tokens_mask=True, add_generation_prompt=False, **special
    )
    return [[len(rendered[0][:end].encode()) for end in pair] for pair in indices[0]]


def cases(source, special, variants):
    made = tokenizer(source, special)
    for name, messages in CONVERSATIONS.items():
        for variables in [{}, *variants]:
            for tools in [None, [WEATHER, STOCK]] if "tool" in name or name in ("single", "system") else [None]:
                for prompt in (False, True):
                    given = json.loads(json.dumps(messages))
                    case = {"conversation": name}
                    if variables:
                        case["variables"] = variables
                    if tools:
                        case["tools"] = True
                    if prompt:
                        case["prompt"] = True
                    render = lambda: made.apply_chat_template(
                        given, tools=tools, tokenize=False, add_generation_prompt=prompt, **variables
                    )
                    case.update(outcome(render))
                    if "{%- generation" in source and "text" in case and not prompt and not variables:
                        case["spans"] = spans(source, messages, tools, special)
                    yield case


def shortened(cases):
    """Texts that start as another's do refer to it, to keep the files small."""
    texts = []
    for case in cases:
        if "text" in case:
            common = lambda other: next(
                (i for i, (a, b) in enumerate(zip(other, case["text"])) if a != b), min(len(other), len(case["text"]))
            )
            best = max(range(len(texts)), key=lambda i: common(texts[i]), default=None)
            texts.append(case["text"])
            if best is not None and common(texts[best]) > 40:
                count = common(texts[best])
                case["start"] = [best, count]
                case["text"] = case["text"][count:]
    return cases


def write(path, value):
    text = json.dumps(value, ensure_ascii=False, indent=None, separators=(",", ":")).replace('},{"conversation"', '},\n{"conversation"')
    text = text.replace('},{"template"', '},\n{"template"')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", newline="")
    assert path.stat().st_size <= 100_000, (path, path.stat().st_size)
    print(path.name, path.stat().st_size)


def snippet(entry):
    source, variables = entry if isinstance(entry, tuple) else (entry, {})
    given = {**VARIABLES, **variables}
    compiled = lambda: chat._compile_jinja_template(source).render(**given)
    return {"template": source, **({"variables": variables} if variables else {}), **outcome(compiled)}


if __name__ == "__main__":
    write(OUT / "conversations.json", {"conversations": CONVERSATIONS, "tools": [WEATHER, STOCK], "documents": DOCUMENTS})
    for name, (special, variants) in MODELS.items():
        with open(OUT / f"models/{name}.jinja", newline="") as file:
            source = file.read()
        write(OUT / f"models/{name}.json", {"special": special, "cases": shortened(list(cases(source, special, variants)))})
    write(OUT / "snippets.json", {"variables": VARIABLES, "snippets": [snippet(entry) for entry in SNIPPETS]})
