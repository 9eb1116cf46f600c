"""The random checkpoints load as published ones do, and say different things of different pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints_b import MAKERS_B, make_phi4_multimodal, make_vision_encoder_decoder
from phi4_images import reference_inputs
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    IdeficsForVisionText2Text,
    IdeficsProcessor,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlavaForConditionalGeneration,
    Phi4MultimodalForCausalLM,
    PixtralProcessor,
    PreTrainedModel,
    VisionEncoderDecoderModel,
)

ASK = "What has changed?"
CHAT = [{"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": ASK}]}]
CLASSES: dict[str, type[PreTrainedModel]] = {
    "pixtral": LlavaForConditionalGeneration,
    "phi4_multimodal": Phi4MultimodalForCausalLM,
    "blip2": Blip2ForConditionalGeneration,
    "instructblip": InstructBlipForConditionalGeneration,
    "idefics": IdeficsForVisionText2Text,
    "vision_encoder_decoder": VisionEncoderDecoderModel,
}
Pair = Sequence[Image.Image]


def _picture(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    """Blots of colour."""
    blots = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(blots).resize((width, height), Image.Resampling.BICUBIC)


def _load(name: str, folder: Path) -> PreTrainedModel:
    model, found = CLASSES[name].from_pretrained(folder, output_loading_info=True)
    assert not any(found[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert next(model.parameters()).dtype is torch.float32
    return model.eval()


def _new(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> list[int]:
    """Twenty greedy tokens after the prompt, which every family with one gives back."""
    made = model.generate(**inputs, max_new_tokens=20, do_sample=False)[0].tolist()
    return made[inputs["input_ids"].shape[1] :] if "input_ids" in inputs else made


def _pixtral(folder: Path, pair: Pair) -> dict[str, torch.Tensor]:
    """Pixel values padded to one size, and the sizes without the padding."""
    processor = PixtralProcessor.from_pretrained(folder)
    text = processor.apply_chat_template(CHAT, add_generation_prompt=True)
    assert text == f"<s>[INST][IMG][IMG]{ASK}[/INST]"
    inputs = processor(text=text, images=list(pair), add_special_tokens=False, return_tensors="pt")
    assert inputs["pixel_values"].shape[0] == inputs["image_sizes"].shape[0] == 2
    return dict(inputs)


def _phi4(folder: Path, pair: Pair) -> dict[str, torch.Tensor]:
    """As many image tokens in place of each as its picture needs, in the pictures' order."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    token = tokenizer.image_token
    assert text == f"<|user|>{token}{token}{ASK}<|end|><|assistant|>"
    inputs = reference_inputs(pair, json.loads((folder / "preprocessor_config.json").read_text()))
    first, second = (token * n for n in inputs.pop("num_img_tokens"))
    text = text.replace(token * 2, first + second)
    return {**tokenizer(text, return_tensors="pt"), **inputs}


