"""Masks of a report, read from what ``rsccli detect`` writes or from any other raster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from rsccli.errors import InputError
from rsccli.run.masks import ANY, MaskRaster
from rsccli.types import Grid, PxWindow

GRID = Grid("EPSG:32633", Affine(2, 0, 412_000, 0, -2, 5_411_000), 120, 90)


def write_mask(path: Path, values: np.ndarray, codes: str | None = None, **profile: Any) -> Path:
    whole = {
        "driver": "GTiff",
        "width": values.shape[1],
        "height": values.shape[0],
        "count": 1,
        "dtype": values.dtype.name,
        "crs": GRID.crs,
        "transform": GRID.transform,
        **profile,
    }
    with rasterio.open(path, "w", **whole) as file:
        file.write(values, 1)
        if codes:
            file.update_tags(CODES=codes)
            file.write_colormap(1, {1: (228, 26, 28, 255), 2: (31, 120, 180, 255)})
    return path


@pytest.fixture
def values() -> np.ndarray:
    made = np.zeros((90, 120), np.uint8)
    made[10:20, 10:30] = 1
    made[10:20, 40:50] = 1
    made[60:61, 60:61] = 1  # one pixel: noise, not a building
    made[50:70, 100:120] = 2
    made[80:, :] = 254
    made[:, :2] = 255
    return made


CODES = "0=no change; 1=building; 2=water; 254=not judged; 255=no data"


def test_kinds_have_the_names_and_colours_of_the_file(tmp_path: Path, values: np.ndarray) -> None:
    path = write_mask(tmp_path / "mask.tif", values, CODES, nodata=255, photometric="palette")
    with MaskRaster(path, GRID) as mask:
        assert [(kind.name, kind.rgb) for kind in mask.kinds] == [
            ("building", (228, 26, 28)),
            ("water", (31, 120, 180)),
        ]
        seen = mask.tile(PxWindow(0, 0, 120, 90))
        wanted = np.where((values == 254) | (values == 255), 0, values)
        assert np.array_equal(seen, wanted)
        assert mask.buildings() == 2, "spots of a pixel are noise"


def test_any_raster_will_do_in_which_0_means_unchanged(tmp_path: Path, values: np.ndarray) -> None:
    path = write_mask(tmp_path / "mask.tif", (values == 1).astype(np.int16) * 700)
    with MaskRaster(path, GRID) as mask:
        assert mask.kinds == (ANY,) and mask.buildings() is None
        assert np.array_equal(mask.tile(PxWindow(0, 0, 120, 90)), (values == 1).astype(np.uint8))


def test_windows_beyond_the_grid_are_unchanged_there(tmp_path: Path, values: np.ndarray) -> None:
    path = write_mask(tmp_path / "mask.tif", values, CODES, nodata=255, photometric="palette")
    with MaskRaster(path, GRID) as mask:
        seen = mask.tile(PxWindow(100, 40, 64, 64))
        assert seen.shape == (64, 64)
        assert (seen[10:30, :20] == 2).all() and not seen[:, 20:].any() and not seen[50:].any()
        assert not mask.tile(PxWindow(500, 500, 8, 8)).any()


def test_a_mask_on_another_grid_lies_where_it_belongs(tmp_path: Path, values: np.ndarray) -> None:
    finer = write_mask(
        tmp_path / "mask.tif",
        np.kron(values, np.ones((2, 2), np.uint8)),
        transform=GRID.transform @ Affine.scale(0.5),
        nodata=255,
    )
    with MaskRaster(finer, GRID) as mask:
        inner = mask.tile(PxWindow(0, 0, 120, 80))
        assert np.array_equal(inner > 0, (values[:80] > 0) & (values[:80] < 254))


def test_small_spots_are_seen_on_the_overview(tmp_path: Path, values: np.ndarray) -> None:
    path = write_mask(tmp_path / "mask.tif", values, CODES, nodata=255, photometric="palette")
    coarse = Grid(GRID.crs, GRID.transform @ Affine.scale(10), 12, 9)
    with MaskRaster(path, GRID) as mask:
        seen = mask.overview(coarse)
        assert seen[6, 6] == 1, "the single pixel"
        assert seen[1, 1] == 1 and seen[5, 10] == 2 and seen[3, 3] == 0


@pytest.mark.parametrize(
    ("profile", "dtype", "said"),
    [
        ({}, np.float32, "not its scores"),
        ({"crs": None}, np.uint8, "nothing says where it lies"),
    ],
)
def test_what_is_no_mask_is_refused(
    tmp_path: Path, values: np.ndarray, profile: dict[str, Any], dtype: type, said: str
) -> None:
    path = write_mask(tmp_path / "mask.tif", values.astype(dtype), **profile)
    with pytest.raises(InputError, match=said):
        MaskRaster(path, GRID)
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    with pytest.raises(InputError, match=r"text\.tif"):
        MaskRaster(text, GRID)
