"""Figures with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from rsccli.evaluation.probes.estimates import NOTHING, Estimate, auc, difference, figure, mean, share, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe, Interval estimation for the difference between independent proportions (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)


def test_pairs_of_places_of_their_own_have_wilsons_interval() -> None:
    flags = [True] * 15 + [False] * 133
    found = share(flags, [str(i) for i in range(148)])
    assert (found.low, found.high) == pytest.approx((0.0624, 0.1605), abs=5e-4)
    assert (found.value, found.n, found.places) == (15 / 148, 148, 148)


def test_pairs_that_answer_alike_in_their_place_count_as_one() -> None:
    places = [str(i // 4) for i in range(80)]
    alike = share([int(place) % 2 == 0 for place in places], places)
    alone = share([i % 2 == 0 for i in range(20)], [str(i) for i in range(20)])
    assert (alike.low, alike.high) == pytest.approx((alone.low, alone.high), abs=1e-3)
    assert (alike.n, alike.places) == (80, 20)


def test_a_share_of_none_is_no_certainty() -> None:
    found = share([False] * 20, [str(i) for i in range(20)])
    assert found.value == 0 and found.high == pytest.approx(0.161, abs=1e-3)


def test_the_mean_lies_in_its_interval_and_repeats_itself() -> None:
    values = np.random.default_rng(1).normal(3.0, 1.0, 200)
    places = [str(i) for i in range(200)]
    found = mean(values, places)
    half = 1.96 * values.std() / np.sqrt(200)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert found == mean(values, places)


def test_auc_counts_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(2)
    scores, changed = np.round(rng.random(60), 1), rng.random(60) > 0.4
    wins = [(a > b) + 0.5 * (a == b) for a in scores[changed] for b in scores[~changed]]
    found = figure(auc(scores, changed), [str(i) for i in range(60)])
    assert found.value == pytest.approx(np.mean(wins))
    assert found.low is not None and found.high is not None and found.low < np.mean(wins) < found.high


def test_a_difference_of_one_figure_from_itself_is_nothing_where_pairs_are_drawn_together() -> None:
    values = np.arange(30.0)
    places = [str(i) for i in range(30)]

    def measure(weights: np.ndarray) -> np.ndarray:
        return (weights @ values) / weights.sum(1)

    same = difference((measure, places), (measure, places), together=True)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    apart = difference((measure, places), (measure, places), together=False)
    assert apart.low is not None and apart.high is not None and apart.low < -3 and apart.high > 3


def test_texts_of_figures() -> None:
    assert Estimate(0.5, 0.25, 0.75, 4, 4).percent() == "50 % (25-75)"
    assert Estimate(-0.001, -0.2, 0.1, 4, 4).text(2) == "0.00 (-0.20 to 0.10)"
    assert Estimate(0.5, n=3, places=1).percent() == "50 %"
    assert NOTHING.text() == NOTHING.percent() == "-"
