"""Figures of a run and their forms: the metrics file, and the text that Prometheus reads."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rsccli.errors import UsageProblem
from rsccli.run.journal import Journal
from rsccli.run.line_journal import LineJournal
from rsccli.run.metrics.figures import Figures, Who
from rsccli.run.metrics.observe import Observe
from rsccli.run.metrics.progress import read_progress
from rsccli.run.metrics.textfile import escaped, render_textfile
from rsccli.types import STATUSES, TileRecord

WHO = Who("out.geojson", None, "abc", "m", "1", ("cuda:0", "cuda:1"), 16, "node", 7, "0.1.0")
STAGES = {"read": 2.0, "warp": 1.0, "model": 5.0, "encode": 3.0, "decode": 1.0, "journal": 0.5, "wait_pixels": 0.25}
FIGURES = Figures(
    who=WHO,
    state="running",
    error=None,
    started=1000.0,
    updated=1010.5,
    planned=100,
    before=20,
    by_status={"changed": 10, "unchanged": 30},
    wall_s=10.0,
    captioning_s=8.0,
    cpu_s=9.0,
    peak_memory_bytes=2**30,
    prepare_s=1.0,
    stages=STAGES,
)
#: A line of the format: https://prometheus.io/docs/instrumenting/exposition_formats/
SAMPLE = re.compile(
    r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\{(?P<labels>(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\} '
    r"(?P<value>-?[0-9.]+)"
)


def parsed(text: str) -> dict[tuple[str, str], float]:
    """Every sample by its name and labels; anything that is neither comment nor sample is an error."""
    found: dict[tuple[str, str], float] = {}
    told: set[str] = set()
    for line in text.splitlines():
        if line.startswith("#"):
            kind, name = re.fullmatch(r"# (HELP|TYPE) (\S+) .+", line).groups()  # type: ignore[union-attr]
            assert (kind, name) not in told
            told |= {(kind, name)}  # type: ignore[arg-type]
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None, line
        assert ("TYPE", match["name"]) in told
        assert (match["name"], match["labels"]) not in found
        found[match["name"], match["labels"]] = float(match["value"])
    return found


def test_the_shares_are_of_disjoint_stages() -> None:
    told = FIGURES.to_json()
    seconds = {name: each["seconds"] for name, each in told["stages"].items()}
    assert seconds == {
        "read": 2.0,
        "warp": 1.0,
        "encode": 3.0,
        "decode": 1.0,
        "model_rest": 1.0,
        "journal": 0.5,
        "write": 0.0,
    }
    assert sum(each["share"] for each in told["stages"].values()) == pytest.approx(1.0, abs=1e-3)
    assert told["tiles_per_s"] == 5.0
    assert told["tiles"] == {
        "planned": 100,
        "done_before": 20,
        "done_now": 40,
        "by_status": {"changed": 10, "unchanged": 30},
    }
    assert told["waits"] == {"model_for_pixels_s": 0.25, "pixels_for_model_s": 0.0}
    assert told["started"] == "1970-01-01T00:16:40Z"


def test_two_devices_that_encode_at_once_leave_no_negative_rest() -> None:
    assert replace(FIGURES, stages={"model": 3.0, "encode": 5.0}).seconds()["model_rest"] == 0.0


def test_a_run_without_a_tile_has_no_rate() -> None:
    told = replace(FIGURES, by_status={}, captioning_s=0.0, stages={}).to_json()
    assert told["tiles_per_s"] == 0.0
    assert {each["share"] for each in told["stages"].values()} == {0.0}


def test_the_textfile_is_the_format_of_prometheus() -> None:
    text = render_textfile(FIGURES).decode()
    assert text.endswith("\n")
    found = parsed(text)
    label = 'output="out.geojson"'
    assert found["rsccli_tiles_total", f'{label},status="changed"'] == 10
    assert {name for name, _ in found if name == "rsccli_tiles_total"}
    assert sum(name == "rsccli_tiles_total" for name, _ in found) == len(STATUSES)
    assert found["rsccli_tiles_done", label] == 60
    assert found["rsccli_tiles_per_second", label] == 5
    assert found["rsccli_last_update_timestamp_seconds", label] == 1010.5
    assert found["rsccli_stage_seconds_total", f'{label},stage="encode"'] == 3
    assert found["rsccli_wait_seconds_total", f'{label},for="pixels"'] == 0.25
    assert [value for (name, _), value in found.items() if name == "rsccli_run_state"] == [1, 0, 0, 0]


@pytest.mark.parametrize("name", ['a"b\\c\nd.geojson', "ä\x00\udcff.geojson", 'x"} 1\nrsccli_evil{a="', "a\rb"])
def test_no_name_breaks_out_of_its_label(name: str) -> None:
    found = parsed(render_textfile(replace(FIGURES, who=replace(WHO, output=name, shard="1/2"))).decode())
    assert {key for key, _ in found} == {key for key, _ in parsed(render_textfile(FIGURES).decode())}
    assert found["rsccli_batch_size", f'output="{escaped(name)}",shard="1/2"'] == 16


def test_a_textfile_that_node_exporter_would_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"\.prom"):
        Observe(textfile=tmp_path / "a.txt")
    with pytest.raises(UsageProblem, match="no such folder"):
        Observe(textfile=tmp_path / "none" / "a.prom")


def test_in_a_folder_every_run_and_every_shard_has_a_textfile_of_its_own(tmp_path: Path) -> None:
    observe = Observe(textfile=tmp_path)
    output, other = Path("a/out.geojson"), Path("b/out.geojson")
    shards = [Path(f"a/out.geojson.shards/000{i}-of-0002.rsccli-shard") for i in (1, 2)]
    found = [observe.textfile_of(output, each) for each in (output, *shards)] + [observe.textfile_of(other, other)]
    assert len(set(found)) == 4
    assert all(path is not None and path.parent == tmp_path and path.suffix == ".prom" for path in found)
    assert found[1] is not None and found[1].name.startswith("rsccli_out.geojson_0001-of-0002_")
    assert Observe(textfile=tmp_path / "x.prom").textfile_of(output, output) == tmp_path / "x.prom"
    assert Observe().textfile_of(output, output) is None


class _Spec:
    hash = "0123456789abcdef"

    def to_dict(self) -> dict[str, object]:
        return {"a": 1}


def _record(col: int, status: str = "changed") -> TileRecord:
    caption = 'he said "status":"nodata" {"commit"'
    return TileRecord(f"r00000c{col:05d}", 0, col, status, 1.0, caption)  # type: ignore[arg-type]


def test_progress_counts_what_is_committed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.geojson.journal"
    with Journal(path, _Spec(), planned=10) as journal:
        journal.commit(0, 0, [_record(0), _record(1, "unchanged")])
        journal.commit(0, 1, [_record(2), _record(3)])
    with path.open("ab") as file:  # torn: a batch that was not committed, and half a line
        file.write(path.read_bytes().splitlines(keepends=True)[1] + b'{"tile_id":"r0')
    before = path.read_bytes()
    found = read_progress(path)
    assert found is not None
    assert (found.run, found.planned, found.tiles) == (_Spec.hash, 10, 4)
    assert found.by_status == {"changed": 3, "unchanged": 1}
    assert path.read_bytes() == before


def test_progress_of_runs_whose_journal_has_a_line_for_each_batch(tmp_path: Path) -> None:
    path = tmp_path / "out.geojson.journal"
    with LineJournal(path, {"a": 1}, told={"hash": "h", "planned": 10}) as journal:
        journal.commit({"found": 1, "nothing": 2}, {"block": 0, "batch": 0, "tiles": [{"status": "nodata"}] * 3})
        journal.commit({"nothing": 4}, {"block": 0, "batch": 1, "tiles": [{}] * 4})
    with path.open("ab") as file:
        file.write(b'{"block":0,"batch":2,"by_sta')
    found = read_progress(path)
    assert found is not None
    assert (found.run, found.planned, found.tiles) == ("h", 10, 7)
    assert found.by_status == {"found": 1, "nothing": 6}
    with LineJournal(path, {"a": 1}, fresh=True, told={"planned": 10}):
        pass
    begun = read_progress(path)
    assert begun is not None
    assert (begun.run, begun.tiles) == (None, 0)


def _timed(path: Path, times: list[float], tiles: int = 4) -> None:
    lines = ['{"rsccli_journal":1,"hash":"h","spec":{},"planned":100}']
    for number, at in enumerate(times):
        lines += ['{"status":"changed"}'] * tiles + [f'{{"commit":[0,{number}],"at":{at}}}']
    path.write_text("\n".join(lines) + "\n")


def test_the_rate_is_that_of_the_process_that_works(tmp_path: Path) -> None:
    path = tmp_path / "j"
    _timed(path, [100, 101, 5000, 5002, 5004])  # cut after two batches, gone on with an hour later
    found = read_progress(path, since=4990)
    assert found is not None
    assert found.tiles_per_s == pytest.approx(2.0)
    alone = read_progress(path, since=5003)
    assert alone is not None
    assert alone.tiles_per_s == pytest.approx(4.0)
    none_yet = read_progress(path, since=6000)
    assert none_yet is not None
    assert none_yet.tiles_per_s is None


def test_the_rate_is_that_of_the_last_minutes_and_survives_a_clock_that_jumps(tmp_path: Path) -> None:
    path = tmp_path / "j"
    _timed(path, [0, *range(10000, 10600, 10)])
    found = read_progress(path)
    assert found is not None
    assert found.tiles_per_s == pytest.approx(0.4)
    _timed(path, [10000, 10001, 500])
    back = read_progress(path, since=9999)
    assert back is not None
    assert back.tiles == 12


@pytest.mark.parametrize("content", [b"", b"{}\n", b"[1]\n", b'{"rsccli_line_journal":1}\n', b"\xff\xfe\n", b"null\n"])
def test_what_is_no_journal_of_tiles_has_no_progress(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    assert read_progress(path) is None
    assert read_progress(tmp_path / "none") is None
