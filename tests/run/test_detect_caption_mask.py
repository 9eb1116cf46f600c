"""A captioned run that writes its mask, too, and captions that are held against it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import detectors
import numpy as np
import pytest
import rasterio
from captioners import BrightnessFactory, QueuedFactory
from rasters import make_raster

from rsccli.errors import JournalMismatchError, OutputError, StoppedError, UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.models.registry import register, unregister
from rsccli.run.caption import CaptionJob, prepare_job, run_caption
from rsccli.run.detect.caption_mask import contradiction, pack, tile_codes, unpack
from rsccli.run.detect.codes import NODATA, NOT_JUDGED, Legend
from rsccli.run.journal import journal_path
from rsccli.types import Caption, Detection

ROAD, WATER = 1, 3
Marks = list[tuple[slice, slice, float, int]]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    register("marked", detectors.MarkedFactory)
    register("brightness", BrightnessFactory)
    yield
    for name in ("marked", "brightness"):
        unregister(name)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """300 x 200 pixels, tiles of 100: a road over two tiles, a lake in a third; one corner has no data."""
    rng = np.random.default_rng(5)
    pre = rng.integers(20, 90, (3, 200, 300)).astype(np.uint8)
    post = np.stack([np.ones((200, 300)), np.zeros((200, 300)), np.full((200, 300), 10)])
    for rows, cols, kind in ((np.s_[40:50], np.s_[20:180], ROAD), (np.s_[120:160], np.s_[210:260], WATER)):
        post[0, rows, cols], post[1, rows, cols] = 240, kind
    post[1, 100, 100] = 9  # the caption of that tile names water, where none is
    mask = np.full((200, 300), 255, np.uint8)
    mask[150:, :60] = 0
    (tmp_path / "in").mkdir()
    paths = []
    for name, values in (("pre", pre), ("post", post)):
        path = tmp_path / "in" / f"{name}.tif"
        paths.append(str(make_raster(path, size=(300, 200), values=values.astype(np.uint8), mask=mask)))
    return paths[0], paths[1]


def job_of(pair: tuple[str, str], folder: Path, **options: Any) -> CaptionJob:
    options = {
        "model": "marked",
        "mask": folder / "m.tif",
        "report": False,
        "geometry": PairOptions(tile_size=100),
        **options,
    }
    return CaptionJob(*pair, output=folder / "out.geojson", jobs=1, **options)


def features(folder: Path) -> dict[str, dict[str, Any]]:
    return {each["id"]: each["properties"] for each in json.loads((folder / "out.geojson").read_text())["features"]}


def test_the_mask_is_that_of_the_captions(pair: tuple[str, str], tmp_path: Path) -> None:
    run_caption(prepare_job(job_of(pair, tmp_path)))
    with rasterio.open(tmp_path / "m.tif") as file:
        mask = file.read(1)
        assert file.tags()["CODES"].startswith("0=no change; 1=building; 2=road") and file.crs.to_epsg() == 32633
    wanted = np.zeros((200, 300), np.uint8)
    wanted[40:50, 20:180], wanted[120:160, 210:260] = 1 + ROAD, 1 + WATER
    wanted[150:, :60] = NODATA
    assert np.array_equal(mask, wanted)
    for tile, told in features(tmp_path).items():
        row, col = int(tile[1:6]), int(tile[7:])
        part = mask[100 * row : 100 * row + 100, 100 * col : 100 * col + 100]
        changed = ((part > 0) & (part < NOT_JUDGED)).sum()
        assert told["changed_fraction"] == pytest.approx(changed / (part != NODATA).sum(), abs=1e-6)
    assert not journal_path(tmp_path / "out.geojson").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "m.qml", "m.tif", "m.tif.aux.xml", "out.geojson"]


def test_a_caption_that_names_a_class_without_pixels_is_marked(pair: tuple[str, str], tmp_path: Path) -> None:
    run_caption(prepare_job(job_of(pair, tmp_path)))
    reasons = {tile: told["reason"] for tile, told in features(tmp_path).items()}
    assert reasons.pop("r00001c00001") == "inconsistent: the caption names water, its mask has no such pixel"
    assert set(reasons.values()) == {None}
    (tmp_path / "plain").mkdir()
    run_caption(prepare_job(job_of(pair, tmp_path / "plain", mask=None)))
    for tile, told in features(tmp_path / "plain").items():
        assert told == {**features(tmp_path)[tile], "reason": None}


def test_a_stopped_run_goes_on_and_has_the_same_mask(pair: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    run_caption(prepare_job(job_of(pair, tmp_path / "whole")))

    def stop(tiles: int, old: bool) -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError):
        run_caption(prepare_job(job_of(pair, tmp_path / "cut")), stop)
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["out.geojson.journal"]
    run_caption(prepare_job(job_of(pair, tmp_path / "cut")))
    for name in ("out.geojson", "m.tif", "m.tif.aux.xml"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_journal_without_masks_is_not_gone_on_with(pair: tuple[str, str], tmp_path: Path) -> None:
    def stop(tiles: int, old: bool) -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError):
        run_caption(prepare_job(job_of(pair, tmp_path, mask=None)), stop)
    lines = journal_path(tmp_path / "out.geojson").read_text().splitlines()
    assert len(lines) > 4 and not any('"mask"' in line for line in lines[1:])
    with pytest.raises(JournalMismatchError, match=r"model\.asked: , now masks"):
        run_caption(prepare_job(job_of(pair, tmp_path)))


def test_where_tiles_overlap_the_last_one_is_shown(pair: tuple[str, str], tmp_path: Path) -> None:
    run_caption(prepare_job(job_of(pair, tmp_path, geometry=PairOptions(tile_size=100, stride=60))))
    with rasterio.open(tmp_path / "m.tif") as file:
        mask = file.read(1)
    assert (mask == 1 + ROAD).sum() == 10 * 160 and (mask == 1 + WATER).sum() == 40 * 50


def test_a_captioner_with_one_mask_gives_a_binary_one(pair: tuple[str, str], tmp_path: Path) -> None:
    run_caption(prepare_job(job_of(pair, tmp_path, model="brightness")))
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.tags()["CODES"] == "0=no change; 1=change; 254=not judged; 255=no data"
        assert set(np.unique(file.read(1))) <= {0, 1, NODATA}


def test_tiles_that_nobody_looked_at_are_not_judged(pair: tuple[str, str], tmp_path: Path) -> None:
    answers = [Caption("x", "unsure", reason="fog") for _ in range(5)]
    register("queued", lambda: QueuedFactory(answers))
    try:
        run_caption(prepare_job(job_of(pair, tmp_path, model="queued", min_valid=0.8)))
    finally:
        unregister("queued")
    with rasterio.open(tmp_path / "m.tif") as file:
        mask = file.read(1)
    assert features(tmp_path)["r00001c00000"]["status"] == "skipped"
    assert (mask[150:, :60] == NODATA).all() and (mask[:150] == NOT_JUDGED).all()


def test_a_mask_needs_a_file_beside_it(pair: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="--mask goes with a map in a file"):
        CaptionJob(*pair, output=None, mask=tmp_path / "m.tif")
    (tmp_path / "m.tif").write_bytes(b"")
    with pytest.raises(OutputError, match=r"m\.tif exists; add --overwrite"):
        prepare_job(job_of(pair, tmp_path))


def test_codes_survive_a_journal_line() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (37, 53)).astype(np.uint8)
    assert np.array_equal(unpack(pack(codes), 37, 53), codes)
    assert len(pack(np.zeros((256, 256), np.uint8))) < 150


@pytest.fixture
def detection() -> Callable[..., Detection]:
    """Half of the pixels of the first class, half of the second."""

    def make() -> Detection:
        classes = np.zeros((2, 4, 4), np.float32)
        classes[0, :, :2] = classes[1, :, 2:] = 1.0
        return Detection(np.ones((4, 4), np.float32), classes)

    return make


@pytest.mark.parametrize(
    ("keywords", "changed", "told"),
    [
        (("new house",), np.s_[:, :2], None),
        (
            ("new house",),
            np.s_[:, 2:],
            "inconsistent: the caption names new house (building), its mask has no such pixel",
        ),
        (("new house", "road"), np.s_[:, :], None),
        (("road", "new house"), np.s_[:, :2], "inconsistent: the caption names road, its mask has no such pixel"),
        (("something else",), np.s_[:, :2], None),
        ((), np.s_[4:], "inconsistent: the caption tells a change, its mask has no changed pixel"),
    ],
)
def test_what_a_caption_names_is_looked_for_in_its_mask(
    keywords: tuple[str, ...], changed: Any, told: str | None, detection: Callable[..., Detection]
) -> None:
    mask = np.zeros((4, 4), bool)
    mask[changed] = True
    caption = Caption("x", "changed", 0.9, None, keywords, mask)
    codes = tile_codes(caption, detection(), np.ones((4, 4), bool))
    names = {"new house": "building", "road": "road"}
    assert contradiction(caption, codes, Legend(("building", "road")), names) == told


def test_a_caption_that_judges_nothing_contradicts_nothing() -> None:
    caption = Caption("Not judged.", "unsure", None, None, ("road",), None)
    codes = tile_codes(caption, None, np.ones((2, 2), bool))
    assert (codes == NOT_JUDGED).all()
    assert contradiction(caption, codes, Legend(("road",)), {"road": "road"}) is None


def test_the_bundled_captioner_writes_masks(root: Path, tmp_path: Path) -> None:
    dates = [str(root / "examples" / f"prairie_{day}.tif") for day in ("2012-07-31", "2014-07-20")]
    run_caption(prepare_job(CaptionJob(*dates, output=tmp_path / "out.geojson", mask=tmp_path / "m.tif", report=False)))
    with rasterio.open(tmp_path / "m.tif") as file:
        mask = file.read(1)
    for tile, told in features(tmp_path).items():
        row, col = int(tile[1:6]), int(tile[7:])
        part = mask[256 * row : 256 * row + 256, 256 * col : 256 * col + 256]
        if told["changed_fraction"] is None:
            assert (part == NOT_JUDGED).all()
        else:
            assert ((part > 0) & (part < NOT_JUDGED)).mean() == pytest.approx(told["changed_fraction"], abs=1e-6)
