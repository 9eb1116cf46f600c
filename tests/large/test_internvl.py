"""InternVL 3 and 3.5: export and parity of a small random checkpoint."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints_a import make_internvl3, random_weights
from family_checks import Exported, check_example, check_parity, export_small
from transformers import InternVLConfig, InternVLForConditionalGeneration
from transformers.modeling_utils import no_init_weights

from rsccli.models.families.internvl import InternVL


def make_with_qwen3(folder: Path) -> Path:
    """As InternVL 3.5, whose language model is a Qwen 3."""
    make_internvl3(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text = config["text_config"]
    del text["rope_scaling"]
    text |= {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "head_dim": 24, "attention_bias": False}
    with no_init_weights():
        model = InternVLForConditionalGeneration(InternVLConfig.from_dict(copy.deepcopy(config)))
    random_weights(model, 0, 1.0)
    model.save_pretrained(folder)
    path.write_text(json.dumps(config))
    return folder


MAKERS = {"internvl3": make_internvl3, "internvl3_5": make_with_qwen3}


@pytest.fixture(scope="module", params=["internvl3", pytest.param("internvl3_5", marks=pytest.mark.slow)])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(MAKERS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


SHAPES = [(28, 28, 3), (28, 56, 3), (300, 400, 3)]


def test_images_are_cut_into_tiles(exported: Exported) -> None:
    captioner = exported.open()
    try:
        tiles = [len(captioner.reader.picture(np.zeros(shape, np.uint8)).arrays["pixel_values"]) for shape in SHAPES]
    finally:
        captioner.close()
    # The whole image comes with its tiles unless it is the only one.
    assert tiles == [1, 3, 13]


def test_what_is_not_known_is_refused() -> None:
    assert InternVL().check({"text_config": {"model_type": "qwen3_moe", "num_experts": 8}}) is not None
    assert InternVL().check({"vision_feature_layer": -2}) is not None
    assert InternVL().check({"vision_feature_layer": -1, "text_config": {"model_type": "qwen2"}}) is None
