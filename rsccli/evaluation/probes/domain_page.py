"""Figures of the probe ``domain``, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsccli.evaluation.probes.estimates import Estimate
from rsccli.evaluation.probes.fitting import Logistic
from rsccli.evaluation.probes.labelled import Fit
from rsccli.evaluation.probes.plot import Plot, Series, per_cent
from rsccli.evaluation.probes.result import Table
from rsccli.evaluation.probes.texts import TITLES, TextScores

FEW = 20


@dataclass(frozen=True)
class DomainRow:
    """One region.

    Attributes:
        region: its name. home: whether it was fitted on; its figures then come from fits that have not seen the place
            of a pair (cross-fitted). n, changed, unchanged: labelled pairs.
        answers: as the captioner answers, against labels. answered: balanced accuracy of that. ranking: AUC of the
            score. ranking_drop: that of home less this one.
        moved: at the threshold of home. moved_accuracy: balanced accuracy there. moved_drop: that of home less it.
        own_threshold: fitted here. own_accuracy: balanced accuracy with it, cross-fitted.
        brier, brier_moved, brier_own, brier_base: Brier score of the score as it is, through home's logistic, through
            one fitted here (cross-fitted), and of the constant share of changed pairs here (a floor).
        texts, texts_changed: against captions of people, all pairs and those labelled changed.
    """

    region: str
    home: bool
    n: int
    changed: int
    unchanged: int
    answers: Fit
    answered: Estimate
    answered_drop: Estimate
    ranking_drop: Estimate
    moved: Fit
    moved_accuracy: Estimate
    moved_drop: Estimate
    own_threshold: float | None
    own_accuracy: Estimate
    brier: Estimate
    brier_moved: Estimate
    brier_own: Estimate
    brier_base: float | None
    texts: TextScores
    texts_changed: TextScores


@dataclass(frozen=True)
class Domain:
    """The figures: home first.

    Attributes:
        threshold: of home, or None where there is no score to fit. logistic: of home.
    """

    threshold: float | None
    logistic: Logistic | None
    regions: tuple[DomainRow, ...]


def domain_tables(domain: Domain) -> tuple[Table, ...]:
    """Answers, score, calibration and captions, region by region."""
    rows = domain.regions
    found = [
        Table(
            "As it answers:",
            (
                "region",
                "changed",
                "unchanged",
                "changed, called so",
                "unchanged, called changed",
                "balanced accuracy",
                "drop, points",
            ),
            tuple(
                (
                    row.region,
                    str(row.changed),
                    str(row.unchanged),
                    row.answers.recall.percent(),
                    row.answers.false_alarms.percent(),
                    row.answered.percent(),
                    _points(row.answered_drop),
                )
                for row in rows
            ),
        )
    ]
    if domain.threshold is not None and domain.logistic is not None:
        found.append(
            Table(
                f"Change score at the threshold of home ({domain.threshold:.2f}); there, and with its own, from "
                "fits that have not seen the pair's place:",
                (
                    "region",
                    "AUC",
                    "drop",
                    "changed, called so",
                    "unchanged, called changed",
                    "balanced accuracy",
                    "drop, points",
                    "its own threshold",
                    "balanced accuracy with it",
                ),
                tuple(
                    (
                        row.region,
                        row.answers.ranking.text(),
                        row.ranking_drop.text(),
                        row.moved.recall.percent(),
                        row.moved.false_alarms.percent(),
                        row.moved_accuracy.percent(),
                        _points(row.moved_drop),
                        "-" if row.own_threshold is None else f"{row.own_threshold:.2f}",
                        row.own_accuracy.percent(),
                    )
                    for row in rows
                ),
            )
        )
        found.append(
            Table(
                f"Brier score of the change score (lower is better), as it is and through logistics; that of home: "
                f"scale {domain.logistic.scale:.2f}, bias {domain.logistic.bias:+.2f}:",
                ("region", "as it is", "logistic of home", "its own logistic", "floor: constant share changed"),
                tuple(
                    (
                        row.region,
                        row.brier.text(),
                        row.brier_moved.text(),
                        row.brier_own.text(),
                        "-" if row.brier_base is None else f"{row.brier_base:.3f}",
                    )
                    for row in rows
                ),
            )
        )
    if any(row.texts.n for row in rows):
        found.append(
            Table(
                'Captions against those of people, protocol "words", all pairs and those labelled changed:',
                (
                    "region",
                    "n",
                    *(f"{name}, all" for name in TITLES),
                    "n, changed",
                    *(f"{name}, changed" for name in TITLES),
                ),
                tuple(
                    (
                        row.region,
                        str(row.texts.n),
                        *row.texts.cells(),
                        str(row.texts_changed.n),
                        *row.texts_changed.cells(),
                    )
                    for row in rows
                ),
            )
        )
    return tuple(found)


def _points(estimate: Estimate) -> str:
    return estimate.percent().replace(" %", "")


def domain_plot(domain: Domain, model: str) -> Plot:
    """Balanced accuracy and AUC, region by region."""
    rows = domain.regions

    def points(values: Sequence[Estimate]) -> tuple[tuple[float, Estimate], ...]:
        return tuple((float(at), value) for at, value in enumerate(values))

    series = [Series("as it answers", points([row.answered for row in rows]))]
    if domain.threshold is not None:
        series = [
            Series("threshold of home", points([row.moved_accuracy for row in rows])),
            Series("its own threshold", points([row.own_accuracy for row in rows])),
            Series("AUC", points([row.answers.ranking for row in rows])),
        ]
    return Plot(
        f"{model}: set on {rows[0].region.removeprefix('home: ')}",
        per_cent("balanced accuracy, AUC; 50 % is chance"),
        None,
        tuple(series),
        tuple(f"{'home' if row.home else row.region} ({row.n})" for row in rows),
    )


def domain_notes(domain: Domain) -> list[str]:
    """What a reader must know."""
    notes = []
    if domain.threshold is None:
        notes.append("It gives no change score: nothing can be fitted, its answers alone are compared.")
    for row in domain.regions:
        missing = "changed" if not row.changed else "unchanged" if not row.unchanged else ""
        if missing:
            notes.append(
                f"{row.region} has no {missing} pair: neither balanced accuracy, AUC nor calibration can be told."
            )
        elif min(row.changed, row.unchanged) < FEW:
            fewer = "changed" if row.changed < row.unchanged else "unchanged"
            notes.append(
                f"{row.region} has {min(row.changed, row.unchanged)} {fewer} pairs: what is fitted or told is rough."
            )
    notes.append(
        'An answer of "unsure" is no call of change. Balanced accuracy: mean of recall and of one less false alarms.'
    )
    return notes
