"""What is known of one tile, measured on the ground: a caption's mask as areas, parts and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rsccli.models.small.answers import COMPASS, NOTHING, Evidence, Measured
from rsccli.models.small.detect import CELL_PX
from rsccli.models.small.facts import PLACES, count_parts, mask_facts
from rsccli.models.small.reading import SMALLEST_PART
from rsccli.types import Bool, Caption, Detection, TilePair

#: Fewer pixels than this together are not counted as a part, as in captions.
SMALLEST_PX = SMALLEST_PART * CELL_PX**2


def evidence_of(
    pair: TilePair,
    caption: Caption,
    detection: Detection | None,
    *,
    class_names: Sequence[str],
    keyword_classes: Mapping[str, str],
    pixel_m2: float,
    own: Bool | None,
    source: str,
) -> Evidence:
    """Measure what a captioner says of a tile.

    Args:
        detection: for the classes of changed pixels, or None. class_names: in its order.
        keyword_classes: see `rsccli.models.captioner.CaptionsAndDetects`. pixel_m2: ground of one pixel.
        own: pixels that no other tile counts, or None for all. source: name of the captioner.
    """
    mask = caption.mask
    classes: dict[str, Measured] | None = None
    if mask is not None and detection is not None and detection.classes is not None:
        kind = detection.classes.argmax(0)
        present = set(np.unique(kind[mask & pair.valid]).tolist())
        # The classes part the caption's own mask: areas of all of them add up to its area.
        classes = {
            name: _measured(mask & (kind == index), pair.valid, own, pixel_m2) if index in present else NOTHING
            for index, name in enumerate(class_names)
        }
    return Evidence(
        status=caption.status,
        score=caption.change_score,
        keywords=caption.keywords,
        reason=caption.reason,
        mask=None if mask is None else _measured(mask, pair.valid, own, pixel_m2),
        classes=classes,
        keyword_classes=keyword_classes,
        source=source,
    )


def _measured(mask: Bool, valid: Bool, own: Bool | None, pixel_m2: float) -> Measured:
    inside = mask & valid
    changed = int(np.count_nonzero(inside))
    if changed == 0:
        return NOTHING
    counted = changed if own is None else int(np.count_nonzero(inside & own))
    _, place = mask_facts(inside, valid)
    return Measured(
        area_m2=changed * pixel_m2,
        own_m2=counted * pixel_m2,
        fraction=changed / int(np.count_nonzero(valid)),
        parts=count_parts(inside, SMALLEST_PX),
        place=COMPASS[PLACES[place]],
    )
