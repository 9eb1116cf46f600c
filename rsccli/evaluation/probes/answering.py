"""What a captioner answers to each pair as it is and to each change of it: the one loop that all probes share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rsccli.errors import InputError, ModelError, OutOfMemoryError
from rsccli.evaluation.probes.pairs import Pair, PairLabel
from rsccli.models.captioner import Captioner
from rsccli.types import Caption, CaptionStatus, TilePair

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: Pairs that are done, and whether an earlier run had done them (never here): the form of the progress bar.
Progress = Callable[[int, bool], None]


@dataclass(frozen=True)
class Variant:
    """One way in which pairs are shown.

    Attributes:
        key: short, for programs. make: the pair as it is shown, from the pair as it is.
    """

    key: str
    make: Callable[[TilePair], TilePair]


@dataclass(frozen=True)
class Answer:
    """What the captioner said of one pair in one variant; see `rsccli.types.Caption`.

    Attributes:
        gsd_m: metres per pixel that it was told.
    """

    status: CaptionStatus
    score: float | None
    keywords: tuple[str, ...]
    text: str
    reason: str | None
    gsd_m: float


@dataclass(frozen=True)
class Answered:
    """One pair with its answers, one for each variant, in their order."""

    label: PairLabel
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Failure:
    """A pair that is left out of every figure, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Answers:
    """All answers of a probe.

    Attributes:
        variants: keys, in order. pairs: those that have an answer in every variant. failures: the others.
    """

    variants: tuple[str, ...]
    pairs: tuple[Answered, ...]
    failures: tuple[Failure, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Of every pair."""
        return tuple(pair.label.place for pair in self.pairs)

    def of(self, variant: str) -> tuple[Answer, ...]:
        """Answers to one variant, one for each pair."""
        index = self.variants.index(variant)
        return tuple(pair.answers[index] for pair in self.pairs)


def ask(
    captioner: Captioner,
    pairs: Sequence[Pair],
    variants: Sequence[Variant],
    batch_size: int,
    progress: Progress = lambda pairs, old: None,
) -> Answers:
    """Show every pair in every variant.

    A pair that cannot be read, or that the captioner fails on in one variant, is left out of all and told.

    Args:
        batch_size: pairs that the model sees at once, all in the same variant.
    """
    answered: list[Answered] = []
    failures: list[Failure] = []
    for start in range(0, len(pairs), batch_size):
        chunk = pairs[start : start + batch_size]
        read: list[tuple[Pair, TilePair]] = []
        for pair in chunk:
            try:
                read.append((pair, pair.images.read()))
            except InputError as error:
                failures.append(Failure(pair.label.name, str(error)))
        said: list[list[Answer]] = [[] for _ in read]
        problems: list[str | None] = [None] * len(read)
        for variant in variants:
            shown: list[tuple[int, TilePair]] = []
            for at, (_, tile) in enumerate(read):
                if problems[at] is None:
                    try:
                        shown.append((at, variant.make(tile)))
                    except InputError as error:
                        problems[at] = str(error)
            captions = _captions(captioner, [tile for _, tile in shown])
            for (at, tile), caption in zip(shown, captions, strict=True):
                if isinstance(caption, ModelError):
                    problems[at] = f"{variant.key}: {caption}"
                else:
                    said[at].append(_answer(caption, tile))
        for (pair, _), own, problem in zip(read, said, problems, strict=True):
            if problem is None:
                answered.append(Answered(pair.label, tuple(own)))
            else:
                failures.append(Failure(pair.label.name, problem))
        progress(len(chunk), False)
    return Answers(tuple(variant.key for variant in variants), tuple(answered), tuple(failures))


def _captions(captioner: Captioner, pairs: Sequence[TilePair]) -> list[Caption | ModelError]:
    """Captions of a batch; halves of it where it does not fit into memory, single pairs where the model fails."""
    if not pairs:
        return []
    try:
        return list(captioner.caption(pairs))
    except (ModelError, MemoryError) as error:
        too_large = isinstance(error, (OutOfMemoryError, MemoryError))
        problem = str(error) or "not enough memory"
    if len(pairs) == 1:
        return [ModelError(problem)]
    size = -(-len(pairs) // 2) if too_large else 1
    return [said for at in range(0, len(pairs), size) for said in _captions(captioner, pairs[at : at + size])]


def _answer(caption: Caption, shown: TilePair) -> Answer:
    return Answer(
        status=caption.status,
        score=None if caption.change_score is None else round(float(caption.change_score), 6),
        keywords=caption.keywords,
        text=caption.text,
        reason=caption.reason,
        gsd_m=round(shown.gsd_m, 6),
    )


def doubts(answers: Iterable[Answer]) -> tuple[tuple[str, int], ...]:
    """Reasons of unsure answers without their numbers and details, the most frequent first."""
    reasons = Counter(
        _NUMBER.sub("…", re.split(r"[(:;]", answer.reason or "no reason is given")[0]).strip()
        for answer in answers
        if answer.status == "unsure"
    )
    return tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def called(answers: Iterable[Answer], status: CaptionStatus) -> list[bool]:
    """Which answers have a status."""
    return [answer.status == status for answer in answers]
