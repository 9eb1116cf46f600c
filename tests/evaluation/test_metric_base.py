"""What every measurement can do: be summed, picked from, drawn from."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from metric_cases import WRITTEN

from rsccli.errors import InputError
from rsccli.evaluation.metrics.base import Measured, Metric, Whole, mean_score, measure_all
from rsccli.evaluation.metrics.bleu import Bleu
from rsccli.evaluation.metrics.cider_d import CiderD
from rsccli.evaluation.metrics.lengths import AverageLength
from rsccli.evaluation.metrics.rouge import RougeL, RougeLF1
from rsccli.evaluation.metrics.variety import Variety

PLAIN = [Bleu(), RougeL(), RougeLF1(), AverageLength()]


def test_a_mean_score_is_the_mean_times_100() -> None:
    measured = mean_score("meteor", [0.5, 0.25, 0.0])
    assert measured.value() == pytest.approx([25.0])
    assert measured.value(np.array([0, 0, 1])) == pytest.approx([125 / 3])


def test_samples_are_scored_from_how_often_they_hold_a_pair() -> None:
    measured = mean_score("meteor", [0.5, 0.25, 0.0])
    drawn = measured.values(np.array([[3.0, 0.0, 0.0], [0.0, 2.0, 2.0]]))
    assert drawn == pytest.approx(np.array([[50.0], [12.5]]))


def test_no_pairs_have_no_value() -> None:
    assert np.isnan(mean_score("meteor", []).value()).all()


@pytest.mark.parametrize("metric", [*PLAIN, CiderD(), Variety()], ids=lambda metric: metric.name)
def test_a_metric_of_no_pairs_has_no_value_and_no_warning(metric: Metric, recwarn: pytest.WarningsRecorder) -> None:
    values = metric.measure([], []).value()
    assert len(values) == len(metric.keys)
    counted = [value for key, value in zip(metric.keys, values, strict=True) if key != "vocabulary"]
    assert np.isnan(counted).all()
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("metric", PLAIN, ids=lambda metric: metric.name)
def test_rows_of_some_pairs_are_what_measuring_them_alone_gives(metric: Metric) -> None:
    predictions, references = WRITTEN
    chosen = np.array([0, 2, 5])
    alone = metric.measure([predictions[i] for i in chosen], [references[i] for i in chosen])
    assert metric.measure(predictions, references).value(chosen) == pytest.approx(alone.value(), abs=1e-12)


def test_cider_d_says_that_it_depends_on_the_set() -> None:
    predictions, references = WRITTEN
    chosen = np.array([0, 2, 5])
    alone = CiderD().measure([predictions[i] for i in chosen], [references[i] for i in chosen])
    assert CiderD().measure(predictions, references).value(chosen) != pytest.approx(alone.value(), abs=1e-3)
    assert CiderD.of_the_set
    assert not any(metric.of_the_set for metric in PLAIN)


@pytest.mark.parametrize("metric", [*PLAIN, CiderD(), Variety()], ids=lambda metric: metric.name)
def test_a_pair_without_references_is_refused(metric: Metric) -> None:
    with pytest.raises(InputError, match="pair 2 has no reference"):
        metric.measure(["a road", "a house"], [["a road"], []])
    with pytest.raises(InputError, match="join them first"):
        metric.measure(["a road"], [])


class Waiting(Metric):
    """Done only when another metric was measured meanwhile."""

    name = "waiting"
    keys = ("waited",)
    outside = True

    def __init__(self, released: threading.Event) -> None:
        self._released = released

    def measure(self, predictions: object, references: object) -> Measured:
        return mean_score("waited", [float(self._released.wait(10))])


class Releasing(Metric):
    """Lets the other go on."""

    name = "releasing"
    keys = ("released",)

    def __init__(self, released: threading.Event) -> None:
        self._released = released

    def measure(self, predictions: object, references: object) -> Whole:
        self._released.set()
        return Whole(self.keys, 1, lambda indices: np.array([float(len(indices))]))


def test_java_works_while_python_counts_and_results_keep_their_order() -> None:
    released = threading.Event()
    waited, counted = measure_all([Waiting(released), Releasing(released)], ["a"], [["a"]])
    assert waited.value() == pytest.approx([100.0])
    assert counted.value() == pytest.approx([1.0])


def test_what_fails_outside_is_raised() -> None:
    class Failing(Waiting):
        def measure(self, predictions: object, references: object) -> Measured:
            raise InputError("no")

    with pytest.raises(InputError, match="no"):
        measure_all([Failing(threading.Event())], ["a"], [["a"]])
