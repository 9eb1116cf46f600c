"""Buildings that are given in pixels of an image, as in xBD's ``features.xy``, without any CRS."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from rsccli.run.labels.buildings import Shapes, levels_of, on_image, with_polygon
from rsccli.run.labels.tile_labels import Labels, Rule


def pixel_labels(
    name: str,
    data: bytes,
    shapes: Shapes,
    levels: Sequence[object],
    size_px: tuple[int, int],
    *,
    rule: Rule = "centroid",
    column: str = "subtype",
    disaster: str | None = None,
) -> Labels:
    """Buildings of an image, which may have none.

    Args:
        name: of the file. data: its bytes, for the digest.
        shapes: geometries or None (N,), pixels of the image, corner based. levels: one for each, as the file has them.
        size_px: width and height of the image. rule: where a building is counted.
        column: that holds the levels. disaster: type that the file names.

    Returns:
        Labels with ``warnings`` on what was left out or guessed. A building of several polygons counts once.
    """
    valid, kept, lost = with_polygon(shapes)
    told, unknown = levels_of([level for level, there in zip(levels, kept, strict=True) if there])
    buildings = on_image(valid, told, size_px)
    beside = len(valid) - len(buildings.levels)
    left_out = (f"{beside} of {len(shapes)} buildings lie beside the image and were left out",) if beside else ()
    return Labels(
        name=name,
        digest=hashlib.sha256(data).hexdigest(),
        column=column,
        rule=rule,
        disaster=disaster,
        warnings=(*lost, *left_out, *unknown),
        size_px=size_px,
        buildings=buildings,
    )
