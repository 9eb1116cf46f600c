"""``domain``: what was set on one region, used on another: ranking, thresholds, calibration, and the drop of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.probes.answering import Answered, Progress, Variant, ask
from rsccli.evaluation.probes.domain_page import Domain, DomainRow, domain_notes, domain_plot, domain_tables
from rsccli.evaluation.probes.estimates import NOTHING, Estimate, auc, difference, figure, mean, share
from rsccli.evaluation.probes.fitting import (
    Bool1,
    Logistic,
    balanced,
    both_classes,
    cross_fitted,
    fit_logistic,
    fit_threshold,
)
from rsccli.evaluation.probes.labelled import Fit, fit_to_labels
from rsccli.evaluation.probes.pairs import PairSet
from rsccli.evaluation.probes.result import ProbeResult, gather_facts
from rsccli.evaluation.probes.texts import NO_SCORES, TextScores, text_scores
from rsccli.models.captioner import Captioner
from rsccli.types import TilePair

F64 = npt.NDArray[np.float64]
Measure = Callable[[F64], F64]
QUESTION = "Does what was set on one region hold on another?"
AS_IT_IS = "as it is"


@dataclass(frozen=True)
class DomainSpec:
    """What is looked at.

    Attributes:
        home: regions that thresholds and logistics are fitted on, together. away: regions that are scored, each by
            itself; empty: all others.
    """

    home: tuple[str, ...]
    away: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.home:
            raise UsageProblem("--from: name the region (or several, with commas) that thresholds are fitted on")
        both = set(self.home) & set(self.away)
        if both:
            raise UsageProblem(f"{min(both)} is in --from and in --to: a region cannot be both")


@dataclass(frozen=True, eq=False)
class _Region:
    """Labelled pairs of a region."""

    name: str
    pairs: tuple[Answered, ...]

    @property
    def places(self) -> list[str]:
        return [pair.label.place for pair in self.pairs]

    @property
    def changed(self) -> Bool1:
        return np.array([pair.label.changed for pair in self.pairs], bool)

    @property
    def called(self) -> F64:
        return np.array([pair.answers[0].status == "changed" for pair in self.pairs], np.float64)

    @property
    def scores(self) -> F64 | None:
        """None where a pair has none."""
        found = [pair.answers[0].score for pair in self.pairs]
        return None if not found or None in found else np.array(found, np.float64)


def probe_domain(
    captioner: Captioner, pairs: PairSet, spec: DomainSpec, batch_size: int, seed: int, progress: Progress
) -> ProbeResult:
    """Ask about every pair once, fit on home, score the others."""
    known = list(dict.fromkeys(label.region for label in pairs.labels))
    for name in (*spec.home, *spec.away):
        if name not in known:
            raise InputError(f"no pair is of the region {name!r}; there are {', '.join(known)}")
    away = spec.away or tuple(region for region in known if region not in spec.home)
    if not away:
        raise InputError(f"all pairs are of {', '.join(spec.home)}: add pairs of a region to score them on")
    answers = ask(captioner, pairs.pairs, (Variant(AS_IT_IS, _as_it_is),), batch_size, progress)
    home = _region(f"home: {', '.join(spec.home)}", answers.pairs, spec.home)
    others = [_region(name, answers.pairs, (name,)) for name in away]
    for region in (home, *others):
        if not region.pairs:
            raise InputError(f"no pair of {region.name} says whether it changed: add a column changed, or captions")
    fitted = _fit(home)
    rows = [_row(home, home, fitted, answers.pairs, spec.home)]
    rows += [_row(region, home, fitted, answers.pairs, (region.name,)) for region in others]
    found = Domain(fitted[0] if fitted else None, fitted[1] if fitted else None, tuple(rows))
    options = (("from", ", ".join(spec.home)), ("to", ", ".join(away)))
    return ProbeResult(
        "domain",
        QUESTION,
        gather_facts(captioner.info, pairs, answers, seed, options),
        found,
        domain_tables(found),
        domain_plot(found, captioner.info.name),
        (*domain_notes(found), *pairs.notes),
        answers.variants,
        answers.pairs,
        answers.failures,
    )


def _as_it_is(pair: TilePair) -> TilePair:
    return pair


def _region(name: str, pairs: Sequence[Answered], regions: Sequence[str]) -> _Region:
    return _Region(
        name, tuple(pair for pair in pairs if pair.label.region in regions and pair.label.changed is not None)
    )


def _fit(home: _Region) -> tuple[float, Logistic] | None:
    """Threshold and logistic of home; None where there are no scores.

    Raises:
        InputError: scores, but one class is missing.
    """
    scores = home.scores
    if scores is None:
        return None
    if not both_classes(home.changed):
        lacking = "unchanged" if home.changed.all() else "changed"
        raise InputError(f"{home.name} has no {lacking} pair, so nothing can be fitted on it; name others with --from")
    return fit_threshold(scores, home.changed), fit_logistic(scores, home.changed)


def _row(
    region: _Region,
    home: _Region,
    fitted: tuple[float, Logistic] | None,
    everyone: Sequence[Answered],
    names: Sequence[str],
) -> DomainRow:
    own = region is home
    labels = [pair.label for pair in region.pairs]
    answered = _accuracy(region.called, region)
    moved, moved_accuracy, moved_drop, ranking_drop = Fit(NOTHING, NOTHING, NOTHING), NOTHING, NOTHING, NOTHING
    own_threshold, own_accuracy = None, NOTHING
    brier, brier_moved, brier_own = NOTHING, NOTHING, NOTHING
    scores = region.scores
    if fitted is not None and scores is not None:
        called_own = cross_fitted(scores, region.changed, region.places, _call)
        likely_own = cross_fitted(scores, region.changed, region.places, _likely)
        called = called_own if own else (scores >= fitted[0]).astype(np.float64)
        likely = likely_own if own else fitted[1].probabilities(scores)
        if called is not None:
            moved, moved_accuracy = _calls(called, region), _accuracy(called, region)
        if both_classes(region.changed):
            own_threshold = fit_threshold(scores, region.changed)
            own_accuracy = NOTHING if called_own is None else _accuracy(called_own, region)
        if both_classes(region.changed):
            brier = _brier(scores, region)
            brier_moved = NOTHING if likely is None else _brier(likely, region)
            brier_own = NOTHING if likely_own is None else _brier(likely_own, region)
        if not own:
            at_home = cross_fitted(home.scores, home.changed, home.places, _call)  # type: ignore[arg-type]
            if at_home is not None and called is not None:
                moved_drop = _drop(balanced(at_home, home.changed), home, balanced(called, region.changed), region)
            if both_classes(region.changed):
                ranking_drop = _drop(auc(home.scores, home.changed), home, auc(scores, region.changed), region)  # type: ignore[arg-type]
    return DomainRow(
        region=region.name,
        home=own,
        n=len(labels),
        changed=int(region.changed.sum()),
        unchanged=int((~region.changed).sum()),
        answers=fit_to_labels([pair.answers[0] for pair in region.pairs], labels),
        answered=answered,
        answered_drop=NOTHING
        if own
        else _drop(balanced(home.called, home.changed), home, balanced(region.called, region.changed), region),
        ranking_drop=ranking_drop,
        moved=moved,
        moved_accuracy=moved_accuracy,
        moved_drop=moved_drop,
        own_threshold=own_threshold,
        own_accuracy=own_accuracy,
        brier=brier,
        brier_moved=brier_moved,
        brier_own=brier_own,
        brier_base=_base(region.changed) if both_classes(region.changed) else None,
        texts=_texts([pair for pair in everyone if pair.label.region in names]),
        texts_changed=_texts([pair for pair in region.pairs if pair.label.changed]),
    )


def _base(changed: Bool1) -> float:
    return float(changed.mean() * (1 - changed.mean()))


def _call(scores: F64, changed: Bool1, new: F64) -> F64:
    return (new >= fit_threshold(scores, changed)).astype(np.float64)


def _likely(scores: F64, changed: Bool1, new: F64) -> F64:
    return fit_logistic(scores, changed).probabilities(new)


def _accuracy(called: F64, region: _Region) -> Estimate:
    return figure(balanced(called, region.changed), region.places) if both_classes(region.changed) else NOTHING


def _calls(called: F64, region: _Region) -> Fit:
    places = np.asarray(region.places)
    return Fit(
        share(called[region.changed] > 0, list(places[region.changed])),
        share(called[~region.changed] > 0, list(places[~region.changed])),
        NOTHING,
    )


def _brier(likely: F64, region: _Region) -> Estimate:
    return mean((likely - region.changed) ** 2, region.places)


def _drop(home_measure: Measure, home: _Region, measure: Measure, region: _Region) -> Estimate:
    if not (both_classes(home.changed) and both_classes(region.changed)):
        return NOTHING
    return difference((home_measure, home.places), (measure, region.places), together=False)


def _texts(pairs: Sequence[Answered]) -> TextScores:
    if not any(pair.label.captions for pair in pairs):
        return NO_SCORES
    return text_scores(
        [pair.answers[0].text for pair in pairs],
        [pair.label.captions for pair in pairs],
        [pair.label.place for pair in pairs],
    )
