"""Readers of files that a stranger may have made: whatever is in them, the answer is a value or an error of ours."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from targets import TARGETS, Target

CASES = 60

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def wrong_files(draw: st.DrawFn, target: Target) -> tuple[str, bytes]:
    """Suffix and content: mostly right files with something wrong in them, sometimes anything at all."""
    import json

    suffix, seed = draw(st.sampled_from(target.all_seeds()))
    match draw(st.integers(0, 9)):
        case 0:
            return suffix, draw(st.binary(max_size=200))
        case 1:
            return suffix, json.dumps(draw(values)).encode()
        case _:
            return suffix, mutated(seed, random.Random(draw(st.integers(0, 2**32))))


@pytest.mark.parametrize("name", TARGETS)
def test_a_right_file_is_read_and_a_wrong_one_refused(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=30_000,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(file=wrong_files(target))
    def read(file: tuple[str, bytes]) -> None:
        suffix, data = file
        target(data, tmp_path, suffix)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert any(target(data, tmp_path, suffix) for suffix, data in target.seeds())
        read()


def test_files_that_were_once_misread_stay_refused(tmp_path: Path) -> None:
    """Each file of the corpus once ended a reader with a traceback."""
    seen = 0
    for target in TARGETS.values():
        right = len(target.seeds())
        for suffix, data in target.all_seeds()[right:]:
            target(data, tmp_path, suffix)
            seen += 1
    assert seen >= 10
