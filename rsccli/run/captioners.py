"""The captioners of a run: one for each GPU, with what they are told and who looks first."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

from rsccli.errors import UsageProblem
from rsccli.geo.footprint import footprints
from rsccli.geo.pair import PreparedPair
from rsccli.models.captioner import Captioner, CaptionerInfo, CaptionerOptions
from rsccli.models.devices import worker_devices
from rsccli.models.prompts import OWN, load_template
from rsccli.models.registry import DEFAULT_CAPTIONER, describe_captioner, load_captioner
from rsccli.run.asked import AskedCaptioner, Asking
from rsccli.run.labels import Labels, Rule, read_labels
from rsccli.run.pool import PooledCaptioner
from rsccli.types import TileContext, TilePair

CountsSource = Literal["auto", "labels", "mask"]


@dataclass(frozen=True)
class AskingOptions:
    """What a model that is asked in words is told, as a user gives it.

    Attributes:
        labels: file of buildings with levels of damage. labels_field: its column, or None to find it.
        count_rule: where a building counts. counts_from: ``labels`` or ``mask``; ``auto``: labels where there are some.
        disaster: type. place: a name; None: the coordinates of each tile's middle.
        skip_unchanged: do not caption what the screen calls unchanged. screen: who looks first.
    """

    labels: str | None = None
    labels_field: str | None = None
    count_rule: Rule = "centroid"
    counts_from: CountsSource = "auto"
    disaster: str | None = None
    place: str | None = None
    skip_unchanged: bool = False
    screen: str = DEFAULT_CAPTIONER

    def __post_init__(self) -> None:
        if self.counts_from == "labels" and self.labels is None:
            raise UsageProblem("--counts-from labels: give the file with --labels FILE")
        if self.counts_from == "mask" and self.labels is not None:
            raise UsageProblem("--labels and --counts-from mask name two sources of counts: give one of them")

    @property
    def from_mask(self) -> bool:
        """Whether counts come from the screen's mask."""
        return self.counts_from == "mask"


@dataclass(frozen=True)
class Crew:
    """Who captions a run, described but not loaded.

    Attributes:
        info: of the captioner. options: of it, with the device of the first worker. devices: one for each worker.
        screen: of who looks first, or None. labels: counts from a file, or None.
        asking: what is told; None for a captioner that is not asked in words and has no screen.
    """

    model: str
    info: CaptionerInfo
    options: CaptionerOptions
    devices: tuple[str, ...]
    asked: AskingOptions
    screen: CaptionerInfo | None
    labels: Labels | None

    @property
    def identity(self) -> str:
        """All of it beside the captioner that decides the result."""
        parts = [f"disaster={self.asked.disaster}", f"place={self.asked.place}"] if self.info.prompt else []
        if self.info.prompt == OWN and self.options.prompt != "auto":
            # The file may be edited between two runs; its name alone does not say what was asked.
            text = load_template(self.options.prompt, self.options.counts_from).text
            parts.append(f"prompt sha256={hashlib.sha256(text.encode()).hexdigest()[:16]}")
        parts += [self.labels.identity] if self.labels else []
        parts += [f"mask of {self.screen.name} {self.screen.revision}"] if self.screen and self.asked.from_mask else []
        if self.screen and self.asked.skip_unchanged:
            parts.append(f"unchanged by {self.screen.name} {self.screen.revision}")
        return "; ".join(parts)


def describe_crew(model: str, options: CaptionerOptions, asked: AskingOptions, pair: PreparedPair) -> Crew:
    """Describe everybody; labels are read, no model is loaded.

    Raises:
        ModelError: an unknown name, a damaged bundle. UsageProblem: a prompt without its counts, or counts that nobody
            is told. InputError: labels that cannot be used. DeviceError: GPUs that are not there.
    """
    devices = worker_devices(options.device)
    options = replace(options, device=devices[0], counts_from="mask" if asked.from_mask else "labels")
    info = describe_captioner(model, options)
    if not info.prompt and (asked.labels or asked.from_mask or asked.disaster):
        raise UsageProblem(
            f"{info.name} is not asked in words: --labels, --counts-from and --disaster are for large models "
            "(rsccli export-onnx)"
        )
    if info.prompt in ("textual", "visual") and not (asked.labels or asked.from_mask):
        raise UsageProblem(
            f"the {info.prompt} prompt needs counts: give --labels FILE or --counts-from mask, or --prompt naive"
        )
    if info.prompt == "naive" and (asked.labels or asked.from_mask):
        raise UsageProblem("the naive prompt tells no counts: give --prompt textual or visual, or a file with {counts}")
    screen = None
    if asked.from_mask or asked.skip_unchanged:
        screen = describe_captioner(asked.screen, _screen_options(options))
        if asked.skip_unchanged and screen.revision == info.revision:
            raise UsageProblem(f"--skip-unchanged: {info.name} looks at every tile anyway; leave it out")
    labels = (
        read_labels(asked.labels, pair.grid, field=asked.labels_field, rule=asked.count_rule) if asked.labels else None
    )
    return Crew(model, info, options, devices, asked, screen, labels)


@dataclass(frozen=True)
class LoadedModels:
    """Models of a crew, loaded: they know no pair, so a series uses them for all of its pairs."""

    captioner: Captioner
    screen: Captioner | None

    def close(self) -> None:
        """Close all."""
        self.captioner.close()
        if self.screen is not None:
            self.screen.close()


def load_models(crew: Crew, batch_size: int) -> LoadedModels:
    """Load everybody.

    Args:
        batch_size: tiles that one worker sees at once.
    """
    loaded = [load_captioner(crew.model, replace(crew.options, device=device)) for device in crew.devices]
    captioner: Captioner = loaded[0] if len(loaded) == 1 else PooledCaptioner(loaded, batch_size)
    screen = load_captioner(crew.asked.screen, _screen_options(crew.options)) if crew.screen else None
    return LoadedModels(captioner, screen)


def captioner_of(crew: Crew, pair: PreparedPair, models: LoadedModels) -> Captioner:
    """The captioner of one pair: loaded models, told what there is to tell of it. Closing it closes the models."""
    if not crew.info.prompt and models.screen is None:
        return models.captioner
    return AskedCaptioner(models.captioner, _asking(crew, pair), models.screen)


def load_crew(crew: Crew, pair: PreparedPair, batch_size: int) -> Captioner:
    """Load everybody for one pair.

    Args:
        batch_size: tiles that one worker sees at once.
    """
    return captioner_of(crew, pair, load_models(crew, batch_size))


def _screen_options(options: CaptionerOptions) -> CaptionerOptions:
    device = options.device if options.backend == "onnx" else "auto"
    return CaptionerOptions(device=device, threads=options.threads)


def _asking(crew: Crew, pair: PreparedPair) -> Asking:
    asked = crew.asked
    pre, post = pair.facts()

    def place(tile_pair: TilePair) -> str:
        (found,) = footprints(pair.grid, [tile_pair.tile.px_window])
        ring = found.polygons[0]
        lon = sum(point[0] for point in ring[:-1]) / (len(ring) - 1)
        lat = sum(point[1] for point in ring[:-1]) / (len(ring) - 1)
        return f"{abs(lat):.3f} degrees {'N' if lat >= 0 else 'S'}, {abs(lon):.3f} degrees {'E' if lon >= 0 else 'W'}"

    return Asking(
        context=TileContext(pre_date=pre.datetime, post_date=post.datetime, place=asked.place),
        place=place,
        labels=crew.labels,
        counts_from_mask=asked.from_mask,
        disaster=asked.disaster,
        skip_unchanged=asked.skip_unchanged,
    )
