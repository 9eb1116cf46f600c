"""Measures the bundled captioner and writes its model card: ``make model-card``.

Usage: python tests/bench/model_card.py [--data DATA] [-m MODEL] [--out docs/model-card.md]

The card is docs/model-card.md, its pictures are in docs/model-card/. One core, about ten minutes. A bundle
``NAME-int8`` beside the model is measured as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from card_answers import answers
from card_bench import Bench, Section
from card_calibration import calibration
from card_captions import captions
from card_domain import domain
from card_int8 import int8
from card_masks import masks
from card_page import page, write
from card_pictures import pictures
from card_scores import scores
from card_sets import read_imagery
from card_speed import speed
from card_swap import swap
from card_words import words
from common import ROOT, SHARED, note

from rsccli.models.captioner import BundleBacked
from rsccli.models.registry import DEFAULT_CAPTIONER, find_factory


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("-m", "--model", default=DEFAULT_CAPTIONER)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "model-card.md")
    given = parser.parse_args()
    factory = find_factory(given.model)
    if not isinstance(factory, BundleBacked):
        raise SystemExit(f"{given.model} is no bundle: the card describes files that ship")
    bundle = factory.bundle()
    started = time.perf_counter()
    bench = Bench(read_imagery(given.data), given.model)
    benches = [bench]
    small = bundle.folder.with_name(f"{bundle.folder.name}-int8")
    if small.is_dir():
        benches.append(Bench(bench.imagery, str(small)))
    folder = given.out.with_suffix("")
    steps: tuple[Callable[[], Section], ...] = (
        lambda: scores(bench),
        lambda: answers(bench),
        lambda: words(bench),
        lambda: captions(bench),
        lambda: swap(bench),
        lambda: masks(bench),
        lambda: calibration(bench, folder),
        lambda: domain(bench),
        lambda: speed(benches),
        lambda: pictures(bench, folder),
    )
    sections: list[Section] = []
    for step in steps:
        sections.append(step())
        note(f"{sections[-1].title}: done after {time.perf_counter() - started:.0f} s")
    sections += [int8([aim for section in sections for aim in section.aims], other) for other in benches[1:]]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write(given.out, page(bundle, sections))
    note(f"wrote {given.out}")


if __name__ == "__main__":
    main()
