"""Shards, merged, are what a single run writes, byte for byte; what is missing, mixed, doubled or cut is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from shard_pair import TILES, write_pair

from rsccli.errors import InputError, JournalMismatchError, OutputError, UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.geo.raster import RasterOptions
from rsccli.run.caption import CaptionJob, prepare_job, run_caption
from rsccli.run.phrase import SummaryModel
from rsccli.run.shard import Shard, shard_path
from rsccli.run.shard.file import check_shard, read_head, shard_records
from rsccli.run.shard.merge import MergeJob, check_shards, merge
from rsccli.run.shard.run import ShardTask, prepare_shard, run_shard, run_shard_task, shard_part

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
REPORTS = ("out.report.html", "out.report.md", "out.report.json", "out.qml")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> CaptionJob:
    """Of generated images with three superblocks."""
    pre, post = write_pair(tmp_path_factory.mktemp("pair"))
    return CaptionJob(str(pre), str(post), model=BRIGHTNESS)


@pytest.fixture(scope="module")
def alone(job: CaptionJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run without shards."""
    folder = tmp_path_factory.mktemp("alone")
    summary = run_caption(prepare_job(replace(job, output=folder / "out.geojson")))
    assert summary.tiles == TILES and summary.count("changed") and summary.count("unchanged")
    return folder


def run_all(job: CaptionJob, count: int, leave_out: tuple[int, ...] = ()) -> Path:
    """Run shards one after another; returns their folder."""
    assert job.output is not None
    prepared = prepare_shard(job, Shard(count, 1))
    for index in range(1, count + 1):
        if index not in leave_out:
            run_shard(prepared, Shard(count, index))
    return job.output.with_name(job.output.name + ".shards")


def same(one: Path, other: Path, names: tuple[str, ...]) -> None:
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("count", [*(pytest.param(count, marks=pytest.mark.slow) for count in (1, 2, 5)), 9])
def test_any_number_of_shards_gives_the_bytes_of_one_run(
    job: CaptionJob, alone: Path, tmp_path: Path, count: int
) -> None:
    folder = run_all(replace(job, output=tmp_path / "out.geojson"), count)
    assert sorted(path.name for path in folder.iterdir()) == [Shard(count, i + 1).file_name for i in range(count)]
    merged = merge(MergeJob((folder,), tmp_path / "out.geojson"))
    assert (merged.shards, merged.missing, merged.summary.tiles) == (count, (), TILES)
    same(tmp_path, alone, ("out.geojson", *REPORTS))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(("out.geojson", "out.geojson.shards", *REPORTS))


def test_more_shards_than_superblocks_are_empty_and_load_no_model(job: CaptionJob, tmp_path: Path) -> None:
    job = replace(job, output=tmp_path / "out.geojson")
    prepared = prepare_shard(job, Shard(9, 9))
    part = shard_part(prepared, Shard(9, 9))
    assert (part.blocks, part.tiles, part.work) == ((), 0, 0)

    def no_models(*args: object) -> None:
        raise AssertionError("a model for nothing")

    result = run_shard(prepared, Shard(9, 9), models=no_models)  # type: ignore[arg-type]
    assert (result.tiles, result.failed, result.found) == (0, 0, False)
    assert check_shard(result.path).tiles == 0


