"""The facts of a series: they stand once, under the timeline's foreign member ``rsccli_series``."""

from __future__ import annotations

from dataclasses import dataclass

from rsccli.output.timeline.dates import Moment
from rsccli.output.timeline.pairs import SeriesPair
from rsccli.types import Grid


@dataclass(frozen=True)
class SeriesImage:
    """One image of a series.

    Attributes:
        path: as typed, or as a catalogue names it. name: the last part of it.
        moment: its date. dated_by: where the date comes from, in words.
    """

    path: str
    name: str
    moment: Moment
    dated_by: str

    @property
    def date(self) -> str:
        """ISO 8601, as precise as it is known."""
        return self.moment.iso


@dataclass(frozen=True)
class SeriesFacts:
    """The facts of one series.

    Attributes:
        images: in the order of their dates. pairs: in the order in which they are compared.
        grid: of all pairs. gsd_m: metres per pixel at its middle. rows, cols: of the plan of tiles. tiles: in it.
        limits: what the model says that it cannot do. warnings: of the series as a whole.
    """

    version: str
    images: tuple[SeriesImage, ...]
    pairs: tuple[SeriesPair, ...]
    grid: Grid
    gsd_m: float
    tile_size: int
    stride: int
    rows: int
    cols: int
    tiles: int
    model: str
    model_revision: str
    limits: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def facts_json(facts: SeriesFacts) -> dict[str, object]:
    """The facts as JSON values."""
    return {
        "version": facts.version,
        "images": [
            {"path": image.path, "name": image.name, "date": image.date, "dated_by": image.dated_by}
            for image in facts.images
        ],
        "pairs": [pair_json(pair) for pair in facts.pairs],
        "grid": {
            "crs": facts.grid.crs,
            "transform": list(facts.grid.transform[:6]),
            "width": facts.grid.width,
            "height": facts.grid.height,
        },
        "gsd_m": round(facts.gsd_m, 4),
        "tile_size": facts.tile_size,
        "stride": facts.stride,
        "tile_rows_cols": [facts.rows, facts.cols],
        "tiles": facts.tiles,
        "model": facts.model,
        "model_revision": facts.model_revision,
        "limits": list(facts.limits),
        "warnings": list(facts.warnings),
    }


def pair_json(pair: SeriesPair) -> dict[str, object]:
    """One pair as JSON values."""
    return {
        "pair": pair.label,
        "kind": pair.kind,
        "pre_date": pair.pre_date.iso,
        "post_date": pair.post_date.iso,
        "days": pair.days,
        "years": round(pair.years, 3),
    }
