"""What a probe found, and how it leaves: a table in Markdown, JSON for programs, a plot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from rsccli import __version__
from rsccli.errors import OutputError
from rsccli.evaluation.probes.answering import Answered, Answers, Failure
from rsccli.evaluation.probes.pairs import PairSet
from rsccli.evaluation.probes.plot import Plot, draw
from rsccli.models.captioner import CaptionerInfo
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing

FORMS = ("md", "json", "svg")
#: In a cell that would compare something with itself.
REFERENCE = "reference"


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: one line above it. head, rows: texts.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ProbeFacts:
    """Who was asked, and what about.

    Attributes:
        model, revision, prompt: of the captioner. inputs: as the user named them.
        pairs: in the figures. places: of these. found: before some were drawn with ``seed``. failed: left out.
        changed, unchanged: of the pairs, by their labels; the others have none.
        splits: pairs by split, as their files name it; ``""``: they do not say.
        options: of this probe, with their values.
    """

    version: str
    model: str
    revision: str
    prompt: str
    inputs: tuple[str, ...]
    pairs: int
    places: int
    found: int
    seed: int
    failed: int
    changed: int
    unchanged: int
    splits: tuple[tuple[str, int], ...]
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ProbeResult:
    """Everything that a probe found.

    Attributes:
        probe: its name. question: what it asks, one sentence. measured: its figures, a frozen dataclass.
        notes: what a reader must know. answers: one entry for each pair, in the order of ``variants``.
    """

    probe: str
    question: str
    facts: ProbeFacts
    measured: object
    tables: tuple[Table, ...]
    plot: Plot
    notes: tuple[str, ...]
    variants: tuple[str, ...]
    answers: tuple[Answered, ...]
    failures: tuple[Failure, ...]


def gather_facts(
    info: CaptionerInfo, pairs: PairSet, answers: Answers, seed: int, options: Sequence[tuple[str, str]]
) -> ProbeFacts:
    """The facts of a probe that was run."""
    labels = [pair.label for pair in answers.pairs]
    return ProbeFacts(
        version=__version__,
        model=info.name,
        revision=info.revision,
        prompt=info.prompt,
        inputs=tuple(Path(each).name for each in pairs.inputs),
        pairs=len(labels),
        places=len({label.place for label in labels}),
        found=pairs.found,
        seed=seed,
        failed=len(answers.failures),
        changed=sum(label.changed is True for label in labels),
        unchanged=sum(label.changed is False for label in labels),
        splits=tuple(sorted(Counter(label.split or "" for label in labels).items())),
        options=tuple(options),
    )


def render(result: ProbeResult, form: str) -> bytes:
    """One form; the same result gives the same bytes.

    Args:
        form: one of `FORMS`.
    """
    if form == "svg":
        return draw(result.plot).encode()
    if form == "json":
        left_out = {"tables", "plot"}
        content = {each.name: getattr(result, each.name) for each in fields(result) if each.name not in left_out}
        return json_bytes({name: _plain(value) for name, value in content.items()}, indent=True)
    return markdown(result).encode("utf-8", "replace")


def _plain(value: object) -> object:
    """Dataclasses as objects of their members, all the way down."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return round(value, 6)
    return value


def markdown(result: ProbeResult) -> str:
    """The tables with what belongs to them."""
    parts = [f"{result.question} {facts_sentence(result.facts)}"]
    for table in result.tables:
        parts.append(f"{table.title}\n\n{_markdown_table(table)}" if table.title else _markdown_table(table))
    if result.notes:
        parts.append("\n".join(f"- {note}" for note in result.notes))
    return "\n\n".join(parts) + "\n"


def facts_sentence(facts: ProbeFacts) -> str:
    """Who was asked about which pairs."""
    drawn = f", drawn from {facts.found} with seed {facts.seed}" if facts.found > facts.pairs + facts.failed else ""
    places = f" of {facts.places} places" if facts.places < facts.pairs else ""
    named = [f"{number} {name}" for name, number in facts.splits if name]
    splits = f" (split: {', '.join(named)})" if named else ""
    labelled = (
        f"; labelled: {facts.changed} changed, {facts.unchanged} unchanged" if facts.changed or facts.unchanged else ""
    )
    failed = f"; {facts.failed} could not be used" if facts.failed else ""
    prompt = f", {facts.prompt} prompt" if facts.prompt else ""
    return (
        f"{facts.model} {facts.revision}{prompt}, {', '.join(facts.inputs)}: {facts.pairs} pairs{places}{splits}"
        f"{drawn}{labelled}{failed}. In brackets: 95 % intervals."
    )


def _markdown_table(table: Table) -> str:
    lines = [table.head, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
    rows = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([rows[0], rule, *rows[1:]])


def result_paths(folder: Path, probe: str) -> tuple[Path, ...]:
    """The files of a probe in a folder."""
    return tuple(folder / f"{probe}.{form}" for form in FORMS)


def check_results(folder: Path, probe: str, overwrite: bool) -> None:
    """Refuse what could not be written, before anything is loaded.

    Raises:
        OutputError: a file is there, or no folder can be made.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with -o, the results are {', '.join(FORMS)} files in it")
    if not folder.exists() and not folder.parent.is_dir():
        raise OutputError(f"the folder {folder.parent} does not exist; make it with: mkdir -p {folder.parent}")
    there = [path for path in result_paths(folder, probe) if path.exists()]
    if there and not overwrite:
        raise OutputError(f"{there[0]} exists; add --overwrite to replace it, or name another folder with -o")


def write_results(folder: Path, result: ProbeResult) -> tuple[Path, ...]:
    """Write table, JSON and plot; each whole or not at all.

    Raises:
        OutputError: one of them cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}; name another folder with -o") from error
    paths = result_paths(folder, result.probe)
    for path, form in zip(paths, FORMS, strict=True):
        with replacing(path) as part:
            part.write_bytes(render(result, form))
    return paths
