"""Labels that the infrared band of the prairie images gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsccli.datasets.prairie import TRAINING_DATES, labelled_change, read_prairie
from rsccli.errors import InputError


def test_ponds_are_water_and_grown_ponds_are_water_gain(little_data: Path):
    first, second = read_prairie(little_data / "prairie")
    assert first.water[90, 90] and not first.water[10, 290]
    change = labelled_change(first, second)
    # Between the radii of the two dates, 40 and 55 pixels.
    assert change["water gain"][90, 90 + 48] and not change["water gain"][90, 90 + 20]
    assert change["water loss"].sum() == 0
    assert labelled_change(second, first)["water loss"][90, 90 + 48]


def test_the_example_dates_are_not_read_for_training():
    assert not any(date.startswith(("2012", "2014")) for date in TRAINING_DATES)


def test_a_missing_date_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="20090818"):
        read_prairie(tmp_path)


@pytest.mark.shared
def test_real_dates_come_on_one_grid_with_plausible_water(shared: Path):
    dates = read_prairie(shared / "prairie")
    assert dates[0].image.shape == dates[1].image.shape
    assert all(0.08 < np.mean(date.water) < 0.25 for date in dates)
