"""``rsccli train`` as a user runs it: as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2


def _train(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", "train", *arguments], capture_output=True, text=True, timeout=120
    )


def test_training_ends_in_a_bundle(little_data: Path, tmp_path: Path):
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    options = ["--data", str(little_data), "-o", str(run), "--pairs", "4", "--batch-size", "2", "--workers", "0"]
    done = _train(*options, "--development-pairs", "20", "--polish-steps", "2", "--export", str(bundle))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(bundle)
    manifest = json.loads((bundle / "rsccli.json").read_text())
    assert (
        manifest["format"] == "rsccli-bundle/1" and manifest["parity"]["captions_equal"] == manifest["parity"]["pairs"]
    )
    assert "checkpoint at step" in done.stderr


def test_a_preview_is_a_picture(little_data: Path, tmp_path: Path):
    sheet = tmp_path / "sheet.png"
    done = _train("--data", str(little_data), "--preview", str(sheet))
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(sheet)).shape[1] == 3 * 3 * 128


def test_a_bundle_that_is_there_is_refused_before_anything_is_trained(little_data: Path, tmp_path: Path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    options = ["--data", str(little_data), "-o", str(tmp_path / "run"), "--pairs", "4", "--export", str(bundle)]
    done = _train(*options)
    assert done.returncode == 2 and "--overwrite" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_schedule_without_length_is_refused(little_data: Path, tmp_path: Path):
    done = _train("--data", str(little_data), "-o", str(tmp_path))
    assert done.returncode == 2 and "--minutes" in done.stderr


def test_a_folder_without_imagery_is_an_input_error(tmp_path: Path):
    done = _train("--data", str(tmp_path), "-o", str(tmp_path / "run"), "--pairs", "4", "--workers", "0")
    assert done.returncode == 3 and "NAIP" in done.stderr and "Traceback" not in done.stderr
