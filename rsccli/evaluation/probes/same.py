"""``same``: one date against itself and against copies under other light; nothing has changed, whatever it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rsccli.errors import UsageProblem
from rsccli.evaluation.probes.answering import Answer, Progress, Variant, ask, called
from rsccli.evaluation.probes.claims import Vocabulary, vocabulary_of
from rsccli.evaluation.probes.estimates import NOTHING, Estimate, mean, share
from rsccli.evaluation.probes.lights import LIGHTS, Light, relit
from rsccli.evaluation.probes.pairs import PairSet
from rsccli.evaluation.probes.plot import Plot, Series, per_cent
from rsccli.evaluation.probes.result import ProbeResult, Table, gather_facts
from rsccli.models.captioner import Captioner, tile_seed
from rsccli.types import TilePair

Which = Literal["pre", "post"]
QUESTION = "Does it find a change where one image is shown twice, or once more under other light?"
REAL, ITSELF = "real pair", "itself"


@dataclass(frozen=True)
class SameSpec:
    """What is looked at.

    Attributes:
        date: whose copies are made. copies: keys of `rsccli.evaluation.probes.lights.LIGHTS`.
    """

    date: Which = "pre"
    copies: tuple[str, ...] = tuple(light.key for light in LIGHTS)

    def __post_init__(self) -> None:
        known = [light.key for light in LIGHTS]
        unknown = [key for key in self.copies if key not in known]
        if unknown:
            raise UsageProblem(f"--copies {unknown[0]}: choose from {', '.join(known)}")

    @property
    def lights(self) -> tuple[Light, ...]:
        """The copies, in the order of the table."""
        return tuple(light for light in LIGHTS if light.key in self.copies)


@dataclass(frozen=True)
class SameRow:
    """One kind of copy; for `REAL`, the pair itself, beside it.

    Attributes:
        changed: false changes (but in the real pairs). unsure, unchanged: shares. words: pairs of which it says that
            something changed, whatever it answers. score: mean, nothing without scores.
    """

    name: str
    n: int
    changed: Estimate
    unsure: Estimate
    unchanged: Estimate
    words: Estimate
    score: Estimate


@dataclass(frozen=True)
class Same:
    """The figures."""

    date: Which
    copies: tuple[SameRow, ...]
    real: SameRow


def probe_same(
    captioner: Captioner, pairs: PairSet, spec: SameSpec, batch_size: int, seed: int, progress: Progress
) -> ProbeResult:
    """Show one date of every pair with its copies, and the pair itself."""
    shown: list[tuple[str, str, Callable[[TilePair], TilePair]]] = [
        (ITSELF, "itself, byte for byte", _twice(spec, None))
    ]
    shown += [(light.key, light.title, _twice(spec, light)) for light in spec.lights]
    variants = [Variant(REAL, _as_it_is), *(Variant(key, make) for key, _, make in shown)]
    answers = ask(captioner, pairs.pairs, variants, batch_size, progress)
    words = vocabulary_of(captioner.info.keywords)
    rows = [_row(title, answers.of(key), answers.places, words) for key, title, _ in shown]
    real = _row("the real pairs, both dates", answers.of(REAL), answers.places, words)
    return ProbeResult(
        "same",
        QUESTION,
        gather_facts(captioner.info, pairs, answers, seed, (("date", spec.date), ("copies", ", ".join(spec.copies)))),
        Same(spec.date, tuple(rows), real),
        (_table([*rows, real], spec.date),),
        _plot([*rows, real], captioner.info.name),
        (*_notes(real), *pairs.notes),
        answers.variants,
        answers.pairs,
        answers.failures,
    )


def _as_it_is(pair: TilePair) -> TilePair:
    return pair


def _twice(spec: SameSpec, light: Light | None) -> Callable[[TilePair], TilePair]:
    def make(pair: TilePair) -> TilePair:
        image = pair.pre if spec.date == "pre" else pair.post
        copy = image if light is None else relit(light, image, pair.valid, tile_seed(pair.tile))
        return replace(pair, pre=image, post=copy)

    return make


def _row(name: str, answers: Sequence[Answer], places: Sequence[str], words: Vocabulary) -> SameRow:
    scores = [answer.score for answer in answers if answer.score is not None]
    return SameRow(
        name,
        len(answers),
        share(called(answers, "changed"), places),
        share(called(answers, "unsure"), places),
        share(called(answers, "unchanged"), places),
        share([bool(words.claims(answer)) for answer in answers], places),
        mean(np.array(scores), places) if scores and len(scores) == len(answers) else NOTHING,
    )


def _table(rows: Sequence[SameRow], date: Which) -> Table:
    which = "earlier" if date == "pre" else "later"
    return Table(
        f"The {which} date against itself and against copies of it (made here: synthetic):",
        ("against", "n", "called changed", "unsure", "called unchanged", "with words of change", "mean score"),
        tuple(
            (
                row.name,
                str(row.n),
                row.changed.percent(),
                row.unsure.percent(),
                row.unchanged.percent(),
                row.words.percent(),
                row.score.text(2),
            )
            for row in rows
        ),
    )


def _plot(rows: Sequence[SameRow], model: str) -> Plot:
    def points(values: Sequence[Estimate]) -> tuple[tuple[float, Estimate], ...]:
        return tuple((float(at), value) for at, value in enumerate(values))

    return Plot(
        f"{model}: one date against copies of itself",
        per_cent("share of pairs; 0 % is right, but in the last row"),
        None,
        (
            Series("called changed", points([row.changed for row in rows])),
            Series("unsure", points([row.unsure for row in rows])),
        ),
        tuple(row.name for row in rows),
    )


def _notes(real: SameRow) -> list[str]:
    notes = [
        "Copies hold no change for certain, and are no real second acquisition: sun, season and view are the same."
    ]
    if real.changed.value == 0:
        notes.append("It calls none of the real pairs changed either: that it is quiet on copies says nothing.")
    else:
        notes.append('A captioner that always answers "unchanged" has 0 % in every row, the last one too.')
    return notes
