"""Boxes of real bundles: what part of a picture they see, and that answers that are no boxes are counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from asked_captioners import ROOF
from colour_pair import colour_pair
from command import Made

from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.families.llava import LlavaReader
from rsccli.models.large.boxes import View
from rsccli.models.large.captioner import LargeCaptioner, LargeFactory
from rsccli.models.large.sample import sample_pairs
from rsccli.run.caption import CaptionJob
from rsccli.run.ground.job import GroundJob, prepare_ground, run_ground
from rsccli.run.ground.place import view_of

OPTIONS = CaptionerOptions(prompt="naive", device="cpu", threads=1, max_new_tokens=6)


def test_a_bundle_is_asked_and_nonsense_is_malformed(made: Made, tmp_path: Path) -> None:
    """The tiny checkpoint is random (synthetic): its words are no boxes."""
    (tmp_path / "data").mkdir()
    pair = colour_pair(tmp_path / "data", [], [(5, 5, 20, 20, ROOF)], size=(128, 64))
    job = CaptionJob(
        str(pair.pre), str(pair.post), geometry=PairOptions(tile_size=64), model=str(made.bundle), captioner=OPTIONS
    )
    # Its family is known: nobody has to say in which numbers it writes.
    result = run_ground(prepare_ground(GroundJob(job, tmp_path / "a.geojson", ("house", "road"))))
    assert result.tiles == 2 and result.failed == 0
    for each in result.phrases:
        assert dict(each.by_status) == {"malformed": 2} and each.places == 0
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert {each["properties"]["status"] for each in features} == {"malformed"} and len(features) == 4
    assert all(each["properties"]["reason"] for each in features)


def test_qwen_sees_all_of_a_picture_in_whole_patches(made: Made) -> None:
    captioner: LargeCaptioner = LargeFactory(made.bundle).open(OPTIONS)
    pair = sample_pairs()[0]
    view = view_of(captioner, pair)
    picture = captioner.reader.picture(np.ascontiguousarray(np.moveaxis(pair.post, 0, -1)))
    rows, cols = picture.shape
    assert view.seen_width * rows == view.seen_height * cols
    height, width = pair.valid.shape
    assert (view.left, view.top, view.width, view.height) == (0, 0, width, height)
    # As many pixels as its patches have: the processor's own size.
    pixels = picture.arrays["pixel_values"]
    patch = view.seen_width // cols
    assert pixels.shape == (rows * cols, 3 * patch * patch * 2)  # red, green, blue; two frames
    captioner.close()


@pytest.mark.parametrize(
    ("crops", "view"),
    [(True, View(20, 0, 60, 60, 60, 60)), (False, View(0, 0, 100, 60, 100, 60))],
)
def test_llava_sees_the_square_in_the_middle_if_its_processor_cuts_it_out(
    tmp_path: Path, crops: bool, view: View
) -> None:
    from transformers import CLIPImageProcessor

    size = {"shortest_edge": 28} if crops else {"height": 28, "width": 28}
    CLIPImageProcessor(size=size, crop_size={"height": 28, "width": 28}, do_center_crop=crops).save_pretrained(tmp_path)
    reader = LlavaReader({"image_token": 1, "tokens": 4}, tmp_path)
    assert reader.view(60, 100) == view
    # What it really sees: a mark outside of the view changes nothing, one inside does.
    blank = np.zeros((60, 100, 3), np.uint8)
    plain = reader.picture(blank).arrays["pixel_values"]
    for col, inside in ((5, not crops), (95, not crops), (50, True)):
        marked = blank.copy()
        marked[20:40, col - 4 : col + 4] = 255
        assert bool((reader.picture(marked).arrays["pixel_values"] != plain).any()) == inside
