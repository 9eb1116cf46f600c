"""The contact sheet: generated cells, real cells between them, colours and names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from marks import COLOURS, MARK, label_of, painted

from rsccli.datasets import sheet
from rsccli.datasets.backgrounds import Mark, Sources
from rsccli.errors import OutputError
from rsccli.models.small.facts import KEYWORDS

SIDE = 64


def blank(caption: str) -> sheet.Cell:
    image = np.zeros((3, SIDE, SIDE), np.uint8)
    layers, hidden, doubtful = (np.zeros((SIDE, SIDE), kind) for kind in (np.uint8, bool, bool))
    return sheet.Cell(image, image, layers, hidden, doubtful, caption, "place")


def test_every_fourth_cell_is_real(sources: Sources, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    sheet.contact_sheet(sources, 1, 6, path, SIDE)
    image = cv2.imread(str(path))
    assert image is not None
    height = SIDE + (sheet.CAPTION_LINES + 1) * sheet.LINE_PX + sheet.GAP_PX
    # Six generated and two real cells take three rows of three.
    assert image.shape == (3 * height, sheet.COLUMNS * (3 * SIDE + sheet.GAP_PX), 3)
    fourth = image[height : height + SIDE, 2 * SIDE : 3 * SIDE]
    assert not fourth.any()


def test_a_real_cell_is_two_dates_of_one_place(sources: Sources) -> None:
    (cell,) = sheet.real_cell(sources, np.random.default_rng(0), SIDE)
    assert cell.caption == "real"
    assert cell.source.endswith(" m")
    assert not np.array_equal(cell.pre, cell.post)
    assert not cell.layers.any()


@pytest.mark.parametrize("main", [True, False])
def test_no_real_cell_shows_a_mark(sources: Sources, main: bool) -> None:
    everywhere = painted(sources, label_of(Mark("new building", (0.0, 0.0, 256.0, 256.0), main)))
    assert sheet.real_cell(everywhere, np.random.default_rng(0), SIDE) == []
    somewhere = painted(sources, label_of(Mark("new building", MARK, main)))
    cells = [cell for seed in range(8) for cell in sheet.real_cell(somewhere, np.random.default_rng(seed), SIDE)]
    assert len(cells) >= 4
    assert not any((np.abs(np.moveaxis(cell.post, 0, 2) - np.array(COLOURS[0])) < 60).all(2).any() for cell in cells)


def test_the_mask_is_coloured_by_keyword() -> None:
    cell = blank("text")
    cell.layers[:20], cell.layers[44:] = 1, 5
    cell.hidden[40:42] = True
    drawn = sheet.draw_cell(cell)
    mask = drawn[:SIDE, 2 * SIDE : 3 * SIDE]
    assert tuple(mask[1, 1]) == sheet.keyword_colour(0)
    assert tuple(mask[-2, 1]) == sheet.keyword_colour(4)
    assert not mask[30:36].any()
    assert tuple(mask[40, 1]) == sheet.HIDDEN
    assert len({sheet.keyword_colour(index) for index in range(len(KEYWORDS))}) == len(KEYWORDS)


def test_long_captions_wrap_and_stay_inside() -> None:
    short = sheet.draw_cell(blank("a road"))
    long = sheet.draw_cell(blank("new houses stand beside the road " * 9))
    assert short.shape == long.shape
    third = slice(SIDE + 2 * sheet.LINE_PX + 3, SIDE + 3 * sheet.LINE_PX - 2)
    assert not short[third].any() and long[third].any()


def test_a_sheet_that_cannot_be_written_says_so(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        sheet.contact_sheet(sources, 1, 1, tmp_path / "nowhere" / "sheet.png", SIDE)
    with pytest.raises(OutputError, match=r"\.png"):
        sheet.contact_sheet(sources, 1, 1, tmp_path / "sheet.unknown", SIDE)
