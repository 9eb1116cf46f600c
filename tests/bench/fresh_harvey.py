"""Flood and water on Harvey pairs that nobody looked at while thresholds and rules were chosen.

Usage: python tests/bench/fresh_harvey.py [-m MODEL] [--data DATA]

The model card measures every 14th pair, and choices were made with those in sight. Here: every 14th from the 8th on,
and all pairs of cells of 0.01 degrees that the card has no pair of.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from card_bench import WATER, look
from card_sets import HARVEY_EVERY, harvey
from card_stats import share
from card_words import said
from common import SHARED, say, table

from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="rsccli-small")
    parser.add_argument("--data", type=Path, default=SHARED)
    given = parser.parse_args()
    captioner = load_captioner(given.model, CaptionerOptions(device="cpu", threads=1, words="grammar"))
    known = {item.place for item in harvey(given.data)}
    others = tuple(item for item in harvey(given.data, every=1) if item.place not in known)
    rows = []
    sets = (
        ("every 14th from the 8th", harvey(given.data, HARVEY_EVERY // 2)),
        ("cells that are not in the card", others),
    )
    for name, items in sets:
        seen = look(captioner, items)
        called = seen.where(lambda _, caption: caption.status == "changed")
        changed = share(seen.are("changed"), seen.places).text(percent=True)
        rows.append([name, str(len(items)), changed, said(called, WATER).text(percent=True)])
    say(table(("Harvey pairs", "n", "called changed", "flood or water gain named, of these"), rows))


if __name__ == "__main__":
    main()
