"""METEOR of nltk: the same numbers as nltk's own, and the example of its documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from metric_cases import DEBIAN, WRITTEN, Cases, needs_wordnet, nltk_data, pairs, parted, real
from nltk.translate.meteor_score import meteor_score

from rsccli.evaluation.metrics.meteor_nltk import MeteorNltk
from rsccli.evaluation.metrics.wordnet import find_wordnet

pytestmark = needs_wordnet


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """nltk's own reader on the same files, without its map to other versions, which wants a file more."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):
        def map_wn(self, version: str = "wordnet") -> None:
            return None

    folder = str(nltk_data(tmp_path_factory.mktemp("nltk") / "data"))
    nltk.data.path.append(folder)
    with pytest.warns(UserWarning, match="multilingual"):
        yield Reader(nltk.data.find("corpora/wordnet"), None)
    nltk.data.path.remove(folder)


@pytest.fixture(scope="module")
def ours() -> MeteorNltk:
    return MeteorNltk(str.split, find_wordnet(DEBIAN).synonyms, "of the test")


def nltk_scores(cases: Cases, wordnet: Any) -> list[float]:
    return [
        meteor_score([text.split() for text in references], prediction.split(), wordnet=wordnet)
        for prediction, references in zip(*cases, strict=True)
    ]


@given(drawn=pairs)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_score_is_that_of_nltk(drawn: list[tuple[str, list[str]]], ours: MeteorNltk, theirs: Any) -> None:
    cases = parted(drawn)
    assert ours.measure(*cases).statistics[:, 0] == pytest.approx(nltk_scores(cases, theirs), abs=1e-12)


@pytest.mark.parametrize("cases", [WRITTEN, (["", "a"], [["a road"], ["", "a"]])], ids=["written", "empty"])
def test_scores_of_written_captions_are_those_of_nltk(cases: Cases, ours: MeteorNltk, theirs: Any) -> None:
    assert ours.measure(*cases).statistics[:, 0] == pytest.approx(nltk_scores(cases, theirs), abs=1e-12)


@pytest.mark.shared
def test_scores_of_real_captions_are_those_of_nltk(shared: Path, ours: MeteorNltk, theirs: Any) -> None:
    cases = real(shared)
    measured = ours.measure(*cases)
    expected = nltk_scores(cases, theirs)
    assert measured.statistics[:, 0] == pytest.approx(expected, abs=1e-12)
    assert measured.value()[0] == pytest.approx(100 * sum(expected) / len(expected), abs=1e-9)


def test_the_example_of_nltk(ours: MeteorNltk) -> None:
    hypothesis = "It is a guide to action which ensures that the military always obeys the commands of the party"
    references = [
        "It is a guide to action that ensures that the military will forever heed Party commands",
        "It is the guiding principle which guarantees the military forces always being under the command of the Party",
        "It is the practical guide for the army always to heed the directions of the party",
    ]
    value = ours.measure([hypothesis], [references]).value()[0]
    assert round(value, 2) == 69.44
    assert ours.measure(["non matching hypothesis"], [["this is a cat"]]).value() == pytest.approx([0.0])


def test_a_stem_and_a_synonym_match_by_hand(ours: MeteorNltk) -> None:
    # Three words of three match, a synonym, a stem and an equal one, in one chunk.
    in_order = ours.measure(["construct roads a"], [["build road a"]]).value()[0]
    assert in_order == pytest.approx(100 * (1 - 0.5 * (1 / 3) ** 3))
    # Two of two, backwards: two chunks, half of the score.
    assert ours.measure(["road a"], [["a road"]]).value() == pytest.approx([50.0])


def test_equal_words_alone_match_no_stem_and_no_synonym() -> None:
    exact = MeteorNltk(str.split, None, "of the test")
    assert exact.measure(["1 2"], [["1 3"]]).value()[0] == pytest.approx(100 * 0.5 * (1 - 0.5))
    assert exact.measure(["21 22"], [["2 3"]]).value() == pytest.approx([0.0])


def test_ids_score_as_nltk_scores_them(theirs: Any) -> None:
    cases = (["1 2 3 4", "5 6 10"], [["2 3 1", "4 4 4 3"], ["10 5 11", "12 13"]])
    exact = MeteorNltk(str.split, None, "of the test")
    assert exact.measure(*cases).statistics[:, 0] == pytest.approx(nltk_scores(cases, theirs), abs=1e-12)
