"""Qwen2.5-VL: export and parity of a small random checkpoint, and of one as wide as the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints_a import make_qwen2_5_vl
from family_checks import Exported, check_example, check_parity, export_small

from rsccli.models.families.qwen2_vl import QwenReader


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_qwen2_5_vl, tmp_path_factory.mktemp("qwen2_5_vl"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_windows_are_those_of_transformers(exported: Exported) -> None:
    visual = exported.model.model.visual
    reader = QwenReader(exported.open().manifest.vision, exported.bundle)
    for height, width in ((64, 48), (40, 90), (16, 16)):
        picture = reader.picture(np.zeros((height, width, 3), np.uint8))
        rows, cols = picture.shape
        order, ends = visual.get_window_index(torch.tensor([[1, rows, cols]]))
        numbers = picture.shared["windows"].reshape(-1, visual.spatial_merge_unit)
        assert (numbers == numbers[:, :1]).all()
        theirs = np.repeat(np.arange(len(ends) - 1), np.diff(ends) // visual.spatial_merge_unit)
        ours = numbers[order.numpy(), 0]
        assert ((ours[:, None] == ours) == (theirs[:, None] == theirs)).all()
