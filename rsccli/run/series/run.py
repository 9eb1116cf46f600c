"""The run of a series: one pair after another, each as a pair of its own, then the timeline.

A journal in the folder names the pairs that are done; the pair in hand has its own. Killed at any moment, the same
command goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

from rsccli.errors import InputError, OutputError, StoppedError
from rsccli.geo.grid import grid_gsd_m
from rsccli.output.features import Feature
from rsccli.output.qgis.looks import timeline_look
from rsccli.output.readers import read_outputs
from rsccli.output.style import write_style
from rsccli.output.summary import Summary, summarise
from rsccli.output.timeline.document import timeline_json
from rsccli.output.timeline.facts import SeriesFacts
from rsccli.output.timeline.geojson import write_timeline
from rsccli.output.timeline.html import timeline_html
from rsccli.output.timeline.markdown import timeline_markdown
from rsccli.output.timeline.pairs import SeriesPair
from rsccli.output.timeline.summary import SeriesJudge, Timeline, build_timeline
from rsccli.output.writers.atomic import replacing
from rsccli.run.caption import PreparedJob, Progress, failed_tiles, prepare_job, run_caption
from rsccli.run.kept import KeptModels
from rsccli.run.line_journal import LineJournal
from rsccli.run.series.prepare import JOURNAL, TIMELINE, PreparedSeries
from rsccli.run.signals import StopRequest
from rsccli.types import RunFacts

#: Progress of one pair while it is captioned: given its place in the series, what is prepared, and how many there are.
PairProgress = Callable[[int, SeriesPair, PreparedJob], AbstractContextManager[Progress]]


def run_series(series: PreparedSeries, progress: PairProgress) -> Timeline:
    """Caption every pair that is not done, and put the timeline together.

    Raises:
        StoppedError: a signal asked to stop; what is done is kept. InputError, ModelError: see the messages.
    """
    folder = series.job.folder
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}; name another with -o") from error
    template = series.job.template
    with (
        StopRequest() as stop,
        LineJournal(folder / JOURNAL, series.spec, fresh=not template.resume, afresh="--no-resume") as journal,
    ):
        done = {str(entry["pair"]): str(entry["spec_hash"]) for entry in journal.entries}
        with closing(KeptModels()) as models:
            for index, pair in enumerate(series.pairs):
                if _is_done(series.output(pair), done.get(pair.label)):
                    continue
                if stop.name:
                    raise StoppedError(f"stopped by {stop.name} after {index} of {len(series.pairs)} pairs; {_AGAIN}")
                prepared = prepare_job(series.pair_job(pair))
                with progress(index, pair, prepared) as count:
                    summary = run_caption(prepared, count, models)
                journal.append(
                    {"pair": pair.label, "spec_hash": prepared.facts.spec_hash, "failed": failed_tiles(summary)}
                )
        timeline = _put_together(series)
        journal.remove()
    return timeline


_AGAIN = "run the same command again to go on"


def _is_done(output: Path, spec_hash: str | None) -> bool:
    """Whether an output is whole and of the run that the journal names."""
    if spec_hash is None or not output.is_file():
        return False
    try:
        facts, _ = read_outputs(output)
    except InputError:
        return False
    return facts is not None and facts.spec_hash == spec_hash


def _put_together(series: PreparedSeries) -> Timeline:
    """Read the maps of all pairs, write the timeline."""
    template, folder = series.job.template, series.job.folder

    def features_of(index: int) -> Iterator[Feature]:
        return read_outputs(series.output(series.pairs[index]))[1]

    runs, summaries = [], []
    for index, pair in enumerate(series.pairs):
        run, _ = read_outputs(series.output(pair))
        if run is None:
            raise InputError(f"{series.output(pair)}: the facts of the run are missing; make the series again")
        runs.append(run)
        summaries.append(summarise(features_of(index), run))
    facts = _facts(series, runs)
    judged = SeriesJudge(facts, features_of)
    timeline = build_timeline(facts, judged, _named(series, summaries))
    write_timeline(folder / TIMELINE, facts, judged, features_of)
    if template.report:
        whole = next((pair for pair in series.pairs if pair.kind == "first-last"), series.pairs[0])
        write_style(folder / TIMELINE, timeline_look([pair.label for pair in series.pairs], whole.label))
        for name, content in (
            ("timeline.html", timeline_html(timeline, judged, linked=True).encode("utf-8", "replace")),
            ("timeline.md", timeline_markdown(timeline).encode("utf-8", "replace")),
            ("timeline.json", timeline_json(timeline)),
        ):
            with replacing(folder / name) as part:
                part.write_bytes(content)
    return timeline


def _named(series: PreparedSeries, summaries: list[Summary]) -> list[Summary]:
    """Summaries whose warnings say of which pair they are, where not all pairs say the same."""
    from dataclasses import replace

    shared = set.intersection(*(set(summary.warnings) for summary in summaries))
    return [
        replace(
            summary,
            warnings=tuple(text if text in shared else f"{pair.label}: {text}" for text in summary.warnings),
        )
        for pair, summary in zip(series.pairs, summaries, strict=True)
    ]


def _facts(series: PreparedSeries, runs: list[RunFacts]) -> SeriesFacts:
    first = runs[0]
    rows, cols = _plan_size(first)
    return SeriesFacts(
        version=first.version,
        images=series.image_facts(),
        pairs=series.pairs,
        grid=series.grid,
        gsd_m=grid_gsd_m(series.grid),
        tile_size=first.tile_size,
        stride=first.stride,
        rows=rows,
        cols=cols,
        tiles=first.tiles,
        model=first.model,
        model_revision=first.model_revision,
        limits=first.limits,
        warnings=series.warnings,
    )


def _plan_size(facts: RunFacts) -> tuple[int, int]:
    """Rows and columns of the plan of tiles, an area of interest left aside."""
    from rsccli.geo.tiles import plan_tiles

    edge = facts.edge if facts.edge in ("shift", "drop") else "pad"
    plan = plan_tiles(facts.grid, facts.tile_size, stride=facts.stride, edge=edge)  # type: ignore[arg-type]
    return plan.rows, plan.cols
