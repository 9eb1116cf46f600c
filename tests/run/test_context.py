from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rsccli.errors import UsageProblem
from rsccli.models.outlines import CHANGED, COLOURS, LEVELS, draw
from rsccli.models.prompts import PromptFields, load_template, render
from rsccli.run.context import LEAST_AREA_PX, labels_context, mask_context
from rsccli.run.labels import TileLabels
from rsccli.types import Caption, Outline

TRIANGLE = Outline(((1.0, 1.0), (9.0, 1.0), (5.0, 7.0)), "destroyed")


def labels(*counts: int, disaster: str | None = None) -> TileLabels:
    return TileLabels(
        dict(zip(LEVELS, counts, strict=True)), (TRIANGLE,), "labels: harvey.geojson (centroid)", disaster
    )


def seen(mask: np.ndarray | None, **facts: object) -> Caption:
    return Caption("Something changed.", **{"status": "changed", "mask": mask, **facts})  # type: ignore[arg-type]


def two_areas() -> np.ndarray:
    mask = np.zeros((100, 100), bool)
    mask[60:70, 5:35] = True  # 300 pixels
    mask[10:20, 50:60] = True  # 100 pixels
    mask[90:93, 90:95] = True  # 15 pixels: noise
    return mask


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            (12, 3, 0, 2, 0),
            "17 buildings: 12 with no damage, 3 with minor damage, 0 with major damage, 2 destroyed",
        ),
        (
            (0, 0, 1, 0, 0),
            "1 building: 0 with no damage, 0 with minor damage, 1 with major damage, 0 destroyed",
        ),
        (
            (1, 0, 0, 0, 4),
            "5 buildings: 1 with no damage, 0 with minor damage, 0 with major damage, 0 destroyed, 4 not classified",
        ),
        ((0, 0, 0, 0, 0), "no building"),
    ],
)
def test_exact_counts_per_level(counts: tuple[int, ...], words: str) -> None:
    context = labels_context(labels(*counts))
    assert context.counts == words
    assert context.source == "labels: harvey.geojson (centroid)" and context.outlines == (TRIANGLE,)


def test_the_users_word_for_the_disaster_goes_first() -> None:
    assert labels_context(labels(1, 0, 0, 0, 0, disaster="storm")).disaster == "storm"
    assert labels_context(labels(1, 0, 0, 0, 0, disaster="storm"), "flooding").disaster == "flooding"
    assert labels_context(labels(1, 0, 0, 0, 0)).disaster is None


def test_changed_areas_of_a_mask() -> None:
    context = mask_context(seen(two_areas(), keywords=("new house", "flood")), "rsccli-small")
    assert context.counts == "2 changed areas covering 4.0 % of the image, of the kinds new house, flood"
    assert context.source == "mask of rsccli-small"
    upper, lower = context.outlines  # from the top down
    assert set(upper.points) == {(50.0, 10.0), (60.0, 10.0), (60.0, 20.0), (50.0, 20.0)}
    assert set(lower.points) == {(5.0, 60.0), (35.0, 60.0), (35.0, 70.0), (5.0, 70.0)}
    assert {each.level for each in context.outlines} == {CHANGED}


def test_the_share_is_of_the_pixels_with_data() -> None:
    valid = np.zeros((100, 100), bool)
    valid[:, :50] = True
    mask = two_areas() & valid
    assert mask_context(seen(mask), valid=valid).counts == "1 changed area covering 6.0 % of the image"


@pytest.mark.parametrize(
    ("pixels", "words"),
    [(LEAST_AREA_PX, "less than 0.1 %"), (400, "0.2 %"), (25_000, "9.5 %"), (26_200, "10 %"), (512 * 512, "100 %")],
)
def test_shares_are_told_no_finer_than_a_mask_is(pixels: int, words: str) -> None:
    mask = np.zeros(512 * 512, bool)
    mask[:pixels] = True
    assert mask_context(seen(mask.reshape(512, 512))).counts == f"1 changed area covering {words} of the image"


def test_areas_within_a_ring_and_areas_that_touch_at_a_corner() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:55, 5:55] = True
    mask[10:50, 10:50] = False
    mask[20:30, 20:30] = True
    mask[30:40, 30:40] = True  # one area with the square before it
    context = mask_context(seen(mask))
    assert context.counts.startswith("2 changed areas")
    assert context.outlines[0].points[0] == (5.0, 5.0) and context.outlines[1].points[0] == (20.0, 20.0)


def test_nothing_and_noise() -> None:
    empty = np.zeros((64, 64), bool)
    assert mask_context(seen(empty, status="unchanged")).counts == "no changed area"
    empty[3, : LEAST_AREA_PX - 1] = True
    assert mask_context(seen(empty)) == mask_context(seen(np.zeros((64, 64), bool)))


def test_what_is_unsure_is_told_so() -> None:
    doubtful = mask_context(seen(two_areas(), status="unsure", reason="change score 0.40 lies between"))
    assert doubtful.counts.endswith("of the image, though it is unsure whether anything changed")
    blind = mask_context(seen(None, status="unsure", reason="clouds"), disaster="flooding")
    assert blind.counts == "nothing, because it could not judge these images: clouds"
    assert blind.outlines == () and blind.disaster == "flooding"
    text = render(load_template("textual", "mask"), PromptFields(counts=blind.counts))
    assert "It found nothing, because it could not judge these images: clouds." in text


def test_a_captioner_without_masks_counts_nothing() -> None:
    with pytest.raises(UsageProblem, match=r"deltavlm tells no mask.*--counts-from mask.*--labels"):
        mask_context(seen(None), "deltavlm")


@given(mask=arrays.arrays(bool, st.tuples(st.integers(4, 40), st.integers(4, 40))))
@settings(max_examples=80, deadline=None)
def test_outlines_run_along_the_edges_of_the_areas(mask: np.ndarray) -> None:
    context = mask_context(seen(mask))
    height, width = mask.shape
    for each in context.outlines:
        xs, ys = np.array(each.points).T
        assert xs.min() >= 0 and ys.min() >= 0 and xs.max() <= width and ys.max() <= height
        assert float(xs.max() - xs.min()) * float(ys.max() - ys.min()) >= LEAST_AREA_PX
    drawn = draw(np.zeros((3, height, width), np.uint8), context.outlines)
    painted = (drawn == np.array(COLOURS[CHANGED], np.uint8)[:, None, None]).all(axis=0)
    grown = np.zeros((height + 2, width + 2), bool)
    for dy in range(3):
        for dx in range(3):
            grown[dy : dy + height, dx : dx + width] |= mask
    assert not painted[~grown[1:-1, 1:-1]].any()
