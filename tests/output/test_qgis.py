"""QGIS itself opens what we write, where it is installed: Debian's python3-qgis or another Python with it."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from made_run import NASTY, make_facts, make_features
from rasterio.transform import from_origin

from rsccli.output.located import Located, Sheet, write_located
from rsccli.output.qgis.looks import answers_look, changes_look, timeline_look
from rsccli.output.qgis.rasters import write_mask_style
from rsccli.output.style import write_style
from rsccli.output.writers import write_features
from rsccli.types import STATUSES

READER = Path(__file__).with_name("qgis_reader.py")


def square(west: float) -> tuple[tuple[float, float], ...]:
    return ((west, 47.0), (west + 0.1, 47.0), (west + 0.1, 47.1), (west, 47.1), (west, 47.0))


def row(number: int, *values: str | int | float | None) -> Located:
    west = 9.0 + number / 10
    return Located(f"r{number}", ((square(west),),), (west, 47.0, west + 0.1, 47.1), values)


@cache
def qgis_environment() -> dict[str, str]:
    """QGIS without a screen, and without the settings of whoever runs the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    own = tempfile.mkdtemp(prefix="rsccli-qgis-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return {**kept, "QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": own, "QGIS_CUSTOM_CONFIG_PATH": own}


@cache
def python_with_qgis() -> str | None:
    """The first Python that has PyQGIS; ours has it seldom."""
    for name in ("python3", "/usr/bin/python3", "/usr/local/bin/python3"):
        found = shutil.which(name)
        if found is None:
            continue
        tried = subprocess.run(
            [found, "-c", "import qgis.core"], capture_output=True, env=qgis_environment(), check=False
        )
        if tried.returncode == 0:
            return found
    return None


def opened(path: str, folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What QGIS says of a layer, and its picture (200, 200, 3), RGB."""
    python = python_with_qgis()
    if python is None:
        pytest.skip("no Python here has QGIS (apt install --no-install-recommends python3-qgis)")
    done = subprocess.run(
        [python, str(READER), path, str(folder / "picture.png")],
        capture_output=True,
        text=True,
        timeout=120,
        env=qgis_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    picture = cv2.imread(str(folder / "picture.png"), cv2.IMREAD_COLOR)
    assert picture is not None
    return json.loads(done.stdout.strip().splitlines()[-1]), picture[:, :, ::-1]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_qgis_opens_a_run_ready_to_read(tmp_path: Path, suffix: str) -> None:
    facts = make_facts()
    features = make_features(48, facts)
    path = tmp_path / f"out{suffix}"
    write_features(path, features, facts)
    if suffix != ".gpkg":
        write_style(path)  # a GeoPackage holds its own
    told, picture = opened(str(path), tmp_path)
    assert told["renderer"] == "categorizedSymbol" and len(told["legend"]) == len(STATUSES)
    assert "caption" in told["labels"]
    hostile = [feature.id for feature in features if feature.caption == NASTY]
    assert hostile
    for tile in hostile:
        assert "<script>" not in told["tips"][tile] and "&lt;script>" in told["tips"][tile]
    reddish = (picture[:, :, 0] > 200) & (picture[:, :, 1] < 120)
    assert reddish.sum() > 200, "tiles that changed have red outlines"


def test_qgis_shows_one_colour_for_each_class(tmp_path: Path) -> None:
    look = changes_look({"building": (228, 26, 28, 255), "water": (31, 120, 180, 255)})
    columns = {"class": str, "area_m2": float, "mean_probability": float, "max_probability": float}
    sheet = Sheet("changes", columns, make_facts(), {}, look)
    rows = [row(0, "building", 812.4, 0.8, 0.9), row(1, "water", 81000.0, 1.0, 1.0)]
    write_located(tmp_path / "changes.gpkg", rows, sheet)
    told, picture = opened(str(tmp_path / "changes.gpkg"), tmp_path)
    assert (told["renderer"], told["legend"]) == ("categorizedSymbol", ["building", "water"])
    assert "812 m²" in told["tips"]["r0"] and "mean probability 0.8," in told["tips"]["r0"]
    # Away from the labels in the middle.
    left, right = picture[70, 50].astype(int), picture[70, 150].astype(int)
    assert left[0] > left[2] + 50 and right[2] > right[0] + 50, (left, right)


def test_qgis_shows_the_answers_of_the_first_question(tmp_path: Path) -> None:
    columns = {
        "question": str,
        "question_number": int,
        "answer": str,
        "verdict": str,
        "status": str,
        "tile": str,
        "reason": str,
    }
    sheet = Sheet("answers", columns, make_facts(), {}, answers_look(["Is it?", NASTY]))
    rows = [
        row(0, "Is it?", 1, "Yes.", "yes", "answered", "r0", None),
        row(1, NASTY, 2, NASTY, "yes", "answered", "r1", None),
    ]
    write_located(tmp_path / "answers.gpkg", rows, sheet)
    told, picture = opened(str(tmp_path / "answers.gpkg"), tmp_path)
    assert told["renderer"] == "RuleRenderer" and told["legend"][0] == "1. Is it?"
    assert "<script>" not in told["tips"]["r1"]
    assert (picture[70, 50] != 255).any() and (picture[70, 150] == 255).all(), "the second question is hidden"


def test_qgis_shows_one_pair_of_a_series(tmp_path: Path) -> None:
    path = tmp_path / "timeline.geojson"
    features = [
        {
            "type": "Feature",
            "id": f"t{number}",
            "geometry": {"type": "Polygon", "coordinates": [square(9.0 + number / 10)]},
            "properties": {
                "id": f"t{number}",
                "tile": "t",
                "pair": pair,
                "seasonal": seasonal,
                "status": "changed",
                "change_score": 0.9,
                "caption": "x",
                "keywords": "a;b",
                "reason": None,
            },
        }
        for number, (pair, seasonal) in enumerate((("2009_2010", True), ("2010_2012", False)))
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    write_style(path, timeline_look(["2009_2010", "2010_2012"], "2009_2010"))
    told, picture = opened(str(path), tmp_path)
    assert told["renderer"] == "RuleRenderer" and told["legend"][0] == "2009 to 2010"
    shown = picture[70, 50].astype(int)
    assert shown[1] > shown[0], "seasonal is green, not red"
    assert (picture[70, 150] == 255).all()


def test_qgis_shows_a_mask_with_names_and_what_did_not_change_clear(tmp_path: Path) -> None:
    path = tmp_path / "mask.tif"
    codes = np.zeros((100, 100), np.uint8)
    codes[:50] = 1
    with rasterio.open(
        path, "w", driver="GTiff", width=100, height=100, count=1, dtype="uint8", crs="EPSG:32611",
        transform=from_origin(390000, 3740000, 1, 1), nodata=255,
    ) as file:  # fmt: skip
        file.write(codes, 1)
        file.write_colormap(1, {0: (255, 255, 255, 255), 1: (31, 120, 180, 255)})
    write_mask_style(path, {0: "no change", 1: "water"}, {0: (200, 0, 0, 0), 1: (31, 120, 180, 255)})
    told, picture = opened(str(path), tmp_path)
    assert told == {"renderer": "paletted", "legend": [["no change", 0], ["water", 255]]}
    assert picture[50, 100].tolist() == [31, 120, 180] and picture[150, 100].tolist() == [255, 255, 255]
