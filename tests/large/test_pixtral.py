"""Pixtral: export and parity of a small random checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints_b import make_pixtral
from family_checks import Exported, check_example, check_parity, export_small

from rsccli.models.families.pixtral import grid_positions, patches


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_pixtral, tmp_path_factory.mktemp("pixtral"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_patches_follow_row_by_row() -> None:
    pixels = np.arange(3 * 4 * 6, dtype=np.float32).reshape(3, 4, 6)
    cut = patches(pixels, 2)
    assert cut.shape == (6, 12)
    for place, (row, col) in enumerate(grid_positions(2, 3)):
        own = pixels[:, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        np.testing.assert_array_equal(cut[place], own.ravel())


def test_rows_of_patches_are_closed(exported: Exported) -> None:
    captioner = exported.open()
    try:
        picture = captioner.reader.picture(np.zeros((20, 40, 3), np.uint8))
    finally:
        captioner.close()
    names = exported.processor.tokenizer.convert_ids_to_tokens(picture.tokens)
    row = ["[IMG]"] * picture.shape[1]
    assert names == [*[*row, "[IMG_BREAK]"] * (picture.shape[0] - 1), *row, "[IMG_END]"]


def test_the_thinnest_images_pass(exported: Exported) -> None:
    captioner = exported.open()
    try:
        shapes = [captioner.reader.picture(np.zeros((*shape, 3), np.uint8)).shape for shape in [(1, 100), (100, 1)]]
    finally:
        captioner.close()
    assert shapes == [(1, 6), (6, 1)]
