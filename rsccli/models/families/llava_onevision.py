"""LLaVA-OneVision (Li et al. 2024): one picture of a fixed size, or that and crops of any grid, unpadded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsccli.models.large.family import (
    F32,
    I64,
    U8,
    Array,
    DecoderExport,
    EncoderExport,
    Family,
    GraphInput,
    Picture,
    Published,
    Reader,
)

if TYPE_CHECKING:
    import torch

ANYRES = "anyres_max_"
#: Above this excess of crops over what ``anyres_max_N`` allows they are made smaller.
TOO_MANY = 1.1


class OneVisionReader(Reader):
    """Reader of LLaVA-OneVision.

    Args:
        vision: ``image_token``, ``crops`` (whether there are any), ``side`` (patches per side of a crop), ``size``
            (the same in pixels), ``grids`` (sizes that crops may cover, pixels) and ``most`` (crops whose tokens are
            kept as they are). folder: of the bundle.
    """

    inputs = ("pixel_values", "picks", "weights")

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token, self._crops = int(vision["image_token"]), bool(vision["crops"])
        self._side, self._size, self._most = (int(vision[name]) for name in ("side", "size", "most"))
        self._grids = [(int(height), int(width)) for height, width in vision["grids"]]
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        # An image beside others of one prompt gets no crops: the second one is there for that alone.
        images = [image] if self._crops else [[image, image[:1, :1]]]
        made = self._processor(images=images, return_tensors="np", input_data_format="channels_last")
        pixels = np.asarray(made["pixel_values"][0], np.float32)
        height, width = image.shape[:2] if self._crops else (0, 0)
        picks, weights = self.layout(height, width)
        shared: dict[str, Array] = {"picks": picks, "weights": weights}
        tokens = (self.image_token,) * len(picks)
        return Picture({"pixel_values": pixels}, shared, (height, width), tokens, tiles=len(pixels))

    def layout(self, height: int, width: int) -> tuple[I64, F32]:
        """Which features make the image tokens of an image of this size (0: one without crops).

        Returns:
            Places (T, 4) among the features of all crops with the new line behind them, and their weights (T, 4).
        """
        patches = self._side**2
        base = np.arange(patches, dtype=np.int64)
        if not self._crops:
            return _alone(np.append(base, patches))
        rows, cols = self._grid(height, width)
        cells = _crop_places(rows, cols, self._side)
        cells = cells[unpadded(cells.shape, (height, width))]
        picks, weights = _alone(cells.ravel())
        lines, length = cells.shape
        ratio = math.sqrt(lines * length / (self._most * patches))
        if ratio > TOO_MANY:
            lines, length = int(lines // ratio), int(length // ratio)
            picks, weights = _smaller(cells, lines, length)
        newline = patches * (1 + rows * cols)
        ends, sure = _alone(np.full(lines, newline))
        picks = np.concatenate([picks.reshape(lines, length, 4), ends[:, None]], 1).reshape(-1, 4)
        weights = np.concatenate([weights.reshape(lines, length, 4), sure[:, None]], 1).reshape(-1, 4)
        first, first_weights = _alone(base)
        return np.concatenate([first, picks]), np.concatenate([first_weights, weights])

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of crops."""
        from transformers.image_processing_utils import select_best_resolution

        tall, wide = select_best_resolution((height, width), self._grids)
        return tall // self._size, wide // self._size


def unpadded(shape: Sequence[int], original: tuple[int, int]) -> tuple[slice, slice]:
    """The part of a grid of cells that an image of another shape covers in its middle, as the model cuts it."""
    rows, cols = shape
    height, width = original
    if width / height > cols / rows:
        gap = (rows - int(round(height * (cols / width), 7))) // 2
        return slice(gap, rows - gap), slice(None)
    gap = (cols - int(round(width * (rows / height), 7))) // 2
    return slice(None), slice(gap, cols - gap)


def _crop_places(rows: int, cols: int, side: int) -> I64:
    """Place among all features of each cell of a grid of crops, (rows * side, cols * side); the base comes first."""
    crops = 1 + np.arange(rows * cols, dtype=np.int64).reshape(rows, 1, cols, 1)
    within = np.arange(side**2, dtype=np.int64).reshape(1, side, 1, side)
    return np.ascontiguousarray((crops * side**2 + within).reshape(rows * side, cols * side))


