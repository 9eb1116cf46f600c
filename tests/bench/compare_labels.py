"""Answers of one or more captioners on the NAIP test pairs, by the labels of the first look alone and of both looks.

Usage: python tests/bench/compare_labels.py MODEL [MODEL ...] [--data DATA]

Tells what better labels did from what better weights did. An earlier bundle is read by the rules of this version.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from card_bench import look as seen_by
from card_bench import percent
from card_sets import chips, quarters, read_imagery
from common import SHARED, say, table

from rsccli.datasets.backgrounds import read_looks
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.training.development import auc


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path, default=SHARED)
    given = parser.parse_args()
    both = read_imagery(given.data).test
    rows = []
    for model in given.models:
        captioner = load_captioner(model, CaptionerOptions(device="cpu", threads=1, words="grammar"))
        for looks, sources in (("first look", replace(both, labels=read_looks()[0])), ("both looks", both)):
            for name, items in (("chips", chips(sources)), ("quarters", quarters(sources))):
                seen = seen_by(captioner, items)
                changed, quiet = (np.array([i.seen == word for i in items], bool) for word in ("changed", "unchanged"))
                called = seen.are("changed")
                area = auc(seen.scores[changed], seen.scores[quiet])
                shares = [f"{percent(float(called[part].mean()))} of {part.sum()}" for part in (changed, quiet)]
                rows.append([captioner.info.revision, looks, name, *shares, f"{area:.3f}"])
    say(table(("weights", "labels", "pairs", "changed: called so", "unchanged: called changed", "AUC"), rows))


if __name__ == "__main__":
    main()
