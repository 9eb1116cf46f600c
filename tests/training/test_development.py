"""Held-out pairs: real ones with labels seen by eye, generated ones on the same places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsccli.datasets.naip import cross_date_pairs, read_places
from rsccli.models.small.facts import KEYWORDS
from rsccli.training.development import measure, read_held_out, read_labels
from rsccli.training.loop import TrainSpec, best_checkpoint, load_state, model_of


def test_labels_name_known_keywords():
    labels = read_labels()
    assert len(labels) > 80
    assert {name for label in labels.values() for name in label.keywords} <= set(KEYWORDS)
    assert not any(label.keywords for label in labels.values() if not label.changed)


def test_generated_pairs_of_a_split_lie_on_its_places(little_data: Path):
    held_out = read_held_out(little_data, "development", 4)
    assert [pair.name for pair in held_out.real] == ["demo_5:2016-2018"]
    assert all(pair.background.startswith("demo_5") and pair.mask.any() for pair in held_out.generated)


def test_figures_are_shares_and_scores_come_for_every_pair(little_run: TrainSpec):
    held_out = read_held_out(little_run.data, "development", 4)
    figures, real, generated = measure(model_of(load_state(best_checkpoint(little_run.output))), held_out)
    assert real.change.shape == (1,) and generated.keywords.shape == (4, len(KEYWORDS))
    assert all(0 <= value <= 1 for value in figures.as_dict().values() if not np.isnan(value))
    assert np.isfinite(figures.choice)


@pytest.mark.shared
def test_every_label_belongs_to_a_held_out_pair(shared: Path):
    places = read_places(shared / "naip")
    names = {name for split in ("development", "test") for name, _, _ in cross_date_pairs(places, split)}
    assert set(read_labels()) <= names
