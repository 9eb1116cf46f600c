from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsccli.models.cores import _cgroup_quota, usable_cores

NOWHERE = Path("/nonexistent")


def test_never_more_than_the_affinity_mask() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("slurm", "cores"), [("1", 1), ("100000", None), ("0", None), ("", None), ("two", None)])
def test_slurm_says_what_a_task_may_use(monkeypatch: pytest.MonkeyPatch, slurm: str, cores: int | None) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    without = usable_cores()
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", slurm)
    assert usable_cores() == (cores or without)


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", None), ("150000 100000\n", 2), ("50000 100000\n", 1), ("400000 100000", 4), ("odd", None)],
)
def test_quota_of_a_control_group(tmp_path: Path, text: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert _cgroup_quota(tmp_path / "cpu.max", NOWHERE) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", None), ("250000", 3)])
def test_quota_of_the_older_control_groups(tmp_path: Path, quota: str, cores: int | None) -> None:
    (tmp_path / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu.cfs_period_us").write_text("100000")
    assert _cgroup_quota(NOWHERE, tmp_path) == cores


def test_no_control_group() -> None:
    assert _cgroup_quota(NOWHERE, NOWHERE) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_an_affinity_mask_counts() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from rsccli.models.cores import usable_cores; print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
