"""A benchmark of a model that is asked in words (a tiny synthetic checkpoint) in the three regimes of RSCC."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark_pairs import dates, save, write_list

from rsccli.evaluation.benchmark.job import BenchmarkJob
from rsccli.evaluation.benchmark.run import prepare, run_benchmark
from rsccli.evaluation.protocols import MetricChoices
from rsccli.models.captioner import CaptionerOptions


def test_a_checkpoint_is_asked_in_every_regime(checkpoint: Path, tmp_path: Path) -> None:
    counts = {"no-damage": 1, "destroyed": 2}
    write_list(tmp_path / "pairs.json", ("built", "same"), counts=counts, annotated="drawn.png")
    save(tmp_path / "drawn.png", dates("built", 0)[1])
    job = BenchmarkJob(
        tmp_path,
        tmp_path / "out",
        (str(checkpoint),),
        ("zero-shot", "textual_prompt", "visual_prompt"),
        ("rscc",),
        captioner=CaptionerOptions(backend="torch", device="cpu", threads=1, max_new_tokens=8),
        metrics=MetricChoices(meteor="off"),
        samples=0,
    )
    result = run_benchmark(prepare(job))
    assert [run.prompt for run in result.runs] == ["naive", "textual", "visual"]
    assert [run.counts_from for run in result.runs] == [None, "fields of pairs.json", "fields of pairs.json"]
    assert all(run.scored == 2 and run.failed == 0 for run in result.runs)
    lines = [Path(run.predictions).read_text().splitlines() for run in result.runs]
    assert [json.loads(each[0])["inference_type"] for each in lines] == [run.regime for run in result.runs]
    assert all(json.loads(line)["change_caption"] for each in lines for line in each)
