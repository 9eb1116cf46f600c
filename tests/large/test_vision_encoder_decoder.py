"""Vision encoder-decoders: export and parity of small random checkpoints."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from checkpoints_b import make_vision_encoder_decoder
from family_checks import Exported, check_example, check_parity, export_small

from rsccli.models.families.vision_encoder_decoder import VisionEncoderDecoder
from rsccli.models.large.sample import sample_pairs
from rsccli.models.prompts import PromptTemplate


@pytest.fixture(
    scope="module",
    params=["vit", pytest.param("swin", marks=pytest.mark.slow), pytest.param("bert", marks=pytest.mark.slow)],
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(partial(make_vision_encoder_decoder, kind=request.param), tmp_path_factory.mktemp("captioner"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_what_is_asked_changes_nothing(exported: Exported) -> None:
    captioner = exported.open()
    seen = captioner.see(sample_pairs()[:1])
    plain, asked = captioner.say(seen), captioner.say(seen, PromptTemplate("question", "Is there water?", "asked"))
    assert [each.text for each in plain] == [each.text for each in asked]


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"encoder": {"model_type": "resnet"}, "decoder": {"model_type": "gpt2"}}, "encoder is of type 'resnet'"),
        ({"encoder": {"model_type": "vit"}, "decoder": {"model_type": "trocr"}}, "decoder is of type 'trocr'"),
        (
            {
                "encoder": {"model_type": "vit"},
                "decoder": {"model_type": "bert", "position_embedding_type": "relative_key"},
            },
            "relative",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(parts: dict[str, dict[str, str]], word: str) -> None:
    assert word in (VisionEncoderDecoder().check(parts) or "")
