"""What of the benchmarks can be tested without time: the table, the ratios, the rows.  python3 -m unittest discover Benchmarks/tests"""

import importlib.machinery
import importlib.util
import pathlib
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))
sys.dont_write_bytecode = True

import results
import rows


def script(name):
    """A program of the folder above, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(FOLDER.parent / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


table = script("table")


class Table(unittest.TestCase):
    measured = results.load(FOLDER / "results.json")

    def test_it_has_the_machine_once_and_a_line_for_each_row_in_order(self):
        self.assertEqual(
            table.rendered(self.measured).splitlines(),
            [
                "A Processor, 2 cores (avx2, amx_bf16), 25 GB; 2 threads, the peer 2. Attune abc1234 with libtorch 2.13.0; "
                "transformers 5.23.0, PEFT 0.21.2, torch 2.13.0+cpu. 2026-02-03.",
                "",
                *table.HEAD,
                # 4, 3 and 3.78 times as fast; 5e12 operations in 5 · 1024 tokens: 1500 tokens a second at a rate of 9e11 are 163 %,
                # which lies between 156 and 168; 410 at the same rate are 44 %, between 39 and 54.
                "| SmolLM2-135M, LoRA, 4×256, bf16 | 1550 | 410 | **3.78** (3.00–4.00, 3) | ≥ 3.5 | 1.01 | 2.51 | **0.40** "
                "| ≤ 0.4 | 163 % | 44 % |",
                "| SmolLM2-135M, generate, 1 stream, bf16 | 60.2 | 20.0 | **3.01** (3.01–3.01, 1) | ≥ 3 | 0.70 | 1.00 | **0.70** |  |  |  |",
            ],
        )

    def test_rows_of_another_machine_say_so(self):
        other = results.load(FOLDER / "results.json")
        other["rows"]["generate-1"]["commit"] = "def5678"
        lines = table.rendered(other).splitlines()
        self.assertTrue(lines[0].endswith("Rows: smollm2-lora-bf16."))
        self.assertTrue(lines[1].endswith("Rows: generate-1."))

    def test_it_goes_between_the_markers_and_nothing_else_changes(self):
        page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
        self.assertEqual(results.inserted(page, "new\n", table.BEGIN, table.END), f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n")
        for damaged in ("no markers", table.END + table.BEGIN, page + page):
            with self.assertRaises(SystemExit):
                results.inserted(damaged, "new\n", table.BEGIN, table.END)

    def test_the_page_has_the_markers(self):
        page = (FOLDER.parent.parent / "docs/performance.md").read_text(encoding="utf-8")
        self.assertIn("new\n", results.inserted(page, "new\n", table.BEGIN, table.END))

    def test_no_rows_are_no_table(self):
        with self.assertRaises(SystemExit):
            table.rendered({"rows": {}})


class Rows(unittest.TestCase):
    def test_names_are_told_apart_and_chosen_by(self):
        self.assertEqual(len({row.name for row in rows.ROWS}), len(rows.ROWS))
        self.assertEqual([row.name for row in rows.chosen(["generate-1"])], ["generate-1"])
        self.assertEqual(rows.chosen([]), rows.ROWS)
        with self.assertRaises(SystemExit):
            rows.chosen(["generate-2"])

    def test_both_sides_get_the_same_options(self):
        run = script("run")
        row = rows.chosen(["generate-16"])[0]
        commands = run.generation_commands(row, "folder")
        ours, theirs = (command[command.index("generate") :] for command in commands.values())
        self.assertEqual([word for word in ours if word != "--json"], theirs)


if __name__ == "__main__":
    unittest.main()