def _with_queries(processor: Blip2Processor | InstructBlipProcessor, pair: Pair) -> dict[str, torch.Tensor]:
    """The processor puts the queries of one picture before the prompt, so those of the other are put here."""
    inputs = dict(processor(images=list(pair), text=ASK, return_tensors="pt"))
    queries = inputs["input_ids"][:, : processor.num_query_tokens]
    assert len(set(queries[0].tolist())) == 1
    inputs["input_ids"] = torch.cat([queries, inputs["input_ids"]], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return inputs


def _blip2(folder: Path, pair: Pair) -> dict[str, torch.Tensor]:
    return _with_queries(Blip2Processor.from_pretrained(folder), pair)


def _instructblip(folder: Path, pair: Pair) -> dict[str, torch.Tensor]:
    """The queries of every picture read the instruction of their own row."""
    inputs = _with_queries(InstructBlipProcessor.from_pretrained(folder), pair)
    for key in ("qformer_input_ids", "qformer_attention_mask"):
        inputs[key] = inputs[key].repeat_interleave(len(pair), dim=0)
    return inputs


def _idefics(folder: Path, pair: Pair) -> dict[str, torch.Tensor]:
    processor = IdeficsProcessor.from_pretrained(folder)
    inputs = processor(text=[["User:", *pair, ASK, "<end_of_utterance>", "\nAssistant:"]], return_tensors="pt")
    between = "<fake_token_around_image>"
    shown = f"<s>User:{between}<image>{between}<image>{between}{ASK}"
    assert processor.tokenizer.decode(inputs["input_ids"][0]).startswith(shown)
    assert inputs["pixel_values"].shape[:2] == inputs["image_attention_mask"].shape[::2] == (1, 2)
    return dict(inputs)


def _side_by_side(folder: Path, pair: Pair) -> dict[str, torch.Tensor]:
    """One picture is all there can be: both dates in it."""
    wide = Image.new("RGB", (sum(p.width for p in pair), pair[0].height))
    for i, picture in enumerate(pair):
        wide.paste(picture, (i * picture.width, 0))
    processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
    return dict(processor(wide, return_tensors="pt"))


INPUTS: dict[str, Callable[[Path, Pair], dict[str, torch.Tensor]]] = {
    "pixtral": _pixtral,
    "phi4_multimodal": _phi4,
    "blip2": _blip2,
    "instructblip": _instructblip,
    "idefics": _idefics,
    "vision_encoder_decoder": _side_by_side,
}


def _check(name: str, folder: Path) -> None:
    model = _load(name, folder)
    numbers = ((0, 1), (2, 1), (0, 3), (1, 0))
    said = [_new(model, INPUTS[name](folder, (_picture(first), _picture(second)))) for first, second in numbers]
    assert len({tuple(s) for s in said}) == len(numbers)
    assert all(len(set(s)) > 5 for s in said)


@pytest.mark.parametrize("name", MAKERS_B)
def test_it_loads_and_sees_both_pictures(tmp_path: Path, name: str) -> None:
    _check(name, MAKERS_B[name](tmp_path))


@pytest.mark.parametrize("kind", ["swin", "bert"])
def test_other_encoders_and_decoders(tmp_path: Path, kind: str) -> None:
    _check("vision_encoder_decoder", make_vision_encoder_decoder(tmp_path, kind=kind))


def test_phi4_reads_pictures_through_its_adapter(tmp_path: Path) -> None:
    folder = make_phi4_multimodal(tmp_path, with_lora=True, image_token="<|endoftext10|>")
    _check("phi4_multimodal", folder)
    model = _load("phi4_multimodal", folder)
    inputs = _phi4(folder, (_picture(0), _picture(1)))
    before = _new(model, inputs)
    # Of a folder on disk transformers 4.57 forgets what a subfolder is.
    model.load_adapter(folder / "vision-lora", adapter_name="vision")
    model.set_adapter("vision")
    adapted = {name for name, _ in model.named_modules() if name.endswith("lora_A.vision")}
    assert len(adapted) == 8 and all(name.startswith("model.layers.") for name in adapted)
    assert _new(model, inputs) != before


@pytest.mark.parametrize(
    ("size", "most", "grid", "tokens"),
    [
        # One crop, of which the lower half is white. Every line of it, and of the whole view, has an end.
        ((56, 28), 36, (1, 1), (2 + 1) * 1 + 1 + (2 + 1) * 2),
        ((56, 56), 36, (1, 1), (2 + 1) * 2 + 1 + (2 + 1) * 2),
        ((57, 57), 36, (2, 2), (4 + 1) * 4 + 1 + (2 + 1) * 2),
        # More crops than there may be: the grid of the nearest aspect.
        ((300, 100), 4, (3, 1), None),
        ((100, 300), 4, (1, 3), None),
    ],
)
def test_phi4_cuts_pictures(size: tuple[int, int], most: int, grid: tuple[int, int], tokens: int | None) -> None:
    config = {"size": {"height": 56, "width": 56}, "dynamic_hd": most}
    made = reference_inputs([_picture(0, *size)], config)
    columns, rows = grid
    assert made["image_sizes"].tolist() == [[56 * rows, 56 * columns]]
    assert made["image_pixel_values"].shape == (1, 1 + rows * columns, 3, 56, 56)
    assert made["image_attention_mask"].shape == (1, 1 + rows * columns, 4, 4)
    assert tokens is None or made["num_img_tokens"] == [tokens]


def test_phi4_counts_tokens_as_its_processor_does() -> None:
    """At the published size: 256 and 16 of the whole view, 1 between, and the crops' with their lines' ends."""
    made = reference_inputs([_picture(0, 600, 400), _picture(1, 300, 1000)])
    assert made["image_sizes"].tolist() == [[448, 896], [1344, 448]]
    assert made["num_img_tokens"] == [673, 1041]
    assert made["image_pixel_values"].shape == (2, 4, 3, 448, 448)
    assert not made["image_pixel_values"][0, 3].any() and made["image_attention_mask"][0, 3].all()
