"""Idefics: export and parity of a small random checkpoint, and of one as wide as the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints_b import make_idefics
from family_checks import Exported, check_example, check_parity, export_small


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_idefics, tmp_path_factory.mktemp("idefics"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_prompts_read_as_the_processor_writes_them(exported: Exported) -> None:
    chat, captioner = exported.family.chat(exported.processor), exported.open()
    images = [[np.zeros((20, 30, 3), np.uint8)] * 2]
    for prompt in ("Before: {pre} after: {post} what changed?", "{post} {pre}", "What changed?", "{pre}{post}  Well? "):
        text = chat.text(prompt)
        theirs = exported.family.reference(exported.processor, images, [text])["input_ids"][0].tolist()
        assert captioner.tokenizer.encode(text, add_special_tokens=False).ids == theirs


def test_an_answer_ends_with_its_turn(exported: Exported) -> None:
    ends = exported.open().manifest.tokens.ends
    assert set(ends) == set(exported.processor.tokenizer.convert_tokens_to_ids(["</s>", "<end_of_utterance>"]))
