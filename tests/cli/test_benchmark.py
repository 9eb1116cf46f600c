"""``rsccli benchmark`` as a user runs it: stdout, stderr, files and exit codes are real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmark_pairs import write_levir, write_list

TESTS = Path(__file__).resolve().parents[1]
ROOFS, FUSSY = (f"{TESTS / 'probe_captioners.py'}:{name}Factory" for name in ("Roof", "Fussy"))
ECHO, BRIGHTNESS = (f"{TESTS / 'captioners.py'}:{name}Factory" for name in ("Echo", "Brightness"))
QUICK = ("--meteor", "off", "--bootstrap", "20")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rsccli", "benchmark", *map(str, arguments)]


def environment(**variables: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RSCCLI_", "FUSSY_", "BRIGHTNESS_"))}
    return {**clean, "OMP_NUM_THREADS": "1", **variables}


def rsccli(*arguments: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_two_models_in_one_table_and_the_files_of_both(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("built", "gone", "same"))
    out = tmp_path / "out"
    done = rsccli(tmp_path, "-m", ROOFS, "-m", ECHO, "-o", out, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "Measured here: scores of LEVIR-CC" in done.stdout and "Measured here: scores of RSCC" in done.stdout
    assert "Quoted, not measured here: RSCC, 988 pairs" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  roofs ")]
    assert rows[0][:6] == ["roofs", "3", "100.0", "100.0", "100.0", "100.0"]
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))
    assert written == [
        *(f"predictions/{name}.zero-shot.{form}" for name in ("echo", "roofs") for form in ("journal", "jsonl")),
        *(f"results.{form}" for form in ("json", "md", "tex")),
    ]
    again = rsccli(tmp_path, "-m", ROOFS, "-o", out, *QUICK)
    assert again.returncode == 3 and "add --overwrite" in again.stderr and again.stdout == ""


def test_json_on_stdout_and_nothing_else(tmp_path: Path) -> None:
    write_levir(tmp_path, {"val": ["built", "same"], "train": ["gone"]})
    given = (tmp_path, "-m", ROOFS, "-o", tmp_path / "out", "--split", "val", "--protocol", "word-ids", *QUICK)
    done = rsccli(*given, "--json", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "out" / "results.json").read_text())
    assert (told["data"]["pairs"], told["data"]["splits"], told["protocols"]) == (2, {"val": 2}, ["word-ids"])
    assert {row["benchmark"] for row in told["quoted"]} == {"levir-cc"}


def test_killed_and_run_again_it_asks_for_the_rest(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("built", "gone", "same") * 4)
    arguments = (tmp_path, "-m", BRIGHTNESS, "--batch-size", "2", "--protocol", "words", *QUICK)
    whole = rsccli(*arguments, "-o", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr

    out, log = tmp_path / "out", tmp_path / "log"
    journal = out / "predictions" / "brightness.zero-shot.journal"
    slow = subprocess.Popen(
        command(*arguments, "-o", out),
        env=environment(BRIGHTNESS_SLEEP_S="0.3"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 3)
    slow.send_signal(signal.SIGKILL)
    slow.wait()
    kept = journal.read_bytes()
    assert not list(out.glob("results.*"))
    journal.write_bytes(kept + b'{"said": [{"key": "pa')  # a torn line, as a kill may leave it

    done = rsccli(*arguments, "-o", out, BRIGHTNESS_LOG=str(log))
    assert done.returncode == 0, done.stderr
    finished = 2 * (kept.count(b"\n") - 1)
    assert f"{finished} of 12 pairs were finished before, going on" in done.stderr
    asked = [name for line in log.read_text().splitlines() for name in line.split(",")]
    assert asked == [f"p{number:06d}" for number in range(finished, 12)]
    names = [folder / "predictions" / "brightness.zero-shot.jsonl" for folder in (out, tmp_path / "whole")]
    assert names[0].read_bytes() == names[1].read_bytes()
    scores = [
        json.loads((folder / "results.json").read_text())["measured"][0]["scores"]
        for folder in (out, tmp_path / "whole")
    ]
    assert scores[0] == scores[1]


def test_a_signal_stops_it_at_a_safe_point(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("built",) * 8)
    out = tmp_path / "out"
    journal = out / "predictions" / "brightness.zero-shot.journal"
    slow = subprocess.Popen(
        command(tmp_path, "-m", BRIGHTNESS, "--batch-size", "1", "--protocol", "words", *QUICK, "-o", out),
        env=environment(BRIGHTNESS_SLEEP_S="0.3"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 2)
    slow.terminate()
    _, told = slow.communicate(timeout=60)
    assert slow.returncode == 75 and "stopped by SIGTERM with" in told and "run the same command again" in told


def _wait_for(there: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not there():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.02)


def test_what_could_not_be_used_is_told_at_the_end(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("built", "gone", "same", "built"))
    (tmp_path / "2_post.png").unlink()
    (tmp_path / "0_pre.png").write_bytes(b"no image")
    done = rsccli(tmp_path, "-m", FUSSY, "-o", tmp_path / "out", *QUICK, "--protocol", "words", FUSSY_TILES="p000003")
    assert done.returncode == 5
    assert "3 of 4 pairs could not be read, or a model failed on them" in done.stderr
    assert "2 captions" in done.stdout and "counted as an empty caption" in done.stdout
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert sorted((each["pair"], each["what"]) for each in told["problems"]) == [
        ("pair0", "unread"),
        ("pair2", "missing"),
        ("pair3", "failed"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere", "-o", "out"), 3, "nowhere does not exist; name a folder of pairs"),
        ((".", "-o", "missing/out"), 3, "mkdir -p missing"),
        ((".", "-o", "out", "-m", "no-such-model"), 4, "no captioner is named 'no-such-model'"),
        ((".", "-o", "out", "--regime", "textual_prompt"), 2, "not asked in words"),
        ((".", "-o", "out", "-m", ECHO, "--regime", "textual_prompt"), 3, "3 of 3 pairs have none in their records"),
        ((".", "-o", "out", "--split", "test"), 2, "leave --split test out"),
        ((".", "-o", "out", "--sentence-model", "none"), 4, "none: there is no such folder"),
        ((".", "-o", "out", "--batch-size", "many"), 2, "--batch-size many"),
    ],
)
def test_what_is_refused_and_how(tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    write_list(tmp_path / "pairs.json")
    done = rsccli(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_flags_have_environment_variables(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("built", "gone", "same", "built"))
    variables = {"RSCCLI_MODEL": ROOFS, "RSCCLI_LIMIT": "2", "RSCCLI_SEED": "5", "RSCCLI_PROTOCOL": "words"}
    done = rsccli(tmp_path, "-o", tmp_path / "out", *QUICK, "--json", "-q", **variables)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["measured"][0]["model"], told["data"]["pairs"], told["data"]["seed"]) == ("roofs", 2, 5)


@pytest.mark.shared
def test_the_bundled_captioners_on_real_pairs(shared: Path, tmp_path: Path) -> None:
    given = (shared / "pairs", "-m", "rsccli-small", "-m", "rsccli-small-int8", "--gsd", "0.5", "--size-tolerance", "1")
    done = rsccli(*given, "-o", tmp_path / "out", "--meteor", "off", "--bootstrap", "50", "-q")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (told["data"]["found"], told["data"]["pairs"], told["data"]["without_references"]) == (11, 8, 3)
    assert [run["model"] for run in told["measured"]] == ["rsccli-small", "rsccli-small-int8"]
    for run in told["measured"]:
        assert run["scored"] == 8 and run["cut"] == 4
        assert run["scores"]["words"]["overall"]["bleu_1"] > 0 and run["scores"]["rscc"]["overall"]["avg_l"] > 3
        assert run["scores"]["rscc"]["overall"]["st5_scs"] is None
        assert run["speed"]["pairs_per_s"] > 0 and run["speed"]["size_mb"] > 1
    assert done.stdout.count("not measured  not measured  not measured") == 2  # a row for each model
    assert "they cannot be compared" in (tmp_path / "out" / "results.md").read_text()
