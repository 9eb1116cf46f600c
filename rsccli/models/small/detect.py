"""What the network says of single pixels: how probable it is that one changed, and what kind of thing it belongs to.

The network gives a mask logit and a logit for each keyword at every fourth pixel. Mask logits are interpolated and
become probabilities; the softmax over keywords is summed over the keywords of a class, then interpolated.

A class is the kind of thing that came, went or became another: a felled wood is ``vegetation``, a new pool ``water``.

| class | keywords |
|---|---|
| building | new house, new building, building removed, building damage, construction site |
| road | new road, road removed, parking lot |
| vegetation | greener vegetation, drier vegetation, new trees, tree loss |
| water | flood, water gain, water loss, swimming pool |
| bare soil | bare soil |
| burn | burn scar |
| debris | debris, mud |
| other | sports field, solar panels, boats, snow, snow melted |
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from rsccli.models.manifest import Manifest
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.reading import Window, scene_reason, with_data
from rsccli.types import Bool, Detection

F32 = npt.NDArray[np.float32]

CLASSES: tuple[str, ...] = ("building", "road", "vegetation", "water", "bare soil", "burn", "debris", "other")
KEYWORD_CLASSES = MappingProxyType(
    {
        "new house": "building",
        "new building": "building",
        "building removed": "building",
        "building damage": "building",
        "construction site": "building",
        "new road": "road",
        "road removed": "road",
        "parking lot": "road",
        "greener vegetation": "vegetation",
        "drier vegetation": "vegetation",
        "new trees": "vegetation",
        "tree loss": "vegetation",
        "flood": "water",
        "water gain": "water",
        "water loss": "water",
        "swimming pool": "water",
        "bare soil": "bare soil",
        "burn scar": "burn",
        "debris": "debris",
        "mud": "debris",
        "sports field": "other",
        "solar panels": "other",
        "boats": "other",
        "snow": "other",
        "snow melted": "other",
    }
)
CELL_PX = 4
# The network takes this from the mask logit of a cell without data, and a share of it where part of a cell has none.
NO_DATA_LOGIT = 20.0
# Scale and bias of the mask logit, by the revision of the weights: logistic regression on the pixels of 289 labelled
# development chips (0.6 m), where a pixel counts as changed inside of a box around a main change. Other weights have no
# such fit: their own probability stands. docs/detect.md has the check on test places.
PIXEL_FITS = MappingProxyType(
    {"8017e3a450f06d0df42a4ceb5a73a8001daa39f81508df4577baf186a63227d8": (0.9951, -1.3813)},
)


def class_shares() -> F32:
    """0 or 1, (classes, keywords): which keywords a class is the sum of."""
    shares = np.zeros((len(CLASSES), len(KEYWORDS)), np.float32)
    for index, keyword in enumerate(KEYWORDS):
        shares[CLASSES.index(KEYWORD_CLASSES[keyword]), index] = 1.0
    return shares


def pixel_fit(manifest: Manifest) -> tuple[float, float]:
    """Scale and bias that make the mask logit the log-odds of change; (1, 0) where nobody fitted them."""
    return PIXEL_FITS.get(manifest.source.revision, (1.0, 0.0))


def read_pixels(windows: Sequence[Window], valid: Bool, manifest: Manifest, foreign: str | None) -> Detection:
    """Put the windows of one tile together.

    Args:
        windows: at least one. valid: bool (H, W) of the tile. manifest: of the weights.
        foreign: why the pixels alone say that the tile cannot be judged, or None.

    Returns:
        Probabilities at every pixel of the tile; 0 where a date has no data.
    """
    scale, bias = pixel_fit(manifest)
    probability = np.zeros(valid.shape, np.float32)
    classes = np.zeros((len(CLASSES), *valid.shape), np.float32)
    shares = class_shares()
    for window in windows:
        part = (slice(window.row, window.row + window.height), slice(window.col, window.col + window.width))
        covered = _covered(valid[part], window.mask.shape)
        logits = _pixels(window.mask + NO_DATA_LOGIT * (1.0 - covered), covered > 0, window)
        probability[part] = 0.5 * (1.0 + np.tanh(0.5 * (scale * logits + bias)))
        for index, cells in enumerate(_cell_classes(window.classes, shares)):
            classes[index][part] = _pixels(cells, covered > 0, window)
    probability *= valid
    return Detection(probability, classes, foreign or scene_reason(with_data(windows), manifest))


def _cell_classes(logits: F32, shares: F32) -> F32:
    """Probabilities of the classes, (classes, h, w), from the logits of the keywords, (keywords, h, w)."""
    became = np.exp(logits - logits.max(0))
    became /= became.sum(0)
    cells: F32 = (shares @ became.reshape(len(became), -1)).reshape(len(shares), *logits.shape[1:])
    return cells


def _covered(valid: Bool, shape: tuple[int, ...]) -> F32:
    """Share of each cell that has data, (h, w)."""
    rows, cols = shape
    padded = np.zeros((rows * CELL_PX, cols * CELL_PX), np.float32)
    padded[: valid.shape[0], : valid.shape[1]] = valid
    shares: F32 = padded.reshape(rows, CELL_PX, cols, CELL_PX).mean((1, 3))
    return shares


def _pixels(cells: F32, known: Bool, window: Window) -> F32:
    """Values of cells (h, w) at the pixels of a window; from known cells alone, or the edge of the data would fade."""
    import cv2  # describing a captioner must not load it

    size = (cells.shape[1] * CELL_PX, cells.shape[0] * CELL_PX)
    full = cv2.resize(np.where(known, cells, np.float32(0)), size, interpolation=cv2.INTER_LINEAR)
    if not known.all():
        weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        full = full / np.maximum(weight, np.float32(1e-3))
    return np.asarray(full[: window.height, : window.width], np.float32)
