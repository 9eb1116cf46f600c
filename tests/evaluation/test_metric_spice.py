"""SPICE never downloads; what it lacks is named. Its jar is stood in for where the parser's files are absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsccli.errors import ModelError
from rsccli.evaluation.metrics import spice
from rsccli.evaluation.metrics.spice import Spice

# Stands in for java: writes what SPICE 1.0 writes, a score for each question and null where there is no graph.
STAND_IN = """#!{python}
import json, sys
asked = json.load(open(sys.argv[sys.argv.index("spice-1.0.jar") + 1]))
if asked[0]["test"] == "stop":
    sys.exit("no parser")
told = zip(asked, [0.5, None, 0.25])
scores = [{{"image_id": each["image_id"], "scores": {{"All": {{"f": f}}}}}} for each, f in told]
json.dump(scores[::-1], open(sys.argv[sys.argv.index("-out") + 1], "w"))
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text(STAND_IN.format(python=sys.executable))
    java.chmod(0o755)
    for name in (spice.JAR, *spice.PARSER):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(spice, "find_java", lambda: str(java))
    monkeypatch.setattr(spice, "coco_folder", lambda name: tmp_path)


def test_without_the_parser_it_says_which_files_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / spice.JAR).touch()
    monkeypatch.setattr(spice, "find_java", lambda: "java")
    monkeypatch.setattr(spice, "coco_folder", lambda name: tmp_path)
    missing = spice.missing()
    assert missing is not None
    assert "stanford-corenlp-3.6.0.jar and stanford-corenlp-3.6.0-models.jar" in missing
    assert str(tmp_path / "lib") in missing
    with pytest.raises(ModelError, match=r"SPICE needs stanford-corenlp-3\.6\.0\.jar"):
        Spice()


def test_looking_for_it_opens_no_connection() -> None:
    # Spice() of pycocoevalcap would begin a download here.
    ask = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('a connection was asked for')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from rsccli.evaluation.protocols import left_out, metrics_for, MetricChoices\n"
        "metrics_for('words', MetricChoices(meteor='off')); print(left_out('words')); print(left_out('word-ids'))"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words, ids = done.stdout.splitlines()
    assert ids == "()"
    assert words == "()" if spice.missing() is None else "left out: SPICE needs" in words


def test_without_java_it_says_what_to_install(tmp_path: Path) -> None:
    ask = "from rsccli.evaluation.metrics import spice; print(spice.missing())"
    environment = {key: value for key, value in os.environ.items() if key != "JAVA_HOME"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SPICE needs Java: install a Java runtime")


@pytest.mark.usefixtures("stand_in")
def test_scores_come_back_to_their_pairs_and_no_graph_is_0() -> None:
    measured = Spice().measure(["a", "b", "c"], [["a"], ["b"], ["c"]])
    assert list(measured.statistics[:, 0]) == [0.5, 0.0, 0.25]
    assert measured.value() == pytest.approx([25.0])


@pytest.mark.usefixtures("stand_in")
def test_a_jar_that_fails_is_an_error_with_its_own_words() -> None:
    with pytest.raises(ModelError, match="SPICE stopped: no parser; leave it out with --no-spice"):
        Spice().measure(["stop"], [["a"]])