def test_masks_overlap_area_and_formats(job: CaptionJob, tmp_path: Path) -> None:
    """Everything that a run can be told, at once: GeoPackage with its date, a mask, tiles that overlap, an area."""
    box = tmp_path / "area.geojson"
    ring = [[13.6889, 46.9427], [13.7100, 46.9427], [13.6889, 46.9350], [13.6889, 46.9427]]
    box.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    geometry = PairOptions(stride=200, edge="shift", aoi=str(box), post=RasterOptions(nodata=0.0))
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    alone = replace(
        job, geometry=geometry, output=tmp_path / "one" / "out.gpkg", mask=tmp_path / "one" / "mask.tif", jobs=1
    )
    summary = run_caption(prepare_job(alone))
    assert 20 < summary.tiles < 300
    part = replace(alone, output=tmp_path / "many" / "out.gpkg", mask=tmp_path / "many" / "mask.tif")
    folder = run_all(part, 3)
    merge(MergeJob((folder,), tmp_path / "many" / "out.gpkg", mask=tmp_path / "many" / "mask.tif"))
    same(tmp_path / "one", tmp_path / "many", ("out.gpkg", "mask.tif", *REPORTS))
    plain = run_all(replace(part, mask=None, output=tmp_path / "plain.geojson"), 1)
    with pytest.raises(InputError, match="no masks"):
        merge(MergeJob((plain,), tmp_path / "plain.geojson", mask=tmp_path / "other.tif"))


def test_files_and_folders_in_any_order_and_inputs_that_are_gone(job: CaptionJob, alone: Path, tmp_path: Path):
    pre = tmp_path / Path(job.pre).name
    shutil.copy2(job.pre, pre)
    folder = run_all(replace(job, pre=str(pre), output=tmp_path / "out.geojson"), 3)
    first = next(folder.iterdir())
    pre.unlink()
    merged = merge(MergeJob((*sorted(folder.iterdir(), reverse=True), folder, first), tmp_path / "out.geojson"))
    assert merged.shards == 3
    old, new = (json.loads((at / "out.geojson").read_bytes())["features"] for at in (alone, tmp_path))
    assert old == new
    assert "The images are not shown." in (tmp_path / "out.report.html").read_text()


