"""A contact sheet of generated pairs, for eyes: earlier date, later date, mask, caption."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rsccli.datasets.generated import GeneratedPair, Sources, generate
from rsccli.errors import OutputError
from rsccli.types import U8

COLUMNS = 3
LINE_PX = 15
CHARACTERS = 62


def contact_sheet(sources: Sources, seed: int, pairs: int, path: Path, side: int = 128) -> None:
    """Draw the first pairs of a seed into one PNG or JPEG.

    Raises:
        OutputError: the file cannot be written.
    """
    drawn = [_cell(generate(sources, seed, index, side)) for index in range(pairs)]
    while len(drawn) % COLUMNS:
        drawn.append(np.zeros_like(drawn[0]))
    rows = [np.hstack(drawn[first : first + COLUMNS]) for first in range(0, len(drawn), COLUMNS)]
    try:
        written = cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])
    except cv2.error as error:
        raise OutputError(f"cannot write {path}: {error}; name a file that ends in .png") from error
    if not written:
        raise OutputError(f"cannot write {path}: name a file in a folder that exists and can be written")


def _cell(pair: GeneratedPair) -> U8:
    pre, post = (np.moveaxis(date, 0, 2) for date in (pair.pre, pair.post))
    mask = np.repeat(pair.mask[..., None], 3, 2).astype(np.uint8) * np.uint8(255)
    images = np.hstack([pre, post, mask])
    text = np.zeros((2 * LINE_PX, images.shape[1], 3), np.uint8)
    for line in range(2):
        part = pair.caption[line * CHARACTERS : (line + 1) * CHARACTERS]
        spot = (2, LINE_PX * (line + 1) - 4)
        cv2.putText(text, part, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([images, text]).astype(np.uint8)
