"""The regimes of RSCC (Chen et al. 2025): what a model is told and shown of a pair beside its images.

``zero-shot`` tells nothing. ``textual_prompt`` tells type of disaster and buildings of each level, ``visual_prompt``
shows their outlines on the later date as well: both come from labels, so such a score measures the labels, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.benchmark.pairs import BenchmarkPair
from rsccli.models.prompts import REGIMES as PROMPTS
from rsccli.models.prompts import Regime, load_template
from rsccli.types import TileContext

ZERO_SHOT, TEXTUAL, VISUAL = "zero-shot", "textual_prompt", "visual_prompt"
#: The prompts of RSCC's regimes, in the words of ``rsccli caption --prompt``.
PROMPT_OF: Mapping[str, Regime] = MappingProxyType({ZERO_SHOT: "naive", TEXTUAL: "textual", VISUAL: "visual"})
_AUTO = "auto"


def check_regimes(regimes: Sequence[str], prompt: str) -> None:
    """Refuse what makes no sense before anything is read.

    Raises:
        UsageProblem: no regime of that name, or a prompt that is none of the user's own, or one for several regimes.
    """
    for regime in regimes:
        if regime not in PROMPT_OF:
            raise UsageProblem(f"--regime {regime} is unknown: choose from {', '.join(PROMPT_OF)}")
    if prompt in PROMPTS:
        named = next(regime for regime, words in PROMPT_OF.items() if words == prompt)
        raise UsageProblem(f"--prompt {prompt}: a benchmark names regimes; give --regime {named}")
    if prompt != _AUTO:
        load_template(prompt)
        if len(regimes) > 1:
            raise UsageProblem(f"--prompt {prompt}: words of your own are for one --regime, not for {len(regimes)}")


def prompt_for(regime: str, prompt: str) -> str:
    """What a captioner's options say: the regime's own words, or the user's."""
    return PROMPT_OF[regime] if prompt == _AUTO else prompt


def check_told(pairs: Sequence[BenchmarkPair], regime: str, path: Path) -> None:
    """Refuse a regime whose facts the records do not have.

    Raises:
        InputError: pairs without counts, or without an image with outlines.
    """
    if regime == ZERO_SHOT:
        return
    usable = [pair for pair in pairs if pair.problem is None]
    _refuse(
        usable,
        lambda pair: pair.told.counts is None,
        f"{path}: --regime {regime} tells counts of damaged buildings",
        "have none in their records",
        "add a field counts, or one for each level, as rsccli dataset writes them, or take --regime zero-shot",
    )
    if regime == VISUAL:
        _refuse(
            usable,
            lambda pair: pair.annotated is None,
            f"{path}: --regime {regime} shows the later date with outlines",
            "have no such image in the field annotated",
            "rsccli dataset draws them; or take --regime textual_prompt",
        )


def _refuse(
    pairs: Sequence[BenchmarkPair], lacks: Callable[[BenchmarkPair], bool], what: str, why: str, way_out: str
) -> None:
    lacking = [pair.key for pair in pairs if lacks(pair)]
    if lacking:
        raise InputError(f"{what}, and {len(lacking)} of {len(pairs)} pairs {why} (the first: {lacking[0]}); {way_out}")


def context_of(pair: BenchmarkPair, regime: str) -> TileContext | None:
    """What the model is told of a pair."""
    return None if regime == ZERO_SHOT else pair.told.context


def shown_post(pair: BenchmarkPair, regime: str) -> Path | None:
    """The image of the later date that the model is shown."""
    return pair.annotated if regime == VISUAL else pair.post_file


def counts_from(pairs: Sequence[BenchmarkPair], regime: str) -> str | None:
    """Where the counts of a regime come from, in words; None where it tells none."""
    if regime == ZERO_SHOT:
        return None
    sources = Counter(pair.told.source for pair in pairs if pair.told.counts is not None)
    first, *others = sources
    return first if not others else f"{first} and {len(others)} other{'' if len(others) == 1 else 's'}"
