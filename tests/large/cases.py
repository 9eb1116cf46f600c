"""Every checkpoint layout that is exported and compared with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from checkpoints_a import (
    make_internvl3,
    make_llava,
    make_llava_interleave,
    make_llava_onevision,
    make_qwen2_5_vl,
    make_qwen2_vl,
    make_qwen3_vl,
)
from checkpoints_b import (
    make_blip2,
    make_idefics,
    make_instructblip,
    make_phi4_multimodal,
    make_pixtral,
    make_vision_encoder_decoder,
)


@dataclass(frozen=True)
class Case:
    """A layout.

    Attributes:
        family: its name. layout: whose layout, for tables. make: writes a checkpoint into a folder.
        options: of the export job. wide_beam_tiles: tiles at once with four beams at published width; more would
            not fit into 24 GB.
    """

    family: str
    layout: str
    make: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    wide_beam_tiles: int = 2


CASES = (
    Case("qwen2-vl", "Qwen2-VL", make_qwen2_vl),
    Case("qwen2.5-vl", "Qwen2.5-VL", make_qwen2_5_vl),
    Case("qwen3-vl", "Qwen3-VL", make_qwen3_vl),
    Case("llava", "LLaVA 1.5", make_llava),
    Case("llava", "LLaVA-NeXT-Interleave", make_llava_interleave),
    Case("llava-onevision", "LLaVA-OneVision", make_llava_onevision),
    Case("llava-onevision", "LLaVA-OneVision with crops", make_llava_onevision, {"crops": True}),
    Case("internvl", "InternVL3", make_internvl3, wide_beam_tiles=1),
    Case("pixtral", "Pixtral", make_pixtral),
    Case("phi-4-multimodal", "Phi-4-multimodal", make_phi4_multimodal),
    Case("blip-2", "BLIP-2 (OPT)", make_blip2),
    Case("instructblip", "InstructBLIP (Vicuna)", make_instructblip),
    Case("idefics", "Idefics", make_idefics),
    Case("vision-encoder-decoder", "ViT + GPT-2", make_vision_encoder_decoder),
    Case("vision-encoder-decoder", "Swin + GPT-2", partial(make_vision_encoder_decoder, kind="swin")),
)
