"""``rsccli train`` as a user runs it: as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest


def _train(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", "train", *arguments], capture_output=True, text=True, timeout=300
    )


def test_training_leaves_a_checkpoint_and_curves_and_takes_its_settings_from_a_file(little_data: Path, tmp_path: Path):
    run, config = tmp_path / "run", tmp_path / "captioner.toml"
    config.write_text(
        f'data = "{little_data}"\n[captioner]\noutput = "{run}"\npairs = 4\nbatch-size = 2\nworkers = 0\n'
        'development-pairs = 20\ndevice = "cpu"\nprecision = "fp32"\n'
    )
    done = _train("captioner", "--config", str(config))
    assert done.returncode == 0, done.stderr
    (checkpoint,) = run.glob("step_*.pt")
    assert done.stdout.strip() == str(checkpoint)
    assert "checkpoint at step 2" in done.stderr
    assert "development: " in (run / "curves.svg").read_text()
    again = _train("captioner", "--config", str(run / "recipe.toml"))
    assert again.returncode == 0 and again.stdout == done.stdout, "the recipe is the same run, which is done"


def test_a_preview_is_a_picture_of_as_many_pairs_as_asked_for(little_data: Path, tmp_path: Path):
    sheet = tmp_path / "sheet.png"
    done = _train("preview", str(sheet), "--data", str(little_data), "--pairs", "4")
    assert done.returncode == 0, done.stderr
    height, width = cv2.imread(str(sheet)).shape[:2]
    assert width >= 3 * 3 * 128 and 2 * 128 < height < 4 * 128


def test_a_preview_that_is_no_picture_is_refused(little_data: Path, tmp_path: Path):
    done = _train("preview", str(tmp_path / "sheet.txt"), "--data", str(little_data))
    assert done.returncode == 2 and "sheet.png" in done.stderr


def test_a_bundle_that_is_there_is_refused_before_anything_is_trained(little_data: Path, tmp_path: Path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    options = ["--data", str(little_data), "-o", str(tmp_path / "run"), "--pairs", "4", "--export", str(bundle)]
    done = _train("captioner", *options)
    assert done.returncode == 2 and "--overwrite" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "--minutes"),
        (("--pairs", "4", "--plot", "curves.png"), ".svg"),
        (("--pairs", "4", "--device", "tpu"), "--device"),
        (("--config", "missing.toml"), "missing.toml"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: tuple[str, ...], word: str, tmp_path: Path):
    done = _train("captioner", "--data", str(tmp_path), "-o", str(tmp_path), *options)
    assert done.returncode == 2 and word in done.stderr


def test_an_unknown_setting_in_the_file_is_named(tmp_path: Path):
    config = tmp_path / "captioner.toml"
    config.write_text("[captioner]\nminuts = 3\n")
    done = _train("captioner", "--config", str(config))
    assert done.returncode == 2 and "minuts" in done.stderr


def test_a_folder_without_imagery_is_an_input_error(tmp_path: Path):
    done = _train("captioner", "--data", str(tmp_path), "-o", str(tmp_path / "run"), "--pairs", "4", "--workers", "0")
    assert done.returncode == 3 and "NAIP" in done.stderr and "Traceback" not in done.stderr
