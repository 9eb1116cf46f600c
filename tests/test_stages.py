"""Seconds by stage: added up over threads, also where a stage ends with an error."""

from __future__ import annotations

import threading
import time

import pytest

from rsccli.stages import STAGES, Stages, stage


def test_threads_add_up_and_a_reading_is_a_copy() -> None:
    stages = Stages()
    before = stages.read()
    threads = [threading.Thread(target=lambda: [stages.add("read", 0.001) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stages.since(before)["read"] == pytest.approx(2.0)
    assert before == {}


def test_an_error_within_a_stage_passes_and_its_time_counts() -> None:
    before = STAGES.read()
    with pytest.raises(ValueError, match="inside"), stage("warp"):
        time.sleep(0.02)
        raise ValueError("inside")
    assert STAGES.since(before)["warp"] >= 0.02


def test_a_stage_costs_microseconds() -> None:
    """One batch of the fastest captioner takes milliseconds: the clock must not be seen beside it."""
    start = time.process_time()
    for _ in range(2000):
        with stage("journal"):
            pass
    assert (time.process_time() - start) / 2000 < 50e-6
