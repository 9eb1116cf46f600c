"""How often each answer is given, on pairs with and without change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from card_bench import Aim, Bench, Section, Seen, percent
from card_sets import Item, chips, quarters
from card_stats import share, vector_map
from common import table

HEAD = ("pairs", "n", "changed", "unsure", "unchanged", "with a reason", "floor: changed by change vectors")
FALSE_ALARMS = 0.05


def vector_limit(items: tuple[Item, ...]) -> float:
    """The change vector that 5 % of these unchanged pairs exceed."""
    values = [float(vector_map(item.pre, item.post).mean()) for item in items if item.seen == "unchanged"]
    return float(np.quantile(values, 1 - FALSE_ALARMS))


def answers(bench: Bench) -> Section:
    """The table of answers."""
    whole, parts, harvey = bench.seen("chips"), bench.seen("quarters"), bench.seen("harvey")
    held = bench.imagery.development
    limits = {256: vector_limit(chips(held)), 128: vector_limit(quarters(held))}
    cases: list[tuple[str, Seen, str, float | None]] = [
        ("NAIP chips, unchanged", whole.labelled("unchanged"), "most", 0.05),
        ("NAIP quarters, unchanged", parts.labelled("unchanged"), "most", 0.05),
        ("NAIP chips, minor change", whole.labelled("minor"), "", None),
        ("NAIP chips, changed", whole.labelled("changed"), "least", 0.85),
        ("NAIP quarters, changed", parts.labelled("changed"), "least", 0.85),
        ("NAIP, one image under other light (made here)", bench.seen("light"), "most", 0.02),
        ("Harvey, one image under other light (made here)", bench.seen("harvey light"), "most", 0.02),
        ("NAIP, one image twice, byte for byte", bench.seen("same"), "", None),
        ("Harvey, before and after", harvey, "", None),
        ("Harvey, flood water seen by eye", harvey.labelled("changed"), "", None),
        ("changes drawn over test places (synthetic)", bench.seen("drawn"), "", None),
    ]
    rows, aims = [], []
    for name, seen, kind, wanted in cases:
        yes = share(seen.are("changed"), seen.places)
        limit = limits[128 if seen.items and seen.items[0].pre.shape[1] <= 128 else 256]
        reasons = [caption.reason is not None for caption in seen.captions]
        rows.append(
            [
                name,
                str(len(seen.items)),
                yes.text(percent=True),
                percent(float(seen.are("unsure").mean())),
                percent(float(seen.are("unchanged").mean())),
                percent(float(np.mean(reasons))),
                percent(float((seen.vectors > limit).mean())),
            ]
        )
        if wanted is not None:
            what = f"{name}: called changed"
            aims.append(Aim(what, wanted, yes.value, yes.n, at_least=kind == "least"))
    unsure = replace(whole, items=whole.items + parts.items, captions=whole.captions + parts.captions)
    mute = sum(c.status == "unsure" and c.reason is None for c in unsure.captions)
    body = f"""Real pairs but for those that say otherwise; 95 % intervals by place. An answer of "unsure" counts
neither as a hit nor as a false alarm. Floor: pairs whose mean change vector is above the one that 5 % of unchanged
development pairs of the same size exceed. Always "unchanged" would be 0 % in the column "changed" throughout. Unsure
NAIP answers without a reason: {mute}.

{table(HEAD, rows)}"""
    return Section("Answers", body, tuple(aims))
