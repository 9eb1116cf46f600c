"""``rsccli info`` as a subprocess: what it tells, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.enums import ColorInterp
from rasters import EAST, NORTH

Make = Callable[..., Path]


def info(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RSCCLI_")}
    return subprocess.run(
        [sys.executable, "-m", "rsccli", "info", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=clean | environ,
        timeout=120,
        check=False,
    )


def document(*arguments: object, code: int = 0) -> dict[str, Any]:
    done = info(*arguments, "--json")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code == 0:
        assert done.stderr == ""
    return json.loads(done.stdout)


def ground(seed: int, size: int = 640) -> np.ndarray:
    """Texture at many scales, uint8 (3, size, size)."""
    import cv2

    rng = np.random.default_rng(seed)
    base = sum(
        weight * cv2.resize(rng.normal(0, 1, (n, n)), (size, size), interpolation=cv2.INTER_CUBIC)
        for n, weight in ((20, 1.0), (80, 0.7), (320, 0.5))
    )
    return np.clip(120 + 40 * np.stack([base, 0.9 * base, 1.1 * base]), 0, 255).astype(np.uint8)


def test_one_raster(raster_factory: Make) -> None:
    path = raster_factory(
        "scene_2019-06-30.tif", size=(320, 288), nodata=0, overviews=[2, 4], descriptions=("a", "b", "c")
    )
    facts = document(path)
    assert facts["size_px"] == [320, 288] and facts["count"] == 3
    assert facts["crs"] == "EPSG:32633" and facts["crs_name"] == "WGS 84 / UTM zone 33N"
    assert facts["transform"] == [1, 0, EAST, 0, -1, NORTH] and facts["placed_by"] == "geotransform"
    assert facts["gsd_m"] == pytest.approx([1, 1], rel=1e-3)
    assert facts["bands_used"] == [1, 2, 3] and facts["bands_why"] == "by colour interpretation"
    assert facts["bands"][2] | {"read_as": "blue", "description": "c"} == facts["bands"][2]
    assert (facts["mask"], facts["nodata"]) == ("nodata value", 0)
    assert (facts["layout"], facts["block_px"], facts["block_bytes"]) == ("tiled", [128, 128], 128 * 128 * 3)
    assert facts["overviews"] == [2, 4] and facts["compression"] == "DEFLATE"
    assert facts["datetime"] == "2019-06-30" and facts["refused"] is None
    text = info(path).stdout
    for part in ("320 x 288 pixels", "WGS 84 / UTM zone 33N (EPSG:32633)", "1, 2, 3 as red, green, blue", "1:2, 1:4"):
        assert part in text


def test_a_stack_whose_bands_are_named(raster_factory: Make) -> None:
    path = raster_factory(
        "s2.tif", dtype="uint16", bands=4, descriptions=("B02", "B03", "B04", "B08"), photometric="minisblack"
    )
    facts = document(path)
    assert facts["bands_used"] == [3, 2, 1] and facts["bands_why"] == "by band descriptions"
    assert document(path, "--bands", "4,3,2")["bands_why"] == "named with --bands"


def test_what_is_refused_is_told_after_what_could_be_found(raster_factory: Make) -> None:
    path = raster_factory("four.tif", bands=4, photometric="minisblack")
    done = info(path)
    assert done.returncode == 3
    assert "320 x 288 pixels, 4 bands of uint8" in done.stdout
    assert "4 bands and nothing tells" in done.stderr and "--bands" in done.stderr
    facts = document(path, code=3)
    assert "--bands" in facts["refused"] and facts["bands_used"] is None and len(facts["bands"]) == 4


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    junk = tmp_path / "junk.tif"
    junk.write_text("not a raster")
    for path in (junk, tmp_path / "missing.tif"):
        done = info(path)
        assert done.returncode == 3 and done.stdout == ""
        assert path.name in done.stderr and "Traceback" not in done.stderr


def test_nan_as_nodata_is_valid_json(raster_factory: Make) -> None:
    facts = document(raster_factory("nan.tif", dtype="float32", nodata=float("nan")))
    assert facts["nodata"] == "nan"


def test_a_pair(raster_factory: Make) -> None:
    before = ground(1)
    size, box = (600, 600), (EAST, NORTH - 600, EAST + 600, NORTH)
    pre = raster_factory("pre_2018.tif", values=before[:, 20:620, 20:620], size=size, bounds=box)
    # Content three pixels further right and two up, and brighter.
    after = np.clip(before[:, 22:622, 17:617] * 1.1 + 5, 0, 255).astype(np.uint8)
    post = raster_factory("post_2020.tif", values=after, size=size, bounds=box)
    facts = document(pre, post)
    assert facts["refused"] == [] and facts["grid"]["crs"] == "EPSG:32633"
    assert (facts["grid"]["width"], facts["grid"]["height"]) == (600, 600)
    assert facts["tiles"] == 9 and facts["tile_size"] == 256
    assert [d["resampling"] for d in facts["dates"]] == ["pixels are copied"] * 2
    assert [d["covered"] for d in facts["dates"]] == pytest.approx([1, 1])
    assert facts["registration"]["trusted"]
    assert facts["registration"]["dx_px"] == pytest.approx(3, abs=0.1)
    assert facts["registration"]["dy_px"] == pytest.approx(-2, abs=0.1)
    assert "1.1 x pre" in facts["radiometry"]
    assert any("--coregister" in w for w in facts["warnings"])
    text = info(pre, post).stdout
    assert "3.00 px right" in text and "2.00 px up" in text and "9 of 256 px every 256 px" in text
    corrected = document(pre, post, "--coregister", "--tile-size", "128", "--overlap", "28")
    assert corrected["registration"]["applied"] and corrected["stride"] == 100


def test_a_pair_on_another_grid(raster_factory: Make) -> None:
    pre = raster_factory("pre.tif")
    post = raster_factory("post.tif", bounds=(EAST + 160.5, NORTH - 288, EAST + 480.5, NORTH))
    facts = document(pre, post)
    assert [round(d["covered"], 2) for d in facts["dates"]] == [0.5, 0.5]
    assert facts["dates"][1]["resampling"].startswith("bilinear: 1 x 1 of its pixels")
    coarse = document(pre, post, "--res", "4")
    assert coarse["grid"]["transform"][0] == 4
    assert coarse["dates"][0]["resampling"].startswith("averaged by area, then bilinear: 4 x 4")


def test_a_pair_that_does_not_overlap(raster_factory: Make) -> None:
    pre = raster_factory("pre.tif")
    post = raster_factory("post.tif", bounds=(EAST + 9000, NORTH - 288, EAST + 9320, NORTH))
    facts = document(pre, post, code=3)
    assert facts["pre"]["crs"] == "EPSG:32633" and facts["post"]["size_px"] == [320, 288]
    assert facts["grid"] is None and "do not overlap" in facts["refused"][0]


def test_every_refused_file_of_a_pair_is_told(raster_factory: Make) -> None:
    four = raster_factory("four.tif", bands=4, photometric="minisblack")
    bare = raster_factory("bare.tif", crs=None)
    done = info(four, bare)
    assert done.returncode == 3
    assert "four.tif: 4 bands" in done.stderr and "bare.tif: no coordinate reference system" in done.stderr
    assert len(document(four, bare, code=3)["refused"]) == 2


def test_coregistration_that_would_be_refused_still_shows_the_shift(raster_factory: Make) -> None:
    size, box = (600, 600), (EAST, NORTH - 600, EAST + 600, NORTH)
    pre = raster_factory("pre.tif", values=ground(1, 600), size=size, bounds=box)
    post = raster_factory("post.tif", values=ground(2, 600), size=size, bounds=box)
    facts = document(pre, post, "--coregister", code=3)
    assert "--coregister" in facts["refused"][0]
    assert facts["registration"]["trusted"] is False and facts["tiles"] == 9


def test_no_whole_tile_still_shows_the_grid(raster_factory: Make) -> None:
    facts = document(raster_factory("a.tif"), raster_factory("b.tif"), "--tile-size", "1024", "--edge", "drop", code=3)
    assert facts["grid"]["width"] == 320 and facts["tiles"] is None
    assert "--edge pad" in facts["refused"][0]


def test_the_same_file_twice(raster_factory: Make) -> None:
    path = raster_factory("a.tif")
    assert "--allow-same" in document(path, path, code=3)["refused"][0]
    assert document(path, path, "--allow-same")["refused"] == []


def test_wrong_alpha_is_warned_of(raster_factory: Make) -> None:
    infrared = np.random.default_rng(0).integers(20, 200, (288, 320)).astype(np.uint8)
    facts = document(raster_factory("rgbn.tif", alpha=infrared))
    assert facts["bands"][3]["interpretation"] == ColorInterp.alpha.name
    assert facts["bands"][3]["read_as"] is None and any("tagged alpha" in w for w in facts["warnings"])


def test_options_from_the_environment_and_usage_errors(raster_factory: Make) -> None:
    path = raster_factory("four.tif", bands=4, photometric="minisblack")
    assert info(path, RSCCLI_BANDS="1,2,3").returncode == 0
    wrong = info(path, "--bands", "red")
    assert wrong.returncode == 2 and "--bands 'red'" in wrong.stderr


@pytest.mark.shared
def test_odd_files_are_told_or_refused(shared: Path) -> None:
    """In one process: every file gives facts, or an error that says why there are none."""
    from rsccli.cli.info import _json, _lines, _raster_rows
    from rsccli.errors import InputError
    from rsccli.geo.inspect import inspect_raster

    files = sorted((shared / "odd_tiffs").glob("*.tif"))
    told = 0
    for path in files:
        try:
            facts, refusal = inspect_raster(str(path))
        except InputError as error:
            assert path.name in str(error)
            continue
        told += 1
        assert (facts.refused is None) == (refusal is None)
        assert _lines(_raster_rows(facts)) and json.loads(_json(facts))["path"] == str(path)
    assert told >= 46


@pytest.mark.shared
def test_real_pairs(shared: Path) -> None:
    prairie = sorted((shared / "prairie").glob("*.tif"))
    facts = document(prairie[0], prairie[2], "--bands", "1,2,3")
    assert facts["dates"][0]["resampling"] == "pixels are copied"
    assert facts["dates"][1]["covered"] > 0.99
    canyon = document(shared / "canyon" / "source2.tif", shared / "canyon" / "reference2.tif")
    assert canyon["registration"]["trusted"] and abs(canyon["registration"]["dx_px"]) < 0.1
    untold = document(shared / "pucallpa" / "1985.tif", shared / "pucallpa" / "2000.tif", code=3)
    assert all("nothing tells which are red, green and blue" in r for r in untold["refused"])
