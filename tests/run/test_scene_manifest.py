"""Lists of scenes: read and checked with line numbers, captioned one after another, resumed, told in one summary."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasters import make_raster

from rsccli.errors import InputError, OutputError, UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.output.scenes import ScenesSummary
from rsccli.run.caption import CaptionJob, PreparedJob, Progress
from rsccli.run.manifest.prepare import ManifestJob, PreparedManifest, prepare_manifest
from rsccli.run.manifest.run import SceneTask, gather, run_manifest, run_scene
from rsccli.run.manifest.scenes import Scene, read_scenes
from rsccli.run.shard import Shard

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
TEMPLATE = CaptionJob("", "", output=Path("."), model=BRIGHTNESS, geometry=PairOptions(tile_size=128))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three generated scenes; the second is four times as large."""
    for name, side in (("a", 256), ("b", 512), ("c", 256)):
        for date, level in (("pre", 80), ("post", 140)):
            values = np.full((3, side, side), level, np.uint8)
            values[:, :64] += np.random.default_rng(1).integers(0, 9, (3, 64, side)).astype(np.uint8)
            make_raster(tmp_path / f"{name}_{date}.tif", size=(side, side), values=values)
    rows = "".join(f"{name},{name}_pre.tif,{name}_post.tif,maps/{name}.geojson\n" for name in "abc")
    (tmp_path / "scenes.csv").write_text(f"id,pre,post,output\n{rows}")
    return tmp_path


