"""A data set of ``rsccli dataset xbd`` as a benchmark: synthetic folders in xBD's layout, references as RSCC's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from xbd_folder import Scene, box, write_scene

from rsccli.datasets.xbd.build import XbdJob, build_xbd
from rsccli.evaluation.benchmark.job import BenchmarkJob
from rsccli.evaluation.benchmark.run import prepare, run_benchmark
from rsccli.evaluation.protocols import MetricChoices

# Says how many pixels of the later date are pure red, the colour of what was destroyed.
REDS = """
from captioners import EchoCaptioner, EchoFactory
from rsccli.types import Caption

class RedFactory(EchoFactory):
    def open(self, options):
        return RedCaptioner(self.describe(options))

class RedCaptioner(EchoCaptioner):
    def caption(self, pairs):
        reds = [int(((p.post[0] == 255) & (p.post[1] == 0) & (p.post[2] == 0)).sum()) for p in pairs]
        counts = [p.context.counts if p.context else "nothing" for p in pairs]
        return [Caption(f"{red} red, told {told}", "changed") for red, told in zip(reds, counts)]
"""


@pytest.mark.parametrize("form", ["png", "tif"])
def test_counts_and_outlines_of_the_data_set_are_told_and_shown(tmp_path: Path, form: str) -> None:
    scenes = {"first_00000001": (box(10, 10), box(100, 100, 40, 40, "destroyed")), "second_00000002": (box(30, 30),)}
    for name, buildings in scenes.items():
        write_scene(tmp_path / "xbd", Scene(name, buildings=buildings, size=(512, 512), form=form))
    data = tmp_path / "data"
    build_xbd(XbdJob(tmp_path / "xbd", data))
    pairs = [json.loads(line) for line in (data / "pairs.jsonl").read_text().splitlines()]
    references = tmp_path / "RSCC_gt.jsonl"
    with references.open("w") as lines:
        for pair in pairs:
            names = {f"{date}_image": f"somewhere/{Path(pair[date]).name}" for date in ("pre", "post")}
            lines.write(json.dumps({**names, "change_caption": "a house was destroyed"}) + "\n")
    (tmp_path / "reds.py").write_text(REDS)
    job = BenchmarkJob(
        data,
        tmp_path / "out",
        (f"{tmp_path / 'reds.py'}:RedFactory",),
        ("zero-shot", "textual_prompt", "visual_prompt"),
        ("rscc",),
        references=references,
        metrics=MetricChoices(meteor="off"),
        samples=0,
    )
    result = run_benchmark(prepare(job))
    assert result.problems == () and all(run.scored == 2 for run in result.runs)
    said = {run.regime: captions(Path(run.predictions)) for run in result.runs}
    assert said["zero-shot"][0].endswith("told nothing")
    told = "2 buildings: 1 with no damage, 0 with minor damage, 0 with major damage, 1 destroyed"
    assert said["textual_prompt"][0].endswith(told) and said["visual_prompt"][0].endswith(told)
    reds = {regime: [int(text.split()[0]) for text in each] for regime, each in said.items()}
    # Two pixels wide along 160 pixels of walls; nothing was destroyed in the other pair.
    assert reds["visual_prompt"][0] - reds["textual_prompt"][0] > 250
    assert reds["visual_prompt"][1] == reds["textual_prompt"][1]
    source = result.runs[1].counts_from
    assert source and "labels: first_00000001_post_disaster.json (centroid) and 1 other" in source


def captions(path: Path) -> list[Any]:
    return [json.loads(line)["change_caption"] for line in path.read_text().splitlines()]
