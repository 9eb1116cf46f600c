"""InstructBLIP: export and parity of a small random checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkpoints_b import make_instructblip
from family_checks import STEPS, Exported, check_example, check_parity, export_small, reference
from PIL import Image

from rsccli.models.families.instructblip import InstructBlip
from rsccli.models.large.sample import sample_pairs
from rsccli.models.prompts import PromptTemplate
from rsccli.types import TileContext


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_instructblip, tmp_path_factory.mktemp("instructblip"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_one_picture_is_asked_as_the_processor_asks(exported: Exported) -> None:
    captioner = exported.open()
    picture = np.zeros((60, 60, 3), np.uint8)
    chat = captioner.manifest.chat
    theirs = exported.processor(images=Image.fromarray(picture), text="What is it?")
    ours = captioner.tokenizer.encode(chat.text("What is it?", 1), add_special_tokens=not chat.bare).ids
    queries = list(captioner.reader.picture(picture).tokens)
    assert ours[0] == captioner.reader.image_token and queries + ours[1:] == theirs["input_ids"][0]
    read = captioner.reader.question("What is it?")
    assert read["question_ids"].tolist() == theirs["qformer_input_ids"][0]
    assert read["question_mask"].tolist() == theirs["qformer_attention_mask"][0]


def test_instructions_of_different_length_share_a_batch(exported: Exported, tmp_path: Path) -> None:
    asked = tmp_path / "asked.txt"
    asked.write_text("From {pre} to {post}, what changed in {place}?")
    captioner = exported.open(prompt=str(asked))
    places = ("Ufa", "the valley of the upper James River", "Bismarck, North Dakota")
    pairs = [replace(pair, context=TileContext(place=name)) for pair, name in zip(sample_pairs(), places, strict=True)]
    ours = [each.tokens for each in captioner.decode(captioner.see(pairs), STEPS)]
    assert ours == reference(exported, captioner, pairs)


def test_every_question_is_read_by_the_encoder(exported: Exported) -> None:
    captioner = exported.open()
    pairs, questions = sample_pairs()[:2], ["Is there water?", "What was built?"]
    answers = captioner.answer(pairs, questions)
    for question, given in zip(questions, answers, strict=True):
        template = PromptTemplate("question", question, "asked")
        alone = captioner.say(captioner.see(pairs, template), template)
        assert [each.text for each in given] == [each.text for each in alone]


def test_an_instruction_is_cut_to_what_the_encoder_can_read(exported: Exported) -> None:
    captioner = exported.open()
    assert len(captioner.reader.question("a " * 600)["question_ids"]) == 512


def test_t5_is_refused() -> None:
    config = {"text_config": {"model_type": "t5"}, "image_token_index": 4}
    assert "T5" in (InstructBlip().check(config) or "")
