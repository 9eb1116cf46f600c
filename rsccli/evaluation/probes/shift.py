"""``shift``: the later date moved by 0 to 8 pixels; how soon shift is taken for change, and words turn to others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rsccli.errors import UsageProblem
from rsccli.evaluation.probes.answering import Answer, Progress, Variant, ask, called
from rsccli.evaluation.probes.claims import Vocabulary, vocabulary_of
from rsccli.evaluation.probes.estimates import NOTHING, Estimate, mean, share
from rsccli.evaluation.probes.labelled import Fit, fit_to_labels
from rsccli.evaluation.probes.moving import KERNEL_PX, moved
from rsccli.evaluation.probes.pairs import PairLabel, PairSet
from rsccli.evaluation.probes.plot import Plot, Series, per_cent, points_axis
from rsccli.evaluation.probes.result import REFERENCE, ProbeResult, Table, gather_facts
from rsccli.evaluation.probes.texts import TITLES, TextScores, keyword_agreement, text_scores
from rsccli.models.captioner import Captioner
from rsccli.types import TilePair

QUESTION = "How far may one date lie off the other before the answer changes?"
DEFAULT_SHIFTS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
MOST_PX = 64.0


@dataclass(frozen=True)
class ShiftSpec:
    """What is looked at.

    Attributes:
        shifts: pixels, 0 among them; halves and other parts are interpolated (Lanczos).
    """

    shifts: tuple[float, ...] = DEFAULT_SHIFTS

    def __post_init__(self) -> None:
        if 0.0 not in self.shifts or len(set(self.shifts)) < 2:
            raise UsageProblem(
                "--shifts: give 0, which the others are compared with, and at least one other: 0,0.5,1,2,4,8"
            )
        if min(self.shifts) < 0 or max(self.shifts) > MOST_PX:
            raise UsageProblem(f"--shifts: give 0 to {MOST_PX:g} pixels; the direction is drawn for each pair")

    @property
    def margin(self) -> int:
        """Pixels that every pair loses on each side, the same at every shift."""
        return math.ceil(max(self.shifts)) + KERNEL_PX


@dataclass(frozen=True)
class ShiftRow:
    """One shift.

    Attributes:
        same_answer, same_text, words: real pairs, agreement with no shift (words: F1). texts: text scores against no
            shift, pairs that are called changed there. changed: real pairs called changed. score_gap: mean difference
            of scores without sign. fit: real pairs against labels.
        copy_changed, copy_unsure: the earlier date against itself, moved: false changes, and doubts.
    """

    px: float
    same_answer: Estimate
    same_text: Estimate
    words: Estimate
    texts: TextScores
    changed: Estimate
    score_gap: Estimate
    fit: Fit
    copy_changed: Estimate
    copy_unsure: Estimate


@dataclass(frozen=True)
class Shift:
    """The figures."""

    shifts: tuple[ShiftRow, ...]


def probe_shift(
    captioner: Captioner, pairs: PairSet, spec: ShiftSpec, batch_size: int, seed: int, progress: Progress
) -> ProbeResult:
    """Show every pair, and the earlier date against itself, at every shift."""
    shifts = tuple(sorted(set(spec.shifts)))
    variants = [Variant(_key(px, copy), _moved(px, spec.margin, copy)) for copy in (False, True) for px in shifts]
    answers = ask(captioner, pairs.pairs, variants, batch_size, progress)
    words = vocabulary_of(captioner.info.keywords)
    labels = [pair.label for pair in answers.pairs]
    still = answers.of(_key(0.0, False))
    rows = tuple(
        _row(px, answers.of(_key(px, False)), still, answers.of(_key(px, True)), labels, words) for px in shifts
    )
    return ProbeResult(
        "shift",
        QUESTION,
        gather_facts(captioner.info, pairs, answers, seed, (("shifts", ", ".join(f"{px:g}" for px in shifts)),)),
        Shift(rows),
        _tables(rows, words),
        _plot(rows, captioner.info.name),
        (*_notes(spec), *pairs.notes),
        answers.variants,
        answers.pairs,
        answers.failures,
    )


def _key(px: float, copy: bool) -> str:
    return f"{'earlier date twice, ' if copy else ''}{px:g} px"


def _moved(px: float, margin: int, copy: bool) -> Callable[[TilePair], TilePair]:
    def make(pair: TilePair) -> TilePair:
        return moved(replace(pair, post=pair.pre) if copy else pair, px, margin)

    return make


def _row(
    px: float,
    own: Sequence[Answer],
    still: Sequence[Answer],
    copies: Sequence[Answer],
    labels: Sequence[PairLabel],
    words: Vocabulary,
) -> ShiftRow:
    places = [label.place for label in labels]
    changed = [at for at, answer in enumerate(still) if answer.status == "changed"]
    gaps = [
        abs(a.score - b.score) for a, b in zip(own, still, strict=True) if a.score is not None and b.score is not None
    ]
    return ShiftRow(
        px=px,
        same_answer=share([a.status == b.status for a, b in zip(own, still, strict=True)], places),
        same_text=share([a.text == b.text for a, b in zip(own, still, strict=True)], places),
        words=keyword_agreement([words.claims(a) for a in own], [words.claims(b) for b in still], places),
        texts=text_scores(
            [own[i].text for i in changed], [(still[i].text,) for i in changed], [places[i] for i in changed]
        ),
        changed=share(called(own, "changed"), places),
        score_gap=mean(np.array(gaps), places) if gaps and len(gaps) == len(own) else NOTHING,
        fit=fit_to_labels(own, labels),
        copy_changed=share(called(copies, "changed"), places),
        copy_unsure=share(called(copies, "unsure"), places),
    )


def _tables(rows: Sequence[ShiftRow], words: Vocabulary) -> tuple[Table, ...]:
    said = "keywords" if words.keywords else "claims of the sentences"
    head = ("shift, px", "called changed", "same answer", "same text", f"{said}, F1", "mean gap of scores", *TITLES)
    real = Table(
        f'Real pairs, against no shift (text scores: pairs called changed there, {rows[0].texts.n}; protocol "words"):',
        head,
        tuple(
            (
                f"{row.px:g}",
                row.changed.percent(),
                *(
                    (REFERENCE,) * (4 + len(TITLES))
                    if row.px == 0
                    else (
                        row.same_answer.percent(),
                        row.same_text.percent(),
                        row.words.percent(),
                        row.score_gap.text(2),
                        *row.texts.cells(),
                    )
                ),
            )
            for row in rows
        ),
    )
    labelled = any(row.fit.recall.n or row.fit.false_alarms.n for row in rows)
    alone = Table(
        "The earlier date against itself, moved (made here: synthetic)"
        + ("; real pairs against labels:" if labelled else ":"),
        ("shift, px", "itself: called changed", "itself: unsure")
        + (("changed, called so", "unchanged, called changed", "AUC of the score") if labelled else ()),
        tuple(
            (
                f"{row.px:g}",
                row.copy_changed.percent(),
                row.copy_unsure.percent(),
                *(
                    (row.fit.recall.percent(), row.fit.false_alarms.percent(), row.fit.ranking.text())
                    if labelled
                    else ()
                ),
            )
            for row in rows
        ),
    )
    return real, alone


def _plot(rows: Sequence[ShiftRow], model: str) -> Plot:
    lines = [
        ("same answer as without shift", [row.same_answer for row in rows]),
        ("same words (F1)", [row.words for row in rows]),
        ("one date twice: called changed", [row.copy_changed for row in rows]),
        ("one date twice: unsure", [row.copy_unsure for row in rows]),
    ]
    return Plot(
        f"{model}: one date moved",
        points_axis("shift, pixels", [row.px for row in rows]),
        per_cent("share of pairs"),
        tuple(
            Series(name, tuple((row.px, value) for row, value in zip(rows, values, strict=True)))
            for name, values in lines
        ),
    )


def _notes(spec: ShiftSpec) -> list[str]:
    return [
        f"{spec.margin} px are cut off on each side at every shift, so that all of them show the same ground; the "
        "direction (right, down, left, up) is drawn for each pair.",
        "Parts of a pixel are interpolated (Lanczos), which also blurs a little; whole pixels are copies.",
    ]
