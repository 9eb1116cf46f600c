"""The files of whole detections: formats, what a stopped run leaves, what is refused."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import detectors
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from captioners import BrightnessFactory
from detect_scenes import ROAD, WATER, Marks, detect, job_of, make_scene

from rsccli.errors import OutputError, StoppedError, UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.models.registry import register, unregister
from rsccli.run.detect import job as job_module
from rsccli.run.detect.folder import work_folder
from rsccli.run.detect.job import DetectJob, prepare_detect
from rsccli.run.detect.run import run_detect, stream_detect


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    yield from detectors.known()


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """``scene(marks)``: see `make_scene`."""
    return partial(make_scene, tmp_path)


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb", ".parquet", ".csv", ".geojsonl", ".geojsons"])
def test_no_change_is_a_valid_empty_file_in_every_format(suffix: str, scene: Any, tmp_path: Path) -> None:
    output = tmp_path / f"out{suffix}"
    found = run_detect(prepare_detect(job_of(scene([], size=(200, 150)), output)))
    assert found.polygons == 0
    if suffix == ".geojson":
        assert json.loads(output.read_text())["features"] == []
    elif suffix == ".parquet":
        assert pq.read_table(output).num_rows == 0
    elif suffix in (".gpkg", ".fgb"):
        info = pyogrio.read_info(output, layer=0, force_feature_count=True)
        assert info["features"] == 0 and "class" in info["fields"]
    elif suffix == ".csv":
        assert output.read_text().count("\n") == 1
    else:
        assert output.read_bytes() == b""


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet"])
def test_every_format_holds_the_same_polygons(suffix: str, scene: Any, tmp_path: Path) -> None:
    marks: Marks = [(np.s_[20:90], np.s_[20:90], 0.9, WATER), (np.s_[40:50], np.s_[40:50], 0.0, WATER)]
    pair = scene(marks, size=(200, 150))
    _, (feature,) = detect(pair, tmp_path / "a.geojson")
    output = tmp_path / f"out{suffix}"
    run_detect(prepare_detect(job_of(pair, output)))
    if suffix == ".parquet":
        table = pq.read_table(output)
        row = table.to_pylist()[0]
        geo = json.loads(pq.read_metadata(output).metadata[b"geo"])
        assert geo["columns"]["geometry"]["geometry_types"] == ["Polygon"]
        shape = shapely.from_wkb(row["geometry"])
    else:
        meta, _, shapes, columns = pyogrio.raw.read(output, layer="changes" if suffix == ".gpkg" else 0)
        row = {name: column[0] for name, column in zip(meta["fields"], columns, strict=True)}
        shape = shapely.from_wkb(shapes[0])
        assert meta["crs"] == "EPSG:4326"
    assert row["id"] == feature["id"]
    assert {name: row[name] for name in ("class", "area_m2", "pixels")} == {
        name: feature["properties"][name] for name in ("class", "area_m2", "pixels")
    }
    assert shape.equals(shapely.geometry.shape(feature["geometry"])) and len(shapely.get_parts(shape)[0].interiors) == 1


def test_a_stream_has_the_same_polygons(scene: Any, tmp_path: Path) -> None:
    pair = scene([(np.s_[20:100], np.s_[50:100], 0.8, WATER)])
    _, features = detect(pair, tmp_path / "a.geojson")
    with (tmp_path / "stream").open("wb") as stream:
        stream_detect(prepare_detect(job_of(pair, None)), stream)
    assert [json.loads(line) for line in (tmp_path / "stream").read_text().splitlines()] == features


def test_what_another_command_left_is_not_gone_on_with(scene: Any, tmp_path: Path) -> None:
    pair = scene([(np.s_[20:100], np.s_[50:100], 0.8, WATER)])
    output = tmp_path / "out.geojson"

    def stop(tiles: int, old: bool) -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError):
        run_detect(prepare_detect(job_of(pair, output)), lambda tiles, old: stop(tiles, old) if tiles == 4 else None)
    # Nothing of a row was finished: there is nothing to go on from.
    assert not work_folder(output).exists()
    folder = work_folder(output)
    folder.mkdir()
    (folder / "journal").write_text('{"rsccli_line_journal":1,"spec":{"version":"0"}}\n')
    with pytest.raises(OutputError.__mro__[1], match="it belongs to another run"):
        run_detect(prepare_detect(job_of(pair, output)))
    assert len(detect(pair, output, resume=False)[1]) == 1


def test_a_stopped_run_goes_on_and_gives_the_same_bytes(
    scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "_BLOCK_PX", 200)
    marks: Marks = [(np.s_[20:580], np.s_[50:400], 0.8, WATER), (np.s_[200:310], np.s_[20:680], 0.8, ROAD)]
    pair = scene(marks)
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()

    def job(folder: str) -> DetectJob:
        here = tmp_path / folder
        return job_of(pair, here / "out.gpkg", mask=here / "m.tif", score=here / "s.tif")

    run_detect(prepare_detect(job("whole")))
    seen: list[int] = []

    def stop_late(tiles: int, old: bool) -> None:
        seen.append(tiles)
        if sum(seen) > 30:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError, match=r"stopped by SIGTERM; 2 of 3 rows of superblocks"):
        run_detect(prepare_detect(job("cut")), stop_late)
    cut = tmp_path / "cut"
    assert [path.name for path in cut.iterdir()] == [".out.gpkg.detect"], "nothing of the outputs is visible"
    told: list[tuple[int, bool]] = []
    run_detect(prepare_detect(job("cut")), lambda tiles, old: told.append((tiles, old)))
    assert told[0][1] and told[0][0] > 0 and sum(tiles for tiles, _ in told) == 6 * 7
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in cut.iterdir())
    assert names == ["m.qml", "m.tif", "m.tif.aux.xml", "out.gpkg", "s.qml", "s.tif"]
    for name in names:
        assert (cut / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_stop_while_polygons_are_traced_loses_no_tile(
    scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = scene([(np.s_[20:100], np.s_[50:100], 0.8, WATER)])
    seen: list[int] = []

    def stop_at_the_end(tiles: int, old: bool) -> None:
        seen.append(tiles)
        if sum(seen) == 6 * 7 and not old:
            signal.raise_signal(signal.SIGTERM)

    output = tmp_path / "out.gpkg"
    with pytest.raises(StoppedError, match="while polygons were traced"):
        run_detect(prepare_detect(job_of(pair, output)), stop_at_the_end)
    assert not output.exists()
    monkeypatch.setenv("DETECTOR_FAIL_TILE", "r00000c00000")  # no tile is looked at again
    assert run_detect(prepare_detect(job_of(pair, output))).looked.failed == 0
    assert pyogrio.read_info(output, layer="changes")["features"] == 1


def test_a_captioner_without_pixels_is_refused(scene: Any, tmp_path: Path) -> None:
    register("brightness", BrightnessFactory)
    try:
        with pytest.raises(UsageProblem, match="brightness does not tell which pixels changed"):
            detect(scene([]), tmp_path / "a.geojson", model="brightness")
    finally:
        unregister("brightness")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".tif"] == []


def test_tiles_that_would_be_seen_in_pieces_are_refused(scene: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="--tile-size 320: marked sees 300 pixels at once"):
        detect(scene([]), tmp_path / "a.geojson", geometry=PairOptions(tile_size=320))


def test_outputs_are_checked_before_anything_is_read(scene: Any, tmp_path: Path) -> None:
    pair = (tmp_path / "none.tif", tmp_path / "none2.tif")
    (tmp_path / "there.tif").write_bytes(b"")
    for options, words in (
        ({"output": tmp_path / "out.xyz"}, "no output format has the suffix"),
        ({"output": tmp_path / "no" / "out.gpkg"}, "does not exist; make it with"),
        ({"output": tmp_path / "o.gpkg", "mask": tmp_path / "m.png"}, "--mask .*name it .tif"),
        ({"output": tmp_path / "o.gpkg", "score": tmp_path / "there.tif"}, "there.tif exists; add --overwrite"),
        ({"output": tmp_path / "o.gpkg", "mask": tmp_path / "a.tif", "score": tmp_path / "a.tif"}, "different files"),
    ):
        output = options.pop("output")
        with pytest.raises((UsageProblem, OutputError), match=words):
            prepare_detect(job_of(pair, output, **options))
