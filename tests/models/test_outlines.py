from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsccli.models.outlines import CHANGED, COLOURS, LEVELS, draw
from rsccli.types import Outline

GREY = np.full((3, 40, 60), 90, np.uint8)
SQUARE = ((10.0, 8.0), (30.0, 8.0), (30.0, 24.0), (10.0, 24.0))


def pixels_of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (image == np.array(colour, np.uint8)[:, None, None]).all(axis=0)


def test_every_level_of_the_scale_has_a_colour() -> None:
    assert set(COLOURS) == {*LEVELS, CHANGED}
    assert COLOURS["no-damage"] == (0, 255, 0) and COLOURS["minor-damage"] == (0, 0, 255)
    assert COLOURS["destroyed"] == (255, 0, 0) and COLOURS["un-classified"] == (255, 255, 255)


@pytest.mark.parametrize("level", COLOURS)
def test_lines_are_two_pixels_wide_and_centred_on_the_outline(level: str) -> None:
    drawn = draw(GREY, [Outline(SQUARE, level)])
    painted = pixels_of(drawn, COLOURS[level])
    expected = np.zeros((40, 60), bool)
    expected[7:25, 9:31] = True
    expected[9:23, 11:29] = False
    np.testing.assert_array_equal(painted, expected)
    assert (drawn[:, ~painted] == 90).all()


def test_the_image_itself_stays_as_it_was() -> None:
    image = GREY.copy()
    assert draw(image, [Outline(SQUARE, "destroyed")]) is not image
    np.testing.assert_array_equal(image, GREY)
    np.testing.assert_array_equal(draw(image, []), GREY)


def test_the_worse_of_two_walls_in_one_place_is_seen() -> None:
    both = [Outline(SQUARE, "destroyed"), Outline(SQUARE, "no-damage")]
    np.testing.assert_array_equal(draw(GREY, both), draw(GREY, [both[0]]))
    np.testing.assert_array_equal(draw(GREY, both), draw(GREY, both[::-1]))


def test_an_outline_along_the_edge_of_the_image_is_seen_on_its_own_side() -> None:
    drawn = draw(GREY, [Outline(((0, 0), (60, 0), (60, 40), (0, 40)), CHANGED)])
    painted = pixels_of(drawn, COLOURS[CHANGED])
    assert painted[0].all() and painted[-1].all() and painted[:, 0].all() and painted[:, -1].all()
    assert not painted[1:-1, 1:-1].any()


def test_a_level_without_a_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="no colour for the level 'burnt'"):
        draw(np.zeros((3, 8, 8), np.uint8), [Outline(SQUARE, "burnt")])


coordinate = st.floats(-20, 90, allow_nan=False, width=32)
outline = st.builds(
    Outline,
    st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=9).map(tuple),
    st.sampled_from(list(COLOURS)),
)


@given(outlines=st.lists(outline, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_pixel_has_a_colour_of_an_outline_or_its_own(outlines: list[Outline]) -> None:
    drawn = draw(GREY, outlines)
    rest = pixels_of(drawn, (90, 90, 90))
    for colour in {COLOURS[each.level] for each in outlines}:
        rest |= pixels_of(drawn, colour)
    assert rest.all() and drawn.dtype == np.uint8 and drawn.shape == GREY.shape