class Shown:
    """Which scenes were captioned, in order."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    @contextmanager
    def __call__(self, index: int, scene: Scene, prepared: PreparedJob) -> Iterator[Progress]:
        self.ids.append(scene.id)
        yield lambda tiles, old: None


def go(job: ManifestJob) -> tuple[list[str], ScenesSummary]:
    shown = Shown()
    summary = run_manifest(prepare_manifest(job), shown)
    return shown.ids, summary


def job_of(at: Path, template: CaptionJob = TEMPLATE, **more: object) -> ManifestJob:
    return ManifestJob(at / "scenes.csv", template, **more)  # type: ignore[arg-type]


def test_all_scenes_one_summary_and_nothing_twice(folder: Path) -> None:
    ids, summary = go(job_of(folder))
    assert ids == ["a", "b", "c"]
    assert [scene.state for scene in summary.scenes] == ["done"] * 3
    assert summary.tiles == 4 + 16 + 4 and summary.count("changed") == 24
    made = {name: (folder / f"scenes.summary.{name}").read_bytes() for name in ("json", "md", "csv")}
    told = json.loads(made["json"])
    assert told["totals"]["scenes"] == told["totals"]["done"] == 3 and told["totals"]["by_status"]["changed"] == 24
    areas = [json.loads((folder / f"maps/{n}.report.json").read_bytes())["summary"]["changed_area_m2"] for n in "abc"]
    assert told["totals"]["changed_area_m2"] == pytest.approx(sum(areas), abs=1e-3) and sum(areas) > 0
    assert b"3 scenes: 3 done." in made["md"]
    rows = list(csv.DictReader(io.StringIO(made["csv"].decode())))
    assert [row["tiles"] for row in rows] == ["4", "16", "4"] and rows[0]["output"] == "maps/a.geojson"
    times = {path: path.stat().st_mtime_ns for path in folder.glob("maps/*.geojson")}
    ids, _ = go(job_of(folder))
    assert ids == [] and times == {path: path.stat().st_mtime_ns for path in folder.glob("maps/*.geojson")}
    assert made == {name: (folder / f"scenes.summary.{name}").read_bytes() for name in ("json", "md", "csv")}


def test_another_working_folder_is_the_same_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(job_of(folder))
    monkeypatch.chdir(folder)
    ids, summary = go(ManifestJob(Path("scenes.csv"), TEMPLATE))
    assert ids == [] and len(summary.in_state("done")) == 3


def test_a_scene_that_fails_does_not_stop_the_others_and_is_tried_again(folder: Path) -> None:
    (folder / "b_post.tif").rename(folder / "away.tif")
    (folder / "a_post.tif").write_bytes(b"no image")
    prepared = prepare_manifest(job_of(folder))
    assert any("line 3: b: post" in note and "no such file" in note for note in prepared.notes)
    ids, summary = go(job_of(folder))
    assert ids == ["c"]
    reasons = {scene.id: scene.reason for scene in summary.in_state("failed")}
    assert set(reasons) == {"a", "b"} and "a_post.tif" in str(reasons["a"])
    (folder / "away.tif").rename(folder / "b_post.tif")
    ids, summary = go(job_of(folder))
    assert ids == ["b"] and [scene.state for scene in summary.scenes] == ["failed", "done", "done"]
    assert "## What failed" in (folder / "scenes.summary.md").read_text()


def test_changed_inputs_and_options_are_noticed(folder: Path) -> None:
    go(job_of(folder))
    os.utime(folder / "b_pre.tif", (1, 1))
    with pytest.raises(
        OutputError,
        match=r"add --overwrite(?s:.)*line 3: b: .*b\.geojson was made from something else \(pre\.identity: size=",
    ):
        prepare_manifest(job_of(folder))
    ids, _ = go(job_of(folder, replace(TEMPLATE, overwrite=True)))
    assert ids == ["b"]
    with pytest.raises(OutputError, match=r"line 2: a: .*min_valid: 0\.1, now 0\.5"):
        prepare_manifest(job_of(folder, replace(TEMPLATE, min_valid=0.5)))
    with (folder / "maps" / "c.geojson").open("a") as file:
        file.write(" ")
    with pytest.raises(OutputError, match="no longer what was written"):
        prepare_manifest(job_of(folder))
    (folder / "maps" / "c.geojson").unlink()
    assert go(job_of(folder))[0] == ["c"]
    # Inputs that were put away afterwards do not undo what is done.
    (folder / "a_pre.tif").unlink()
    assert go(job_of(folder))[0] == []


def test_outputs_of_others_are_not_replaced(folder: Path) -> None:
    (folder / "maps").mkdir()
    (folder / "maps" / "b.geojson").write_text("mine")
    with pytest.raises(OutputError, match=r"add --overwrite(?s:.)*line 3: b: .*b\.geojson exists"):
        prepare_manifest(job_of(folder))
    assert go(job_of(folder, replace(TEMPLATE, overwrite=True)))[0] == ["a", "b", "c"]


def test_shards_deal_out_whole_scenes_by_their_pixels(folder: Path) -> None:
    parts = [prepare_manifest(job_of(folder, shard=Shard(2, index))) for index in (1, 2)]
    assert [[scene.id for scene in part.mine] for part in parts] == [["b"], ["a", "c"]]
    ids, summary = go(job_of(folder, shard=Shard(2, 2)))
    assert ids == ["a", "c"] and [scene.state for scene in summary.scenes] == ["done", "not done", "done"]
    ids, summary = go(job_of(folder, shard=Shard(2, 1)))
    assert ids == ["b"] and len(summary.in_state("done")) == 3
    # The same without shards finds all of it done, and does what is left.
    (folder / "maps" / "a.geojson").unlink()
    assert go(job_of(folder))[0] == ["a"]
    assert go(job_of(folder, shard=Shard(5, 5)))[0] == []


def test_a_folder_for_outputs_a_summary_elsewhere_and_masks(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    out.mkdir()
    lines = [{"id": n, "pre": f"{n}_pre.tif", "post": f"{n}_post.tif", "output": f"{n}.gpkg"} for n in "ac"]
    lines[0]["mask"] = "masks/a.tif"
    manifest = folder / "scenes.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n\n" for line in lines))
    job = ManifestJob(manifest, TEMPLATE, folder=out, summary=out / "all.json")
    ids, _ = go(job)
    assert ids == ["a", "c"] and (out / "masks" / "a.tif").is_file() and (out / "c.gpkg").is_file()
    assert sorted(path.name for path in out.glob("all*")) == [f"all.{n}" for n in ("csv", "journals", "json", "md")]
    assert go(job)[0] == []
    (out / "masks" / "a.tif").unlink()
    assert go(job)[0] == ["a"]


def test_a_task_travels_as_plain_values(folder: Path) -> None:
    prepared: PreparedManifest = prepare_manifest(job_of(folder))
    task = SceneTask(prepared.mine[0], prepared.scene_job(prepared.mine[0]))
    result = run_scene(pickle.loads(pickle.dumps(task)))
    assert result.state == "done" and sum(result.tiles) == 4 and pickle.loads(pickle.dumps(result)) == result
    lost = run_scene(replace(task, job=replace(task.job, pre=str(folder / "nothing.tif"))))
    assert lost.state == "failed" and "nothing.tif" in str(lost.reason)
    assert {scene.state for scene in gather(prepared).scenes} == {"not done"}  # the caller keeps the journal


def test_a_torn_journal_costs_its_last_scene(folder: Path) -> None:
    go(job_of(folder))
    journal = folder / "scenes.summary.journals" / "all.journal"
    journal.write_bytes(journal.read_bytes()[:-20])
    # As a kill between the output and its line leaves it: that scene is made again, without being asked.
    assert go(job_of(folder))[0] == ["c"]
    journal.write_bytes(b"\xff\n{}\n[1]\n")
    shutil.rmtree(folder / "maps")
    with pytest.raises(InputError, match="not a journal"):
        go(job_of(folder))
    assert go(job_of(folder, replace(TEMPLATE, resume=False)))[0] == ["a", "b", "c"]


LINE = "a,pre.tif,post.tif,a.geojson\n"
HEAD = "id,pre,post,output\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "does not name id, pre, post, output"),
        ("a,b,c\n", "does not name id, pre, post, output"),
        ("id,pre,post,ouput\n" + LINE, "does not name output"),
        ("id,pre,pre,post,output\n" + LINE, "names pre twice"),
        (HEAD, "no scenes"),
        (HEAD + "a,pre.tif,post.tif\n", "line 2: 3 fields"),
        (HEAD + LINE + "\n# note\na,x.tif,y.tif,b.geojson\n", "line 5: id a is on line 2, too"),
        (HEAD + LINE + "b,x.tif,y.tif,./a.geojson\n", "line 3: .* is an output on line 2, too"),
        (HEAD + LINE + "b,x.tif,y.tif,a.gpkg\n", "line 3: .* shares its report"),
        (HEAD + "a,,post.tif,\n", "line 2: pre, output are empty"),
        (HEAD + "a,pre.tif,post.tif,a.shp\n", r"line 2: no output format has the suffix '\.shp'"),
        (HEAD + "a,pre.tif,post.tif,../a.geojson\n", "line 2: output .* leads out of"),
        (HEAD + "a,pre.tif,post.tif,/etc/a.geojson\n", "line 2: output .* leads out of"),
        (HEAD + 'a,"pre.tif\npost.tif,a.geojson\n', "line 3: not CSV"),
        (HEAD + "a\x00,pre.tif,post.tif,a.geojson\n", "line 2"),
        ("id,pre,post,output,mask\na,p.tif,q.tif,a.geojson,m.png\n", r"line 2: mask m\.png"),
        (HEAD.encode() + b"\xe9,a,b,c.csv\n", "not UTF-8"),
    ],
)
def test_lines_that_cannot_be_used_are_named(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = tmp_path / "scenes.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words):
        read_scenes(path)
    assert [p.name for p in tmp_path.iterdir()] == ["scenes.csv"]


@pytest.mark.parametrize("content", ["[1]\n", "{", '{"id":[1],"pre":"a","post":"b","output":"c.csv"}\n', "7\n"])
def test_json_lines_that_cannot_be_used_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scenes.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match="line 1"):
        read_scenes(path)


def test_a_link_does_not_lead_outputs_out(tmp_path: Path) -> None:
    folder, other = tmp_path / "list", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "maps").symlink_to(other)
    (folder / "scenes.csv").write_text(HEAD + "a,pre.tif,post.tif,maps/a.geojson\n")
    with pytest.raises(InputError, match="leads out of"):
        read_scenes(folder / "scenes.csv")


def test_reading_takes_order_case_quotes_marks_and_notes_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "scenes.csv"
    path.write_bytes(
        b'\xef\xbb\xbf# from the archive\r\nOutput, ID ,post,pre,Date\r\n"a, b.geojson",town,https://host/q.tif,/vsizip/p.zip/p.tif,2020\r\n'
    )
    (scene,), notes = read_scenes(path)
    assert (scene.id, scene.pre, scene.post) == ("town", "/vsizip/p.zip/p.tif", "https://host/q.tif")
    assert scene.output == tmp_path / "a, b.geojson" and scene.line == 3
    assert "not used: date" in notes[0]


def test_usage(folder: Path) -> None:
    with pytest.raises(UsageProblem, match="column mask"):
        prepare_manifest(job_of(folder, replace(TEMPLATE, mask=folder / "m.tif")))
    with pytest.raises(UsageProblem, match="--summary"):
        prepare_manifest(job_of(folder, summary=folder / "all.txt"))
    with pytest.raises(OutputError, match="mkdir"):
        prepare_manifest(job_of(folder, folder=folder / "nowhere"))
    with pytest.raises(InputError, match="cannot be read"):
        prepare_manifest(ManifestJob(folder / "none.csv", TEMPLATE))


def test_a_summary_holds_hostile_names(folder: Path) -> None:
    (folder / "scenes.csv").write_text(
        'id,pre,post,output\n=HYPERLINK("http://x"),a_pre.tif,none.tif,a.geojson\n|<b>*x*,c_pre.tif,none.tif,b.geojson\n'.replace(
            '=HYPERLINK("http://x")', '"=HYPERLINK(""http://x"")"'
        )
    )
    go(job_of(folder))
    rows = list(csv.reader(io.StringIO((folder / "scenes.summary.csv").read_text())))
    assert rows[1][0].startswith("'=HYPERLINK")
    text = (folder / "scenes.summary.md").read_text()
    assert "<b>" not in text and "\\|" in text


COUNTING = """
from pathlib import Path
from captioners import BrightnessFactory

class Factory(BrightnessFactory):
    def open(self, options):
        with Path(__file__).with_suffix(".log").open("a") as log:
            log.write("loaded\\n")
        return super().open(options)
"""


def test_the_model_is_loaded_once_for_all_scenes_and_never_for_none(folder: Path) -> None:
    (folder / "counting.py").write_text(COUNTING)
    template = replace(TEMPLATE, model=f"{folder / 'counting.py'}:Factory")
    assert len(go(job_of(folder, template))[0]) == 3
    assert go(job_of(folder, template))[0] == []
    assert (folder / "counting.log").read_text() == "loaded\n"
