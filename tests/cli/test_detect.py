"""`rsccli detect` and `rsccli caption --mask` as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.windows import Window

ROOT = Path(__file__).resolve().parents[2]
PRE, POST = (str(ROOT / "examples" / f"prairie_{day}.tif") for day in ("2012-07-31", "2014-07-20"))
MARKED = f"{ROOT}/tests/detectors.py:MarkedFactory"


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def write_pair(folder: Path, side: int, blocks: list[int], block: int = 512) -> tuple[Path, Path]:
    """Rasters of which a few blocks on the diagonal were ever written; each holds a lake for the marked detector."""
    paths = folder / "pre.tif", folder / "post.tif"
    for path in paths:
        rng = np.random.default_rng(path.name == "pre.tif")
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=side,
            height=side,
            count=3,
            dtype="uint8",
            crs="EPSG:32633",
            transform=Affine(0.5, 0, 400_000, 0, -0.5, 5_200_000),
            nodata=0,
            tiled=True,
            blockxsize=256,
            blockysize=256,
            compress="deflate",
            sparse_ok=True,
        ) as file:
            for start_px in blocks:
                values = rng.integers(20, 90, (3, block, block)).astype(np.uint8)
                if path.name == "post.tif":
                    values[0], values[1], values[2] = 1, 3, 10
                    values[0, 100:400, 100:400] = 240
                file.write(values, window=Window(start_px, start_px, block, block))
    return paths


def test_the_example_pair_becomes_polygons_and_rasters(tmp_path: Path) -> None:
    output = tmp_path / "changes.gpkg"
    done = run(
        "detect", PRE, POST, "-o", output, "--mask", tmp_path / "m.tif", "--score", tmp_path / "s.tif", "--json",
        "--threads", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    layer = pyogrio.read_info(output, layer="changes")
    assert layer["layer_name"] == "changes" and layer["features"] == told["polygons"] > 10
    assert json.loads(layer["layer_metadata"]["rsccli"])["detect"]["threshold"] == 0.5
    meta, _, shapes, columns = pyogrio.raw.read(output, layer="changes")
    values = dict(zip(meta["fields"], columns, strict=True))
    assert shapely.is_valid(shapely.from_wkb(shapes)).all()
    assert set(values["class"]) <= set(told["classes"]) and (values["mean_probability"] >= 0.5).all()
    assert values["area_m2"].sum() == pytest.approx(told["area_m2"], abs=1)
    with rasterio.open(tmp_path / "m.tif") as file:
        mask = file.read(1)
    changed_m2 = ((mask > 0) & (mask < 254)).sum() * 25
    assert told["area_m2"] + told["left_out"]["area_m2"] == pytest.approx(changed_m2, rel=0.005)
    assert f"{told['polygons']} changes" in done.stderr and "mask: " in done.stderr
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"changes.gpkg", "m.tif", "m.tif.aux.xml", "m.qml", "s.tif", "s.qml"}


def test_a_stream_ends_where_its_reader_leaves(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, 600, [0])
    done = run("detect", *pair, "-o", "-", "-m", MARKED, "-q")
    (feature,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and feature["properties"]["pixels"] == 90_000 and done.stderr == ""


def test_options_come_from_the_environment_too(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, 600, [0])
    done = run("detect", *pair, "-o", tmp_path / "b.geojson", RSCCLI_MODEL=MARKED, RSCCLI_CLASSES="change")
    assert done.returncode == 0
    (feature,) = json.loads((tmp_path / "b.geojson").read_text())["features"]
    assert feature["properties"]["class"] == "change"
    assert feature["properties"]["area_m2"] == pytest.approx(90_000 / 4, rel=2e-3)  # the grid's scale is not 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--threshold", "0"], 2, "--threshold 0: give a probability above 0"),
        (["--classes", "lava"], 2, "rsccli-small does not know it; it knows building, road"),
    ],
)
def test_what_cannot_be_done_is_refused(options: list[str], code: int, words: str, tmp_path: Path) -> None:
    done = run("detect", PRE, POST, "-o", tmp_path / "out.gpkg", *options)
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_output_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "out.gpkg").write_bytes(b"mine")
    done = run("detect", PRE, POST, "-o", tmp_path / "out.gpkg")
    assert done.returncode == 3 and "out.gpkg exists; add --overwrite" in done.stderr
    assert (tmp_path / "out.gpkg").read_bytes() == b"mine"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = run("detect", PRE, POST, "-o", tmp_path / "out.gpkg", "--dry-run", "--json")
    told = json.loads(done.stdout)
    assert (told["tiles"], told["overlap_px"], told["stride_px"]) == (20, 64, 192)
    assert told["min_area_m2"] == pytest.approx(16 * 25, rel=0.01) and list(tmp_path.iterdir()) == []


def test_ground_that_the_captioner_does_not_know_is_not_judged(tmp_path: Path, shared: Path) -> None:
    pair = [shared / "taizhou" / f"taizhou_{year}.tif" for year in (2000, 2003)]
    done = run("detect", *pair, "-o", tmp_path / "out.geojson", "--bands", "3,2,1", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["polygons"] == 0 and told["judged_px"] == 0 < told["not_judged_px"]
    assert "not judged (100 % of the ground" in done.stderr.replace("100%", "100 %")
    assert "30 m per pixel is outside of the 0.3 to 10 m" in done.stderr
    assert json.loads((tmp_path / "out.geojson").read_text())["features"] == []


def test_a_stopped_run_leaves_with_75_and_goes_on(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, 2304, [0, 512, 1024, 1536])
    output = tmp_path / "out.geojson"
    command = ["detect", *pair, "-o", output, "--mask", tmp_path / "m.tif", "-m", MARKED]
    process = start(*command, DETECTOR_SLEEP_S="0.1")
    journal = tmp_path / ".out.geojson.detect" / "journal"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 75 and "run the same command again to go on" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.geojson.detect", "post.tif", "pre.tif"]
    done = run(*command)
    assert done.returncode == 0 and "tiles were finished before, going on" in done.stderr
    whole = run("detect", *pair, "-o", tmp_path / "whole.geojson", "-m", MARKED)
    assert whole.returncode == 0
    assert output.read_bytes() == (tmp_path / "whole.geojson").read_bytes()
    assert len(json.loads(output.read_text())["features"]) == 4
    assert not journal.parent.exists()


def test_failed_tiles_leave_with_5_and_a_whole_output(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, 600, [0])
    done = run("detect", *pair, "-o", tmp_path / "a.geojson", "-m", MARKED, DETECTOR_FAIL_TILE="r00000c00000")
    assert done.returncode == 5 and "1 of 9 tiles failed (r00000c00000: this batch fails" in done.stderr
    assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == 1


def test_caption_writes_its_mask(tmp_path: Path) -> None:
    pair, output = write_pair(tmp_path, 600, [0]), tmp_path / "out.geojson"
    done = run("caption", *pair, "-o", output, "--mask", tmp_path / "m.tif", "--no-report", "-m", MARKED)
    assert done.returncode == 0, done.stderr
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and (file.width, file.height) == (600, 600)
        mask = file.read(1)
    assert (mask[100:400, 100:400] == 4).all() and (mask == 4).sum() == 300**2
    assert (tmp_path / "m.tif.aux.xml").exists() and len(json.loads(output.read_text())["features"]) == 9
    done = run("caption", PRE, POST, "-o", "-", "--mask", tmp_path / "n.tif")
    assert done.returncode == 2 and "--mask goes with a map in a file" in done.stderr


@pytest.mark.slow
def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    """The same eight blocks on 8k and on 60k pixels a side, most of which were never written."""
    peaks = {}
    for side in (8_192, 61_440):
        folder = tmp_path / str(side)
        folder.mkdir()
        pair = write_pair(folder, side, [index * side // 8 // 512 * 512 for index in range(8)])
        command = ["detect", *pair, "-o", folder / "out.gpkg", "--mask", folder / "m.tif", "--score", folder / "s.tif"]
        process = start(*command, "-m", MARKED, "-q", "--metrics")
        assert process.wait(300) == 0
        assert pyogrio.read_info(folder / "out.gpkg", layer="changes")["features"] == 8
        peaks[side] = json.loads((folder / "out.gpkg.metrics.json").read_bytes())["peak_memory_bytes"] / 2**20
    assert peaks[61_440] < 1.15 * peaks[8_192] + 30 and peaks[61_440] < 700, peaks
