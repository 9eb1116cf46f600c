"""Which shard a text or a job array means, and where it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsccli.errors import UsageProblem
from rsccli.run.shard import Shard, parse_shard, shard_path


def array(task: int, first: int, last: int, step: int = 1, count: int | None = None) -> dict[str, str]:
    """What sbatch sets in one element of an array."""
    found = {"ID": task, "MIN": first, "MAX": last, "STEP": step, "COUNT": count or (last - first) // step + 1}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in found.items()}


@pytest.mark.parametrize(
    ("text", "index", "count"), [("1/1", 1, 1), ("3/8", 3, 8), (" 8/8 ", 8, 8), ("9/9999", 9, 9999)]
)
def test_named(text: str, index: int, count: int) -> None:
    shard = parse_shard(text)
    assert (shard.index, shard.count) == (index, count) and str(shard) == text.strip()


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "1/0", "1/10000", "8", "1/8/2", "a/b", "-1/8", "1.0/8", "", "1 / 8", "½/8"]
)
def test_what_is_no_shard_says_how_to_name_one(text: str) -> None:
    with pytest.raises(UsageProblem, match="--shard"):
        parse_shard(text)


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        (array(1, 1, 8), "1/8"),
        (array(8, 1, 8), "8/8"),
        (array(0, 0, 7), "1/8"),
        (array(15, 10, 17), "6/8"),
        (array(9, 1, 16, 4), "3/4"),  # 1, 5, 9, 13
        (array(5, 5, 5), "1/1"),
        ({"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "3"}, "2/3"),
    ],
)
def test_job_array(environment: dict[str, str], shard: str) -> None:
    assert str(parse_shard("slurm", environment)) == shard
    assert str(parse_shard("SLURM", environment)) == shard


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "no element of a job array"),
        ({"SLURM_JOB_ID": "77"}, "job 77 is no element"),
        (array(3, 1, 7, count=3), "has 3 elements"),  # --array=1,3,7
        (array(9, 1, 8), "no place"),
        (array(2, 1, 8, 3), "no place"),
        (array(1, 1, 8) | {"SLURM_ARRAY_TASK_MAX": "x"}, "SLURM_ARRAY_TASK_MAX is x"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_MIN is not set"),
    ],
)
def test_outside_of_an_array_it_says_what_to_do(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageProblem, match=words) as caught:
        parse_shard("slurm", environment)
    assert "--shard" in str(caught.value)


def test_files_sort_in_the_order_of_the_shards_and_name_them() -> None:
    paths = [shard_path(Path("a/out.geojson"), Shard(12, index)) for index in range(1, 13)]
    assert paths[1] == Path("a/out.geojson.shards/0002-of-0012.rsccli-shard")
    assert sorted(paths) == paths
    assert [Shard.of_file(path) for path in paths] == [Shard(12, index) for index in range(1, 13)]
    assert Shard.of_file(Path("0002-of-0012.rsccli-shard.journal")) == Shard(12, 2)
    for name in ("out.geojson", "0013-of-0012.rsccli-shard", "0000-of-0002.rsccli-shard", "2-of-3.rsccli-shard"):
        assert Shard.of_file(Path(name)) is None
