"""The swap test: with the dates exchanged, the words must turn round; with one date twice, there is nothing to say."""

from __future__ import annotations

import numpy as np
from card_bench import Aim, Bench, Section, Seen, percent
from card_stats import share
from common import table

from rsccli.models.small.facts import REVERSED

HEAD = (
    "pairs",
    "n",
    "same answer",
    "reversible words said (n)",
    "strongest word turns round",
    "all words turn round",
    "same words both ways",
)
# Boats are boats both ways: a word that is its own reverse tests nothing.
TURNING = frozenset(word for word, reverse in REVERSED.items() if word != reverse)
KINDS = {
    "new or removed building, house": {"new house", "new building", "building removed"},
    "new or removed road": {"new road", "road removed"},
    "new or lost trees": {"new trees", "tree loss"},
}


def turns(word: str, others: tuple[str, ...]) -> bool:
    """Whether the exchanged pair gets a word's reverse instead of the word; flood turns to water loss and back."""
    return word not in others and any(REVERSED.get(word) == other or REVERSED.get(other) == word for other in others)


def _row(name: str, forward: Seen, backward: Seen) -> tuple[list[str], float, int]:
    answers = [(a, b) for a, b in zip(forward.captions, backward.captions, strict=True)]
    same = share([a.status == b.status for a, b in answers], forward.places)
    kept = [at for at, (a, _) in enumerate(answers) if any(word in TURNING for word in a.keywords)]
    places = [forward.places[at] for at in kept]
    first, every, stuck = [], [], []
    for at in kept:
        a, b = answers[at]
        words = [word for word in a.keywords if word in TURNING]
        back = tuple(word for word in b.keywords if word in TURNING)
        first.append(turns(words[0], back))
        every.append(all(turns(word, back) for word in words) and all(turns(word, tuple(words)) for word in back))
        stuck.append(set(words) == set(back))
    turned = share(first, places)
    cells = [
        name,
        str(len(answers)),
        same.text(percent=True),
        str(len(kept)),
        turned.text(percent=True),
        share(every, places).text(percent=True),
        percent(float(np.mean(stuck)) if stuck else float("nan")),
    ]
    return cells, turned.value, len(kept)


def _some(forward: Seen, backward: Seen, keep: list[bool]) -> tuple[Seen, Seen]:
    def cut(seen: Seen) -> Seen:
        pairs = [pair for pair, fine in zip(zip(seen.items, seen.captions, strict=True), keep, strict=True) if fine]
        return Seen(tuple(item for item, _ in pairs), tuple(caption for _, caption in pairs))

    return cut(forward), cut(backward)


def swap(bench: Bench) -> Section:
    """The table of exchanged dates."""
    harvey, harvey_back = bench.seen("harvey"), bench.seen("harvey swapped")
    changed = list(harvey.are("changed"))
    cases = [("Harvey pairs called changed", *_some(harvey, harvey_back, changed))]
    marked, marked_back = bench.seen("chips").labelled("changed", "minor"), bench.seen("chips swapped")
    for name, kinds in KINDS.items():
        keep = [item.seen == "changed" and bool(set(item.keywords) & kinds) for item in marked.items]
        cases.append((f"NAIP test chips labelled {name}", *_some(marked, marked_back, keep)))
    every = [item.seen == "changed" for item in marked.items]
    cases.append(("NAIP test chips labelled changed, all", *_some(marked, marked_back, every)))
    drawn = bench.seen("drawn").labelled("reversible")
    cases.append(("changes drawn over test places, reversible (synthetic)", drawn, bench.seen("drawn swapped")))
    rows, aims = [], []
    for name, forward, backward in cases:
        cells, value, n = _row(name, forward, backward)
        rows.append(cells)
        if not name.endswith(", all"):
            aims.append(Aim(f"strongest word turns round, {name}", 0.8, value, n))
    same = bench.seen("same")
    quiet = share(same.are("unchanged") & np.array([not c.keywords for c in same.captions]), same.places)
    body = f"""Pairs as they are and with their dates exchanged; needs no labels. A word turns round where its
reverse (`REVERSED` in `rsccli/models/small/facts.py`) is said of the exchanged pair, and the word itself is not.
Columns four to seven are of pairs that get a word that has a reverse. Floor: a constant answer has the same answer
in 100 % and turns round in 0 %.

{table(HEAD, rows)}

One image twice: {quiet.text(percent=True)} of {quiet.n} are answered "unchanged" without any keyword."""
    return Section("Swapped dates", body, tuple(aims))
