"""How well the change score ranks changed above unchanged pairs, beside plain change vectors."""

from __future__ import annotations

from card_bench import Aim, Bench, Section, Seen
from card_stats import ranking
from common import table

HEAD = ("changed pairs (n)", "against (n)", "AUC of the score", "AUC of change vectors", "score less vectors")


def scores(bench: Bench) -> Section:
    """The table of areas under curves."""
    harvey, whole, quarters = bench.seen("harvey"), bench.seen("chips"), bench.seen("quarters")
    quiet = quarters.labelled("unchanged")
    cases: list[tuple[str, Seen, str, Seen, float | None]] = [
        (
            "Harvey, before and after",
            harvey,
            "copies of the earlier date under other light",
            bench.seen("harvey light"),
            0.98,
        ),
        ("Harvey, before and after", harvey, "copies shifted 5-9 px and warped", bench.seen("harvey moved"), 0.93),
        ("Harvey, before and after", harvey, "NAIP test quarters without change", quiet, 0.95),
        (
            "NAIP test chips labelled changed, 256 px",
            whole.labelled("changed"),
            "chips labelled unchanged",
            whole.labelled("unchanged"),
            None,
        ),
        (
            "NAIP test quarters with marked change, 128 px",
            quarters.labelled("changed"),
            "quarters without change",
            quiet,
            None,
        ),
    ]
    rows, aims = [], []
    for name, positive, rival, negative, wanted in cases:
        found = ranking(positive.ranked(), negative.ranked())
        rows.append(
            [
                f"{name} ({len(positive.items)})",
                f"{rival} ({len(negative.items)})",
                found.score.text(),
                found.vectors.text(),
                found.gain.text(),
            ]
        )
        n, what = found.score.n, f"AUC, {name} against {rival}"
        if wanted is not None:
            aims.append(Aim(what, wanted, found.score.value, n, percent=False))
        aims.append(
            Aim(f"{what}, no less than change vectors", found.vectors.value, found.score.value, n, percent=False)
        )
    against = bench.seen("drawn")
    found = ranking(against.ranked(), quiet.ranked())
    generated = [
        f"changes drawn over test places ({len(against.items)})",
        f"NAIP test quarters without change ({len(quiet.items)})",
        found.score.text(),
        found.vectors.text(),
        found.gain.text(),
    ]
    places = len(set(harvey.places)), len(set(whole.places))
    body = f"""Real pairs. In brackets: 95 % intervals from {places[0]} Harvey cells of 0.01 degrees and {places[1]}
NAIP places, drawn with replacement. 0.5 is chance, and what a constant answer gets. Harvey is every 14th pair of the
set, all of them counted as changed although some show no water; its sensor differs between dates, which is part of
every figure against other sets. Copies are made here, so they hold no change for certain. NAIP pairs were looked at
twice, and are changed or unchanged where both looks agree; a chip without any change is rare
({len(whole.labelled("unchanged").items)} chips).

{table(HEAD, rows)}

Generated changes (synthetic; they carry drawn haze and noise, which the others do not):

{table(HEAD, [generated])}"""
    return Section("Change score", body, tuple(aims))
