"""Intervals and paired tests from sums per pair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rsccli.evaluation.bootstrap import compare, intervals
from rsccli.evaluation.metrics.base import Measured, Whole, means
from rsccli.evaluation.scored import Scored


def scored(values: np.ndarray, key: str = "meteor") -> Scored:
    return Scored((Measured((key,), np.asarray(values, np.float64).reshape(-1, 1), means),))


def ratio(values: np.ndarray) -> Scored:
    """A score like BLEU: a quotient of two sums, not a mean of the pairs' scores."""
    return Scored((Measured(("bleu_4",), values, lambda sums, pairs: sums[..., :1] / sums[..., 1:]),))


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(0).normal(50, 10, 4000)
    low, high = intervals([scored(values)], samples=4000, seed=1)[0][0]
    half = 1.959964 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_the_interval_of_a_quotient_is_what_scipy_draws() -> None:
    generator = np.random.default_rng(2)
    below = generator.integers(5, 15, 300)
    pairs = np.stack([generator.binomial(below, 0.4), below], axis=1).astype(np.float64)
    low, high = intervals([ratio(pairs)], samples=5000, seed=3)[0][0]
    theirs = stats.bootstrap(
        (pairs[:, 0], pairs[:, 1]),
        lambda above, under, axis: above.sum(axis=axis) / under.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=5000,
        method="percentile",
        rng=4,
    ).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_the_interval_holds_the_truth_nineteen_times_of_twenty() -> None:
    generator = np.random.default_rng(5)
    held = 0
    for seed in range(300):
        low, high = intervals([scored(generator.exponential(1.0, 150))], samples=400, seed=seed)[0][0]
        held += low <= 1.0 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_the_same_seed_gives_the_same_samples_to_all_scores_on_equally_many_pairs() -> None:
    generator = np.random.default_rng(6)
    one, other, fewer = generator.random(50), generator.random(50), generator.random(20)
    together = intervals([scored(one), scored(fewer), scored(other)], samples=200, seed=7)
    for values, interval in zip((one, fewer, other), together, strict=True):
        np.testing.assert_allclose(intervals([scored(values)], samples=200, seed=7)[0], interval, rtol=1e-12)
    assert not np.allclose(intervals([scored(one)], samples=200, seed=8)[0], together[0])


def test_samples_do_not_depend_on_the_size_of_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(9).random(100)
    whole = intervals([scored(values)], samples=301, seed=1)[0]
    monkeypatch.setattr("rsccli.evaluation.bootstrap._BLOCK", 2500)
    np.testing.assert_allclose(intervals([scored(values)], samples=301, seed=1)[0], whole, rtol=1e-12)


def test_what_does_not_add_up_has_no_interval_and_no_test() -> None:
    counted = Whole(("vocabulary",), 4, lambda indices: np.array([float(len(indices))]))
    both = Scored((counted, scored(np.arange(4.0)).parts[0]))
    interval = intervals([both], samples=50, seed=0)[0]
    assert np.isnan(interval[0]).all() and np.isfinite(interval[1]).all()
    result = compare(both, both, samples=50, seed=0)
    assert result.difference.tolist() == [0, 0]
    assert np.isnan(result.p_value[0]) and result.p_value[1] == 1


@pytest.mark.parametrize(("pairs", "samples"), [(1, 100), (10, 0)])
def test_no_samples_or_one_pair_give_no_interval(pairs: int, samples: int) -> None:
    one = scored(np.ones(pairs))
    assert np.isnan(intervals([one], samples, 0)[0]).all()
    result = compare(one, one, samples, 0)
    assert result.difference.tolist() == [0] and np.isnan(result.p_value).all()


def test_s_m_is_the_mean_of_its_four_parts_in_every_sample() -> None:
    generator = np.random.default_rng(1)
    parts = tuple(scored(generator.random(30), key).parts[0] for key in ("bleu_4", "meteor", "rouge_l", "cider_d"))
    four = Scored(parts, with_s_m=True)
    assert four.keys == ("bleu_4", "meteor", "rouge_l", "cider_d", "s_m")
    assert four.values()[4] == pytest.approx(four.values()[:4].mean())
    single = scored(np.mean([part.statistics[:, 0] for part in parts], axis=0))
    np.testing.assert_allclose(
        intervals([four], samples=100, seed=2)[0][4], intervals([single], samples=100, seed=2)[0][0], rtol=1e-12
    )
    assert "s_m" not in Scored(parts[:3], with_s_m=True).keys


def test_a_true_difference_is_found_and_its_sign_is_that_of_the_first() -> None:
    generator = np.random.default_rng(10)
    base = generator.normal(0, 10, 500)
    better = base + generator.normal(1, 2, 500)
    result = compare(scored(better), scored(base), samples=2000, seed=11)
    assert result.difference[0] == pytest.approx((better - base).mean())
    low, high = result.interval[0]
    assert 0 < low < result.difference[0] < high
    assert result.p_value[0] == pytest.approx(1 / 2001), "no exchange of 2000 reaches the difference"
    turned = compare(scored(base), scored(better), samples=2000, seed=11)
    assert turned.difference[0] == -result.difference[0] and turned.p_value[0] == result.p_value[0]
    # The pairing is what finds it: the intervals of the two files overlap widely.
    one, other = intervals([scored(better), scored(base)], samples=2000, seed=11)
    assert one[0, 0] < other[0, 1]


def test_the_p_value_is_that_of_scipys_permutation_test() -> None:
    generator = np.random.default_rng(12)
    one = generator.normal(0.1, 1, 60)
    other = generator.normal(0, 1, 60)
    ours = compare(scored(one), scored(other), samples=20000, seed=13).p_value[0]
    theirs = stats.permutation_test(
        (one, other),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20000,
        rng=14,
    ).pvalue
    assert 0.02 < ours < 0.98, "a case that tells tests apart"
    assert ours == pytest.approx(theirs, abs=0.015)


def test_without_a_difference_small_p_values_are_as_rare_as_they_say() -> None:
    generator = np.random.default_rng(15)
    small = sum(
        compare(scored(generator.random(80)), scored(generator.random(80)), samples=200, seed=seed).p_value[0] <= 0.1
        for seed in range(300)
    )
    assert 0.05 <= small / 300 <= 0.16
