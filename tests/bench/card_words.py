"""Whether the right things are named: water, buildings, trees, and every keyword of the labels."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from card_bench import BUILDING, WATER, Aim, Bench, Section, Seen, percent
from card_raw import keyword_logits
from card_sets import Item
from card_stats import F64, Measured, correlation, share
from common import table

from rsccli.models.captioner import BundleBacked
from rsccli.models.registry import find_factory
from rsccli.types import Caption

BUILDING_WORDS = re.compile(r"\b(buildings?|houses?|homes?|structures?|construction|demolition)\b", re.I)
NEW = {"new house", "new building"}
RUIN = {"building damage", "debris"}


def says(caption: Caption, keywords: tuple[str, ...]) -> bool:
    """Whether one of these is among the keywords."""
    return bool(set(caption.keywords) & set(keywords))


def said(seen: Seen, keywords: tuple[str, ...]) -> Measured:
    """Share of pairs with one of these keywords."""
    return share([says(caption, keywords) for caption in seen.captions], seen.places)


def building_said(seen: Seen) -> Measured:
    """Share of pairs whose sentence speaks of a building, house or construction."""
    return share([bool(BUILDING_WORDS.search(c.text)) and bool(c.keywords) for c in seen.captions], seen.places)


def _things(bench: Bench) -> tuple[str, list[Aim]]:
    """Water, buildings, ruins."""
    whole, harvey = bench.seen("chips"), bench.seen("harvey")
    marked = whole.labelled("changed", "minor")
    flooded = harvey.where(lambda _, c: c.status == "changed")
    built = whole.labelled("changed").where(lambda item, _: bool(set(item.keywords) & set(BUILDING)))
    little = whole.labelled("minor").where(lambda item, _: bool(set(item.keywords) & set(BUILDING)))
    others = marked.where(lambda item, _: not set(item.keywords) & set(BUILDING))
    new = marked.where(lambda item, _: bool(set(item.keywords) & NEW) and not set(item.keywords) & RUIN)
    cases = [
        ("flood or water gain named", "Harvey pairs called changed", said(flooded, WATER), 0.8, True),
        ("flood or water gain named", "Harvey pairs, all", said(harvey, WATER), None, True),
        ("flood or water gain named", "NAIP test pairs, all (none has it)", said(whole, WATER), 0.03, False),
        ("building, house or construction said", f"labelled {', '.join(BUILDING)}", building_said(built), 0.85, True),
        ("building, house or construction said", "the same labels, minor change", building_said(little), None, True),
        (
            "building, house or construction said",
            "labelled pairs without them (false)",
            building_said(others),
            None,
            False,
        ),
        ("building damage or debris named", "labelled new house or new building", said(new, tuple(RUIN)), 0.0, False),
    ]
    rows = [
        [what, where, str(found.n), found.text(percent=True), _aim(wanted, least)]
        for what, where, found, wanted, least in cases
    ]
    aims = [
        Aim(f"{what}, {where}", wanted, found.value, found.n, at_least=least)
        for what, where, found, wanted, least in cases
        if wanted is not None
    ]
    head = ("what", "pairs", "n", "share", "aim")
    text = f"""{table(head, rows)}

Floors: a captioner that always names a thing scores 100 % in each of its rows, the false ones too; one that never
does scores 0 %."""
    return text, aims


def _aim(wanted: float | None, least: bool) -> str:
    return "-" if wanted is None else f"{'at least' if least else 'at most'} {100 * wanted:.0f} %"


def greenness(item: Item) -> float:
    """How much greener a pair got: the mean of (2 G - R - B) / (R + G + B), later less earlier."""
    means = []
    for image in (item.pre, item.post):
        red, green, blue = image.astype(np.float64)
        means.append(float(((2 * green - red - blue) / np.maximum(red + green + blue, 1)).mean()))
    return means[1] - means[0]


def _trees(bench: Bench) -> str:
    """Tree gain and loss against counted crowns."""
    whole = bench.seen("chips").where(lambda item, _: item.trees is not None)
    truth = np.array([item.trees for item in whole.items], np.float64)

    def ranked(values: F64) -> str:
        return correlation(values, truth, whole.places).text(digits=2)

    told = np.array(
        [(says(c, ("new trees",)) - float(says(c, ("tree loss",)))) * (c.change_score or 0.0) for c in whole.captions]
    )
    rows = [["new trees less tree loss as said, times the score", ranked(told)]]
    folder = _folder(bench)
    if folder is not None:
        names, logits = keyword_logits(folder, whole.items)
        if {"new trees", "tree loss"} <= set(names):
            gap = logits[:, names.index("new trees")] - logits[:, names.index("tree loss")]
            rows.append(["new trees less tree loss by raw keyword score", ranked(gap)])
    rows.append(["floor: change of mean greenness", ranked(np.array([greenness(item) for item in whole.items]))])
    never = sum(not says(c, ("new trees", "tree loss")) for c in whole.captions)
    return f"""Rank correlation with the change of marked tree crowns on {len(whole.items)} pairs of
{len(set(whole.places))} test places. The crowns were marked on each date by itself, so their number differs between
dates where no tree does; trees are said on {len(whole.items) - never} of the pairs. A constant answer has no rank
correlation.

{table(("from", "Spearman"), rows)}"""


def _folder(bench: Bench) -> Path | None:
    """Of the bundle, where the model is one."""
    factory = find_factory(bench.model)
    return Path(factory.bundle().folder) if isinstance(factory, BundleBacked) else None


def f1(hits: int, told: int, there: int) -> tuple[float, float, float]:
    """Precision, recall and their harmonic mean."""
    precision, recall = hits / told if told else float("nan"), hits / there if there else float("nan")
    return precision, recall, 2 * hits / (told + there) if told + there else float("nan")


def _keywords(bench: Bench) -> str:
    """Every keyword of the labels."""
    marked = bench.seen("chips").labelled("changed", "minor").where(lambda item, _: bool(item.keywords))
    wanted = [set(item.keywords) for item in marked.items]
    told = [set(caption.keywords) for caption in marked.captions]
    there: Counter[str] = Counter(k for keywords in wanted for k in keywords)
    spoken: Counter[str] = Counter(k for keywords in told for k in keywords)
    right: Counter[str] = Counter(k for a, b in zip(wanted, told, strict=True) for k in a & b)
    most = there.most_common(1)[0][0]

    def row(name: str, hits: int, said_: int, labels: int) -> list[str]:
        return [name, str(labels), str(said_), *map(percent, f1(hits, said_, labels))]

    total = sum(there.values())
    rows = [
        row("all together", sum(right.values()), sum(spoken.values()), total),
        row(f'floor: always "{most}"', there[most], len(wanted), total),
    ]
    rows += [row(name, right[name], spoken[name], there[name]) for name, _ in there.most_common()]
    never = sorted(set(spoken) - set(there))
    if never:
        rows.append(row("named, in no label", 0, sum(spoken[name] for name in never), 0))
    head = ("keyword", "in labels", "named", "precision", "recall", "F1")
    return f"""Against the labels of {len(wanted)} test pairs with change or minor change that have keywords. A label
names what was found worth naming by eye; at most three keywords are said.

{table(head, rows)}

Named without being in any label there: {", ".join(f"{name} ({spoken[name]})" for name in never) or "none"}."""


def words(bench: Bench) -> Section:
    """The tables of words."""
    things, aims = _things(bench)
    body = f"Real pairs.\n\n{things}\n\n### Trees\n\n{_trees(bench)}\n\n### Keywords\n\n{_keywords(bench)}"
    return Section("Words", body, tuple(aims))
