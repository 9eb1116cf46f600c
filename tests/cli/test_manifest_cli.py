"""`rsccli caption --manifest` as a person types it, and as a scheduler kills it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rasters import make_raster

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"


def start(folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", "caption", "-m", BRIGHTNESS, "--tile-size", "64", *options],
        env={**os.environ, **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_stopped_resumed_and_told(tmp_path: Path) -> None:
    for date, level in (("pre", 80), ("post", 140)):
        make_raster(tmp_path / f"{date}.tif", size=(512, 256), values=np.full((3, 256, 512), level, np.uint8))
    lines = [f"{name},pre.tif,post.tif,{name}.geojson" for name in ("a", "b", "c")]
    (tmp_path / "scenes.csv").write_text("\n".join(["id,pre,post,output", *lines, "d,none.tif,post.tif,d.geojson", ""]))
    for ready, number, code in (("b", signal.SIGKILL, -9), ("c", signal.SIGTERM, 75)):
        process = start(tmp_path, "--manifest", "scenes.csv", BRIGHTNESS_SLEEP_S="0.05")
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            journal = tmp_path / f"{ready}.geojson.journal"
            if journal.exists() and journal.stat().st_size > 2500:
                break
            time.sleep(0.005)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == code and "Traceback" not in err, err
    assert "stopped by SIGTERM" in err and "run the same command again" in err
    told = json.loads((tmp_path / "scenes.summary.json").read_bytes())
    assert [scene["state"] for scene in told["scenes"]] == ["done", "done", "not done", "not done"]
    first = (tmp_path / "a.geojson").stat().st_mtime_ns
    process = start(tmp_path, "--manifest", "scenes.csv", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 5 and "1 of 4 scenes failed" in err and "none.tif" in err, err
    assert "scene 1 of 2: c" in err and "were finished before" in err
    totals = json.loads(out)["totals"]
    assert (totals["done"], totals["failed"], totals["tiles"]) == (3, 1, 96)
    assert (tmp_path / "a.geojson").stat().st_mtime_ns == first
    features = [json.loads((tmp_path / f"{name}.geojson").read_bytes())["features"] for name in "abc"]
    assert features[0] == features[1] == features[2]


def test_what_does_not_go_together(tmp_path: Path) -> None:
    (tmp_path / "scenes.csv").write_text("id,pre,post,output\na,pre.tif,post.tif,a.geojson\na,x.tif,y.tif,b.geojson\n")
    for options, code, words in (
        (["pre.tif", "post.tif", "--manifest", "scenes.csv"], 2, "names the images"),
        (["--manifest", "scenes.csv"], 3, "line 3: id a is on line 2, too"),
    ):
        process = start(tmp_path, *options)
        _, err = process.communicate(timeout=60)
        assert process.returncode == code and words in err and "Traceback" not in err, err
    assert [path.name for path in tmp_path.iterdir()] == ["scenes.csv"]
