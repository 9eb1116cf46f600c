"""``rsccli index``, ``rsccli search`` and ``rsccli evaluate retrieval`` as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from coloured_map import Coloured, make_map
from tiny_dual import write_tiny_dual


def rsccli(*arguments: object, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        cwd=cwd,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("RSCCLI_")}, "OMP_NUM_THREADS": "1", **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dual(tmp_path_factory.mktemp("bundles") / "tiny-dual")


@pytest.fixture
def coloured(tmp_path: Path) -> Coloured:
    return make_map(tmp_path)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Path:
    """The folder of a map with an index of words and pictures; do not write into it."""
    folder = tmp_path_factory.mktemp("indexed")
    made = make_map(folder)
    done = rsccli("index", made.path, "--model", bundle, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return folder


def test_index_and_search_by_words(coloured: Coloured) -> None:
    folder = coloured.path.parent
    done = rsccli("index", "out.geojson", cwd=folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "12 tiles, 7 different captions" in done.stderr and "rsccli search out.index" in done.stderr
    found = rsccli("search", "out.index", "fields that were blue", "-k", 2, cwd=folder)
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["rank", "score", "tile", "status", "caption"]
    assert len(lines) == 3 and all(" blue " in line and "along the road." in line for line in lines[1:])
    assert rsccli("search", "out.geojson", "fields that were blue", "-k", 2, cwd=folder).stdout == found.stdout


def test_hits_go_to_a_file_or_to_a_pipe(indexed: Path, tmp_path: Path) -> None:
    hits = tmp_path / "hits.geojson"
    done = rsccli("search", indexed / "out.index", "red", "--by", "change", "-k", 2, "-o", hits, "--device", "cpu")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == f"rsccli: {hits}: 2 tiles\n"
    document = json.loads(hits.read_text())
    assert document["features"][0]["id"] == "r00000c00000" and document["search"]["by"] == "change"
    assert document["search"]["model"].startswith("tiny-dual ")
    again = rsccli("search", indexed / "out.index", "red", "-o", hits)
    assert again.returncode == 3 and "--overwrite" in again.stderr
    piped = rsccli("search", indexed / "out.index", "red", "--by", "change", "-k", 2, "-o", "-", "--device", "cpu")
    assert [json.loads(line)["id"] for line in piped.stdout.splitlines()] == [f["id"] for f in document["features"]]
    told = rsccli("search", indexed / "out.index", "red", "--by", "change", "-k", 2, "--json", "--device", "cpu")
    assert json.loads(told.stdout)["hits"] == document["features"]


def test_hits_have_a_report(indexed: Path, tmp_path: Path) -> None:
    hits = tmp_path / "hits.geojson"
    assert rsccli("search", indexed / "out.index", "turned red", "-o", hits, "--status", "changed").returncode == 0
    done = rsccli("report", hits)
    assert done.returncode == 0, done.stderr
    assert "turned red along the road" in (tmp_path / "hits.report.md").read_text()


def test_filters_and_their_environment(indexed: Path) -> None:
    document = json.loads((indexed / "out.geojson").read_text())
    west, south, east, north = document["features"][0]["bbox"]
    box = f"{west},{(south + north) / 2},{(west + east) / 2},{north}"
    ids = {
        f["id"]
        for f in json.loads(rsccli("search", indexed / "out.index", "red", "--bbox", box, "--json").stdout)["hits"]
    }
    assert ids == {"r00000c00000"}
    named = rsccli("search", "out.index", "scene", "--json", cwd=indexed, RSCCLI_STATUS="changed, unsure")
    assert json.loads(named.stdout)["hits"] == [] and "no tile answers that" in named.stderr
    few = rsccli("search", "out.index", "scene", "--json", "-q", cwd=indexed, RSCCLI_COUNT="1", RSCCLI_BY="meaning")
    assert len(json.loads(few.stdout)["hits"]) == 1


def test_an_index_is_brought_up_to_date(coloured: Coloured, bundle: Path) -> None:
    index = coloured.path.with_suffix(".index")
    first = rsccli("index", coloured.path, "--model", bundle, "--json")
    told = json.loads(first.stdout)
    assert (told["kept"], told["pictures"], told["unchanged"], told["encoder"]["name"]) == (0, 11, False, "tiny-dual")
    assert json.loads(rsccli("index", coloured.path, "--json").stdout)["unchanged"] is True
    coloured.path.write_text(coloured.path.read_text().replace("road", "rail"))
    stale = rsccli("search", index, "rail")
    assert stale.returncode == 3 and "run rsccli index" in stale.stderr and stale.stdout == ""
    assert rsccli("search", index, "road", "--allow-stale").stdout.count("road") == 6
    again = rsccli("index", coloured.path, "--json")
    assert json.loads(again.stdout)["kept"] == 11, again.stderr
    assert rsccli("search", index, "rail").stdout.count("along the rail") == 6


def test_unread_tiles_leave_with_five(coloured: Coloured, bundle: Path) -> None:
    image = Path(coloured.facts.post.path)
    old = image.stat()
    os.truncate(image, old.st_size - 3 * 64 * 64 * 3)
    new = f"size={image.stat().st_size} mtime_ns={image.stat().st_mtime_ns}"
    coloured.path.write_text(coloured.path.read_text().replace(coloured.facts.post.identity, new))
    done = rsccli("index", coloured.path, "--model", bundle)
    assert done.returncode == 5 and "2 tiles could not be read" in done.stderr, done.stderr
    assert rsccli("search", coloured.path, "blue", "--by", "post", "-k", 1).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["index", "none.geojson"], 3, "does not exist"),
        (["index", "out.geojson", "-o", "."], 3, "is no index of rsccli"),
        (["index", "out.geojson", "-o", "x.index", "--model", "none"], 4, "is no folder"),
        (["search", "none.index", "red"], 3, "is no index"),
        (["search", "out.geojson", "red"], 3, "rsccli index out.geojson"),
        (["search", "made.index", "?"], 2, "no word in it"),
        (["search", "made.index", "red", "--by", "post"], 2, "--model BUNDLE"),
        (["search", "made.index", "red", "--bbox", "1,2,3"], 2, "four numbers"),
        (["search", "made.index", "red", "--bbox", "0,5,1,4"], 2, "south below north"),
        (["search", "made.index", "red", "--status", "burnt"], 2, "choose from changed"),
        (["search", "made.index", "red", "-o", "hits.shp"], 2, ".geojson"),
        (["search", "made.index", "red", "-o", "-", "--json"], 2, "leave one of them out"),
        (["search", "made.index", "red", "--by", "smell"], 2, "smell"),
        (["search", "made.index", "red", "-k", "0"], 2, "--count"),
    ],
)
def test_mistakes_say_what_to_type(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    made = make_map(tmp_path)
    if "made.index" in arguments:
        from rsccli.search.build import build_index

        build_index(made.path, tmp_path / "made.index")
    done = rsccli(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split()) and done.stdout == "" and "Traceback" not in done.stderr


def test_help_imports_nothing_heavy() -> None:
    probe = (
        "import sys; sys.argv = ['rsccli', *{!r}]\n"
        "from rsccli.cli.main import main\n"
        "try: main()\nexcept SystemExit as stop: assert not stop.code\n"
        "heavy = {{'torch', 'transformers', 'onnxruntime', 'faiss', 'numpy', 'rasterio'}}\n"
        "print(sorted(heavy & {{name.split('.')[0] for name in sys.modules}}))"
    )
    for arguments in (["index", "--help"], ["search", "--help"], ["evaluate", "retrieval", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", probe.format(arguments)], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_retrieval_writes_every_form(tmp_path: Path) -> None:
    captions = [{"id": str(i), "captions": [f"house {i} by the road", f"a house numbered {i}"]} for i in range(6)]
    ref = tmp_path / "ref.json"
    ref.write_text(json.dumps(captions))
    done = rsccli("evaluate", "retrieval", ref, "--bootstrap", 20, "-o", tmp_path / "r.json", "-o", tmp_path / "r.md",
                  "-o", tmp_path / "r.tex", "-o", "-")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Retrieval by words of captions" in done.stdout and "| naive |" in (tmp_path / "r.md").read_text()
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["kind"] == "captions" and document["rows"][0]["equals"]["recall_1"] == 100.0
    assert "\\toprule" in (tmp_path / "r.tex").read_text()
    assert rsccli("evaluate", "retrieval", ref, "-o", tmp_path / "r.json").returncode == 3
    np.savez(tmp_path / "v.npz", texts=np.eye(6), change=np.eye(6))
    told = rsccli("evaluate", "retrieval", ref, "--vectors", tmp_path / "v.npz", "--json")
    assert json.loads(told.stdout)["rows"][0]["naive"]["recall_1"] == 100.0
    for arguments, code in ((["--vectors", "none.npz"], 3), (["--model", "none"], 2), (["--split", "val"], 2)):
        wrong = rsccli("evaluate", "retrieval", ref, *arguments, cwd=tmp_path)
        assert wrong.returncode == code and "Traceback" not in wrong.stderr, wrong.stderr


def test_retrieval_of_a_dual_encoder_over_pairs_with_captions(tmp_path: Path, bundle: Path, shared: Path) -> None:
    done = rsccli(
        "evaluate", "retrieval", "--model", bundle, "--pairs", shared / "pairs", "--json", "--device", "cpu", "-q"
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["kind"] == "model" and {row["by"] for row in document["rows"]} == {"pre", "post", "change"}
    assert document["pairs"] >= 4 and document["texts"] >= 20
