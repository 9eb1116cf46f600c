"""What a person is shown of a benchmark: what was measured here, then what is quoted, in tables of their own."""

from __future__ import annotations

from collections.abc import Iterator

from rsccli.evaluation.benchmark.measured import measured_sheets, speed_sheet
from rsccli.evaluation.benchmark.quoted import quoted_sheet
from rsccli.evaluation.benchmark.result import Benchmark
from rsccli.evaluation.tables.sheet import Page, Sheet
from rsccli.evaluation.tables.words import TITLES, count

_SHOWN = 5


def page_of(result: Benchmark) -> Page:
    """The page of a benchmark."""
    sheets: list[Sheet] = []
    for protocol in result.protocols:
        sheets += measured_sheets(result, protocol)
    sheets += [quoted_sheet(result, name) for name in dict.fromkeys(row.benchmark for row in result.quoted)]
    sheets.append(speed_sheet(result))
    notes = [_sentence(note) for note in (*result.notes, *_problems(result))]
    return Page(f"Benchmark on {result.data.source}", tuple(_facts(result)), tuple(sheets), tuple(notes))


def _facts(result: Benchmark) -> Iterator[str]:
    data = result.data
    chosen = [
        *([f"split {data.split}"] if data.split else []),
        *([f"names that fit {data.only}"] if data.only else []),
        *([f"at most {data.limit}, drawn with seed {data.seed}"] if data.limit else []),
    ]
    yield (
        f"Data: {data.source} ({data.format}), {count(data.found, 'pair')}"
        + (f"; taken: {', '.join(chosen)}" if chosen else "")
        + f". {count(data.pairs, 'pair')} with references, asked about"
        + (f", {data.missing} of them without images that can be used" if data.missing else "")
        + (f"; {data.without_references} without a reference, not asked about" if data.without_references else "")
        + (f"; references of {data.references}" if data.references else "")
        + "."
    )
    yield from (_sentence(note) for note in data.notes)
    for run in result.runs:
        asked = f", asked in the {run.prompt} prompt" if run.prompt else ""
        counts = f", counts from {run.counts_from}" if run.counts_from else ""
        statuses = ", ".join(f"{number} {status}" for status, number in run.statuses)
        failed = f", {run.failed} of them empty because the model failed" if run.failed else ""
        unread = f", {run.unread} could not be read" if run.unread else ""
        cut = f", {run.cut} of them of images cut to the size that both dates share" if run.cut else ""
        old = f", {run.taken_over} of them from an earlier run" if run.taken_over else ""
        yield (
            f"Measured: {run.model} {run.revision}, {run.regime}{asked}{counts}: {count(run.scored, 'caption')} "
            f"({statuses}){failed}{unread}{cut}{old}; {run.predictions}."
        )
    yield "Options: " + ", ".join(f"{name} {value}" for name, value in result.options) + "."


def _problems(result: Benchmark) -> Iterator[str]:
    words = {"missing": "left out", "unread": "not scored", "failed": "counted as an empty caption"}
    for problem in result.problems[:_SHOWN]:
        who = f" ({problem.who})" if problem.who else ""
        yield f"pair {problem.pair}{who}: {words[problem.what]}: {problem.reason}"
    if len(result.problems) > _SHOWN:
        yield f"and {len(result.problems) - _SHOWN} more, see results.json"


def _sentence(note: str) -> str:
    """A note as a sentence; names of files and of this program stay as they are."""
    first, gap, rest = note.rstrip(".").partition(" ")
    if first in TITLES:
        first = TITLES[first]
    elif first.isalpha() and first != "rsccli":
        first = f"{first[:1].upper()}{first[1:]}"
    return f"{first}{gap}{rest}."
