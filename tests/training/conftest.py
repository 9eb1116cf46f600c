"""A small data folder, one very short training run on it, and little real data with labels for what needs them."""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

import pytest
from small_data import make_training_data

from rsccli.datasets.backgrounds import Sources, read_sources
from rsccli.training.loop import Trainer, TrainSpec

# Labelled pairs of each answer, of development places, that the little real data holds.
REAL_PAIRS = 3


@pytest.fixture(scope="session")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def sources(little_data: Path) -> Sources:
    return read_sources(little_data, "train")


@pytest.fixture(scope="session")
def little_spec(little_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSpec:
    """Six steps of two pairs."""
    output = tmp_path_factory.mktemp("run")
    return TrainSpec(
        little_data, output, pairs=12, batch_size=2, workers=0, development_pairs=3, device="cpu", precision="fp32"
    )


@pytest.fixture(scope="session")
def little_run(little_spec: TrainSpec) -> TrainSpec:
    """The spec of a run that is done."""
    Trainer(little_spec, say=lambda _: None).run()
    return little_spec


@pytest.fixture(scope="session")
def real_data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real places: labelled development ones of both answers, and training ones with the prairie."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "naip").mkdir()
    (folder / "prairie").symlink_to(shared / "prairie")
    with (resources.files("rsccli.datasets") / "assets" / "naip_labels.csv").open("r", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    # Training places with grass, soil and asphalt between them.
    names = ["bishop_8", "long_beach_28", "long_beach_33", "long_beach_38", "palm_springs_24", "santa_monica_31"]
    for seen in ("changed", "unchanged"):
        places = [row["pair"].split(":")[0] for row in rows if row["seen"] == seen]
        held_out = [name for name in places if int(name.rsplit("_", 1)[1]) % 5 == 0 and "riverside" not in name]
        names += list(dict.fromkeys(held_out))[:REAL_PAIRS]
    for name in names:
        city, number = name.rsplit("_", 1)
        for path in (shared / "naip").glob(f"{city}_*_{number}.tif"):
            target = folder / "naip" / path.name
            if not target.exists():
                target.symlink_to(path)
    (folder / "naip" / "trees.csv").symlink_to(shared / "naip" / "trees.csv")
    return folder
