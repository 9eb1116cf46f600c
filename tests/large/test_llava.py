"""LLaVA 1.5 and LLaVA-NeXT-Interleave: export and parity of small random checkpoints."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from checkpoints_a import make_llava, make_llava_interleave
from family_checks import Exported, check_example, check_parity, export_small
from transformers import LlavaForConditionalGeneration

from rsccli.models.families.llava import Llava
from rsccli.models.large.families import family_of

MAKERS = {"llava": make_llava, "llava_interleave": make_llava_interleave}


@pytest.fixture(scope="module", params=["llava", pytest.param("llava_interleave", marks=pytest.mark.slow)])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(MAKERS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_beams_of_one_prompt_see_its_images_in_order(exported: Exported) -> None:
    pixels = torch.arange(4.0)[:, None]
    ids = torch.zeros((2, 3), dtype=torch.int64)
    _, given = exported.model._expand_inputs_for_generation(expand_size=2, input_ids=ids, pixel_values=pixels)
    assert given["pixel_values"].flatten().tolist() == [0, 1, 0, 1, 2, 3, 2, 3]


def make_with_layers(folder: Path, strategy: str) -> Path:
    """A LLaVA that reads two layers of its vision encoder, with or without the first token (as VIP-LLaVA began)."""
    make_llava(folder)
    path, processor_path = folder / "config.json", folder / "processor_config.json"
    config, processor = (json.loads(each.read_text()) for each in (path, processor_path))
    config |= {"vision_feature_layer": [-3, -1], "vision_feature_select_strategy": strategy}
    processor["vision_feature_select_strategy"] = strategy
    path.write_text(json.dumps(config))
    processor_path.write_text(json.dumps(processor))
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration.from_pretrained(folder, ignore_mismatched_sizes=True)
    first = model.model.multi_modal_projector.linear_1
    torch.nn.init.normal_(first.weight, std=1.4 * first.in_features**-0.5)
    weights = model.state_dict()
    LlavaForConditionalGeneration.save_pretrained(model, folder, state_dict=weights)
    path.write_text(json.dumps(config))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["default", "full"])
def test_features_of_several_layers(tmp_path: Path, strategy: str) -> None:
    check_parity(export_small(functools.partial(make_with_layers, strategy=strategy), tmp_path))


def test_only_its_own_class_is_read() -> None:
    family = Llava()
    assert family.reads({"model_type": "llava", "vision_config": {}})
    assert not family.reads({"model_type": "llava", "vision_config": {"model_type": "pixtral"}})
    assert not family.reads({"model_type": "llava_next"})
    reason = family.check({"model_type": "llava", "vision_config": {"model_type": "dinov2"}})
    assert reason is not None and "'dinov2'" in reason
    assert family_of({"model_type": "llava", "vision_config": {"model_type": "pixtral"}}, "here").name == "pixtral"
