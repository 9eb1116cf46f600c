"""A contact sheet for eyes: generated pairs, and real unchanged ones between them to compare with."""

from __future__ import annotations

import colorsys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rsccli.datasets.backgrounds import Sources, background
from rsccli.datasets.canvas import F32, Rng
from rsccli.datasets.generated import GeneratedPair, generate
from rsccli.errors import OutputError
from rsccli.models.small.facts import KEYWORDS
from rsccli.types import U8, Bool

COLUMNS = 3
LINE_PX = 15
CHARACTER_PX = 6.2
CAPTION_LINES = 3
GAP_PX = 4
# Every fourth cell is a real pair.
REAL_EVERY = 4
NO_CHANGE = "real"
WHITE = (255, 255, 255)
FAINT = (150, 200, 255)
# In the mask: ground hidden by cloud or without data, and ground of which nobody knows whether it changed.
HIDDEN = (70, 70, 70)
DOUBTFUL = (110, 60, 60)
MOST_TRIES = 60


@dataclass(frozen=True)
class Cell:
    """What one cell shows.

    Attributes:
        pre, post: uint8 (3, S, S). layers: uint8 (S, S), 0 or one more than the index of the keyword.
        hidden, doubtful: bool (S, S), ground that one date does not show, and ground with no certain label.
        caption: below the images. source: name of the background, last line.
    """

    pre: U8
    post: U8
    layers: U8
    hidden: Bool
    doubtful: Bool
    caption: str
    source: str


def contact_sheet(sources: Sources, seed: int, pairs: int, path: Path, side: int = 128) -> None:
    """Draw the first generated pairs of a seed, each three followed by a real one, into one PNG or JPEG.

    Args:
        pairs: generated ones. side: of one image, in pixels.

    Raises:
        OutputError: the file cannot be written.
    """
    cells: list[Cell] = []
    for index in range(pairs):
        pair = generate(sources, seed, index, side)
        cells.append(_generated_cell(pair))
        if len(cells) % REAL_EVERY == REAL_EVERY - 1:
            cells += real_cell(sources, np.random.default_rng([seed, index]), side)
    drawn = [draw_cell(cell) for cell in cells]
    while len(drawn) % COLUMNS:
        drawn.append(np.zeros_like(drawn[0]))
    rows = [np.hstack(drawn[first : first + COLUMNS]) for first in range(0, len(drawn), COLUMNS)]
    try:
        written = cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])
    except cv2.error as error:
        raise OutputError(f"cannot write {path}: {error}; name a file that ends in .png") from error
    if not written:
        raise OutputError(f"cannot write {path}: name a file in a folder that exists and can be written")


def real_cell(sources: Sources, rng: Rng, side: int) -> list[Cell]:
    """Two real dates of one place, nothing drawn; most of them hold no change, and none that a person marked.

    Returns:
        one cell, or none where the sources have no such pair.
    """
    for _ in range(MOST_TRIES):
        back = background(sources, rng, side)
        marked = back.doubtful is not None or any(mask.any() for mask in back.real.values())
        if not back.same_date and not marked:
            none = np.zeros((side, side), bool)
            layers = np.zeros((side, side), np.uint8)
            source = f"{back.name} {back.gsd_m:.2f} m"
            return [Cell(_counts(back.pre), _counts(back.post), layers, none, none, NO_CHANGE, source)]
    return []


def _counts(image: F32) -> U8:
    counts: U8 = np.clip(np.round(np.moveaxis(image, 2, 0)), 0, 255).astype(np.uint8)
    return counts


def keyword_colour(index: int) -> tuple[int, int, int]:
    """Red, green and blue of a keyword, 0-255; no two keywords alike."""
    hue = index / len(KEYWORDS)
    light = (1.0, 0.7)[index % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85 if index % 3 else 0.5, light)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_cell(cell: Cell) -> U8:
    """Earlier date, later date and coloured mask side by side, text below; uint8 (H, W, 3), red first."""
    pre, post = (np.moveaxis(date, 0, 2) for date in (cell.pre, cell.post))
    images = np.hstack([pre, post, _mask(cell)])
    width = images.shape[1]
    text = np.zeros(((CAPTION_LINES + 1) * LINE_PX + GAP_PX, width, 3), np.uint8)
    lines = textwrap.wrap(cell.caption, max(8, int(width / CHARACTER_PX)), max_lines=CAPTION_LINES, placeholder=" ...")
    for row, line in enumerate(lines):
        _write(text, line, (2, LINE_PX * (row + 1) - 4), FAINT if cell.caption == NO_CHANGE else WHITE)
    _write(text, cell.source, (2, LINE_PX * (CAPTION_LINES + 1) - 4), FAINT)
    stacked = np.vstack([images, text])
    return np.pad(stacked, ((0, 0), (0, GAP_PX), (0, 0))).astype(np.uint8)


def _generated_cell(pair: GeneratedPair) -> Cell:
    hidden: Bool = ~pair.valid | pair.cloud.any(0)
    source = f"{pair.background} {pair.gsd_m:.2f} m"
    return Cell(pair.pre, pair.post, pair.layers, hidden, ~pair.known, pair.caption, source)


def _mask(cell: Cell) -> U8:
    """Each keyword in its colour, its name in the middle of what it covers."""
    layers = cell.layers
    painted = np.zeros((*layers.shape, 3), np.uint8)
    painted[cell.doubtful] = DOUBTFUL
    painted[cell.hidden] = HIDDEN
    found = [int(value) for value in np.unique(layers) if value]
    for value in found:
        painted[layers == value] = keyword_colour(value - 1)
    lowest = 0
    for value in sorted(found, key=lambda value: float(np.median(np.nonzero(layers == value)[0]))):
        rows, cols = np.nonzero(layers == value)
        name = KEYWORDS[value - 1]
        (wide, _), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.33, 1)
        col = int(np.clip(np.median(cols) - wide // 2, 1, max(1, layers.shape[1] - wide - 1)))
        # Names never lie on each other while there is room.
        row = int(np.clip(max(np.median(rows), lowest + 11), 10, layers.shape[0] - 4))
        lowest = row
        _write(painted, name, (col, row), WHITE, outlined=True)
    return painted


def _write(
    image: U8, text: str, spot: tuple[int, int], colour: tuple[int, int, int], *, outlined: bool = False
) -> None:
    if outlined:
        cv2.putText(image, text, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.33, colour, 1, cv2.LINE_AA)
