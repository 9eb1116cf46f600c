"""Qwen2-VL: export and parity of a small random checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints_a import make_qwen2_vl
from family_checks import Exported, check_example, check_parity, export_small


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_qwen2_vl, tmp_path_factory.mktemp("qwen2_vl"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)
