"""Draws the hundred pairs of the judgement by eye, and writes the table to fill in.

Usage: python tests/bench/judge_sheet.py OUT [-m MODEL] [--data DATA]

OUT gets sheets of six pairs (the label's caption and both ways of wording below each) and ``captions.csv`` with empty
columns object, verb and place: 1 right, 0 wrong, of the wording that ships. Filled in, it replaces
``tests/bench/judged/captions.csv``. The sheets hold Harvey imagery: keep them out of the repository.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

from card_bench import Bench, look
from card_judged import COLUMNS, read_verdicts, set_of, to_judge
from card_pictures import ON_SHEET, panel, save, sheet
from card_sets import read_imagery
from common import SHARED, say


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("-m", "--model", default="rsccli-small")
    parser.add_argument("--data", type=Path, default=SHARED)
    given = parser.parse_args()
    bench = Bench(read_imagery(given.data), given.model)
    items = to_judge(bench.imagery)
    shipped = bench.wording
    said = {name: look(bench.captioner(name), items).captions for name in ("decoder", "grammar")}
    given.out.mkdir(parents=True, exist_ok=True)
    panels, rows = [], []
    before = {verdict.pair: verdict for verdict in read_verdicts()}
    for at, item in enumerate(items):
        decoder, grammar = said["decoder"][at], said["grammar"][at]
        label = item.caption or "(no label)"
        lines = (f"{at + 1}. LABEL {label}", f"D {decoder.text}", f"G {grammar.text}")
        # No outline: it would hide what is to be judged.
        panels.append(panel(item, replace(said[shipped][at], mask=None), lines, room=8))
        old = before.get(item.name)
        kept = old is not None and (old.decoder, old.grammar) == (decoder.text, grammar.text)
        verdicts = [{True: "1", False: "0", None: ""}[flag] for flag in old.right] if kept and old else ["", "", ""]
        rows.append(
            [
                set_of(item),
                item.name,
                item.caption,
                decoder.text,
                grammar.text,
                *verdicts,
                old.note if kept and old else "",
            ]
        )
    for number, start in enumerate(range(0, len(panels), ON_SHEET), 1):
        save(sheet(panels[start : start + ON_SHEET]), given.out / f"judge-{number:02d}.png")
    with (given.out / "captions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    say(f"{len(items)} pairs in {given.out}; the wording that ships is {shipped}")


if __name__ == "__main__":
    main()
