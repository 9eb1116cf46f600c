"""`rsccli caption` as a person types it: streams, dry runs, configuration, edges."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rasterio
from pyproj import Transformer

ROOT = Path(__file__).resolve().parents[2]
ECHO = f"{ROOT}/tests/captioners.py:EchoFactory"
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
EXAMPLE = [str(ROOT / "examples" / f"prairie_{date}.tif") for date in ("2012-07-31", "2014-07-20")]


def test_stream_is_geojsonseq_and_nothing_else(cli) -> None:
    done = cli.run("-")
    assert done.returncode == 0, done.stderr
    features = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(features) == 162 and {f["type"] for f in features} == {"Feature"}


def test_stream_survives_a_reader_that_leaves(cli) -> None:
    process = cli.start("-", "-q")
    assert process.stdout is not None and process.stderr is not None
    assert json.loads(process.stdout.readline())["type"] == "Feature"
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == ""


def test_dry_run_loads_no_model_and_writes_nothing(cli, tmp_path: Path) -> None:
    done = cli.run(tmp_path / "out.geojson", "--dry-run", "--json", BRIGHTNESS_LOG=str(tmp_path / "log"))
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["tiles"] == 162 and plan["grid_size_px"] == [4400, 2304] and plan["expected_memory_mb"] > 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("edge", "tiles"), [("pad", 18 * 9), ("shift", 18 * 9), ("drop", 17 * 9)])
def test_edge_rules(cli, tmp_path: Path, edge: str, tiles: int) -> None:
    done = cli.run(tmp_path / "out.geojson", "--edge", edge, "--no-report")
    assert done.returncode == 0, done.stderr
    features = json.loads((tmp_path / "out.geojson").read_text())["features"]
    assert len(features) == tiles
    last = features[tiles // 9 - 1]["properties"]["valid_fraction"]
    assert last == pytest.approx((4400 - 17 * 256) / 256 if edge == "pad" else 1.0, abs=1e-6)


def test_min_valid_skips_and_says_so(cli, tmp_path: Path) -> None:
    done = cli.run(tmp_path / "out.geojson", "--min-valid", "0.5", "--no-report")
    assert done.returncode == 0, done.stderr
    features = json.loads((tmp_path / "out.geojson").read_text())["features"]
    skipped = [f["properties"] for f in features if f["properties"]["status"] == "skipped"]
    assert len(skipped) == 9 and all("--min-valid 0.5" in p["reason"] for p in skipped)


def test_overlap_is_what_neighbours_share(cli) -> None:
    done = cli.run("x.geojson", "--dry-run", "--json", "--overlap", "64")
    plan = json.loads(done.stdout)
    assert plan["stride_px"] == 192 and plan["tile_rows_cols"] == [12, 23]
    both = cli.run("x.geojson", "--dry-run", "--overlap", "64", "--stride", "10")
    assert both.returncode == 2 and "--overlap and --stride" in both.stderr


def test_configuration_file_environment_and_flag(cli, tmp_path: Path) -> None:
    config = tmp_path / "job.toml"
    config.write_text("tile-size = 512\n[caption]\nmin_valid = 0.3\nbands = [3, 2, 1]\n")
    plan = json.loads(cli.run("x.geojson", "--dry-run", "--json", "--config", str(config)).stdout)
    assert plan["tile_size_px"] == 512 and "bands 3,2,1" in plan["pre"]
    by_env = cli.run("x.geojson", "--dry-run", "--json", "--config", str(config), RSCCLI_TILE_SIZE="128")
    assert json.loads(by_env.stdout)["tile_size_px"] == 128
    by_flag = cli.run(
        "x.geojson", "--dry-run", "--json", "--config", str(config), "--tile-size", "320", RSCCLI_TILE_SIZE="128"
    )
    assert json.loads(by_flag.stdout)["tile_size_px"] == 320
    config.write_text("tilesize = 512\n")
    wrong = cli.run("x.geojson", "--dry-run", "--config", str(config))
    assert wrong.returncode == 2 and "'tilesize'" in wrong.stderr


def test_unknown_suffix_and_model_are_told_before_any_work(cli, tmp_path: Path) -> None:
    done = cli.run(tmp_path / "out.shp")
    assert done.returncode == 2 and ".geojson" in done.stderr
    done = cli.run(tmp_path / "out.geojson", "-m", "nobody")
    assert done.returncode == 4 and "nobody" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_area_of_interest(cli, tmp_path: Path, undisturbed: Path) -> None:
    features = json.loads((undisturbed / "out.geojson").read_text())["features"]
    ring = next(f for f in features if f["id"] == "r00003c00004")["geometry"]["coordinates"][0]
    xs, ys = zip(*ring, strict=True)
    dx, dy = (max(xs) - min(xs)) / 10, (max(ys) - min(ys)) / 10
    inner = [min(xs) + dx, min(ys) + dy, max(xs) - dx, max(ys) - dy]
    corners = [(0, 1), (2, 1), (2, 3), (0, 3), (0, 1)]
    polygon = {"type": "Polygon", "coordinates": [[[inner[i], inner[j]] for i, j in corners]]}
    aoi = tmp_path / "aoi.geojson"
    aoi.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": polygon}))
    done = cli.run(tmp_path / "out.geojson", "--aoi", str(aoi), "--no-report")
    assert done.returncode == 0, done.stderr
    (tile,) = json.loads((tmp_path / "out.geojson").read_text())["features"]
    assert tile["properties"]["valid_fraction"] > 0.5


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damage_costs_the_tiles_that_it_touches(cli, tmp_path: Path, undisturbed: Path, damage: str) -> None:
    content = bytearray(cli.post.read_bytes())
    if damage == "truncated":
        del content[int(len(content) * 0.7) :]
    else:
        with rasterio.open(cli.post) as ds:
            at = int(ds.get_tag_item("BLOCK_OFFSET_5_3", "TIFF", bidx=1))
        content[at : at + 64] = bytes(64)
    post = tmp_path / cli.post.name
    post.write_bytes(content)
    done = type(cli)(cli.pre, post).run(tmp_path / "out.geojson")
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr and "the output is whole" in done.stderr
    features = json.loads((tmp_path / "out.geojson").read_text())["features"]
    healthy = {f["id"]: f["properties"] for f in json.loads((undisturbed / "out.geojson").read_text())["features"]}
    bad = [f for f in features if f["properties"]["status"] == "read_error"]
    assert len(features) == 162 and 1 <= len(bad) <= (60 if damage == "truncated" else 4)
    assert all(str(post) in f["properties"]["reason"] for f in bad)
    for feature in features:
        if feature not in bad:
            assert feature["properties"]["caption"] == healthy[feature["id"]]["caption"]
    assert bad[0]["id"] in (tmp_path / "out.report.md").read_text()


def test_report_again_from_the_output_has_the_same_bytes(cli, undisturbed: Path, tmp_path: Path) -> None:
    for form in ("html", "md", "json"):
        page = tmp_path / f"page.{form}"
        done = subprocess.run(
            [sys.executable, "-m", "rsccli", "report", str(undisturbed / "out.geojson"), "-o", str(page)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert page.read_bytes() == (undisturbed / f"out.report.{form}").read_bytes()


def test_json_is_the_report_also_without_files(cli, tmp_path: Path, undisturbed: Path) -> None:
    done = cli.run(tmp_path / "out.geojson", "--json", "--no-report", "-q")
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout) == json.loads((undisturbed / "out.report.json").read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["out.geojson"]


def test_from_python_tiles_come_one_after_another(cli, undisturbed: Path) -> None:
    import rsccli

    brightness = Path(__file__).resolve().parents[1] / "captioners.py"
    results = rsccli.caption_pair(cli.pre, cli.post, model=f"{brightness}:BrightnessFactory")
    record, tile = next(results)
    assert (record.tile_id, tile.px_window) == ("r00000c00000", (0, 0, 256, 256))
    features = {f["id"]: f["properties"] for f in json.loads((undisturbed / "out.geojson").read_text())["features"]}
    for record, _ in results:
        assert features[record.tile_id]["caption"] == record.caption


def on_the_example(output: Path | str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command on the example pair, which has twelve tiles."""
    command = [sys.executable, "-m", "rsccli", "caption", *EXAMPLE, "-o", str(output), *options]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (
            ("-m", ECHO, "--prompt", "textual"),
            2,
            "the textual prompt needs counts: give --labels FILE or --counts-from",
        ),
        (("-m", ECHO, "--prompt", "visual"), 2, "the visual prompt needs counts"),
        (("-m", ECHO, "--prompt", "shakespeare"), 2, "--prompt shakespeare: no such file, and no regime"),
        (("-m", ECHO, "--counts-from", "labels"), 2, "--counts-from labels: give the file with --labels FILE"),
        (("-m", ECHO, "--counts-from", "mask", "--labels", "x.geojson"), 2, "two sources of counts"),
        (("-m", ECHO, "--prompt", "textual", "--labels", "x.geojson"), 3, "x.geojson: the labels cannot be read"),
        (("-m", BRIGHTNESS, "--labels", "x.geojson"), 2, "brightness is not asked in words"),
        (("-m", BRIGHTNESS, "--counts-from", "mask"), 2, "brightness is not asked in words"),
        (("--disaster", "wildfire"), 2, "rsccli-small is not asked in words"),
        (("--skip-unchanged",), 2, "--skip-unchanged: rsccli-small looks at every tile anyway"),
        (("--batch-size", "0"), 2, "--batch-size 0: give auto, or a whole number of at least 1"),
        (("--batch-size", "abc"), 2, "--batch-size abc: give auto"),
        (("--batch-size", "\u00b2"), 2, "give auto, or a whole number"),
        (("--provider-option", "gpu_mem_limit"), 2, "'gpu_mem_limit' is not of the form NAME=VALUE"),
        (("--provider-option", "a=1", "--provider-option", "a=2"), 2, "'a' is given twice"),
        (("--device", "cpu", "--provider-option", "a=1"), 2, "the CPU provider takes none: leave them out"),
        (("--temperature", "0.7", "--num-beams", "3"), 2, "--temperature draws tokens with the lean decoder"),
        (("--top-p", "0"), 2, "top_p 0: give a share above 0"),
        (("--decoder", "fast"), 2, "choose one of auto, lean, optimum"),
        (("--backend", "jax"), 2, "choose one of onnx, torch"),
        (("--device", "cuda:all"), 4, "give --device cpu"),
        (("--device", "gpu"), 4, "cuda:INDEX,INDEX or cuda:all"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(
    tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    # The driver numbers no GPU, should there be one.
    done = on_the_example(tmp_path / "out.geojson", *options, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out.geojson").exists()


def test_batch_size_of_a_configuration_file(tmp_path: Path) -> None:
    config = tmp_path / "job.toml"
    for text, size in (("batch-size = 7", 7), ('batch-size = "auto"', 4), ("", 4)):
        config.write_text(f"[caption]\n{text}\n")
        done = on_the_example("x.geojson", "-m", BRIGHTNESS, "--config", str(config), "--dry-run", "--json")
        assert json.loads(done.stdout)["batch_size"] == size, done.stderr


def test_an_echo_of_all_that_a_model_is_told(tmp_path: Path) -> None:
    """Labels over the example pair, through the whole command: each building is counted once."""
    places = [(20, 30), (100, 200), (257, 40), (500, 508), (600, 300), (930, 720)]
    levels = ["no-damage", "destroyed", "minor-damage", "major-damage", "destroyed", "no-damage"]
    with rasterio.open(EXAMPLE[0]) as ds:
        move = Transformer.from_crs(ds.crs, "EPSG:4326", always_xy=True)
        rings = [
            [move.transform(*(ds.transform @ (col + x, row + y))) for x, y in ((-3, -3), (3, -3), (3, 3), (-3, -3))]
            for col, row in places
        ]
    labels = tmp_path / "damage.geojson"
    made: list[dict[str, Any]] = [
        {"type": "Feature", "properties": {"damage": level}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for ring, level in zip(rings, levels, strict=True)
    ]
    labels.write_text(json.dumps({"type": "FeatureCollection", "features": made}))
    options = ("-m", ECHO, "--prompt", "textual", "--labels", str(labels), "--disaster", "wildfire", "--place", "Here")
    done = on_the_example(tmp_path / "out.geojson", *options)
    assert done.returncode == 0, done.stderr
    features = json.loads((tmp_path / "out.geojson").read_text())["features"]
    contexts = [json.loads(each["properties"]["caption"])["context"] for each in features]
    assert len(contexts) == 12
    counted = [re.match(r"(\d+) building", each["counts"]) for each in contexts]
    assert sum(int(each[1]) for each in counted if each) == len(places)
    destroyed = [re.search(r"(\d+) destroyed", each["counts"]) for each in contexts]
    assert sum(int(each[1]) for each in destroyed if each) == levels.count("destroyed")
    assert {each["counts"] for each, found in zip(contexts, counted, strict=True) if not found} == {"no building"}
    for key, value in (("source", "labels: damage.geojson (centroid)"), ("disaster", "wildfire"), ("place", "Here")):
        assert {each[key] for each in contexts} == {value}
    assert {each["pre_date"][:10] for each in contexts} == {"2012-07-31"}
    assert {each["post_date"][:10] for each in contexts} == {"2014-07-20"}
    # The report tells where the counts come from.
    assert "tells it counts from labels: damage.geojson" in (tmp_path / "out.report.md").read_text()


@pytest.mark.slow
def test_skipping_what_did_not_change_on_a_stream() -> None:
    small = on_the_example("-", "-q")
    done = on_the_example("-", "-q", "-m", ECHO, "--skip-unchanged", "--batch-size", "5")
    assert (small.returncode, done.returncode) == (0, 0), done.stderr
    looks, found = (
        {each["id"]: each["properties"] for each in map(json.loads, text.splitlines())}
        for text in (small.stdout, done.stdout)
    )
    assert len(found) == len(looks) == 12
    statuses = {tile: each["status"] for tile, each in looks.items()}
    assert "unchanged" in statuses.values()
    for tile, status in statuses.items():
        spared = status == "unchanged"
        assert found[tile]["status"] == ("unchanged" if spared else "changed")
        assert found[tile]["caption"].startswith("{") != spared
        assert ("not captioned by echo" in (found[tile]["reason"] or "")) == spared
