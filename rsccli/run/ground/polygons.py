"""Phrases as polygons of a change mask: a detection of the classes that they stand for.

The detection is `rsccli.run.detect`, blended over the borders of tiles; here its polygons get the phrases.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from rsccli.errors import UsageProblem
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions, Detects
from rsccli.models.registry import load_captioner
from rsccli.models.small.detect import CLASSES
from rsccli.models.small.phrases import Phrase, read_phrase
from rsccli.models.small.questions import Refused
from rsccli.output.located import Located, stream_located
from rsccli.output.located_parquet import write_rows
from rsccli.run.caption import Progress, tell_prepared
from rsccli.run.detect.folder import hidden_path, work_folder, work_journal
from rsccli.run.detect.found import Found
from rsccli.run.detect.job import DETECT_STATUSES, DetectJob, PreparedDetect, prepare_part
from rsccli.run.detect.run import detected
from rsccli.run.ground.boxes import Grounding
from rsccli.run.ground.found import PolygonTally
from rsccli.run.ground.rows import ground_sheet, polygon_row
from rsccli.run.metrics.observe import Watched
from rsccli.run.spec import spec_hash
from rsccli.run.tilewise import check_rows_output
from rsccli.stages import stage

BUNDLED_FAMILY = "rsccli-small"


@dataclass(frozen=True)
class PreparedPolygons:
    """Phrases for a captioner that detects; no model is loaded.

    Attributes:
        detect: the detection of all classes that any phrase stands for. output: a file, or None for a stream.
    """

    detect: PreparedDetect
    output: Path | None
    phrases: tuple[Phrase, ...]

    @property
    def watched(self) -> Watched:
        """The run, for those who tell of it."""
        told = {"phrases": [each.text for each in self.phrases]}
        run = spec_hash({**self.detect.result_spec(), "ground": told})
        return Watched(self.output, run, self.detect.job.pair.observe, DETECT_STATUSES)


def prepare_polygons(
    job: DetectJob, texts: Sequence[str], info: CaptionerInfo, options: CaptionerOptions
) -> PreparedPolygons:
    """Read the phrases and prepare the detection.

    Args:
        job: with the output for people; its classes are not used.

    Raises:
        UsageProblem: a phrase that names no class, or a captioner that does not detect.
    """
    names = _class_names(job.pair.model, info, options)
    phrases = []
    for text in texts:
        read = read_phrase(text, names)
        if isinstance(read, Refused):
            raise UsageProblem(f'"{text}": {read.reason}')
        phrases.append(read)
    anything = any(not each.classes for each in phrases)
    wanted = None if anything else tuple(dict.fromkeys(name for each in phrases for name in each.classes))
    output = job.output
    if output is not None:
        started = job.resume and work_journal(work_folder(hidden_path(output))).exists()
        check_rows_output(output, job.overwrite or started)
    # A stream has no place of its own: its detection gets one when it runs.
    hidden = Path(tempfile.gettempdir()) / "rsccli-ground.geojsonl" if output is None else hidden_path(output)
    detect = prepare_part(replace(job, output=hidden, classes=wanted, overwrite=True))
    ground = PreparedPolygons(detect, output, tuple(phrases))
    tell_prepared(detect.base, ground.watched)
    return ground


def run_polygons(ground: PreparedPolygons, progress: Progress = lambda tiles, old: None) -> Grounding:
    """Detect into the output; go on from what a stopped run has left.

    Raises:
        StoppedError: a signal asked to stop. UsageProblem, InputError, ModelError: see the messages.
    """
    output, hidden = ground.output, ground.detect.job.output
    if output is None or hidden is None:
        raise UsageProblem("run_polygons writes a file: use stream_polygons for a stream")
    with detected(ground.detect, ground.watched, progress) as found, stage("write"):
        try:
            result = _gathered(ground, hidden, found)
            told = _with_settings(ground, [each.to_json() for each in result.phrases])
            write_rows(output, _rows(ground, hidden), ground_sheet(ground.detect.base.facts, told))
        finally:
            hidden.unlink(missing_ok=True)
    return result


def stream_polygons(ground: PreparedPolygons, out: BinaryIO, progress: Progress = lambda tiles, old: None) -> Grounding:
    """The same as GeoJSON lines on a stream; they begin when every tile was seen."""
    with tempfile.TemporaryDirectory(prefix="rsccli-ground-") as folder:
        hidden = Path(folder) / "polygons.geojsonl"
        detect = replace(ground.detect, job=replace(ground.detect.job, output=hidden, resume=False))
        with detected(detect, ground.watched, progress) as found:
            result = _gathered(ground, hidden, found)
            stream_located(out, _rows(ground, hidden), ground_sheet(ground.detect.base.facts, ()))
    return result


def _class_names(model: str, info: CaptionerInfo, options: CaptionerOptions) -> tuple[str, ...]:
    """Classes of the detector; others than the bundled one are loaded to be asked."""
    if info.family == BUNDLED_FAMILY:
        return CLASSES
    captioner = load_captioner(model, options)
    try:
        if not isinstance(captioner, Detects) or not captioner.class_names:
            raise UsageProblem(
                f"{info.name} gives no mask with classes, and writes no boxes: take another one, -m rsccli-small or "
                "the bundle of a large model"
            )
        return captioner.class_names
    finally:
        captioner.close()


def _features(hidden: Path) -> Iterator[dict[str, Any]]:
    with hidden.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def _tallies(ground: PreparedPolygons) -> list[PolygonTally]:
    return [PolygonTally(each.text, each.classes) for each in ground.phrases]


def _rows(ground: PreparedPolygons, hidden: Path) -> Iterator[Located]:
    """Polygons of each phrase; one that two phrases name stands for both."""
    tallies, facts = _tallies(ground), ground.detect.base.facts
    for feature in _features(hidden):
        for number, (phrase, tally) in enumerate(zip(ground.phrases, tallies, strict=True), 1):
            if tally.wants(feature["properties"]["class"]):
                yield polygon_row(feature, phrase.text, number, facts)


def _gathered(ground: PreparedPolygons, hidden: Path, found: Found) -> Grounding:
    tallies = _tallies(ground)
    for feature in _features(hidden):
        told = feature["properties"]
        for tally in tallies:
            if tally.wants(told["class"]):
                tally.add(told["class"], told["area_m2"])
    looked = found.looked
    by_status = tuple(looked.by_status().items())
    return Grounding(tuple(tally.found(by_status) for tally in tallies), looked.tiles, looked.failed)


def _with_settings(ground: PreparedPolygons, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    settings = {"threshold": ground.detect.job.threshold, "min_area_m2": round(ground.detect.min_area_m2, 2)}
    return [
        {**each, **settings, "wider": list(phrase.wider), "unread": list(phrase.unread)}
        for each, phrase in zip(told, ground.phrases, strict=True)
    ]
