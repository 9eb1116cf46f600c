"""Pictures become exactly what the image processors of transformers make of them."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import CLIPImageProcessor, SiglipImageProcessor

from rsccli.errors import ModelError
from rsccli.models.dual.loading import picture_spec
from rsccli.models.dual.pictures import prepare_pictures

SIZES = ((256, 256), (97, 131), (131, 97), (224, 224), (20, 300), (512, 301))


def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]


def theirs(processor: object, images: list[np.ndarray]) -> np.ndarray:
    made = processor(images=images, return_tensors="np", input_data_format="channels_last")  # type: ignore[operator]
    return np.asarray(made["pixel_values"])


@pytest.mark.parametrize(
    "processor",
    [
        CLIPImageProcessor(),
        CLIPImageProcessor(size={"shortest_edge": 256}, crop_size=224, resample=2),
        CLIPImageProcessor(
            size=40, crop_size={"height": 33, "width": 33}, image_mean=[0, 0.1, 0.2], image_std=[1, 2, 3]
        ),
        CLIPImageProcessor(size={"height": 50, "width": 50}, do_center_crop=False),
        SiglipImageProcessor(),
        SiglipImageProcessor(size={"height": 70, "width": 70}, resample=1),
    ],
)
def test_pixels_are_those_of_the_processor(processor: object) -> None:
    side = (getattr(processor, "crop_size", None) or processor.size)["height"]  # type: ignore[attr-defined]
    if not getattr(processor, "do_center_crop", False):
        side = processor.size["height"]  # type: ignore[attr-defined]
    spec = picture_spec(processor, side, "here")
    own = prepare_pictures(pictures(), spec)
    assert own.shape == (len(SIZES), 3, side, side) and own.dtype == np.float32
    assert np.array_equal(own, theirs(processor, pictures()))


@pytest.mark.parametrize(
    ("processor", "side"),
    [
        (CLIPImageProcessor(), 336),
        (CLIPImageProcessor(crop_size={"height": 224, "width": 112}), 224),
        (CLIPImageProcessor(size=200, crop_size=224), 224),
        (CLIPImageProcessor(do_center_crop=False), 224),
        (SiglipImageProcessor(do_normalize=False), 224),
    ],
)
def test_what_is_done_otherwise_is_refused(processor: object, side: int) -> None:
    with pytest.raises(ModelError, match="here: resizing"):
        picture_spec(processor, side, "here")
