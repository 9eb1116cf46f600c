"""What a captioner says is held against its contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tile_pairs import grey_pair

from rsccli.errors import InputError, ModelError, OutOfMemoryError
from rsccli.run.checked import LONGEST_TEXT, asked, checked_caption, checked_detection
from rsccli.types import Caption, Detection

PAIR = grey_pair(10, 32, 48)
GOOD = Caption("A house is new.", "changed", 0.9, -0.1, ("house",), np.zeros((32, 48), bool), "a reason")


@pytest.mark.parametrize(
    "caption",
    [
        GOOD,
        Caption("Nothing changed.", "unchanged"),
        replace(GOOD, change_score=np.float32(1.0), logprob=np.float64(0.0), keywords=["house"]),
        replace(GOOD, change_score=1, logprob=-300.0),
        Caption("", "unsure", reason="the model said nothing"),
    ],
)
def test_what_keeps_the_contract_passes_as_it_is(caption: Caption) -> None:
    assert checked_caption(caption, PAIR, "m") is caption


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"text": None}, "a caption that is NoneType, not text"),
        ({"text": "a" * (LONGEST_TEXT + 1)}, "a caption of 20,001 characters"),
        ({"status": "maybe"}, "the unknown status 'maybe'"),
        ({"status": "model_error"}, "the unknown status"),
        ({"change_score": float("nan")}, "the change score nan"),
        ({"change_score": 1.2}, "the change score 1.2"),
        ({"change_score": True}, "the change score True"),
        ({"change_score": np.array([0.5])}, "the change score array"),
        ({"logprob": float("inf")}, "the log-probability inf"),
        ({"logprob": float("-inf")}, "the log-probability -inf"),
        ({"logprob": 3.0}, "the log-probability 3.0"),
        ({"keywords": "house"}, "keywords that are no texts"),
        ({"keywords": (1,)}, "keywords that are no texts"),
        ({"keywords": ("a",) * (LONGEST_TEXT + 1)}, "20,001 keywords"),
        ({"reason": 7}, "a reason that is int"),
        ({"mask": np.zeros((48, 32), bool)}, "a mask that is no bool array of (32, 48): bool of (48, 32)"),
        ({"mask": np.zeros((32, 48))}, "float64 of (32, 48)"),
        ({"mask": [[True]]}, "a mask that is no bool array of (32, 48): list"),
    ],
)
def test_rubbish_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError) as caught:
        checked_caption(replace(GOOD, **change), PAIR, "some-model")
    assert str(caught.value).startswith("some-model gave ") and told in str(caught.value)


def test_something_else_than_a_caption() -> None:
    with pytest.raises(ModelError, match="m gave dict instead of a caption"):
        checked_caption({"text": "a"}, PAIR, "m")  # type: ignore[arg-type]


def test_no_words_are_no_answer() -> None:
    found = checked_caption(replace(GOOD, text=" \n", reason=None), PAIR, "m")
    assert (found.status, found.reason) == ("unsure", "the model said nothing")


PROBABILITY, CLASSES = np.full((32, 48), 0.5, np.float32), np.full((2, 32, 48), 0.5, np.float32)


def test_detections() -> None:
    whole = Detection(PROBABILITY, CLASSES)
    assert checked_detection(whole, PAIR, "m", 2) is whole
    assert checked_detection(Detection(PROBABILITY), PAIR, "m", 0).classes is None
    bad = PROBABILITY.copy()
    bad[3, 4] = np.nan
    for wrong, classes, told in (
        (Detection(bad, CLASSES), 2, "probabilities that are no numbers from 0 to 1"),
        (Detection(PROBABILITY * 3), 2, "probabilities that are no numbers from 0 to 1"),
        (Detection(PROBABILITY, CLASSES), 3, r"classes that are no floats of \(3, 32, 48\)"),
        (Detection(PROBABILITY[1:]), 2, r"float32 of \(31, 48\)"),
        (Caption("a", "changed"), 2, "Caption instead of a detection"),
    ):
        with pytest.raises(ModelError, match=told):
            checked_detection(wrong, PAIR, "m", classes)  # type: ignore[arg-type]


def test_what_a_model_raises() -> None:
    def raises(error: Exception) -> Any:
        def call(pairs: Any) -> Any:
            raise error

        return call

    with pytest.raises(ModelError, match=r"^m failed: IndexError: no such row \(test_checked\.py, line \d+\)$"):
        asked(raises(IndexError("no such\nrow")), [PAIR], "m")
    with pytest.raises(OutOfMemoryError, match="m failed: RuntimeError: CUDA out of memory"):
        asked(raises(RuntimeError("CUDA out of memory")), [PAIR], "m")
    with pytest.raises(InputError, match="labels"):
        asked(raises(InputError("labels")), [PAIR], "m")
    with pytest.raises(ModelError, match="m gave 1 results for 2 tiles"):
        asked(lambda pairs: [1], [PAIR, PAIR], "m")
    with pytest.raises(ModelError, match="m failed: TypeError"):
        asked(lambda pairs: None, [PAIR], "m")  # type: ignore[arg-type,return-value]
