"""A whole run: prepare, resume, loop, write. ``run_caption`` is what the command calls.

The output appears only when it is whole. Until then the journal beside it holds every finished tile.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from rsccli import __version__
from rsccli.errors import StoppedError, UsageProblem
from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.identity import Watch
from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.devices import worker_devices
from rsccli.models.registry import DEFAULT_CAPTIONER, describe_captioner, fitting_batch_size
from rsccli.output.features import Feature, build_features
from rsccli.output.report import Pictures
from rsccli.output.report.basemap import Basemap
from rsccli.output.summary import Summary
from rsccli.output.writers import check_output, stream_geojsonseq
from rsccli.run.captioners import AskingOptions, Crew, LoadedModels, describe_crew, load_crew
from rsccli.run.detect.caption_mask import caption_legend
from rsccli.run.detect.rasters import check_raster
from rsccli.run.fill import fill_journal
from rsccli.run.finish import Finished, Wanted, newest_date, write_outputs
from rsccli.run.journal import Journal, journal_batch_size, journal_path, refuse_output_of_another
from rsccli.run.lock import claim_beside
from rsccli.run.loop import caption_tiles
from rsccli.run.metrics.log import tell
from rsccli.run.metrics.meter import Meter, metered
from rsccli.run.metrics.observe import Observe, Watched
from rsccli.run.phrase import SummaryModel
from rsccli.run.pictures import pair_pictures
from rsccli.run.signals import StopRequest
from rsccli.run.spec import RunSpec, make_spec
from rsccli.stages import stage
from rsccli.types import FAILED, RunFacts, Tile, TileRecord

#: (tiles that a step finished, of them from an earlier run): for progress bars.
Progress = Callable[[int, bool], None]
#: Models of a crew for batches of a size: of a series, which loads them once.
Models = Callable[[Crew, int], LoadedModels]


@dataclass(frozen=True)
class CaptionJob:
    """One ``rsccli caption``.

    Attributes:
        pre, post: paths or URLs. output: a file, or None for a stream. geometry: see ``PairOptions``.
        model: name, bundle folder or object path. captioner: how it runs. asking: what it is told beside pixels.
        batch_size: tiles per model call, None for what the model likes, "auto" for what fits into memory.
        min_valid: see ``caption_tiles``.
        jobs: reader threads. overwrite: replace an output. resume: go on from a journal.
        report: write the reports and the style beside the output. summary_model: who phrases its paragraph, or None.
        basemap: a background map of the report, or None.
        mask: a GeoTIFF for the kinds of change of every pixel, or None.
        observe: what is told of the run beside all that.
    """

    pre: str
    post: str
    output: Path | None = None
    geometry: PairOptions = field(default_factory=PairOptions)
    model: str = DEFAULT_CAPTIONER
    captioner: CaptionerOptions = field(default_factory=CaptionerOptions)
    asking: AskingOptions = field(default_factory=AskingOptions)
    batch_size: int | Literal["auto"] | None = None
    min_valid: float = 0.1
    jobs: int = 2
    overwrite: bool = False
    resume: bool = True
    report: bool = True
    basemap: Basemap | None = None
    summary_model: SummaryModel | None = None
    mask: Path | None = None
    observe: Observe = field(default_factory=Observe)

    def __post_init__(self) -> None:
        if not 0 <= self.min_valid <= 1:
            raise UsageProblem(f"--min-valid {self.min_valid:g}: give a share from 0 to 1")
        if self.jobs < 1:
            raise UsageProblem(f"--jobs {self.jobs}: at least 1")
        if isinstance(self.batch_size, int) and self.batch_size < 1:
            raise UsageProblem(f"--batch-size {self.batch_size}: at least 1")
        if self.summary_model is not None and not (self.report and self.output):
            raise UsageProblem("--summary-model phrases a paragraph of the report: write one (-o FILE, no --no-report)")
        if self.mask is not None and self.output is None:
            raise UsageProblem("--mask goes with a map in a file: name one with -o FILE")


@dataclass(frozen=True)
class PreparedJob:
    """A job whose inputs were checked and measured; no model is loaded yet. That took ``prepare_s`` seconds."""

    job: CaptionJob
    pair: PreparedPair
    crew: Crew
    batch_size: int
    spec: RunSpec
    facts: RunFacts
    prepare_s: float = field(default=0.0, compare=False)

    @property
    def info(self) -> CaptionerInfo:
        """Of the captioner."""
        return self.crew.info

    @property
    def tiles_at_once(self) -> int:
        """Tiles of a batch: as many for each worker as fit."""
        return self.batch_size * len(self.crew.devices)

    @property
    def watched(self) -> Watched:
        """The captioning of the pair, for those who tell of it."""
        return Watched(self.job.output, self.facts.spec_hash, self.job.observe)


def prepare_job(job: CaptionJob) -> PreparedJob:
    """Check the output, describe the model, prepare the pair. Everything that can be refused early is refused here."""
    job.observe.refuse_stream(job.output)
    if job.output is not None:
        # A journal is the trace of a cut run of the same command: its output may be replaced.
        replaced = job.overwrite or (job.resume and journal_path(job.output).exists())
        check_output(job.output, replaced)
        if job.mask is not None:
            check_raster(job.mask, "--mask", replaced)
    prepared = prepare_inputs(job)
    tell_prepared(prepared, prepared.watched)
    return prepared


def prepare_inputs(job: CaptionJob) -> PreparedJob:
    """Describe the model and prepare the pair, for a run that checks its own output, and tells when it is prepared."""
    begun = time.perf_counter()
    # A model that cannot be had is told before minutes are spent on measuring a large pair.
    describe_captioner(job.model, replace(job.captioner, device=worker_devices(job.captioner.device)[0]))
    if job.summary_model is not None:
        job.summary_model.describe()
    pair = prepare_pair(job.pre, job.post, job.geometry)
    crew = describe_crew(job.model, job.captioner, job.asking, pair)
    batch_size = _batch_size(job, crew)
    spec = make_spec(pair, crew, batch_size, job.min_valid)
    if job.mask is not None:
        # A journal without masks cannot be gone on with.
        asked = "; ".join(filter(None, (spec.model.asked, "masks")))
        spec = replace(spec, model=replace(spec.model, asked=asked))
    return PreparedJob(
        job, pair, crew, batch_size, spec, _facts(pair, crew, spec), prepare_s=time.perf_counter() - begun
    )


def tell_prepared(prepared: PreparedJob, watched: Watched) -> None:
    """Tell the log that a pair is measured, and what its user should know."""
    facts = prepared.facts
    run: dict[str, Any] = {"run": watched.run, "output": str(watched.output or "-")}
    tell(
        "prepared",
        **run,
        pre=facts.pre.name,
        post=facts.post.name,
        tiles=facts.tiles,
        model=facts.model,
        batch_size=prepared.batch_size,
        seconds=round(prepared.prepare_s, 3),
    )
    for warning in facts.warnings:
        tell("warning", "warning", **run, message=warning)


def _batch_size(job: CaptionJob, crew: Crew) -> int:
    if job.batch_size != "auto":
        return job.batch_size or crew.info.batch_size
    if job.output is not None and job.resume:
        # What fitted when the run began decides its batches: a resumed run must not choose again.
        started = journal_batch_size(journal_path(job.output))
        if started is not None:
            return started
    return fitting_batch_size(job.model, crew.options, job.geometry.tile_size) or crew.info.batch_size


def run_caption(
    prepared: PreparedJob, progress: Progress = lambda tiles, old: None, models: Models | None = None
) -> Summary:
    """Caption a pair into ``job.output``; go on from a journal where there is one.

    Args:
        models: where loaded models come from; they stay open. Without it they are loaded and closed here.

    Raises:
        StoppedError: a signal asked to stop; the journal is kept.
        InputError, ModelError: see the messages; the journal is kept where there is one.
    """
    job = prepared.job
    if job.output is None:
        raise UsageProblem("run_caption writes a file: use stream_caption for a stream")
    with (
        StopRequest() as stop,
        Journal(journal_path(job.output), prepared.spec, not job.resume, len(prepared.pair.plan)) as journal,
        ExitStack() as claims,
    ):
        if not journal.resumed:
            refuse_output_of_another(job.output, job.overwrite, journal)
        claims.enter_context(claim_beside(job.output, job.mask, job.report))
        with metered(prepared, prepared.watched, job.output, len(prepared.pair.plan), journal.tiles) as meter:
            fill_journal(prepared, journal, stop, progress, models, meter=meter)
            with stage("write"):
                summary = _write(prepared, journal)
        claims.close()
        journal.remove()
    return summary


def stream_caption(
    prepared: PreparedJob, stream: BinaryIO, progress: Progress = lambda tiles, old: None
) -> dict[str, int]:
    """Caption a pair as GeoJSONSeq on a stream, in the order of superblocks; returns tiles by status."""
    counts: dict[str, int] = {}
    with StopRequest() as stop, metered(prepared, prepared.watched, None, len(prepared.pair.plan)) as meter:

        def results() -> Iterator[tuple[TileRecord, Tile]]:
            for record, tile in _results(prepared, progress, meter):
                counts[record.status] = counts.get(record.status, 0) + 1
                yield record, tile
                if stop.name:
                    raise StoppedError(
                        f"stopped by {stop.name}; a stream cannot be resumed: write a file with -o FILE to be able to"
                    )

        stream_geojsonseq(stream, _in_batches(results(), prepared))
    return counts


def _in_batches(results: Iterator[tuple[TileRecord, Tile]], prepared: PreparedJob) -> Iterator[Feature]:
    """Features as soon as their batch is done, not after the thousands that ``build_features`` gathers."""
    from itertools import islice

    while chunk := list(islice(results, prepared.tiles_at_once)):
        yield from build_features(chunk, prepared.facts)


def caption_pair(
    pre: str | Path,
    post: str | Path,
    *,
    model: str = DEFAULT_CAPTIONER,
    geometry: PairOptions | None = None,
    captioner: CaptionerOptions | None = None,
    batch_size: int | None = None,
    jobs: int = 2,
) -> Iterator[tuple[TileRecord, Tile]]:
    """Caption a pair from Python: tiles come lazily, superblock by superblock.

    Args:
        pre, post: GeoTIFFs (anything that GDAL reads). The rest is as in ``CaptionJob``.

    Yields:
        The result of a tile and its place.
    """
    job = CaptionJob(
        str(pre),
        str(post),
        model=model,
        geometry=geometry or PairOptions(),
        captioner=captioner or CaptionerOptions(),
        batch_size=batch_size,
        jobs=jobs,
    )
    yield from _results(prepare_job(job), lambda tiles, old: None)


def _results(
    prepared: PreparedJob, progress: Progress, meter: Meter | None = None
) -> Iterator[tuple[TileRecord, Tile]]:
    job, pair = prepared.job, prepared.pair
    begun = time.perf_counter()
    captioner = load_crew(prepared.crew, pair, prepared.batch_size)
    if meter is not None:
        meter.loaded(time.perf_counter() - begun)
    try:
        for batch in caption_tiles(
            pair, captioner, batch_size=prepared.tiles_at_once, min_valid=job.min_valid, jobs=job.jobs
        ):
            if meter is not None:
                meter.committed(Counter(record.status for record in batch.records))
            progress(len(batch.records), False)
            for record in batch.records:
                yield record, pair.plan.tile(record.row, record.col)
    finally:
        captioner.close()


def _write(prepared: PreparedJob, journal: Journal) -> Summary:
    job, pair = prepared.job, prepared.pair
    assert job.output is not None

    def pictures(tile_ids: Sequence[str], detail_ids: Sequence[str]) -> Pictures:
        watch = Watch(pair.identities)
        found = pair_pictures(pair, tile_ids, detail_ids, job.mask)
        watch.check()
        return found

    date = newest_date(pair.pre.path, pair.post.path)
    return write_outputs(
        Wanted(job.output, job.mask, job.report, job.basemap, job.summary_model),
        Finished(pair.plan, prepared.facts, caption_legend(prepared.info), journal.records, pictures, date),
    )


def _facts(pair: PreparedPair, crew: Crew, spec: RunSpec) -> RunFacts:
    info = crew.info
    pre, post = pair.facts()
    gsd = grid_gsd_m(pair.grid)
    warnings = list(pair.warnings)
    if info.gsd_m is not None and not info.gsd_m[0] <= gsd <= info.gsd_m[1]:
        warnings.append(
            f"the grid has {gsd:.2g} m per pixel; {info.name} was made for {info.gsd_m[0]:g} to {info.gsd_m[1]:g} m: "
            "its captions are not to be trusted here"
        )
    limits = list(info.limits)
    if crew.labels is not None:
        warnings += crew.labels.warnings
        limits.append(f"Its prompt ({info.prompt}) tells it counts from {crew.labels.source}: it repeats them.")
    if crew.screen is not None and crew.asked.from_mask:
        limits.append(f"Its prompt ({info.prompt}) tells it counts from the mask of {crew.screen.name}.")
    if crew.screen is not None and crew.asked.skip_unchanged:
        limits.append(
            f"Tiles that {crew.screen.name} calls unchanged were not captioned by {info.name}; every change_score is "
            f"that of {crew.screen.name} {crew.screen.revision}."
        )
    return RunFacts(
        version=__version__,
        pre=pre,
        post=post,
        grid=pair.grid,
        gsd_m=gsd,
        tile_size=pair.plan.tile_size,
        stride=pair.plan.stride,
        edge=pair.plan.edge,
        tiles=len(pair.plan),
        registration=pair.registration,
        radiometry=pair.survey.radiometry.text,
        model=info.name,
        model_revision=info.revision,
        spec_hash=spec.hash,
        limits=tuple(limits),
        warnings=tuple(warnings),
    )


def failed_tiles(summary: Summary) -> int:
    """Tiles that could not be read or captioned."""
    return sum(count for status, count in summary.by_status if status in FAILED)
