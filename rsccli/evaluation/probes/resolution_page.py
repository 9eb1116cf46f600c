"""Figures of the probe ``resolution``, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rsccli.evaluation.probes.claims import Vocabulary
from rsccli.evaluation.probes.estimates import Estimate
from rsccli.evaluation.probes.labelled import Fit
from rsccli.evaluation.probes.plot import Plot, Series, per_cent, points_axis
from rsccli.evaluation.probes.resample import SAME
from rsccli.evaluation.probes.result import REFERENCE, Table
from rsccli.evaluation.probes.texts import TITLES, TextScores
from rsccli.models.captioner import CaptionerInfo

Shown = Literal["coarse", "enlarged"]
#: From this share of unsure answers on their most frequent reason is told.
MANY_UNSURE = 0.3


@dataclass(frozen=True)
class ResolutionRow:
    """One level.

    Attributes:
        asked_m: as asked for. true_m: metres per pixel that pixels had, least and most.
        changed, unsure, unchanged: shares of answers. doubts: reasons of unsure ones, the most frequent first.
        same_answer, same_text, words: agreement with the finest level (words: F1).
        like_finest, like_finest_changed: text scores against the finest level, all pairs and those that it calls
            changed.
        fit: to labels. like_people, like_people_changed: text scores against captions of people, all pairs and those
            labelled changed.
    """

    asked_m: float
    true_m: tuple[float, float]
    changed: Estimate
    unsure: Estimate
    unchanged: Estimate
    doubts: tuple[tuple[str, int], ...]
    same_answer: Estimate
    same_text: Estimate
    words: Estimate
    like_finest: TextScores
    like_finest_changed: TextScores
    fit: Fit
    like_people: TextScores
    like_people_changed: TextScores


@dataclass(frozen=True)
class Resolution:
    """The figures."""

    shown: Shown
    levels: tuple[ResolutionRow, ...]


def resolution_tables(resolution: Resolution, words: Vocabulary) -> tuple[Table, ...]:
    """Answers, texts against the finest level, and against labels and captions where there are some."""
    rows = resolution.levels
    said = "keywords" if words.keywords else "claims of the sentences"
    answers = Table(
        "Answers, and their agreement with the finest level:",
        ("metres per pixel", "changed", "unsure", "unchanged", "same answer", "same text", f"{said}, F1"),
        tuple(
            (
                _metres(row, resolution.shown),
                row.changed.percent(),
                row.unsure.percent(),
                row.unchanged.percent(),
                *(
                    (REFERENCE,) * 3
                    if row is rows[0]
                    else (row.same_answer.percent(), row.same_text.percent(), row.words.percent())
                ),
            )
            for row in rows
        ),
    )
    found = [answers, _text_table("Texts against those of the finest level", resolution, people=False)]
    if any(row.fit.recall.n or row.fit.false_alarms.n for row in rows):
        found.append(
            Table(
                "Answers against labels:",
                ("metres per pixel", "changed, called so", "unchanged, called changed", "AUC of the score"),
                tuple(
                    (
                        _metres(row, resolution.shown),
                        row.fit.recall.percent(),
                        row.fit.false_alarms.percent(),
                        row.fit.ranking.text(),
                    )
                    for row in rows
                ),
            )
        )
    if any(row.like_people.n for row in rows):
        found.append(_text_table("Texts against captions of people", resolution, people=True))
    return tuple(found)


def _text_table(title: str, resolution: Resolution, people: bool) -> Table:
    rows = resolution.levels if people else resolution.levels[1:]
    pairs = [
        (row.like_people, row.like_people_changed) if people else (row.like_finest, row.like_finest_changed)
        for row in rows
    ]
    every, some = pairs[0][0].n, pairs[0][1].n
    changed = "labelled changed" if people else "called changed at the finest level"
    head = ("metres per pixel", *(f"{name}, all" for name in TITLES), *(f"{name}, changed" for name in TITLES))
    return Table(
        f'{title}, protocol "words", all ({every}) and {changed} ({some}):',
        head,
        tuple(
            (_metres(row, resolution.shown), *whole.cells(), *part.cells())
            for row, (whole, part) in zip(rows, pairs, strict=True)
        ),
    )


def _metres(row: ResolutionRow, shown: Shown) -> str:
    if shown == "enlarged" and row.asked_m >= row.true_m[0]:
        return f"{row.asked_m:g}"
    low, high = row.true_m
    true = f"{low:.3g}" if high <= SAME * low else f"{low:.3g}-{high:.3g}"
    return f"{row.asked_m:g}" if true == f"{row.asked_m:.3g}" else f"{row.asked_m:g} ({true})"


def _at(row: ResolutionRow) -> float:
    """Where a level stands in the plot: where it is, be it finer than asked for."""
    fine = row.true_m[0] > SAME * row.asked_m
    return float(f"{row.true_m[0]:.2g}") if fine else row.asked_m


def resolution_plot(resolution: Resolution, model: str) -> Plot:
    """Agreement and fit to labels over metres per pixel."""
    rows = resolution.levels
    lines = [
        ("same answer as at the finest", [row.same_answer for row in rows]),
        ("same words (F1)", [row.words for row in rows]),
        ("called changed, of changed", [row.fit.recall for row in rows]),
        ("called changed, of unchanged", [row.fit.false_alarms for row in rows]),
    ]
    return Plot(
        f"{model}: the same ground at coarser sampling ({resolution.shown})",
        points_axis("metres per pixel", [_at(row) for row in rows], log=True),
        per_cent("share of pairs"),
        tuple(
            Series(name, tuple((_at(row), value) for row, value in zip(rows, values, strict=True)))
            for name, values in lines
        ),
    )


def resolution_notes(resolution: Resolution, info: CaptionerInfo) -> list[str]:
    """What a reader must know."""
    rows, shown = resolution.levels, resolution.shown
    notes = [
        "Pixels are averaged by area over ground that all levels share; the captioner is told "
        + ("their true size." if shown == "coarse" else "the first size, as they are enlarged to it again.")
    ]
    fine = [row for row in rows if shown == "coarse" and row.true_m[0] > SAME * row.asked_m]
    if fine:
        notes.append(
            f"{', '.join(f'{row.asked_m:g} m' for row in fine)}: finer than the pairs, which are shown as they are "
            f"({rows[0].true_m[0]:.3g} m)."
        )
    made_for = info.gsd_m
    if made_for is not None:
        foreign = [row for row in rows if row.true_m[0] < made_for[0] or row.true_m[1] > made_for[1]]
        if foreign:
            notes.append(
                f"{', '.join(f'{row.asked_m:g} m' for row in foreign)}: outside of the {made_for[0]:g} to "
                f"{made_for[1]:g} m that {info.name} was made for."
            )
    for row in rows:
        if row.doubts and row.unsure.value is not None and row.unsure.value >= MANY_UNSURE:
            reason, number = row.doubts[0]
            notes.append(
                f'{row.asked_m:g} m: {number} of {sum(n for _, n in row.doubts)} unsure answers say "{reason}".'
            )
    if rows and rows[0].changed.value == 0:
        notes.append("Nothing is called changed at the finest level: agreement with it says little.")
    return notes
