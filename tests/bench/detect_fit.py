"""Scale and bias of the mask logit on development places, for `PIXEL_FITS` in rsccli/models/small/detect.py.

Usage: python tests/bench/detect_fit.py
"""

from __future__ import annotations

import common
import cv2
import numpy as np
from card_sets import read_imagery
from detect_pairs import SIDE, labelled, truth_of
from sklearn.linear_model import LogisticRegression

from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.types import MapBounds, PxWindow, Tile, TilePair

PIXELS = 800_000


def main() -> None:
    """Fit and print."""
    imagery = read_imagery(common.SHARED).development
    captioner = load_captioner("rsccli-small", CaptionerOptions(device="cpu", threads=1))
    logits, truths = [], []
    for place, label, pre, post, _ in labelled(imagery.places, imagery):
        tile = Tile(place.name, 0, 0, PxWindow(0, 0, SIDE, SIDE), MapBounds(0, 0, 1, 1))
        images = (np.ascontiguousarray(image) for image in (pre, post))
        (windows,) = captioner._see([TilePair(tile, *images, np.ones((SIDE, SIDE), bool), 0.6)])  # type: ignore[attr-defined]
        truth, known = truth_of(label)
        full = cv2.resize(windows[0].mask, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        logits.append(full[known])
        truths.append(truth[known])
    x, y = np.concatenate(logits), np.concatenate(truths)
    some = np.random.default_rng(0).choice(len(x), PIXELS, replace=False)
    model = LogisticRegression(C=1e6).fit(x[some][:, None], y[some])
    common.say(f"{len(logits)} chips, {len(x)} pixels: scale {model.coef_[0, 0]:.4f}, bias {model.intercept_[0]:.4f}")


if __name__ == "__main__":
    main()
