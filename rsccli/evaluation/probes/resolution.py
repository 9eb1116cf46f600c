"""``resolution``: the same ground at coarser and coarser sampling; how long answer and words hold.

Follows the question of From Pixels to Prose (arXiv 2411.05826): quality against ground sampling distance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rsccli.errors import UsageProblem
from rsccli.evaluation.probes.answering import Answer, Progress, Variant, ask, called, doubts
from rsccli.evaluation.probes.claims import Vocabulary, vocabulary_of
from rsccli.evaluation.probes.estimates import share
from rsccli.evaluation.probes.labelled import fit_to_labels
from rsccli.evaluation.probes.pairs import PairLabel, PairSet
from rsccli.evaluation.probes.resample import Levels, coarsened, enlarged, trimmed
from rsccli.evaluation.probes.resolution_page import (
    Resolution,
    ResolutionRow,
    Shown,
    resolution_notes,
    resolution_plot,
    resolution_tables,
)
from rsccli.evaluation.probes.result import ProbeResult, gather_facts
from rsccli.evaluation.probes.texts import TextScores, keyword_agreement, text_scores
from rsccli.models.captioner import Captioner
from rsccli.types import TilePair

QUESTION = "Does it say the same of the same ground when pixels are larger?"
DEFAULT_LEVELS = (0.5, 2.0, 10.0)


@dataclass(frozen=True)
class ResolutionSpec:
    """What is looked at.

    Attributes:
        levels: metres per pixel; a level finer than the pairs stands for the pairs as they are.
        shown: ``coarse``: fewer pixels, and the captioner is told their true size; ``enlarged``: interpolated back
            to as many pixels as before, and it is told the first size.
    """

    levels: tuple[float, ...] = DEFAULT_LEVELS
    shown: Shown = "coarse"

    def __post_init__(self) -> None:
        if len(set(self.levels)) < 2 or min(self.levels) <= 0:
            raise UsageProblem("--levels: give at least two different distances above 0, metres per pixel: 0.5,2,10")


def probe_resolution(
    captioner: Captioner, pairs: PairSet, spec: ResolutionSpec, batch_size: int, seed: int, progress: Progress
) -> ProbeResult:
    """Show pairs at every level and compare."""
    levels = Levels(tuple(sorted(set(spec.levels))))
    variants = [Variant(f"{metres:g} m", _shown(levels, metres, spec.shown)) for metres in levels.metres]
    answers = ask(captioner, pairs.pairs, variants, batch_size, progress)
    words = vocabulary_of(captioner.info.keywords)
    labels = [pair.label for pair in answers.pairs]
    finest = answers.of(answers.variants[0])
    rows = tuple(
        _row(level, answers.of(key), finest, labels, words)
        for level, key in zip(levels.metres, answers.variants, strict=True)
    )
    found = Resolution(spec.shown, rows)
    options = (("levels", ", ".join(answers.variants)), ("shown", spec.shown))
    return ProbeResult(
        "resolution",
        QUESTION,
        gather_facts(captioner.info, pairs, answers, seed, options),
        found,
        resolution_tables(found, words),
        resolution_plot(found, captioner.info.name),
        (*resolution_notes(found, captioner.info), *pairs.notes),
        answers.variants,
        answers.pairs,
        answers.failures,
    )


def _shown(levels: Levels, metres: float, how: Shown) -> Callable[[TilePair], TilePair]:
    def make(pair: TilePair) -> TilePair:
        whole = trimmed(pair, levels)
        small = coarsened(whole, metres)
        if how == "coarse" or small is whole:
            return small
        height, width = whole.valid.shape
        return enlarged(small, height, width, whole.gsd_m)

    return make


def _row(
    level: float, own: Sequence[Answer], finest: Sequence[Answer], labels: Sequence[PairLabel], words: Vocabulary
) -> ResolutionRow:
    places = [label.place for label in labels]
    texts, first = [answer.text for answer in own], [answer.text for answer in finest]
    was_changed = [at for at, answer in enumerate(finest) if answer.status == "changed"]
    labelled = [at for at, label in enumerate(labels) if label.changed]
    told = [answer.gsd_m for answer in own] or [level]

    def scores(references: Sequence[Sequence[str]], kept: Sequence[int]) -> TextScores:
        return text_scores([texts[i] for i in kept], [references[i] for i in kept], [places[i] for i in kept])

    people, before, everyone = [label.captions for label in labels], [(text,) for text in first], range(len(labels))
    return ResolutionRow(
        asked_m=level,
        true_m=(min(told), max(told)),
        changed=share(called(own, "changed"), places),
        unsure=share(called(own, "unsure"), places),
        unchanged=share(called(own, "unchanged"), places),
        doubts=doubts(own),
        same_answer=share([a.status == b.status for a, b in zip(own, finest, strict=True)], places),
        same_text=share([a == b for a, b in zip(texts, first, strict=True)], places),
        words=keyword_agreement([words.claims(a) for a in own], [words.claims(b) for b in finest], places),
        like_finest=scores(before, everyone),
        like_finest_changed=scores(before, was_changed),
        fit=fit_to_labels(own, labels),
        like_people=scores(people, everyone),
        like_people_changed=scores(people, labelled),
    )
