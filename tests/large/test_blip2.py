"""BLIP-2: export and parity of a small random checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints_b import make_blip2
from family_checks import STEPS, Exported, check_example, check_parity, export_small, reference
from PIL import Image

from rsccli.models.families.blip2 import Blip2
from rsccli.models.large.sample import sample_pairs


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_blip2, tmp_path_factory.mktemp("blip2"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_one_picture_is_asked_as_the_processor_asks(exported: Exported) -> None:
    captioner = exported.open()
    picture = np.zeros((60, 60, 3), np.uint8)
    chat = captioner.manifest.chat
    theirs = exported.processor(images=Image.fromarray(picture), text="Question: What is it? Answer:")["input_ids"]
    ours = captioner.tokenizer.encode(chat.text("What is it?", 1), add_special_tokens=not chat.bare).ids
    place = ours.index(captioner.reader.image_token)
    queries = list(captioner.reader.picture(picture).tokens)
    assert ours[:place] + queries + ours[place + 1 :] == theirs[0]


def test_pictures_may_stand_among_the_words(exported: Exported, tmp_path: Path) -> None:
    asked = tmp_path / "asked.txt"
    asked.write_text("What changed from {pre} to {post}?")
    captioner = exported.open(prompt=str(asked))
    pairs = sample_pairs()
    seen = captioner.see(pairs)
    assert [each.tokens for each in captioner.decode(seen, STEPS)] == reference(exported, captioner, pairs)
    places = np.flatnonzero(captioner.ids(seen[0].question, [each.picture for each in seen[0].features]) == 4)
    assert len(places) == 16 and np.diff(places).max() > 1


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"text_config": {"model_type": "t5"}, "image_token_index": 4}, "T5"),
        ({"text_config": {"model_type": "opt"}}, "image_token_index"),
    ],
)
def test_what_cannot_be_exported_is_refused(config: dict[str, object], word: str) -> None:
    assert word in (Blip2().check(config) or "")
