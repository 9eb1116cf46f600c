"""``rsccli probe`` as a user runs it: stdout, stderr, files and exit codes are real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from probe_pairs import ground, with_roof, write_naip

CAPTIONERS = Path(__file__).resolve().parents[1] / "probe_captioners.py"


def rsccli(*arguments: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RSCCLI_", "FUSSY_"))}
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        cwd=cwd,
        env={**clean, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Six drawn pairs of two regions: built, gone, unchanged in each."""
    lines = ["id,pre,post,changed,region,gsd_m"]
    for number in range(6):
        plain = ground(number)
        roof = with_roof(plain)
        dates = [(plain, roof), (roof, plain), (plain, plain)][number % 3]
        names = [f"{number}_{date}.png" for date in ("pre", "post")]
        for name, image in zip(names, dates, strict=True):
            cv2.imwrite(str(tmp_path / name), np.moveaxis(image, 0, 2)[..., ::-1])
        lines.append(f"{number},{names[0]},{names[1]},{number % 3 < 2},{'town' if number < 3 else 'valley'},1")
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_swap_prints_its_table_and_writes_three_files(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = rsccli("probe", "swap", pairs, "-m", f"{CAPTIONERS}:RoofFactory", "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (out / "swap.md").read_text()
    assert "| all pairs " in done.stdout and "roofs 1, pairs.csv: 6 pairs" in done.stdout
    assert done.stderr.split() == [
        part for name in ("md", "json", "svg") for part in ("rsccli:", str(out / f"swap.{name}"))
    ]
    content = json.loads((out / "swap.json").read_text())
    assert content["measured"]["groups"][0]["first_turns"]["value"] == 1.0
    ElementTree.parse(out / "swap.svg")
    again = rsccli("probe", "swap", pairs, "-m", f"{CAPTIONERS}:RoofFactory", "-o", out)
    assert again.returncode == 3 and "add --overwrite" in again.stderr and again.stdout == ""


def test_json_on_stdout_and_nothing_else(pairs: Path) -> None:
    model = f"{CAPTIONERS}:RoofFactory"
    done = rsccli("probe", "shift", pairs, "-m", model, "--shifts", "0,2", "--json", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    shifts = json.loads(done.stdout)["measured"]["shifts"]
    assert [row["px"] for row in shifts] == [0, 2] and shifts[1]["same_answer"]["value"] == 1.0


def test_domain_needs_to_know_from_where(pairs: Path) -> None:
    model = f"{CAPTIONERS}:RoofFactory"
    done = rsccli("probe", "domain", pairs, "-m", model, "--from", "town", "--to", "valley", "--json")
    assert done.returncode == 0, done.stderr
    regions = json.loads(done.stdout)["measured"]["regions"]
    assert [region["region"] for region in regions] == ["home: town", "valley"]
    assert rsccli("probe", "domain", pairs).returncode == 2
    wrong = rsccli("probe", "domain", pairs, "--from", "moon")
    assert wrong.returncode == 3 and "there are town, valley" in wrong.stderr


def test_same_and_resolution_with_their_choices(pairs: Path) -> None:
    model = f"{CAPTIONERS}:SentenceFactory"
    done = rsccli("probe", "same", pairs, "-m", model, "--date", "post", "--copies", "jpeg-75", "--json", "-q")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["variants"] == ["real pair", "itself", "jpeg-75"]
    done = rsccli("probe", "resolution", pairs, "-m", model, "--levels", "1,12", "--shown", "enlarged", "--limit", "3")
    assert done.returncode == 0, done.stderr
    assert "3 of 6 pairs, drawn (--seed 0); --limit 0 takes all" in done.stderr
    assert "claims of the sentences, F1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("swap", "nothing.csv"), 3, "nothing.csv: No such file"),
        (("swap", "a.tif"), 2, "give files of pairs"),
        (("resolution", "PAIRS", "--levels", "2"), 2, "--levels: give at least two"),
        (("resolution", "PAIRS", "--levels", "a,b"), 2, "give numbers, separated by commas"),
        (("same", "PAIRS", "--copies", "sepia"), 2, "--copies sepia: choose from gain-0.8"),
        (("shift", "PAIRS", "--shifts", "1,2"), 2, "--shifts: give 0"),
        (("swap", "PAIRS", "-m", "no-such-model"), 4, "no captioner is named 'no-such-model'"),
        (("swap", "PAIRS", "-o", "missing/folder"), 3, "mkdir -p missing"),
        (("shift", "PAIRS", "--shifts", "0,40"), 3, "none of 6 pairs could be used"),
    ],
)
def test_what_is_refused_and_how(pairs: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    named = [str(pairs) if part == "PAIRS" else part for part in arguments]
    done = rsccli("probe", *named, cwd=pairs.parent)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr


def test_pairs_that_fail_are_told_at_the_end(pairs: Path, tmp_path: Path) -> None:
    model = f"{CAPTIONERS}:FussyFactory"
    (tmp_path / "0_pre.png").write_bytes(b"no image")
    done = rsccli("probe", "swap", pairs, "-m", model, "-o", tmp_path / "out", FUSSY_TILES="p000004")
    assert done.returncode == 5
    assert "2 of 6 pairs could not be used and are in no figure" in done.stderr
    assert {failure["name"] for failure in json.loads((tmp_path / "out" / "swap.json").read_text())["failures"]} == {
        "0",
        "4",
    }
    assert "4 pairs" in done.stdout and "2 could not be used" in done.stdout


@pytest.mark.shared
def test_the_bundled_captioner_on_real_pairs_twice_gives_the_same_bytes(shared: Path, tmp_path: Path) -> None:
    naip = write_naip(tmp_path, shared, (3, 15))
    for name in ("first", "second"):
        done = rsccli("probe", "resolution", naip, "--levels", "0.6,2", "-o", tmp_path / name, "-q")
        assert done.returncode == 0, done.stderr
    for form in ("md", "json", "svg"):
        first, second = ((tmp_path / name / f"resolution.{form}").read_bytes() for name in ("first", "second"))
        assert first == second


def test_tiles_of_two_rasters(root: Path) -> None:
    rasters = [root / "examples" / f"prairie_{date}.tif" for date in ("2012-07-31", "2014-07-20")]
    done = rsccli("probe", "swap", *rasters, "--tile-size", "256", "--limit", "2", "--json", "-q")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["facts"]["inputs"] == [path.name for path in rasters]
    assert [answer["label"]["name"][0] for answer in content["answers"]] == ["r", "r"]


def test_flags_have_environment_variables(pairs: Path) -> None:
    model = f"{CAPTIONERS}:RoofFactory"
    done = rsccli("probe", "swap", pairs, "--json", "-q", RSCCLI_MODEL=model, RSCCLI_LIMIT="2", RSCCLI_SEED="5")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)["facts"]
    assert (facts["model"], facts["pairs"], facts["seed"]) == ("roofs", 2, 5)


def test_help_names_every_probe() -> None:
    done = rsccli("probe", "--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in ("resolution", "domain", "swap", "same", "shift"))
