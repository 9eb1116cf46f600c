"""What may be compared with published figures, and what may not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rsccli.evaluation.benchmark.published import PROTOCOL_TITLES, Benchmark, PublishedRow, published
from rsccli.evaluation.benchmark.regimes import ZERO_SHOT
from rsccli.evaluation.benchmark.result import DataFacts, Run
from rsccli.evaluation.records.fields import split_name

TITLES: dict[Benchmark, str] = {"levir-cc": "LEVIR-CC", "rscc": "RSCC"}


def benchmarks_of(protocols: Sequence[str]) -> tuple[Benchmark, ...]:
    """Whose published figures stand beside scores of some protocols."""
    levir: tuple[Benchmark, ...] = ("levir-cc",) if any(name != "rscc" for name in protocols) else ()
    return (*levir, "rscc") if "rscc" in protocols else levir


def quoted_rows(protocols: Sequence[str]) -> tuple[PublishedRow, ...]:
    """Published rows for some protocols."""
    return tuple(row for name in benchmarks_of(protocols) for row in published(name))


def protocol_cell(row: PublishedRow, protocols: Sequence[str]) -> str:
    """Protocol of a quoted row; ``(other)`` where it is none of those that were measured here."""
    title = PROTOCOL_TITLES[row.protocol]
    return title if row.protocol in protocols else f"{title} (other)"


def notes_on_quotes(data: DataFacts, protocols: Sequence[str], runs: Sequence[Run]) -> Iterator[str]:
    """How far the measured rows are from the quoted ones: other pairs, other splits, other prompts."""
    scored = max(run.scored for run in runs)
    for name in benchmarks_of(protocols):
        row = published(name)[0]
        theirs = f"{row.pairs:,} pairs ({row.split}) of {TITLES[name]}"
        same = scored == row.pairs and (name == "rscc" or data.of_split == split_name(row.split))
        if same:
            yield (
                f"as many pairs were measured as the quoted rows are of, {theirs}; whether images and captions are the "
                "same was not checked"
            )
        else:
            yield (
                f"measured on {scored:,} pair{'' if scored == 1 else 's'} of {data.source} (split: {data.of_split}), "
                f"quoted rows on {theirs}: they cannot be compared"
            )
    others = dict.fromkeys(run.regime for run in runs if run.regime != ZERO_SHOT)
    if others:
        yield (
            f"{' and '.join(others)} tell the model what labels count: such scores measure the labels, too, and are "
            "not to be compared with zero-shot ones"
        )
