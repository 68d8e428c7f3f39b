"""The file of results: what both sides printed, pair by pair, for each row."""

import json
import os
import pathlib
import statistics


def load(path):
    """The results so far; none where there is no file."""
    path = pathlib.Path(path)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": {}}


def save(results, path):
    """Writes the file whole."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def inserted(page, table, begin, end):
    """`page` with `table` between its markers."""
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise SystemExit(f"the page must hold one {begin} and after it one {end}")
    return page[: page.index(begin) + len(begin)] + "\n" + table + page[page.index(end) :]


def ratios(pairs, key):
    """Attune's figure over the peer's, for each pair."""
    return [pair["attune"][key] / pair["peer"][key] for pair in pairs]


def median(pairs, side, key):
    """The median of a figure of one side."""
    return statistics.median(pair[side][key] for pair in pairs)


def utilization(pairs, side):
    """A side's share of the machine's matrix rate at the time of the pair: the median over the pairs; None for generation."""
    first = pairs[0]["attune"]
    if "model_flops" not in first:
        return None
    flops_per_token = first["model_flops"] / sum(first["step_tokens"])
    return statistics.median(
        pair[side]["tokens_per_second"] * flops_per_token / pair["attune"]["matmul_flops_per_second"] for pair in pairs)
