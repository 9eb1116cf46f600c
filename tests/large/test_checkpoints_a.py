"""The random checkpoints load as published ones do, read their pictures and speak with varied tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints_a import LLAVA, MAKERS_A, QWEN
from PIL import Image
from tokenizers_for_tests import byte_tokenizer
from transformers import AutoModelForImageTextToText, AutoTokenizer

from rsccli.models.large.checkpoint import load_processor

PUBLISHED_IMAGE_TOKEN = {
    "qwen2_vl": 151655,
    "qwen2_5_vl": 151655,
    "qwen3_vl": 151655,
    "llava": 32000,
    "llava_interleave": 151646,
    "llava_onevision": 151646,
    "internvl3": 151667,
}
# Of one question with two pictures.
PROMPTS = {
    "qwen2_vl": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|image_pad|><|vision_end|>What changed?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "qwen3_vl": "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|image_pad|>"
    "<|vision_end|>What changed?<|im_end|>\n<|im_start|>assistant\n",
    "llava": "USER: <image>\n<image>\nWhat changed? ASSISTANT:",
    "llava_interleave": "<|im_start|>user\n<image><image>\nWhat changed?<|im_end|>\n<|im_start|>assistant\n",
    "llava_onevision": "<|im_start|>user <image><image>\nWhat changed?<|im_end|><|im_start|>assistant\n",
    "internvl3": "<|im_start|>user\n<IMG_CONTEXT>\n<IMG_CONTEXT>\nWhat changed?<|im_end|>\n<|im_start|>assistant\n",
}
PROMPTS["qwen2_5_vl"] = PROMPTS["qwen2_vl"]
PICTURE = {"type": "image"}
ASKED = [{"role": "user", "content": [PICTURE, PICTURE, {"type": "text", "text": "What changed?"}]}]
FAMILIES = pytest.mark.parametrize("family", MAKERS_A)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: make(root / family) for family, make in MAKERS_A.items()}


def _load(folder: Path) -> tuple[Any, Any]:
    model, loaded = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(loaded.values()), loaded
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    return model.eval(), load_processor(folder)


def _pictures(seed: int, shape: tuple[int, int] = (48, 64)) -> list[Image.Image]:
    random = np.random.default_rng(seed)
    return [Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)) for _ in range(2)]


def _said(model: Any, processor: Any, pictures: list[Image.Image], length: int = 20) -> list[int]:
    text = processor.apply_chat_template(ASKED, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=[text], images=[pictures], return_tensors="pt")
    greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": 1.0}
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=length, **greedy)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


@FAMILIES
def test_pictures_and_their_order_change_what_varied_tokens_are_said(family: str, tiny: dict[str, Path]):
    model, processor = _load(tiny[family])
    said = [_said(model, processor, _pictures(seed)) for seed in (1, 2)]
    said.append(_said(model, processor, _pictures(1)[::-1]))
    said.append(_said(model, processor, _pictures(1, (40, 40))))
    assert [len(tokens) for tokens in said] == [20] * 4
    assert min(len(set(tokens)) for tokens in said) > 5
    assert len({tuple(tokens) for tokens in said}) == 4


@FAMILIES
def test_prompts_read_as_those_of_the_published_template(family: str, tiny: dict[str, Path]):
    processor = load_processor(tiny[family])
    assert processor.apply_chat_template(ASKED, add_generation_prompt=True, tokenize=False) == PROMPTS[family]


@FAMILIES
def test_ends_are_named(family: str, tiny: dict[str, Path]):
    model, processor = _load(tiny[family])
    ends = model.generation_config.eos_token_id
    assert processor.tokenizer.eos_token_id in (ends if isinstance(ends, list) else [ends])


def test_both_kinds_of_window_layers_see_several_windows(tiny: dict[str, Path]):
    model, processor = _load(tiny["qwen2_5_vl"])
    grid = processor.image_processor(_pictures(1), return_tensors="pt")["image_grid_thw"]
    visual = model.model.visual
    assert 0 < len(visual.fullatt_block_indexes) < len(visual.blocks)
    # A bound before the first window, one after each, and none twice.
    assert len(set(visual.get_window_index(grid)[1])) - 1 == 2 * 4


def test_a_tokenizer_keeps_ids_over_saving(tmp_path: Path):
    ids = {name: 151643 + i for i, name in enumerate(QWEN)}
    byte_tokenizer(QWEN, first_ids=ids, size=151665, eos_token="<|im_end|>").save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert (len(tokenizer), tokenizer.eos_token_id) == (151665, 151645)
    assert tokenizer.convert_tokens_to_ids(QWEN) == list(ids.values())
    words = "Ä w300\n<|image_pad|><|im_end|>"
    told = tokenizer(words)["input_ids"]
    assert told[-2:] == [151655, 151645]
    assert max(told[:-2]) < 256
    assert tokenizer.decode(told) == words
    assert tokenizer.decode([300, 151664]) == " w300 w151664"


def test_a_tokenizer_puts_bytes_around_fixed_ids():
    tokenizer = byte_tokenizer(LLAVA, first_ids={"<unk>": 0, "<s>": 1, "</s>": 2}, bos_token="<s>")
    assert tokenizer.convert_tokens_to_ids(LLAVA) == [0, 1, 2, 259, 260]
    assert (len(tokenizer), tokenizer.bos_token_id) == (261, 1)


@pytest.mark.slow
@FAMILIES
def test_wide_ones_have_the_published_ids(family: str, tmp_path: Path):
    model, processor = _load(MAKERS_A[family](tmp_path / family, real=True))
    assert model.config.image_token_id == processor.image_token_id == PUBLISHED_IMAGE_TOKEN[family]
    # Each tile of this family is 256 tokens; other pictures than square ones of one tile have up to 13.
    shape = (448, 448) if family == "internvl3" else (112, 140)
    assert len({tuple(_said(model, processor, _pictures(seed, shape), 4)) for seed in (1, 2)}) == 2
