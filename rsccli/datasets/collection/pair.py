"""One pair of a data set: where its images are, and what labels say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rsccli.geo.footprint import Footprint, Ring, bbox_of
from rsccli.models.outlines import LEVELS
from rsccli.run.context import labels_context
from rsccli.run.labels import TileLabels
from rsccli.types import PxWindow, TileContext

#: What RSCC calls a disaster of which nobody knows the type.
UNKNOWN_DISASTER = "unknown"


@dataclass(frozen=True)
class LabelledPair:
    """One pair.

    Attributes:
        id: unique in the data set.
        pre, post: images, relative to the data set's folder. annotated: post with outlines drawn on it, or post itself
            where there is none.
        place: pairs of one place show the same ground at other parts, and stay on one side of a split.
        split: as the source names it, e.g. ``train``, or None. event: name of the disaster, or None.
        disaster_type: in the words of RSCC, or ``unknown``.
        counts: buildings of each of `rsccli.models.outlines.LEVELS`, zeros included.
        count_rule: ``centroid`` or ``touch``. counts_from: file and rule, as results name them.
        px_window: (column, row, width, height) in the source.
        gsd_m: metres per pixel, or None where nobody knows. pre_date, post_date: ISO 8601, or None.
        valid_fraction: share of the pixels that both dates cover, 0-1; None where the source does not tell.
        footprint: rings in longitude and latitude, or None for images without a georeference.
    """

    id: str
    pre: str
    post: str
    annotated: str
    place: str
    disaster_type: str
    counts: Mapping[str, int]
    count_rule: str
    counts_from: str
    px_window: PxWindow
    split: str | None = None
    event: str | None = None
    gsd_m: float | None = None
    pre_date: str | None = None
    post_date: str | None = None
    valid_fraction: float | None = None
    footprint: tuple[Ring, ...] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every image of it, each once."""
        return tuple(dict.fromkeys((self.pre, self.post, self.annotated)))

    @property
    def damaged(self) -> int:
        """Buildings with any damage."""
        return sum(self.counts[level] for level in ("minor-damage", "major-damage", "destroyed"))

    @property
    def context(self) -> TileContext:
        """What a model that is asked in words is told; outlines are on the annotated image already."""
        disaster = None if self.disaster_type == UNKNOWN_DISASTER else self.disaster_type
        told = labels_context(TileLabels(self.counts, (), self.counts_from, disaster))
        return TileContext(
            counts=told.counts,
            source=told.source,
            disaster=told.disaster,
            pre_date=self.pre_date,
            post_date=self.post_date,
        )

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``pairs.jsonl``."""
        return {**asdict(self), "counts": dict(self.counts), "px_window": list(self.px_window)}


def pair_from_json(value: Mapping[str, Any]) -> LabelledPair:
    """Read what `LabelledPair.to_json` made.

    Raises:
        ValueError: it is something else.
    """
    try:
        counts = {level: int(value["counts"][level]) for level in LEVELS}
        rings = value["footprint"]
        footprint = None if rings is None else tuple(tuple((float(x), float(y)) for x, y in ring) for ring in rings)
        window = PxWindow(*map(int, value["px_window"]))
        fixed = {**value, "counts": counts, "px_window": window, "footprint": footprint}
        if not all(isinstance(fixed[name], str) for name in ("id", "pre", "post", "annotated", "count_rule")):
            raise ValueError("id, pre, post, annotated and count_rule are texts")
        return LabelledPair(**fixed)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a pair of a data set: {error}") from error


def footprint_feature(pair: LabelledPair) -> dict[str, Any]:
    """A GeoJSON feature of a georeferenced pair, its properties flat."""
    assert pair.footprint is not None
    shape = Footprint(pair.footprint, bbox_of(pair.footprint))
    single = len(shape.polygons) == 1
    return {
        "type": "Feature",
        "id": pair.id,
        "bbox": list(shape.bbox),
        "geometry": {
            "type": "Polygon" if single else "MultiPolygon",
            "coordinates": [shape.polygons[0]] if single else [[ring] for ring in shape.polygons],
        },
        "properties": {
            "id": pair.id,
            "pre": pair.pre,
            "post": pair.post,
            "split": pair.split,
            "event": pair.event,
            "disaster_type": pair.disaster_type,
            **{level.replace("-", "_"): pair.counts[level] for level in LEVELS},
            "count_rule": pair.count_rule,
            "gsd_m": pair.gsd_m,
        },
    }