def _alone(places: I64) -> tuple[I64, F32]:
    """Places taken as they are: (T, 4) and weights 1, 0, 0, 0."""
    weights = np.zeros((len(places), 4), np.float32)
    weights[:, 0] = 1
    return np.repeat(places.astype(np.int64)[:, None], 4, 1), weights


def _smaller(cells: I64, rows: int, cols: int) -> tuple[I64, F32]:
    """Four neighbours (rows * cols, 4) and their weights, as bilinear interpolation to a smaller grid takes them."""
    (top, bottom, down), (left, right, along) = (
        _between(old, new) for old, new in zip(cells.shape, (rows, cols), strict=True)
    )
    corners = [cells[np.ix_(row, col)] for row in (top, bottom) for col in (left, right)]
    shares = [np.outer(row, col) for row in (1 - down, down) for col in (1 - along, along)]
    picks = np.stack(corners, -1).reshape(-1, 4)
    return picks, np.stack(shares, -1).reshape(-1, 4).astype(np.float32)


def _between(old: int, new: int) -> tuple[I64, I64, npt.NDArray[Any]]:
    """Both neighbours of each new cell and the share of the second, in single precision as torch has it."""
    half = np.float32(0.5)
    at = np.maximum(np.float32(old / new) * (np.arange(new, dtype=np.float32) + half) - half, np.float32(0))
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, old - 1), at - first.astype(np.float32)


class LlavaOneVision(Family):
    """LLaVA-OneVision.

    Attributes:
        crops: give each of both dates its crops. Off, as the published processor does with two images of a prompt.
    """

    name: ClassVar[str] = "llava-onevision"
    title: ClassVar[str] = "LLaVA-OneVision"
    model_class: ClassVar[str] = "LlavaOnevisionForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (
        Published("llava-hf/llava-onevision-qwen2-0.5b-ov-hf", "Apache-2.0"),
        Published("llava-hf/llava-onevision-qwen2-7b-ov-hf", "Apache-2.0"),
        Published("llava-hf/llava-onevision-qwen2-72b-ov-hf", "see its card"),
    )
    crops: bool = False

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "llava_onevision"

    def check(self, config: Mapping[str, Any]) -> str | None:
        """See `Family.check`."""
        from rsccli.models.families.llava import unknown_vision

        if config.get("vision_feature_select_strategy", "full") != "full":
            return "it leaves the first patch out (vision_feature_select_strategy), which no published one does"
        if not str(config.get("vision_aspect_ratio", ANYRES + "9")).startswith(ANYRES):
            return f"its vision_aspect_ratio is {config['vision_aspect_ratio']!r}, which is not known here"
        return unknown_vision(config)

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`."""
        from rsccli.models.families.modules.beams import keep_prompts_together

        model = super().model(folder, dtype)
        return keep_prompts_together(model, ["pixel_values", "image_sizes", "batch_num_images"])

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.onevision import OneVision

        side = model.config.vision_config.image_size
        return EncoderExport(
            OneVision(model.model),
            {
                "pixel_values": GraphInput(torch.randn(2, 3, 3, side, side), (0, 1)),
                "picks": GraphInput(torch.arange(5)[:, None].repeat(1, 4), (0,)),
                "weights": GraphInput(torch.rand(5, 4), (0,)),
            },
        )

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        from rsccli.models.families.modules.language import language_decoder

        return language_decoder(model.model.language_model, model.lm_head)

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        config = model.config
        size = config.vision_config.image_size
        return {
            "image_token": config.image_token_id,
            "crops": self.crops,
            "side": size // config.vision_config.patch_size,
            "size": size,
            "grids": [list(each) for each in config.image_grid_pinpoints],
            "most": int(config.vision_aspect_ratio.removeprefix(ANYRES)),
        }

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return OneVisionReader(vision, folder)

    def reference(
        self,
        processor: Any,  # noqa: ANN401
        images: Sequence[Sequence[U8]],
        texts: Sequence[str],
    ) -> Mapping[str, torch.Tensor]:
        """See `Family.reference`."""
        from rsccli.models.large.reference import processor_inputs

        # Images that are not in lists of their prompts count as the only one of a prompt, and get crops.
        return processor_inputs(processor, images, texts, flat=self.crops)
