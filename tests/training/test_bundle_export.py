"""A finished run becomes a bundle that captions; its decoder is polished once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rsccli.errors import InputError, OutputError
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.models.small.facts import KEYWORDS, STATUS_NAMES
from rsccli.training import bundle
from rsccli.training.bundle import FINAL, Exported, export_run
from rsccli.training.development import read_held_out
from rsccli.training.loop import TrainSpec, best_checkpoint, load_state
from rsccli.types import MapBounds, PxWindow, Tile, TilePair

POLISH_STEPS = 4


@pytest.fixture(scope="module")
def run(little_run: TrainSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of the short run in a folder of its own."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(best_checkpoint(little_run.output), folder)
    return folder


@pytest.fixture(scope="module")
def exported(real_data: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "LOOK_PAIRS", {128: 6, 256: 2})
        folder = tmp_path_factory.mktemp("bundles") / "tiny"
        return export_run(real_data, run, folder, development_pairs=4, polish_steps=POLISH_STEPS)


@pytest.mark.shared
def test_the_bundle_opens_and_captions_real_pairs(exported: Exported, real_data: Path):
    captioner = load_captioner(exported.folder, CaptionerOptions(device="cpu", threads=1))
    pair = read_held_out(real_data, "development", 0).whole[0]
    rows, cols = pair.pre.shape[1:]
    tile = Tile("r00000c00000", 0, 0, PxWindow(0, 0, cols, rows), MapBounds(0, 0, cols, rows))
    (caption,) = captioner.caption([TilePair(tile, pair.pre, pair.post, np.ones((rows, cols), bool), pair.gsd_m)])
    assert caption.text and caption.status in STATUS_NAMES
    assert caption.change_score is not None and 0 <= caption.change_score <= 1
    assert set(caption.keywords) <= set(KEYWORDS)


@pytest.mark.shared
def test_the_manifest_says_what_was_calibrated(exported: Exported, run: Path):
    content = json.loads((exported.folder / "rsccli.json").read_text())
    thresholds = content["thresholds"]
    assert thresholds["changed"] == exported.calibration.changed > thresholds["unchanged"]
    assert thresholds["keywords"] == list(exported.calibration.keywords) and thresholds["domain"] > 0
    assert content["source"]["revision"] == bundle._sha256(run / FINAL)
    assert content["limits"] == list(bundle.LIMITS) and "synthetic" in content["training_data"]
    assert content["parity"]["captions_equal"] == content["parity"]["pairs"] > 0
    assert exported.checkpoint == best_checkpoint(run)
    assert 0 <= exported.development.auc_whole <= 1


@pytest.mark.shared
def test_the_final_checkpoint_knows_its_looks_and_the_rest_of_the_encoder_is_as_trained(exported: Exported, run: Path):
    before, after = load_state(exported.checkpoint)["average"], load_state(run / FINAL)["average"]
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"encoder.domain_mean", "encoder.domain_white"} <= moved
    rest = {name for name in moved if not name.startswith("decoder.")}
    makers = ("encoder.domain_", "encoder.grid_head", "encoder.scene_head", "encoder.grid_place")
    assert all(name.startswith(makers) for name in rest), rest


@pytest.mark.slow
@pytest.mark.shared
def test_a_second_export_polishes_no_more_and_refuses_to_replace(
    exported: Exported, real_data: Path, run: Path, tmp_path: Path
):
    made = (run / FINAL).stat().st_mtime_ns
    again = export_run(real_data, run, tmp_path / "again", development_pairs=4, polish_steps=POLISH_STEPS)
    assert (run / FINAL).stat().st_mtime_ns == made
    assert again.calibration == exported.calibration
    names = ("encoder.onnx", "decoder.onnx", "rsccli.json")
    assert all((again.folder / name).read_bytes() == (exported.folder / name).read_bytes() for name in names)
    with pytest.raises(OutputError, match="--overwrite"):
        export_run(real_data, run, again.folder, development_pairs=4, polish_steps=POLISH_STEPS)


def test_a_run_without_a_checkpoint_has_no_bundle(little_spec: TrainSpec, tmp_path: Path):
    empty = replace(little_spec, output=tmp_path)
    with pytest.raises(InputError, match="no checkpoint"):
        export_run(empty.data, empty.output, tmp_path / "bundle", development_pairs=2)
