"""Masks and scores as GDAL reads them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from rsccli.errors import OutputError, UsageProblem
from rsccli.run.detect.codes import CHANGE, NODATA, NOT_JUDGED, Legend
from rsccli.run.detect.rasters import WorkRaster, check_raster, write_mask, write_score
from rsccli.types import Grid, PxWindow

GRID = Grid("EPSG:32614", Affine(5, 0, 500_000, 0, -5, 5_000_000), 1500, 1300)
LEGEND = Legend(("building", "road", "lava & ash"))


def work(folder: Path) -> Path:
    """A few windows; most of the raster was never written."""
    with WorkRaster(folder / "work.tif", GRID) as raster:
        values = np.zeros((300, 400), np.uint8)
        values[100:200, 100:200], values[0], values[1] = 3, NOT_JUDGED, NODATA
        raster.write(PxWindow(200, 900, 400, 300), values)
        raster.write(PxWindow(0, 0, 500, 500), np.full((500, 500), NODATA, np.uint8))
    return folder / "work.tif"


def test_a_mask_is_a_cloud_optimised_geotiff_with_colours(tmp_path: Path) -> None:
    write_mask(work(tmp_path), tmp_path / "m.tif", LEGEND, {"RSCCLI_MODEL": "a"})
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.overviews(1) == [2, 4]
        assert (file.width, file.height, file.nodata) == (1500, 1300, NODATA)
        assert file.transform == GRID.transform and file.crs.to_epsg() == 32614
        assert file.colorinterp == (ColorInterp.palette,)
        colours = file.colormap(1)
        assert colours[1] == LEGEND.colours[1] and colours[NOT_JUDGED][:3] == (200, 200, 200)
        assert file.tags()["CODES"] == "0=no change; 1=building; 2=road; 3=lava & ash; 254=not judged; 255=no data"
        assert file.tags()["RSCCLI_MODEL"] == "a"
        mask = file.read(1)
    assert (mask == 3).sum() == 100 * 100 and (mask == NOT_JUDGED).sum() == 400
    assert (mask != NODATA).sum() == 299 * 400


def test_names_of_codes_stand_where_gdal_looks_for_them(tmp_path: Path) -> None:
    write_mask(work(tmp_path), tmp_path / "m.tif", LEGEND, {})
    names = ET.parse(tmp_path / "m.tif.aux.xml").findall("./PAMRasterBand[@band='1']/CategoryNames/Category")
    told = {code: each.text for code, each in enumerate(names) if each.text}
    assert told == LEGEND.names and len(names) == 256


def test_a_score_has_scale_and_offset(tmp_path: Path) -> None:
    write_score(work(tmp_path), tmp_path / "s.tif", {"RSCCLI_PRE": "pre.tif"})
    with rasterio.open(tmp_path / "s.tif") as file:
        assert file.scales == (0.004,) and file.offsets == (0.0,) and file.nodata == NODATA
        assert file.descriptions == ("probability of change",) and file.tags()["RSCCLI_PRE"] == "pre.tif"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.read(1, masked=True).count() == 299 * 400
    assert not (tmp_path / "s.tif.aux.xml").exists()


def test_equal_pixels_give_equal_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_mask(work(tmp_path / name), tmp_path / name / "m.tif", LEGEND, {})
        files.append((tmp_path / name / "m.tif").read_bytes())
    assert files[0] == files[1]


def test_a_part_of_a_grid_lies_where_it_belongs(tmp_path: Path) -> None:
    part = PxWindow(0, 640, GRID.width, 320)
    with WorkRaster(tmp_path / "row.tif", GRID, 2, part) as raster:
        raster.write(PxWindow(100, 700, 30, 20), np.full((20, 30), 7, np.uint8), np.full((20, 30), 9, np.uint8))
    with rasterio.open(tmp_path / "row.tif") as file:
        assert (file.height, file.count) == (320, 2)
        assert file.transform * (0, 0) == (500_000, 5_000_000 - 5 * 640)
        assert (file.read(2)[60:80, 100:130] == 9).all() and (file.read(1) == 7).sum() == 600


def test_every_class_has_a_code_a_name_and_a_colour_of_its_own() -> None:
    legend = Legend(("building", "road", "vegetation", "water", "bare soil", "burn", "debris", "other", "x", "y"))
    assert [legend.code(name) for name in legend.classes] == list(range(1, 11))
    assert set(legend.names) == set(legend.colours) == {0, *range(1, 11), NOT_JUDGED, NODATA}
    assert len({legend.colours[code] for code in range(1, 11)}) == 10
    assert Legend((CHANGE,)).names[1] == "change"


def test_a_raster_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    check_raster(tmp_path / "a.tif", "--mask", False)
    (tmp_path / "there.tif").write_bytes(b"")
    check_raster(tmp_path / "there.tif", "--mask", True)
    with pytest.raises(UsageProblem, match=r"--mask .*a\.png: it becomes a GeoTIFF"):
        check_raster(tmp_path / "a.png", "--mask", False)
    for path, words in (
        (tmp_path / "there.tif", "exists; add --overwrite"),
        (tmp_path / "no" / "a.tif", "mkdir -p"),
    ):
        with pytest.raises(OutputError, match=words):
            check_raster(path, "--score", False)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "m.tif").write_bytes(b"old")
    (tmp_path / ".m.tif.part").write_bytes(b"")  # where the new one would be made
    with pytest.raises(OutputError, match=r"cannot write .*free space"):
        write_score(work(tmp_path), tmp_path / "m.tif", {})
    assert (tmp_path / "m.tif").read_bytes() == b"old"
