"""Any output of ours is read back as it was; anything else is an error that names the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_run import FIJI, UTM, make_facts, make_features

from rsccli.errors import InputError, UsageProblem
from rsccli.output.readers import READERS, read_outputs
from rsccli.output.report import write_reports
from rsccli.output.summary import summarise
from rsccli.output.writers import WRITERS, write_features

FORMATS = [".geojson", ".geojsonl", ".geojsons", ".gpkg", ".fgb", ".parquet", ".csv"]


def test_every_format_that_is_written_is_read() -> None:
    assert set(READERS) == set(WRITERS)


@pytest.mark.parametrize("grid", [UTM, FIJI], ids=["utm", "antimeridian"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_round_trip(tmp_path: Path, suffix: str, grid: object) -> None:
    facts = make_facts(grid)
    features = make_features(48, facts)
    path = tmp_path / f"out{suffix}"
    write_features(path, features, facts)
    write_reports(path, summarise(features, facts), facts)
    found, back = read_outputs(path)
    assert found == facts, "from the file, or from out.report.json beside it"
    assert sorted(back, key=lambda f: f.id) == features


@pytest.mark.parametrize("suffix", [".geojsonl", ".geojsons", ".csv"])
def test_without_the_report_beside_it_there_are_no_facts(tmp_path: Path, suffix: str) -> None:
    facts = make_facts()
    path = tmp_path / f"out{suffix}"
    write_features(path, make_features(8, facts), facts)
    assert read_outputs(path)[0] is None


def test_geojson_that_another_tool_has_reformatted(tmp_path: Path) -> None:
    facts = make_facts()
    features = make_features(8, facts)
    path = tmp_path / "out.geojson"
    write_features(path, features, facts)
    content = json.loads(path.read_text())
    for member in content["features"]:  # as QGIS does
        member["properties"]["id"] = member.pop("id")
        del member["bbox"]
    path.write_text(json.dumps(content, indent=2))
    found, back = read_outputs(path)
    assert found == facts
    assert list(back) == features


def test_geojson_is_read_line_by_line(tmp_path: Path) -> None:
    """Features before a damaged line are handed out: the file is not loaded as a whole."""
    facts = make_facts()
    path = tmp_path / "out.geojson"
    write_features(path, make_features(8, facts), facts)
    lines = path.read_bytes().splitlines()
    lines[5] = lines[5][:50]
    path.write_bytes(b"\n".join(lines))
    _, back = read_outputs(path)
    assert [next(back).id for _ in range(4)]
    with pytest.raises(InputError, match=r"out\.geojson, line 6: not JSON"):
        next(back)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_file_is_an_error_that_names_it(tmp_path: Path, suffix: str, share: float) -> None:
    facts = make_facts()
    path = tmp_path / f"out{suffix}"
    write_features(path, make_features(48, facts), facts)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    try:
        _, back = read_outputs(path)
        found = list(back)
    except InputError as error:
        assert str(path) in str(error)
    else:
        # Lines and rows cut between two of them are whole: nothing can tell.
        assert suffix in (".geojsonl", ".geojsons") and len(found) < 48


@pytest.mark.parametrize("suffix", FORMATS)
def test_nonsense_is_an_error_that_names_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"\x00\x01nonsense, nonsense\n" * 50)
    with pytest.raises(InputError, match="out"):
        list(read_outputs(path)[1])


def test_other_peoples_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.geojson"
    other.write_text('{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":null}]}')
    with pytest.raises(InputError, match=r"feature 1.*rsccli caption"):
        list(read_outputs(other)[1])
    point = tmp_path / "point.geojson"
    facts = make_facts()
    write_features(point, make_features(1, facts), facts)
    content = json.loads(point.read_text())
    content["features"][0]["geometry"] = {"type": "Point", "coordinates": [1, 2]}
    point.write_text(json.dumps(content))
    with pytest.raises(InputError, match="Point, not a polygon"):
        list(read_outputs(point)[1])
    write_features(point, make_features(1, facts), facts)
    point.write_text(point.read_text().replace('"status":"changed"', '"status":"odd"'))
    with pytest.raises(InputError, match="'odd' is none of changed, unchanged"):
        list(read_outputs(point)[1])
    bare = tmp_path / "bare.csv"
    bare.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no columns id, status, wkt"):
        list(read_outputs(bare)[1])


def test_missing_files_and_unknown_suffixes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_outputs(tmp_path / "none.geojson")
    with pytest.raises(UsageProblem, match=r"\.gpkg"):
        read_outputs(tmp_path / "none.shp")


def test_a_damaged_report_beside_it_is_an_error(tmp_path: Path) -> None:
    facts = make_facts()
    path = tmp_path / "out.csv"
    write_features(path, make_features(2, facts), facts)
    (tmp_path / "out.report.json").write_text("{")
    with pytest.raises(InputError, match=r"out\.report\.json"):
        read_outputs(path)


MEMORY = """
import sys
sys.path.insert(0, "tests")
from itertools import chain, islice, repeat
from pathlib import Path
from made_run import make_facts, make_features
from rsccli.peak_memory import peak_memory_bytes
from rsccli.output.readers import read_outputs
from rsccli.output.summary import summarise
from rsccli.output.writers import write_features
facts = make_facts()
few = make_features(48, facts)
peaks = []
for count in (48, 8_000, 48_000):
    path = Path(sys.argv[1]).with_stem(f"out{count}")
    write_features(path, islice(chain.from_iterable(repeat(few)), count), facts)
for count in (48, 8_000, 48_000):
    found, back = read_outputs(Path(sys.argv[1]).with_stem(f"out{count}"))
    assert summarise(back, found).tiles == count
    peaks.append(peak_memory_bytes() // 1024)
print(peaks[2] - peaks[1])
"""


@pytest.mark.parametrize(
    "suffix", [".geojson", ".gpkg", *(pytest.param(name, marks=pytest.mark.slow) for name in (".parquet", ".csv"))]
)
def test_memory_does_not_grow_with_features(tmp_path: Path, suffix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / f"out{suffix}")],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20_000, "kB"
