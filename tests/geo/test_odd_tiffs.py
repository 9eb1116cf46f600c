"""Fifty odd and broken GeoTIFFs, each as post with a good pre, under a memory limit: works, or a message.

Those without a place on the Earth are tried a second time with one beside them. Run with ``-s`` for the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.shared
LIMIT_MB = 2000
SECONDS = 20.0
NO_PLACE = "no geotransform"

# What becomes of each file: a part of the message it is refused with, or what works on it.
REFUSED = {
    "gdal_byte_rpc.tif": "RPCs only",
    "gdal_cfloat64.tif": "complex values",
    "gdal_excessive-memory-TIFFFillStrip2.tif": "65535 bands claimed",
    "gdal_gtiff_huge_raster_with_ovr_huge_block.tif": "65535 bands claimed",
    "gdal_gtiff_non_square_pixels.tif": "no coordinate reference system",
    "gdal_gtiff_tiff_srs_iau_2015_30110.tif": "no transformation from 'Moon",
    "gdal_gtiff_unsupported_codec_jp2000.tif": "missing codec",
    "gdal_hugeblocksize.tif": "Too large block size",
    "gdal_uint33.tif": "BitsPerSample(=33)",
    "rasterio_rotated.tif": "no coordinate reference system",
    # The good pre lies on the same disc: with --dst-crs it works, see test_engine.
    "rio-cogeo_image_geos.tif": "--dst-crs",
    "rio-tiler_cog_scale.tif": "--bands",
    "rioxarray_test_rpcs.tif": "RPCs only",
}
# Damaged: every tile that the damage touches is a read error, never nodata in silence.
READ_ERRORS = {"gdal_byte_buggy_packbits.tif"}
DAMAGED_WHEN_PLACED = {
    "gdal_bigtiff_header_extract.tif",
    "gdal_corrupted_deflate_singlestrip.tif",
    "gdal_gtiff_lzw_corrupted.tif",
    "gdal_gtiff_ossfuzz_470691578.tif",
    "gdal_huge4GB.tif",
    "gdal_tiled_bad_offset.tif",
    "gdal_zackthecat_corrupted.tif",
}
FINE_WHEN_PLACED = {
    "gdal_GTModelTypeGeoKey_only.tif",
    "gdal_gtiff_missing_extrasamples.tif",
    "gdal_gtiff_projection_from_esri_xml.tif",
    "gdal_minfloat.tif",
    "gdal_nan32.tif",
    "gdal_rgbsmall_cmyk.tif",
    "gdal_stats_nodata_neginf.tif",
    "gdal_test3_with_mask_8bit.tif",
    "gdal_test_average_palette.tif",
}


@pytest.fixture(scope="module")
def outcomes(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    files = sorted((shared / "odd_tiffs").glob("*.tif"))
    here = Path(__file__).resolve().parent
    environ = os.environ | {"PYTHONPATH": str(here.parent), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    folder = tmp_path_factory.mktemp("odd")
    done = subprocess.run(
        [sys.executable, str(here / "odd_worker.py"), str(folder), str(LIMIT_MB), *map(str, files)],
        capture_output=True,
        text=True,
        env=environ,
        timeout=300,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "Traceback" not in done.stderr and done.returncode == 0, f"{lines[-1:]}\n{done.stderr[-3000:]}"
    found = {line["file"]: line for line in lines if line["outcome"] != "start"}
    assert set(found) == {f.name for f in files} and len(found) == 50
    print_table(found)
    return found


def print_table(found: dict[str, dict[str, Any]]) -> None:
    """For people: pytest -s."""
    print(f"\n{'file':<52}{'outcome':<10}{'when placed':<14}what was said")
    for name, line in found.items():
        placed = line.get("placed")
        said = (placed or line)["said"].split(name + ": ", 1)[-1]
        last = placed["outcome"] if placed else ""
        if (placed or line).get("read_errors"):
            last += " (read error)"
        print(f"{name:<52}{line['outcome']:<10}{last:<14}{said[:110]}")
    works = sum(line["outcome"] == "works" for line in found.values())
    placed_works = sum(line.get("placed", {}).get("outcome") == "works" for line in found.values())
    print(f"{works} work as they are, {len(found) - works} are refused; {placed_works} of these work once placed")


def test_every_file_works_or_is_refused_with_a_message_that_names_it(outcomes: dict[str, dict[str, Any]]) -> None:
    for name, line in outcomes.items():
        for attempt in filter(None, (line, line.get("placed"))):
            if attempt["outcome"] == "refused":
                assert attempt["exit"] == 3, name
                assert name in attempt["said"], name
                assert "See previous exception" not in attempt["said"], name


def test_what_is_refused_is_what_must_be_and_no_more(outcomes: dict[str, dict[str, Any]]) -> None:
    for name, line in outcomes.items():
        if name in REFUSED:
            assert line["outcome"] == "refused" and REFUSED[name] in line["said"], line
        elif name in DAMAGED_WHEN_PLACED | FINE_WHEN_PLACED:
            assert line["outcome"] == "refused" and NO_PLACE in line["said"], line
        else:
            assert line["outcome"] == "works", line


def test_damage_is_a_read_error_and_what_is_whole_is_read(outcomes: dict[str, dict[str, Any]]) -> None:
    for name, line in outcomes.items():
        attempt = line.get("placed", line)
        if attempt["outcome"] != "works":
            continue
        if name in READ_ERRORS | DAMAGED_WHEN_PLACED:
            assert attempt["read_errors"] > 0 and name in attempt["said"], line
        else:
            assert attempt["read_errors"] == 0, line


def test_none_takes_long(outcomes: dict[str, dict[str, Any]]) -> None:
    slow = {name: line["seconds"] for name, line in outcomes.items() if line["seconds"] > SECONDS}
    assert not slow
