"""What a prompt tells of one tile: counts and outlines, from labels or from another captioner's mask."""

from __future__ import annotations

import cv2
import numpy as np

from rsccli.errors import UsageProblem
from rsccli.models.outlines import CHANGED
from rsccli.run.labels import TileLabels
from rsccli.types import Bool, Caption, Outline, TileContext

#: Smaller spots of a mask are noise, and no area.
LEAST_AREA_PX = 16


def labels_context(labels: TileLabels, disaster: str | None = None) -> TileContext:
    """The buildings of a tile in words.

    Args:
        disaster: type that the user names; it goes before the one in the file.
    """
    counts = labels.counts
    total = sum(counts.values())
    told = [
        f"{counts['no-damage']} with no damage",
        f"{counts['minor-damage']} with minor damage",
        f"{counts['major-damage']} with major damage",
        f"{counts['destroyed']} destroyed",
    ]
    if counts["un-classified"]:
        told.append(f"{counts['un-classified']} not classified")
    words = f"{total} building{'' if total == 1 else 's'}: {', '.join(told)}" if total else "no building"
    return TileContext(words, labels.outlines, labels.source, disaster or labels.disaster)


def mask_context(
    caption: Caption, name: str = "rsccli-small", *, valid: Bool | None = None, disaster: str | None = None
) -> TileContext:
    """The changed areas of a tile in words, as a captioner with a mask sees them.

    An area is a connected part of the mask (8 neighbours) of at least `LEAST_AREA_PX` pixels.

    Args:
        caption: of the tile. name: of the captioner. valid: bool (H, W), pixels that the share is of; None: all.
        disaster: type that the user names.

    Raises:
        UsageProblem: the captioner has no masks.
    """
    source = f"mask of {name}"
    if caption.mask is None:
        if caption.status != "unsure":
            raise UsageProblem(
                f"{name} tells no mask, so it counts no changed area: take another captioner for --counts-from mask, "
                "or give --labels FILE"
            )
        reason = f": {caption.reason}" if caption.reason else ""
        return TileContext(f"nothing, because it could not judge these images{reason}", (), source, disaster)
    sizes, outlines = _areas(caption.mask)
    words = "no changed area"
    if sizes:
        pixels = caption.mask.size if valid is None else int(valid.sum())
        areas = "1 changed area" if len(sizes) == 1 else f"{len(sizes)} changed areas"
        words = f"{areas} covering {_percent(sum(sizes) / max(pixels, 1))} of the image"
        if caption.keywords:
            words += f", of the kind{'' if len(caption.keywords) == 1 else 's'} {', '.join(caption.keywords)}"
    if caption.status == "unsure":
        words += ", though it is unsure whether anything changed"
    return TileContext(words, outlines, source, disaster)


def _areas(mask: Bool) -> tuple[list[int], tuple[Outline, ...]]:
    """Pixels and outer outline of each area, from the top down."""
    number, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found: list[tuple[tuple[tuple[float, float], ...], int]] = []
    for index in range(1, number):
        left, top, width, height, size = (int(v) for v in stats[index])
        if size < LEAST_AREA_PX:
            continue
        part = parts[top : top + height, left : left + width] == index
        # Contours run through the middle of pixels; on the lattice of pixel corners they run along the area's edge.
        corners = np.zeros((height + 1, width + 1), np.uint8)
        for rows in (slice(0, height), slice(1, height + 1)):
            for cols in (slice(0, width), slice(1, width + 1)):
                corners[rows, cols] |= part
        contours, _ = cv2.findContours(corners, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        ring = tuple((float(left + x), float(top + y)) for x, y in contours[0].reshape(-1, 2))
        found.append((ring, size))
    # OpenCV numbers the parts as its threads come to them: their order must not depend on that.
    found.sort(key=lambda area: (area[0][0][::-1], area[1]))
    return [size for _, size in found], tuple(Outline(points, CHANGED) for points, _ in found)


def _percent(share: float) -> str:
    if share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"
