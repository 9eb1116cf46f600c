"""Remote files, read from a range server in another process through GDAL's virtual file systems."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from range_server import RangeServer

from rsccli.errors import InputError
from rsccli.geo.engine import TileFailure, TileRead
from rsccli.geo.identity import identify
from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.geo.raster import describe_raster, gdal_options

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PRE, POST = "prairie_2012-07-31.tif", "prairie_2014-07-20.tif"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bucket with the example pair, for tests that change files."""
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for name in (PRE, POST):
        shutil.copy(EXAMPLES / name, bucket)
    return bucket


@pytest.fixture
def server(folder: Path) -> Iterator[RangeServer]:
    with RangeServer(folder.parent) as running:
        yield running


def read_all(pair: PreparedPair) -> list[TileRead | TileFailure]:
    with rasterio.Env(**gdal_options()), pair.aligner() as aligner:
        return [read for block in pair.plan.blocks() for read in aligner.read(block)]


def assert_same(remote: PreparedPair, local: PreparedPair) -> None:
    assert remote.grid == local.grid
    assert remote.registration == local.registration
    theirs, ours = read_all(remote), read_all(local)
    assert len(theirs) == len(ours) == len(local.plan) > 1
    for a, b in zip(theirs, ours, strict=True):
        assert isinstance(a, TileRead) and isinstance(b, TileRead)
        assert np.array_equal(a.pair.pre, b.pair.pre)
        assert np.array_equal(a.pair.post, b.pair.post)
        assert np.array_equal(a.pair.valid, b.pair.valid)


def test_http_reads_what_the_file_holds(server: RangeServer, folder: Path) -> None:
    remote = prepare_pair(server.url(f"bucket/{PRE}"), server.url(f"bucket/{POST}"), PairOptions())
    assert_same(remote, prepare_pair(str(folder / PRE), str(folder / POST), PairOptions()))


def test_s3_reads_what_the_file_holds(server: RangeServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.s3_environment().items():
        monkeypatch.setenv(name, value)
    remote = prepare_pair(f"s3://bucket/{PRE}", f"s3://bucket/{POST}", PairOptions())
    assert_same(remote, prepare_pair(str(folder / PRE), str(folder / POST), PairOptions()))


def test_opening_takes_few_requests(server: RangeServer) -> None:
    describe_raster(server.url(f"bucket/{PRE}"))
    # One HEAD, one GET of the header, and sidecars by name. Vendors' metadata files alone would be 40 more.
    assert 2 <= server.stats()["requests"] <= 16


def test_a_superblock_is_a_few_merged_requests(server: RangeServer, folder: Path) -> None:
    pair = prepare_pair(server.url(f"bucket/{PRE}"), server.url(f"bucket/{POST}"), PairOptions())
    before = server.stats()
    reads = read_all(pair)
    after = server.stats()
    size = sum((folder / name).stat().st_size for name in (PRE, POST))
    assert len(reads) == 12
    # Per tile and date it would be 24 at least.
    assert after["requests"] - before["requests"] <= 8
    assert after["bytes_sent"] - before["bytes_sent"] <= 1.2 * size


def test_a_mask_beside_a_remote_file_counts(server: RangeServer, folder: Path) -> None:
    path = folder / POST
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dst:
        mask = np.full((dst.height, dst.width), 255, np.uint8)
        mask[100:300, 200:500] = 0
        dst.write_mask(mask)
    assert path.with_name(path.name + ".msk").is_file()
    remote = prepare_pair(server.url(f"bucket/{PRE}"), server.url(f"bucket/{POST}"), PairOptions())
    assert_same(remote, prepare_pair(str(folder / PRE), str(path), PairOptions()))
    invalid = sum(int((~r.pair.valid[:, :]).sum()) for r in read_all(remote) if isinstance(r, TileRead))
    padding = len(remote.plan) * 256 * 256 - remote.grid.width * remote.grid.height
    assert invalid - padding >= 200 * 300


def test_a_busy_server_is_asked_again(folder: Path) -> None:
    with RangeServer(folder, fail_first=2) as busy:
        with rasterio.Env(**(gdal_options() | {"GDAL_HTTP_RETRY_DELAY": "0.05"})):
            with rasterio.open(busy.url(PRE)) as src:
                assert src.read(1).std() > 0
        assert busy.stats()["failures_left"] == 0


def test_a_missing_file_is_named(server: RangeServer) -> None:
    url = server.url("bucket/nothing.tif")
    with pytest.raises(InputError, match=r"nothing\.tif"):
        describe_raster(url)


def test_a_server_that_vanishes_is_a_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without GDAL's own cache of a closed file, or what the survey has read would still be there.
    monkeypatch.setenv("CPL_VSIL_CURL_NON_CACHED", "/vsicurl/http://127.0.0.1")
    with RangeServer(folder) as server:
        pair = prepare_pair(server.url(PRE), server.url(POST), PairOptions())
    options = gdal_options() | {"GDAL_HTTP_MAX_RETRY": "0", "GDAL_HTTP_CONNECTTIMEOUT": "2"}
    with (
        rasterio.Env(**options),
        pair.aligner() as aligner,
        pytest.raises(InputError, match=r"http://127\.0\.0\.1:\d+/prairie"),
    ):
        for block in pair.plan.blocks():
            for read in aligner.read(block):
                if isinstance(read, TileFailure):
                    raise InputError(read.reason)


def test_a_server_that_loses_a_file_midway_costs_its_tiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_VSIL_CURL_NON_CACHED", "/vsicurl/http://127.0.0.1")
    with RangeServer(folder) as server:
        pair = prepare_pair(server.url(PRE), server.url(POST), PairOptions())
        (block,) = pair.plan.blocks()
        with rasterio.Env(**gdal_options()), pair.aligner() as aligner:
            # Opens the files, reads one tile; then the rest of post is gone while its handle stays open.
            assert isinstance(aligner.read(replace(block, tiles=block.tiles[:1]))[0], TileRead)
            (folder / POST).unlink()
            reads = aligner.read(replace(block, tiles=block.tiles[-3:]))
    assert all(isinstance(read, TileFailure) and POST in read.reason for read in reads)


def test_a_replaced_file_has_another_identity(server: RangeServer, folder: Path) -> None:
    first = identify(server.url(f"bucket/{PRE}"))
    assert "Content-Length" in first and "ETag" in first
    assert identify(server.url(f"bucket/{PRE}")) == first
    shutil.copy(folder / POST, folder / PRE)
    os.utime(folder / PRE, (time.time(), time.time() + 5))
    assert identify(server.url(f"bucket/{PRE}")) != first


def test_the_block_cache_is_given_in_bytes() -> None:
    with rasterio.Env(**gdal_options(cache_mb=64)):
        # rasterio hands the number to GDAL as bytes; 64 would be no cache at all.
        assert rasterio.env.get_gdal_config("GDAL_CACHEMAX") == 64 * 2**20
