"""LLaVA-OneVision: export and parity of a small random checkpoint, with and without crops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints_a import make_llava_onevision
from family_checks import Exported, check_example, check_parity, export_small

from rsccli.models.families.llava_onevision import LlavaOneVision, OneVisionReader
from rsccli.models.families.modules.onevision import OneVision
from rsccli.models.large.export import ExportJob, export, plan_export
from rsccli.models.large.sample import sample_pairs


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_llava_onevision, tmp_path_factory.mktemp("llava_onevision"))


@pytest.fixture(scope="module")
def cropped(plain: Exported, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The same checkpoint, exported to give both dates their crops."""
    bundle = tmp_path_factory.mktemp("llava_onevision_crops") / "bundle"
    plan = plan_export(ExportJob(str(plain.checkpoint), bundle, crops=True))
    export(plan, sample_pairs())
    return replace(plain, bundle=bundle, family=plan.family)


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(plain: Exported, beams: int) -> None:
    check_parity(plain, beams)


@pytest.mark.parametrize("beams", [1, 4])
def test_with_crops_too(cropped: Exported, beams: int) -> None:
    check_parity(cropped, beams)


@pytest.mark.parametrize("layout", ["plain", "cropped"])
def test_the_example_pair_is_captioned(layout: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    check_example(request.getfixturevalue(layout), tmp_path)


def test_how_many_tokens_an_image_has(plain: Exported, cropped: Exported) -> None:
    image = np.zeros((45, 100, 3), np.uint8)
    counts = []
    for each in (plain, cropped):
        captioner = each.open()
        counts.append(len(captioner.reader.picture(image).tokens))
        captioner.close()
    # The whole picture of 5 x 5 patches and its end; then 2 x 3 crops of which 6 rows of 15 are covered, each ended.
    assert counts == [26, 25 + 6 * 16]


# The last ones have more than nine crops: some wide, some tall, one of an odd shape.
@pytest.mark.parametrize("shape", [(30, 30), (38, 76), (76, 30), (190, 228), (228, 150), (140, 228), (211, 223)])
def test_features_are_the_models_own(cropped: Exported, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (*shape, 3), np.uint8)
    captioner = cropped.open()
    reader = captioner.reader
    assert isinstance(reader, OneVisionReader)
    picture = reader.picture(image)
    captioner.close()
    model = cropped.model.model
    given = [torch.from_numpy(picture.arrays["pixel_values"])[None]]
    given += [torch.from_numpy(picture.shared[name]) for name in ("picks", "weights")]
    with torch.no_grad():
        (theirs,) = model.get_image_features(given[0], torch.tensor([shape]))
        (ours,) = OneVision(model)(*given)
    assert len(picture.tokens) == len(theirs)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_some_of_these_are_made_smaller(cropped: Exported) -> None:
    captioner = cropped.open()
    layout = captioner.reader.layout
    captioner.close()
    smaller = [bool((layout(*shape)[1][:, 1:] > 0).any()) for shape in [(38, 76), (190, 228), (140, 228), (211, 223)]]
    assert smaller == [False, True, True, True]


def test_what_is_not_known_is_refused() -> None:
    family = LlavaOneVision()
    siglip = {"vision_config": {"model_type": "siglip_vision_model"}}
    assert family.check(siglip) is None
    assert family.check({"vision_config": {"model_type": "mlcd"}}) is not None
    assert family.check({**siglip, "vision_feature_select_strategy": "default"}) is not None
    assert family.check({**siglip, "vision_aspect_ratio": "pad"}) is not None
