"""How many processor cores this process may really use: a cluster job rarely owns the whole node."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def usable_cores() -> int:
    """Least of the affinity mask, the control group's quota and ``SLURM_CPUS_PER_TASK``, at least 1."""
    limits = [_affinity(), _cgroup_quota(_CGROUP_V2, _CGROUP_V1), _slurm(os.environ)]
    return max(1, min(limit for limit in limits if limit is not None))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_quota(v2: Path, v1: Path) -> int | None:
    """Cores that the control group's quota pays for, rounded up; None where there is no quota."""
    try:
        if v2.is_file():
            quota, period = v2.read_text().split()
        else:
            quota = (v1 / "cpu.cfs_quota_us").read_text().strip()
            period = (v1 / "cpu.cfs_period_us").read_text().strip()
        if quota == "max" or int(quota) <= 0:
            return None
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _slurm(environment: os._Environ[str] | dict[str, str]) -> int | None:
    text = environment.get("SLURM_CPUS_PER_TASK", "")
    return int(text) if text.isdigit() and int(text) > 0 else None
