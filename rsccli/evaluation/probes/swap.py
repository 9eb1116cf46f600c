"""``swap``: with the dates exchanged the answer must stay, and what was built must have been demolished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rsccli.evaluation.probes.answering import Answer, Progress, Variant, ask
from rsccli.evaluation.probes.claims import Vocabulary, vocabulary_of
from rsccli.evaluation.probes.estimates import NOTHING, Estimate, mean, share
from rsccli.evaluation.probes.pairs import PairSet
from rsccli.evaluation.probes.plot import Plot, Series, per_cent
from rsccli.evaluation.probes.result import ProbeResult, Table, gather_facts
from rsccli.models.captioner import Captioner
from rsccli.types import TilePair

QUESTION = "With its dates exchanged, does a pair keep its answer, and do its words turn round?"
FORWARD, BACKWARD = "as it is", "dates exchanged"


@dataclass(frozen=True)
class SwapRow:
    """One kind of pairs.

    Attributes:
        name: of the kind. n: pairs. said: of them, with a claim of this kind that can turn round.
        same_answer: of all pairs. score_gap: mean difference of both scores, without sign; nothing without scores.
        first_turns: the first such claim is turned round. all_turn: every one is, and nothing else is said of it.
        stuck: the same claims both ways.
    """

    name: str
    n: int
    said: int
    same_answer: Estimate
    score_gap: Estimate
    first_turns: Estimate
    all_turn: Estimate
    stuck: Estimate


@dataclass(frozen=True)
class Swap:
    """The figures: all pairs, those called changed, and kinds of what is said to have changed."""

    groups: tuple[SwapRow, ...]


def probe_swap(captioner: Captioner, pairs: PairSet, batch_size: int, seed: int, progress: Progress) -> ProbeResult:
    """Show every pair both ways."""
    answers = ask(
        captioner, pairs.pairs, (Variant(FORWARD, _as_it_is), Variant(BACKWARD, exchanged)), batch_size, progress
    )
    both = list(zip(answers.of(FORWARD), answers.of(BACKWARD), strict=True))
    words = vocabulary_of(captioner.info.keywords)
    places = answers.places
    every = frozenset(words.reverse)
    changed = [at for at, (first, _) in enumerate(both) if first.status == "changed"]
    rows = [_row("all pairs", both, places, range(len(both)), words, every)]
    rows.append(_row("called changed", both, places, changed, words, every))
    for kind, claims in words.kinds:
        about = [at for at, (first, _) in enumerate(both) if set(words.turning(first)) & claims]
        rows.append(_row(f"{kind} said to change", both, places, about, words, claims))
    return ProbeResult(
        "swap",
        QUESTION,
        gather_facts(captioner.info, pairs, answers, seed, ()),
        Swap(tuple(rows)),
        (_table(rows),),
        _plot(rows, captioner.info.name),
        (*_notes(words), *pairs.notes),
        answers.variants,
        answers.pairs,
        answers.failures,
    )


def _as_it_is(pair: TilePair) -> TilePair:
    return pair


def exchanged(pair: TilePair) -> TilePair:
    """The pair with its dates exchanged."""
    return replace(pair, pre=pair.post, post=pair.pre)


def _row(
    name: str,
    both: Sequence[tuple[Answer, Answer]],
    places: Sequence[str],
    kept: Sequence[int],
    words: Vocabulary,
    claims: frozenset[str],
) -> SwapRow:
    first, every, stuck, said = [], [], [], []
    for at in kept:
        forward, backward = both[at]
        there = [claim for claim in words.turning(forward) if claim in claims]
        if not there:
            continue
        back = words.turning(backward)
        own = [claim for claim in back if claim in claims]
        said.append(at)
        first.append(words.turns(there[0], back))
        every.append(all(words.turns(each, back) for each in there) and all(words.turns(each, there) for each in own))
        stuck.append(set(there) == set(own))
    own_places, said_places = [places[i] for i in kept], [places[i] for i in said]
    gaps = [abs(a.score - b.score) for a, b in (both[i] for i in kept) if a.score is not None and b.score is not None]
    return SwapRow(
        name,
        len(kept),
        len(said),
        share([both[i][0].status == both[i][1].status for i in kept], own_places),
        mean(np.array(gaps), own_places) if gaps and len(gaps) == len(kept) else NOTHING,
        share(first, said_places),
        share(every, said_places),
        share(stuck, said_places),
    )


def _table(rows: Sequence[SwapRow]) -> Table:
    head = (
        "pairs",
        "n",
        "same answer",
        "mean gap of scores",
        "with words that can turn (n)",
        "first word turns round",
        "all turn round",
        "same words both ways",
    )
    return Table(
        "",
        head,
        tuple(
            (
                row.name,
                str(row.n),
                row.same_answer.percent(),
                row.score_gap.text(2),
                str(row.said),
                row.first_turns.percent(),
                row.all_turn.percent(),
                row.stuck.percent(),
            )
            for row in rows
        ),
    )


def _plot(rows: Sequence[SwapRow], model: str) -> Plot:
    def points(values: Sequence[Estimate]) -> tuple[tuple[float, Estimate], ...]:
        return tuple((float(at), value) for at, value in enumerate(values))

    return Plot(
        f"{model}: dates exchanged",
        per_cent("share of pairs; 100 % is right for the first two, 0 % for the third"),
        None,
        (
            Series("same answer", points([row.same_answer for row in rows])),
            Series("first word turns round", points([row.first_turns for row in rows])),
            Series("same words both ways", points([row.stuck for row in rows])),
        ),
        tuple(f"{row.name} ({row.n})" for row in rows),
    )


def _notes(words: Vocabulary) -> list[str]:
    source = (
        "Words are the captioner's keywords; their reverses are REVERSED in rsccli/models/small/facts.py."
        if words.keywords
        else "Words are read from the sentences: which object appeared or went (rsccli/evaluation/probes/claims.py)."
    )
    return [
        f"{source} A word turns round where its reverse is said of the exchanged pair, and the word itself is not.",
        "A constant answer keeps its answer in 100 % and turns round in 0 %.",
    ]
