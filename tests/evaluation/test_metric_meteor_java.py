"""METEOR 1.5 from sums, against the jar's own corpus and segment scores as pycocoevalcap asks for them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from metric_cases import WRITTEN, Cases, as_coco, real

from rsccli.errors import ModelError
from rsccli.evaluation.metrics import meteor_java
from rsccli.evaluation.metrics.java import coco_folder, find_java
from rsccli.evaluation.metrics.meteor_java import MeteorJava, combine_meteor
from rsccli.evaluation.metrics.meteor_process import FIELDS, MeteorProcess, process
from rsccli.evaluation.metrics.meteor_text import normalised

needs_java = pytest.mark.skipif(meteor_java.missing() is not None, reason=str(meteor_java.missing()))


@pytest.fixture(scope="module")
def ours() -> Iterator[MeteorJava]:
    yield MeteorJava()
    process("-lower", False).stop()
    process("-norm", False).stop()


@pytest.fixture(scope="module")
def exact() -> Iterator[MeteorJava]:
    yield MeteorJava(exact=True)
    process("-lower", True).stop()


class Reference:
    """``Meteor`` of pycocoevalcap."""

    def __init__(self) -> None:
        from pycocoevalcap.meteor.meteor import Meteor

        self.meteor = Meteor()

    def scores(self, cases: Cases) -> tuple[float, np.ndarray]:
        whole, each = self.meteor.compute_score(*as_coco(*cases))
        return 100 * whole, 100 * np.array(each)


@pytest.fixture(scope="module")
def theirs() -> Iterator[Reference]:
    reference = Reference()
    yield reference
    reference.meteor.meteor_p.stdout.close()
    reference.meteor.meteor_p.stderr.close()


def each_of(ours: MeteorJava, cases: Cases) -> np.ndarray:
    measured = ours.measure(*cases)
    return np.array([measured.value(np.array([index]))[0] for index in range(len(measured))])


MARKED: Cases = (
    ["t-shaped roads, and a villa's garden", "", "nothing", "the scene is the same as before", "a | b ||| c"],
    [
        ["a t-shaped road and the villa's garden appear", "two roads; one villa"],
        ["a road"],
        ["there is no difference", "nothing has changed"],
        ["the scene is the same as before", "there is no difference"],
        ["a b c"],
    ],
)


@needs_java
@pytest.mark.parametrize("cases", [WRITTEN, pytest.param(MARKED, marks=pytest.mark.slow)], ids=["written", "marked"])
def test_scores_are_those_of_the_jar(cases: Cases, ours: MeteorJava, theirs: Reference) -> None:
    whole, each = theirs.scores(cases)
    assert ours.measure(*cases).value() == pytest.approx([whole], abs=1e-9)
    assert each_of(ours, cases) == pytest.approx(each, abs=1e-9)


@needs_java
@pytest.mark.shared
def test_the_score_of_real_captions_is_that_of_the_jar(shared: Path, ours: MeteorJava, theirs: Reference) -> None:
    cases = real(shared, 200)
    whole, each = theirs.scores(cases)
    assert ours.measure(*cases).value() == pytest.approx([whole], abs=1e-9)
    assert each_of(ours, cases) == pytest.approx(each, abs=1e-9)
    # Half of the pairs: the jar's score of these alone, without asking it again.
    half = np.arange(0, 200, 2)
    alone, _ = theirs.scores(([cases[0][i] for i in half], [cases[1][i] for i in half]))
    assert ours.measure(*cases).value(half) == pytest.approx([alone], abs=1e-9)


@needs_java
def test_the_corpus_score_is_not_the_mean_of_the_pairs(ours: MeteorJava) -> None:
    assert ours.measure(*WRITTEN).value()[0] != pytest.approx(each_of(ours, WRITTEN).mean(), abs=0.5)


@needs_java
def test_the_table_of_paraphrases_would_match_different_numbers(ours: MeteorJava, exact: MeteorJava) -> None:
    # Why word ids are matched as equal words alone: 102 and 103 are two words of a vocabulary, not one.
    cases = (["102 7 8"], [["103 9 6"]])
    assert ours.measure(*cases).value()[0] > 5
    assert exact.measure(*cases).value() == pytest.approx([0.0])


@needs_java
def test_equal_words_worked_out_by_hand(exact: MeteorJava) -> None:
    # Ids 1 2 3 against 1 2 4: precision and recall 2/3, so their mean too; one chunk of two matches.
    penalty = 0.6 * (1 / 2) ** 0.2
    assert exact.measure(["1 2 3"], [["1 2 4"]]).value() == pytest.approx([100 * 2 / 3 * (1 - penalty)])


def test_sums_of_perfect_pairs_are_perfect() -> None:
    row = [4.0, 4, 2, 2, 2, 2, 2, 2, *[0.0] * 12, 1, 4, 4]
    rows = meteor_java.additive(np.array([row, row]))
    assert combine_meteor(rows.sum(axis=0), np.array(2.0)) == pytest.approx([100.0])
    assert combine_meteor(np.zeros(FIELDS), np.array(2.0)) == pytest.approx([0.0])
    assert np.isnan(combine_meteor(np.zeros(FIELDS), np.array(0.0))).all()


@needs_java
def test_what_was_asked_is_not_asked_again(exact: MeteorJava) -> None:
    cases = (["1 2", "3 4"], [["1 3"], ["3 4"]])
    first = exact.measure(*cases).statistics
    jar = process("-lower", True)
    jar.stop()
    assert exact.measure(*cases).statistics == pytest.approx(first)
    assert jar._process is None, "the jar was started again for texts that it had counted"


@needs_java
def test_the_jar_starts_again_after_it_was_ended(exact: MeteorJava) -> None:
    process("-lower", True).stop()
    assert exact.measure(["8 9"], [["8 9"]]).value() == pytest.approx([100.0])


@needs_java
def test_many_answers_come_back_in_order(exact: MeteorJava) -> None:
    predictions = [f"{index} {index + 1} {index % 7}" for index in range(1000)]
    measured = exact.measure(predictions, [[text] if index % 3 else ["x"] for index, text in enumerate(predictions)])
    scores = [measured.value(np.array([index]))[0] for index in range(1000)]
    assert scores == pytest.approx([100.0 if index % 3 else 0.0 for index in range(1000)])


def drawn_texts(count: int) -> list[str]:
    """Texts of short words with marks inside and behind them, many of them odd."""
    chosen = random.Random(0)
    parts = ["a", "b", "st", "road", "3", "12", "a1", "1a", "t", "s", "don", "1990"]

    def word() -> str:
        marks = chosen.choices(["-", "'", "/", ",", "--"], [8, 4, 1, 1, 1], k=chosen.choice([0, 0, 0, 1, 1, 2, 3]))
        return chosen.choice(parts) + "".join(mark + chosen.choice(parts) for mark in marks)

    return [
        " ".join(word() + chosen.choice(["", "", ","]) for _ in range(chosen.randrange(1, 7))) for _ in range(count)
    ]


@needs_java
def test_texts_are_parted_as_the_normaliser_of_the_jar_parts_them() -> None:
    folder, java = coco_folder("meteor"), find_java()
    texts = [*drawn_texts(5000), *WRITTEN[0], "a t-shaped road, and the villa's lower-right corner"]
    ask = [str(java), "-cp", "meteor-1.5.jar", "edu.cmu.meteor.util.Normalizer", "en", "true"]
    done = subprocess.run(ask, cwd=folder, input="\n".join(texts) + "\n", capture_output=True, text=True, check=True)
    theirs = [" ".join(line.split()) for line in done.stdout.splitlines()]
    ours = [normalised(text) for text in texts]
    assert [
        (text, mine) for text, mine, other in zip(texts, ours, theirs, strict=True) if mine not in (other, None)
    ] == []
    assert sum(mine is None for mine in ours) < len(ours) * 0.7
    assert ours[-1] == "a t shaped road , and the villa 's lower right corner"


@needs_java
def test_texts_with_other_marks_are_left_to_the_jar() -> None:
    assert normalised("two roads; one villa") is None
    assert normalised("1,200 houses") is None
    assert normalised("") == ""
    assert normalised("A Road") == "a road"


@needs_java
def test_a_jar_that_stops_is_an_error_with_its_own_words() -> None:
    with pytest.raises(ModelError, match=r"METEOR 1\.5 stopped: .*; take another with --meteor nltk"):
        MeteorProcess(["-l", "nosuchlanguage"]).counts([("a", "a")])


def test_without_java_it_says_what_to_install(tmp_path: Path) -> None:
    ask = "from rsccli.evaluation.metrics import meteor_java as m; print(m.missing()); m.MeteorJava()"
    environment = {key: value for key, value in os.environ.items() if key != "JAVA_HOME"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("METEOR 1.5 needs Java: install a Java runtime")
    assert "ModelError: METEOR 1.5 needs Java" in done.stderr
