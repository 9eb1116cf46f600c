"""A list of scenes against what is there: which are done, which are in the way, and who captions which."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import rasterio

from rsccli import __version__
from rsccli.errors import InputError, OutputError, UsageProblem
from rsccli.geo.identity import identify, local_path
from rsccli.geo.pair import match_pair
from rsccli.geo.raster import gdal_options
from rsccli.models.captioner import CaptionerInfo
from rsccli.models.devices import worker_devices
from rsccli.models.registry import describe_captioner
from rsccli.output.text import json_bytes
from rsccli.run.caption import CaptionJob
from rsccli.run.contents import name_and_content
from rsccli.run.journal import journal_path
from rsccli.run.manifest.record import SceneEntry, journal_folder, read_entries
from rsccli.run.manifest.scenes import Scene, read_scenes
from rsccli.run.shard.deal import deal
from rsccli.run.shard.name import Shard
from rsccli.run.spec import differences

#: Suffixes of the three forms of a summary, by the one that is named.
SUMMARY_SUFFIXES = (".json", ".md", ".csv")
_MOST_TOLD = 20


@dataclass(frozen=True)
class ManifestJob:
    """One ``rsccli caption --manifest``.

    Attributes:
        manifest: the list. template: how every scene is captioned; its pre, post and output do not matter.
        folder: outputs are relative to it, and stay within; None: that of the list.
        summary: one form of the summary over all, the others stand beside it; None: beside the list.
        shard: caption only these scenes, or None.
    """

    manifest: Path
    template: CaptionJob
    folder: Path | None = None
    summary: Path | None = None
    shard: Shard | None = None

    @property
    def summary_base(self) -> Path:
        """The summary without its suffix: ``scenes.summary``."""
        if self.summary is not None:
            return self.summary.with_suffix("")
        return self.manifest.with_name(f"{self.manifest.stem}.summary")


@dataclass(frozen=True, eq=False)
class PreparedManifest:
    """A list that was checked.

    Attributes:
        scenes: all of them. mine: those that this process is to caption, without what is done.
        specs: what decides the result of each. notes: for a person.
    """

    job: ManifestJob
    scenes: tuple[Scene, ...]
    mine: tuple[Scene, ...]
    specs: SceneSpecs
    notes: tuple[str, ...]

    def scene_job(self, scene: Scene) -> CaptionJob:
        """The job of one scene: paths and options alone."""
        # What lies in the way was refused when the list was checked.
        return replace(
            self.job.template, pre=scene.pre, post=scene.post, output=scene.output, mask=scene.mask, overwrite=True
        )


def prepare_manifest(job: ManifestJob) -> PreparedManifest:
    """Read and check a list; load no model, open no image unless scenes are dealt out.

    Raises:
        InputError: see `read_scenes`. OutputError: files in the way. UsageProblem, ModelError: as for a pair.
    """
    template = job.template
    if template.mask is not None:
        raise UsageProblem("--mask names one file: give the list a column mask")
    if job.summary is not None and job.summary.suffix.lower() not in SUMMARY_SUFFIXES:
        raise UsageProblem(f"--summary {job.summary}: name it {' or '.join(SUMMARY_SUFFIXES)}; all three are written")
    if job.folder is not None and not job.folder.is_dir():
        raise OutputError(f"-o {job.folder}: no such folder; make it with: mkdir -p {job.folder}")
    base = job.summary_base
    if not base.parent.is_dir():
        raise OutputError(f"--summary: the folder {base.parent} does not exist; make it with: mkdir -p {base.parent}")
    info = describe_captioner(
        template.model, replace(template.captioner, device=worker_devices(template.captioner.device)[0])
    )
    if template.summary_model is not None:
        template.summary_model.describe()
    scenes, notes = read_scenes(job.manifest, job.folder)
    entries = {} if not template.resume else read_entries(journal_folder(base))
    open_scenes, in_the_way = [], []
    found = list(notes)
    specs = SceneSpecs(template, info)
    for scene in scenes:
        found += _gone(scene)
        entry, spec = entries.get(scene.id), specs(scene)
        problem = _in_the_way(scene, entry, spec, template)
        if problem is not None:
            in_the_way.append(f"line {scene.line}: {scene.id}: {problem}")
        elif not _is_done(scene, entry, spec):
            open_scenes.append(scene)
    if in_the_way:
        more = [f"and {len(in_the_way) - _MOST_TOLD} more"] if len(in_the_way) > _MOST_TOLD else []
        told = "\n  ".join([*in_the_way[:_MOST_TOLD], *more])
        raise OutputError(f"{job.manifest}: add --overwrite to replace what is there:\n  {told}")
    if job.shard is not None:
        mine = {scenes[index].id for index in _share(scenes, template, job.shard)}
        open_scenes = [scene for scene in open_scenes if scene.id in mine]
    return PreparedManifest(job, scenes, tuple(open_scenes), specs, tuple(found))


class SceneSpecs:
    """All that decides the result of a scene, told without opening its images.

    Args:
        template: of all scenes. info: of the captioner.
    """

    def __init__(self, template: CaptionJob, info: CaptionerInfo) -> None:
        geometry, captioner, asking = template.geometry, template.captioner, template.asking
        # Files that are named in options are read once, not for every scene.
        self._shared = {
            "version": __version__,
            "geometry": {**asdict(replace(geometry, cache_mb=0)), "aoi": name_and_content(geometry.aoi)},
            "model": {"name": info.name, "revision": info.revision},
            "captioner": {**asdict(replace(captioner, threads=None)), "prompt": name_and_content(captioner.prompt)},
            "asking": {**asdict(asking), "labels": name_and_content(asking.labels)},
            "batch_size": template.batch_size,
            "min_valid": template.min_valid,
            "report": template.report,
            "summary_model": None if template.summary_model is None else template.summary_model.model,
        }

    def __call__(self, scene: Scene) -> dict[str, Any] | None:
        """As JSON gives it back; None where an input is gone."""
        try:
            pre, post = identify(scene.pre), identify(scene.post)
        except InputError:
            return None
        # The folder they lie in does not matter, as for a pair.
        dates = {
            date: {"name": Path(path).name, "identity": identity}
            for date, path, identity in (("pre", scene.pre, pre), ("post", scene.post, post))
        }
        spec = {**self._shared, **dates, "mask": scene.mask is not None}
        loaded: dict[str, Any] = orjson.loads(json_bytes(spec))
        return loaded


def _is_done(scene: Scene, entry: SceneEntry | None, spec: dict[str, Any] | None) -> bool:
    """Whether a scene was finished with these inputs and options, and its output still is what was written."""
    if entry is None or entry.result.state != "done" or not scene.output.is_file():
        return False
    if scene.output.stat().st_size != entry.bytes or (scene.mask is not None and not scene.mask.is_file()):
        return False
    # Inputs that were put away do not undo what was made from them.
    return spec is None or spec == entry.spec


def _in_the_way(
    scene: Scene, entry: SceneEntry | None, spec: dict[str, Any] | None, template: CaptionJob
) -> str | None:
    """Why what is there must not be replaced unasked; None where nothing is in the way."""
    if template.overwrite or (template.resume and journal_path(scene.output).exists()):
        return None
    there = [path for path in (scene.output, scene.mask) if path is not None and path.exists()]
    if not there:
        return None
    if entry is None:
        return f"{there[0]} exists"
    if entry.result.state != "done":
        return None  # begun by us when nothing was in the way: it is ours, and is made again
    if scene.output.is_file() and scene.output.stat().st_size != entry.bytes:
        return f"{scene.output} is no longer what was written there"
    if spec is None or spec == entry.spec:
        return None
    return f"{scene.output} was made from something else ({'; '.join(differences(dict(entry.spec), spec)[:3])})"


def _gone(scene: Scene) -> list[str]:
    """Local inputs that are not there: the scene will fail, the others will not."""
    paths = [(name, local_path(path)) for name, path in (("pre", scene.pre), ("post", scene.post))]
    return [
        f"line {scene.line}: {scene.id}: {name} {p}: no such file" for name, p in paths if p and not Path(p).exists()
    ]


def _share(scenes: tuple[Scene, ...], template: CaptionJob, shard: Shard) -> set[int]:
    """Whole scenes of a shard, by the pixels that both images of each have in common; from their headers alone."""
    work = []
    with rasterio.Env(**gdal_options(template.geometry.cache_mb)):
        for scene in scenes:
            try:
                _, _, grid, _ = match_pair(scene.pre, scene.post, template.geometry)
                work.append(max(1, grid.width * grid.height))
            except InputError:
                work.append(1)
    return set(deal(work, shard.count)[shard.index - 1])
