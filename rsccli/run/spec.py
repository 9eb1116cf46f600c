"""What decides the result of a run: written at the head of its journal and hashed.

Two runs with equal specs write the same bytes, whatever the timing, the number of reader threads, or where one of
them was cut. What does not decide the result (threads, cache, progress) is not in here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from rsccli import __version__
from rsccli.geo.pair import PreparedPair
from rsccli.geo.raster import RasterInfo
from rsccli.output.text import json_bytes
from rsccli.run.captioners import Crew


@dataclass(frozen=True)
class SourceSpec:
    """One date: which file, and how it is read. The folder it lies in does not matter."""

    name: str
    identity: str
    bands: tuple[int, ...]
    nodata: float | None
    mask: str
    crs: str
    lut: dict[str, Any]


@dataclass(frozen=True)
class PlanSpec:
    """Grid and tiles."""

    crs: str
    transform: tuple[float, ...]
    size_px: tuple[int, int]
    tile_size: int
    stride: int
    edge: str
    superblock: tuple[int, int]
    area_of_interest: str | None
    shift_px: tuple[float, float]
    min_valid: float


@dataclass(frozen=True)
class ModelSpec:
    """Model and decoding."""

    name: str
    revision: str
    device: str
    decoder: str
    num_beams: int
    temperature: float
    top_p: float
    seed: int
    repetition_guard: bool
    max_new_tokens: int | None
    prompt: str
    backend: str
    words: str
    register: str
    asked: str
    workers: int
    batch_size: int


@dataclass(frozen=True)
class RunSpec:
    """All that decides the result."""

    version: str
    pre: SourceSpec
    post: SourceSpec
    plan: PlanSpec
    model: ModelSpec

    def to_dict(self) -> dict[str, Any]:
        """As JSON gives it back: lists for tuples."""
        loaded: dict[str, Any] = orjson.loads(json_bytes(asdict(self)))
        return loaded

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits."""
        return spec_hash(self.to_dict())


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of JSON values that decide a result."""
    plain = orjson.loads(json_bytes(dict(spec)))  # as a journal gives them back: lists for tuples
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def make_spec(pair: PreparedPair, crew: Crew, batch_size: int, min_valid: float) -> RunSpec:
    """The spec of a prepared pair and those who caption it."""
    plan, grid, info, options = pair.plan, pair.grid, crew.info, crew.options
    wanted = None if plan.wanted is None else hashlib.sha256(plan.wanted.tobytes()).hexdigest()[:16]
    luts = pair.survey.radiometry
    return RunSpec(
        version=__version__,
        pre=_source(pair.pre, luts.pre.to_json()),
        post=_source(pair.post, luts.post.to_json()),
        plan=PlanSpec(
            crs=grid.crs,
            transform=tuple(float(v) for v in tuple(grid.transform)[:6]),
            size_px=(grid.width, grid.height),
            tile_size=plan.tile_size,
            stride=plan.stride,
            edge=plan.edge,
            superblock=(plan.block_rows, plan.block_cols),
            area_of_interest=wanted,
            shift_px=pair.shift_px,
            min_valid=min_valid,
        ),
        model=ModelSpec(
            name=info.name,
            revision=info.revision,
            device=options.device,
            decoder="optimum" if options.uses_optimum else "lean",
            num_beams=options.num_beams,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
            repetition_guard=options.repetition_guard,
            max_new_tokens=options.max_new_tokens,
            prompt=options.prompt,
            backend=options.backend,
            words=options.words,
            register=options.register,
            asked=crew.identity,
            workers=len(crew.devices),
            batch_size=batch_size,
        ),
    )


def _source(info: RasterInfo, lut: dict[str, Any]) -> SourceSpec:
    return SourceSpec(info.name, info.identity, info.bands, info.nodata, info.mask, info.crs, lut)


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Fields in which two specs differ, e.g. ``model.batch_size: 16, now 8``."""
    found = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {_short(a)}, now {_short(b)}")
    return found


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
