"""One ``rsccli ground``: phrases become boxes of a large model, or polygons of a change mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from rsccli.errors import UsageProblem
from rsccli.models.captioner import CaptionerInfo
from rsccli.models.devices import worker_devices
from rsccli.models.large.boxes import Scale
from rsccli.models.registry import describe_captioner
from rsccli.output.text import storable
from rsccli.run.caption import CaptionJob, PreparedJob, Progress, tell_prepared
from rsccli.run.detect.job import DetectJob, overlapped
from rsccli.run.ground.asker import rule_for
from rsccli.run.ground.boxes import Grounding, PreparedBoxes, run_boxes, stream_boxes
from rsccli.run.ground.polygons import PreparedPolygons, prepare_polygons, run_polygons, stream_polygons
from rsccli.run.tilewise import TilewiseJob, prepare_tilewise

PreparedGround = PreparedBoxes | PreparedPolygons


@dataclass(frozen=True)
class GroundJob:
    """What is looked for, and how.

    Attributes:
        pair: inputs, geometry and captioner; its output is not used. phrases: none twice.
        scale: of the numbers of boxes, or None for what the model's family says.
        threshold, min_area_m2: of a mask's polygons, see `DetectJob`; None: what `DetectJob` says.
        judge_anyway: see `DetectJob`.
    """

    pair: CaptionJob
    output: Path | None
    phrases: tuple[str, ...]
    scale: Scale | None = None
    threshold: float | None = None
    min_area_m2: float | None = None
    judge_anyway: bool = False
    overwrite: bool = False
    resume: bool = True


def plain_phrases(texts: Sequence[str]) -> tuple[str, ...]:
    """Phrases without stray spaces, none twice.

    Raises:
        UsageProblem: there is none, or an empty one.
    """
    phrases = tuple(dict.fromkeys(storable(" ".join(text.split())) for text in texts))
    if not phrases or not all(phrases):
        raise UsageProblem('give a phrase: rsccli ground PRE POST "flooded road" -o boxes.geojson')
    return phrases


def prepare_ground(job: GroundJob) -> PreparedGround:
    """Check everything that can be checked without looking at tiles.

    Raises:
        UsageProblem: a phrase or an option that this captioner cannot use. Else see `prepare_tilewise`.
    """
    options = replace(job.pair.captioner, device=worker_devices(job.pair.captioner.device)[0])
    info = describe_captioner(job.pair.model, options)
    if info.prompt:
        return _boxes(job, info)
    if job.scale is not None:
        raise UsageProblem(f"--boxes {job.scale}: {info.name} writes no boxes; leave --boxes out")
    detect = DetectJob(
        replace(job.pair, geometry=overlapped(job.pair.geometry), min_valid=0.0, report=False),
        job.output,
        min_area_m2=job.min_area_m2,
        judge_anyway=job.judge_anyway,
        overwrite=job.overwrite,
        resume=job.resume,
    )
    if job.threshold is not None:
        detect = replace(detect, threshold=job.threshold)
    return prepare_polygons(detect, job.phrases, info, options)


def _boxes(job: GroundJob, info: CaptionerInfo) -> PreparedBoxes:
    for given, flag in (
        (job.threshold is not None, "--threshold"),
        (job.min_area_m2 is not None, "--min-area"),
        (job.judge_anyway, "--judge-anyway"),
    ):
        if given:
            raise UsageProblem(f"{flag} is for masks, and {info.name} writes boxes: leave it out")
    rule = rule_for(info, job.scale)
    tilewise = TilewiseJob(job.pair, job.output, job.overwrite, job.resume)
    boxes = PreparedBoxes(tilewise, prepare_tilewise(tilewise), job.phrases, rule)
    tell_prepared(boxes.prepared, boxes.watched)
    return boxes


def run_ground(ground: PreparedGround, progress: Progress = lambda tiles, old: None) -> Grounding:
    """Ground into the output; go on from what a stopped run has left."""
    return run_boxes(ground, progress) if isinstance(ground, PreparedBoxes) else run_polygons(ground, progress)


def stream_ground(ground: PreparedGround, out: BinaryIO, progress: Progress = lambda tiles, old: None) -> Grounding:
    """The same as GeoJSON lines on a stream."""
    if isinstance(ground, PreparedBoxes):
        return stream_boxes(ground, out, progress)
    return stream_polygons(ground, out, progress)


def base_of(ground: PreparedGround) -> PreparedJob:
    """Pair, captioner and facts."""
    return ground.prepared if isinstance(ground, PreparedBoxes) else ground.detect.base