@pytest.fixture(scope="module")
def two_of_three(job: CaptionJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the second of three shards is missing."""
    output = tmp_path_factory.mktemp("two") / "out.geojson"
    return run_all(replace(job, output=output), 3, leave_out=(2,))


def test_an_incomplete_set_is_refused_and_named(two_of_three: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 3 shards is missing: 2\. .*--shard 2/3.*--allow-missing"):
        merge(MergeJob((two_of_three,), tmp_path / "out.geojson"))
    (two_of_three / f"{Shard(3, 2).file_name}.journal").write_bytes(b"")
    try:
        with pytest.raises(InputError, match=r"missing: 2 \(2 begun, not finished\)"):
            merge(MergeJob((two_of_three,), tmp_path / "out.geojson"))
    finally:
        (two_of_three / f"{Shard(3, 2).file_name}.journal").unlink()
    assert list(tmp_path.iterdir()) == []


def test_missing_tiles_are_marked_in_the_map_and_in_the_report(two_of_three: Path, alone: Path, tmp_path: Path):
    merged = merge(MergeJob((two_of_three,), tmp_path / "out.geojson", allow_missing=True))
    features = json.loads((tmp_path / "out.geojson").read_bytes())["features"]
    whole = json.loads((alone / "out.geojson").read_bytes())["features"]
    assert [f["id"] for f in features] == [f["id"] for f in whole]
    marked = [f for f in features if f["properties"]["status"] == "read_error"]
    assert len(marked) == merged.missing_tiles > 3 and merged.missing == (Shard(3, 2),)
    assert {f["properties"]["reason"] for f in marked} == {
        "missing: the shard with this tile was not there when the shards were merged"
    }
    kept = {f["id"]: f for f in whole}
    for feature in features:
        if feature not in marked:
            assert feature["properties"] == kept[feature["id"]]["properties"]
    told = f"{len(marked)} of the {TILES} tiles are missing: 2 of 3 shards was not there"
    for name in ("out.report.html", "out.report.md", "out.report.json"):
        assert told in (tmp_path / name).read_text(), name


def test_mixed_doubled_and_foreign_files_are_refused(job: CaptionJob, two_of_three: Path, tmp_path: Path) -> None:
    other = run_all(replace(job, output=tmp_path / "other.geojson", min_valid=0.5, batch_size=7), 3, leave_out=(1, 3))
    given = (*two_of_three.iterdir(), *other.iterdir())
    with pytest.raises(InputError, match=r"different runs(?s:.)*batch_size: 4, now 7(?s:.)*min_valid: 0.1, now 0.5"):
        check_shards(given)
    division = run_all(replace(job, output=tmp_path / "four.geojson"), 4, leave_out=(2, 3, 4))
    with pytest.raises(InputError, match="two divisions"):
        check_shards((two_of_three, division))
    double = tmp_path / "again.rsccli-shard"
    shutil.copy(shard_path(two_of_three.with_suffix(""), Shard(3, 1)), double)
    with pytest.raises(InputError, match="both shard 1/3"):
        check_shards((two_of_three, double))
    note = tmp_path / "note.rsccli-shard"
    for content in (b"", b"my notes\n", b'{"a":1}\n', b"\xff\xfe", b'{"rsccli_shard":99}\n', b'{"rsccli_shard":1}\n'):
        note.write_bytes(content)
        with pytest.raises(InputError, match=r"note\.rsccli-shard"):
            check_shards((note,))
    with pytest.raises(InputError, match="no such file or folder"):
        check_shards((tmp_path / "nothing",))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no finished shard"):
        check_shards((tmp_path / "empty",))


def test_every_cut_and_any_changed_byte_is_noticed(two_of_three: Path, tmp_path: Path) -> None:
    content = next(two_of_three.iterdir()).read_bytes()
    path = tmp_path / "0001-of-0003.rsccli-shard"
    lines = content.splitlines(keepends=True)
    damaged = [content[:-n] for n in (1, 2, 40, 100, 200, len(content) // 2, len(content) - 5)]
    damaged += [b"".join([*lines[:-2], lines[-1]]), b"".join([*lines[:5], lines[5], *lines[5:]])]
    damaged += [content + b"\n", content + lines[-2]]
    for place in range(0, len(content), len(content) // 40):
        damaged.append(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    for broken in damaged:
        path.write_bytes(broken)
        with pytest.raises(InputError, match=str(path)):
            read_head(path)
            check_shard(path)
    path.write_bytes(content)
    assert check_shard(path).tiles == len(lines) - 2


def test_heads_that_lie_are_errors_and_take_no_memory(two_of_three: Path, tmp_path: Path) -> None:
    """The sum at the end keeps accidents out; a head that somebody wrote by hand must not bring it down."""
    path = tmp_path / "0001-of-0003.rsccli-shard"
    whole = orjson.loads(next(two_of_three.iterdir()).read_bytes().splitlines()[0])
    huge = {**whole["facts"], "grid": {**whole["facts"]["grid"], "width": 2**40, "height": 2**40}}
    for name, value in (
        ("shard", [4, 3]),
        ("shard", 7),
        ("shard", [1, "x"]),
        ("blocks", [0, 0]),
        ("blocks", [5, 1]),
        ("blocks", [10**9]),
        ("blocks", None),
        ("facts", {}),
        ("facts", huge),
        ("wanted", "eJw="),
        ("wanted", "AAAA"),
        ("spec", {"plan": {"superblock": [0, 0]}}),
        ("spec", []),
        ("reading", [{}, {}]),
        ("paths", ["a"]),
        ("classes", 3),
    ):
        path.write_bytes(orjson.dumps({**whole, name: value}) + b"\n")
        with pytest.raises(InputError, match=str(path)):
            read_head(path)


def test_records_that_are_no_tiles_of_the_plan(two_of_three: Path, tmp_path: Path) -> None:
    source = next(two_of_three.iterdir())
    head, first, *rest = source.read_bytes().splitlines(keepends=True)
    path = tmp_path / "x.rsccli-shard"
    plan = read_head(source).plan()
    good = orjson.loads(first)
    for change in ({"row": 99}, {"row": "0"}, {"col": True}, {"tile_id": "r1"}, {"status": "fine"}, {"keywords": 1}):
        path.write_bytes(head + orjson.dumps({**good, **change}) + b"\n" + b"".join(rest))
        with pytest.raises(InputError, match="no tile of this run"):
            list(shard_records(path, plan))
    path.write_bytes(head + first + first + b"".join(rest))
    with pytest.raises(InputError, match="twice or out of order"):
        list(shard_records(path, plan))
    # In pieces of any size the same tiles come out.
    assert list(shard_records(source, plan, 1)) == list(shard_records(source, plan))


def test_a_task_travels_as_plain_values(job: CaptionJob, tmp_path: Path) -> None:
    task = ShardTask(replace(job, output=tmp_path / "out.geojson"), Shard(3, 3))
    sent = pickle.loads(pickle.dumps(task))
    assert sent == task and len(pickle.dumps(task)) < 5000
    result = run_shard_task(sent)
    assert (result.shard, result.failed, result.found) == (Shard(3, 3), 0, False) and result.tiles > 0
    assert pickle.loads(pickle.dumps(result)) == result
    again = run_shard_task(sent)
    assert again == replace(result, found=True)
    # A finished shard that was cut is made again, by the same command.
    content = result.path.read_bytes()
    result.path.write_bytes(content[: len(content) // 2])
    assert run_shard_task(sent) == result and result.path.read_bytes() == content


def test_another_run_or_division_beside_it_is_refused(job: CaptionJob, tmp_path: Path) -> None:
    task = ShardTask(replace(job, output=tmp_path / "out.geojson"), Shard(3, 3))
    run_shard_task(task)
    with pytest.raises(JournalMismatchError, match=r"plan\.min_valid: 0\.1, now 0\.5"):
        run_shard_task(replace(task, job=replace(task.job, min_valid=0.5)))
    assert run_shard_task(replace(task, job=replace(task.job, min_valid=0.5, resume=False))).tiles > 0
    with pytest.raises(OutputError, match=r"shards of 3, this one is 1/1.*rm -r"):
        run_shard_task(replace(task, shard=Shard(1, 1)))


def test_what_belongs_to_the_merge_or_to_one_process_is_refused(job: CaptionJob, tmp_path: Path) -> None:
    for wrong, words in (
        (replace(job, output=None), "-o FILE, not -o -"),
        (replace(job, output=tmp_path / "o.geojson", batch_size="auto"), "give a number"),
        (replace(job, output=tmp_path / "o.geojson", summary_model=SummaryModel("x")), "rsccli merge"),
    ):
        with pytest.raises(UsageProblem, match=words):
            prepare_shard(wrong, Shard(2, 1))
    (tmp_path / "o.geojson").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        prepare_shard(replace(job, output=tmp_path / "o.geojson"), Shard(2, 1))
    with pytest.raises(OutputError, match="--overwrite"):
        merge(MergeJob((tmp_path,), tmp_path / "o.geojson"))


@pytest.mark.slow
@pytest.mark.shared
def test_real_imagery(shared: Path, tmp_path: Path) -> None:
    """Long Beach, 2016 and 2020: a sparse mosaic of JPEG blocks with an internal mask, of which a part is taken."""
    mosaic = shared / "mosaic"
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    job = CaptionJob(
        str(mosaic / "long_beach_2016.tif"),
        str(mosaic / "long_beach_2020.tif"),
        output=tmp_path / "one" / "out.geojson",
        geometry=PairOptions(bbox=(-118.2, 33.80, -118.17, 33.83)),
        model=BRIGHTNESS,
    )
    summary = run_caption(prepare_job(job))
    assert summary.count("nodata") and summary.tiles > 200
    folder = run_all(replace(job, output=tmp_path / "many" / "out.geojson"), 3)
    merge(MergeJob((folder,), tmp_path / "many" / "out.geojson"))
    same(tmp_path / "one", tmp_path / "many", ("out.geojson", *REPORTS))
