"""What a pair costs on one thread of a CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from card_bench import BATCH, Aim, Bench, Section, tile_pair
from card_sets import Item
from card_stats import ranking
from common import machine, table

from rsccli.models.captioner import Captioner

ROUNDS = 5


def milliseconds(captioner: Captioner, items: Sequence[Item]) -> float:
    """Least time of a pair over some rounds, a batch at a time: what other work on the machine adds is left out."""
    pairs = [tile_pair(item) for item in items]
    captioner.caption(pairs[:2])
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        captioner.caption(pairs)
        times.append(1000 * (time.perf_counter() - started) / len(pairs))
    return min(times)


def speed(benches: Sequence[Bench]) -> Section:
    """The table of times; the first model says which pairs are described."""
    first = benches[0]
    seen = first.seen("chips")
    described = [i for i, c in zip(seen.items, seen.captions, strict=True) if c.keywords][:BATCH]
    quiet = [i for i, c in zip(seen.items, seen.captions, strict=True) if c.status == "unchanged"][:BATCH]
    quiet = [*quiet, *first.seen("same").items][:BATCH]
    rows, notes, aims = [], [], []
    for bench in benches:
        still = milliseconds(bench.captioner("grammar"), quiet)
        plain = milliseconds(bench.captioner("grammar"), described) if described else float("nan")
        spoken = milliseconds(bench.captioner("decoder"), described) if described else float("nan")
        info = bench.captioner().info
        size = f"{info.size_mb:.1f}"
        times = [f"{still:.1f}", f"{spoken - plain:.1f}", f"{1000 / still:.1f}", f"{1000 / spoken:.1f}"]
        rows.append([f"{info.name}, {info.dtype}", size, *times])
        for what, cost, wanted in (("unchanged", still, 25.0), ("described", spoken, 12.0)):
            aims.append(Aim(f"{what} pairs/s on one thread, {info.dtype}", wanted, 1000 / cost, BATCH, unit="pairs/s"))
        if bench is not first:
            notes.append(_agreement(first, bench))
    head = ("bundle", "MB", "encoder, ms", "decoder, ms", "unchanged pairs/s", "described pairs/s")
    body = f"""Pairs of 256 px, {BATCH} at a time, one thread, best of {ROUNDS} rounds: encoder with everything
around it, and what the decoder adds where it words a caption (n = {len(quiet)} quiet and {len(described)} described
pairs). {machine()}.

{table(head, rows)}
"""
    return Section("Speed", "\n".join([body, *notes]).strip(), tuple(aims))


def _agreement(first: Bench, other: Bench) -> str:
    """What smaller weights change."""
    one, two = first.seen("chips"), other.seen("chips")
    same = float(np.mean([a.status == b.status for a, b in zip(one.captions, two.captions, strict=True)]))
    text = float(np.mean([a.text == b.text for a, b in zip(one.captions, two.captions, strict=True)]))
    found = [ranking(s.labelled("changed").ranked(), s.labelled("unchanged").ranked()).score.text() for s in (one, two)]
    names = first.captioner().info.dtype, other.captioner().info.dtype
    return f"""On {len(one.items)} NAIP test chips {names[1]} gives the same answer as {names[0]} in {100 * same:.0f}
% and the same sentence in {100 * text:.0f} %; AUC of the score {found[1]} instead of {found[0]}."""
