"""Pictures of Phi-4-multimodal: against torch's own resizing, and against numbers reckoned by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from phi4_images import reference_inputs
from PIL import Image
from torch.nn.functional import interpolate

from rsccli.errors import BundleError, ModelError
from rsccli.models.families.modules.phi4_images import (
    Fit,
    Settings,
    crops,
    fit,
    gathered,
    positions,
    read_settings,
    resize_bytes,
    visible,
)


def _picture(seed: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        # One crop, untouched. Two by two: 1.75 times as large, no padding.
        (448, 448, Fit(1, 1, 448, 448)),
        (512, 512, Fit(2, 2, 896, 896)),
        # 1344 / 1000 is less than 896 / 600: as wide as three crops, 806.4 high.
        (1000, 600, Fit(3, 2, 1344, 806)),
        # 81 crops are too many: of squares the largest.
        (4000, 4000, Fit(6, 6, 2688, 2688)),
        # 3 : 1, and 3 x 1, 6 x 2 and 9 x 3 are equally near; the last is large enough.
        (6000, 2000, Fit(9, 3, 4032, 1344)),
    ],
)
def test_crops_of_a_picture(width: int, height: int, expected: Fit) -> None:
    assert fit(width, height, Settings()) == expected


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        # The whole: 16 lines of 16 and an end. Between: 1. One crop: as the whole.
        (448, 448, 272 + 1 + 272),
        # 90 rows of padding hide 6 rows of patches of 64: 29 lines of 48 and an end.
        (1000, 600, 29 * 49 + 1 + 272),
    ],
)
def test_tokens_of_a_picture(width: int, height: int, tokens: int) -> None:
    place = fit(width, height, Settings())
    seen = visible(place, Settings())
    order = gathered(seen, place)
    assert len(order) == tokens
    line = 256 * len(seen)
    columns = 16 * place.columns
    # First all crops' first line, from one crop to the next; an end; the second line.
    assert order[:17].tolist() == [*range(256, 272), line if place.columns == 1 else 512]
    assert order[columns] == line and order[columns + 1] == 256 + 16
    assert order[-273] == line + 1 and order[-1] == line and order[-2] == 255


def test_positions_are_spread_over_what_is_seen() -> None:
    seen = np.zeros((2, 4, 4), np.int64)
    seen[0] = 1
    seen[1, :2, :3] = 1
    whole, part = positions(seen)
    assert whole.tolist() == list(range(16))
    # Two rows of four: 0 and 2; three columns of four: 0, 1 and 2. What is not seen has position 0.
    assert part.reshape(4, 4).tolist() == [[0, 1, 2, 0], [8, 9, 10, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("size", [(448, 448), (300, 448), (512, 200), (1000, 600), (97, 911)])
def test_pixels_are_those_of_torch(size: tuple[int, int]) -> None:
    settings = Settings()
    picture = _picture(1, *size)
    place = fit(*size, settings)
    theirs = reference_inputs([Image.fromarray(picture)])
    ours = crops(picture, place, settings)
    # Without AVX2 torch takes another path, of which a level more or less may come.
    assert np.abs(ours - theirs["image_pixel_values"][0].numpy()).max() < 1.01 / 127.5
    assert np.array_equal(visible(place, settings), theirs["image_attention_mask"][0].numpy())
    assert len(gathered(visible(place, settings), place)) == theirs["num_img_tokens"][0]


@pytest.mark.parametrize(("source", "target"), [((90, 60), (224, 149)), ((300, 211), (64, 45)), ((64, 64), (64, 100))])
def test_bytes_are_resized_as_torch_does(source: tuple[int, int], target: tuple[int, int]) -> None:
    picture = _picture(2, *source)
    bands = torch.from_numpy(picture).permute(2, 0, 1)[None]
    theirs = interpolate(bands, size=target[::-1], mode="bilinear", align_corners=False, antialias=True)[0]
    ours = resize_bytes(picture, *target)
    assert np.abs(ours.astype(int) - theirs.permute(1, 2, 0).numpy()).max() <= 1


def test_a_narrow_picture_is_refused() -> None:
    with pytest.raises(ModelError, match="too narrow"):
        fit(4, 1000, Settings())


def test_settings(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == Settings()
    told = {"size": {"height": 56, "width": 56}, "dynamic_hd": 9, "image_mean": [0.1, 0.2, 0.3]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    found = read_settings(tmp_path)
    assert found == Settings(side=56, crops=9, mean=(0.1, 0.2, 0.3))
    assert Settings.of(json.loads(json.dumps(found.as_dict()))) == found
    with pytest.raises(BundleError, match="patch"):
        Settings.of({"side": 56})
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        read_settings(tmp_path)
