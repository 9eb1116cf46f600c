"""What each protocol does to texts, and which metrics it brings."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from metric_cases import WRITTEN, needs_wordnet, pairs, parted

from rsccli.errors import ModelError, UsageProblem
from rsccli.evaluation.metrics import meteor_java
from rsccli.evaluation.metrics.base import measure_all
from rsccli.evaluation.metrics.bleu import Bleu
from rsccli.evaluation.metrics.cider_d import CiderD
from rsccli.evaluation.metrics.rouge import RougeL
from rsccli.evaluation.protocols import PROTOCOLS, MetricChoices, metrics_for, protocol_named

needs_java = pytest.mark.skipif(meteor_java.missing() is not None, reason=str(meteor_java.missing()))
NO_JAVA = {"meteor": "nltk", "spice": False}


def keys_of(protocol: str, **choices: object) -> list[str]:
    return [key for metric in metrics_for(protocol, MetricChoices(**choices)) for key in metric.keys]  # type: ignore[arg-type]


def test_words_are_lower_cased_without_full_stops_and_stray_spaces() -> None:
    texts, references = protocol_named("words").apply(
        ["  The Scene is the same as before .", "."], [["A t-shaped road,  appears.", "3.5 m"], ["no\tchange"]]
    )
    assert texts == ["the scene is the same as before", ""]
    assert references == [["a t-shaped road, appears", "35 m"], ["no change"]]


def test_word_ids_are_numbers_that_stand_for_words() -> None:
    texts, references = protocol_named("word-ids").apply(["A road. A house", ""], [["the road"], ["House"]])
    assert texts == ["1 2 1 3", ""]
    assert references == [["4 2"], ["3"]]


def test_rscc_scores_texts_as_they_are() -> None:
    texts, references = protocol_named("rscc").apply(["Two Houses. "], [("The U.S. coast",)])
    assert (texts, references) == (["Two Houses. "], [["The U.S. coast"]])


@given(pairs)
@settings(max_examples=40, deadline=None)
def test_word_ids_change_no_score_that_sees_equal_words_alone(drawn: list[tuple[str, list[str]]]) -> None:
    cases = parted(drawn)
    words, ids = protocol_named("words").apply(*cases), protocol_named("word-ids").apply(*cases)
    for metric in (Bleu(), RougeL(), CiderD()):
        assert metric.measure(*ids).value() == pytest.approx(metric.measure(*words).value(), abs=1e-9)


@needs_wordnet
@pytest.mark.parametrize("name", PROTOCOLS)
def test_metrics_give_keys_of_their_protocol_each_once(name: str) -> None:
    choices = {"spice": False} if name == "rscc" else NO_JAVA
    keys = keys_of(name, **choices)
    assert len(set(keys)) == len(keys)
    assert set(keys) <= set(PROTOCOLS[name].metrics)
    assert {"bleu_4", "meteor", "rouge_l", "avg_l", "repetition_rate", "distinct_2", "vocabulary"} <= set(keys)
    assert ("cider_d" in keys) is (name != "rscc")


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageProblem, match="take one of words, word-ids, rscc"):
        metrics_for("ptb")


def test_choices_against_the_protocol_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="RSCC's METEOR is that of nltk"):
        metrics_for("rscc", MetricChoices(meteor="java"))
    with pytest.raises(UsageProblem, match="word-ids has none"):
        metrics_for("word-ids", MetricChoices(sentence_encoder=tmp_path))
    with pytest.raises(UsageProblem, match="SPICE parses words"):
        metrics_for("word-ids", MetricChoices(spice=True))


def test_meteor_can_be_left_out() -> None:
    assert "meteor" not in keys_of("words", meteor="off", spice=False)


@needs_java
def test_auto_takes_meteor_1_5_where_java_is() -> None:
    metrics = metrics_for("word-ids")
    notes = [note for part in measure_all(metrics, ["1 2"], [["1 2"]]) for note in part.notes]
    assert notes == ["meteor is METEOR 1.5 (Java), equal words alone"]


@needs_wordnet
def test_without_java_auto_takes_that_of_nltk_and_says_so(tmp_path: Path) -> None:
    ask = (
        "from rsccli.evaluation.protocols import metrics_for, MetricChoices\n"
        "metrics = metrics_for('words', MetricChoices(spice=False))\n"
        "print(*[note for m in metrics for note in m.measure(['a'], [['a']]).notes])\n"
        "metrics_for('words', MetricChoices(meteor='java'))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "JAVA_HOME"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=False)
    assert "meteor is that of nltk, WordNet 3.0 of" in done.stdout
    assert "not METEOR 1.5, since METEOR 1.5 needs Java: install" in done.stdout
    assert "ModelError: METEOR 1.5 needs Java" in done.stderr


def test_without_wordnet_nltk_is_an_error_that_names_every_way_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"install Debian's wordnet-base.*--wordnet.*--meteor off"):
        metrics_for("words", MetricChoices(meteor="nltk", wordnet=tmp_path))


@needs_wordnet
def test_rscc_scores_written_captions() -> None:
    values = {
        key: value
        for part in measure_all(metrics_for("rscc", MetricChoices(spice=False)), *WRITTEN)
        for key, value in zip(part.keys, part.value(), strict=True)
    }
    assert 0 < values["bleu_4"] < values["bleu_1"] < 100
    assert values["avg_l"] == pytest.approx(sum(len(text.split()) for text in WRITTEN[0]) / 6)


@needs_wordnet
def test_two_thousand_pairs_of_different_texts_take_a_fifth_of_the_time_that_ten_thousand_may() -> None:
    # Ten thousand predictions with five references must be scored in 20 s; processor time, since others run here too.
    chosen = random.Random(2)
    words = [text.split() for texts in WRITTEN[1] for text in texts] + [text.split() for text in WRITTEN[0]]

    def text() -> str:
        return " ".join(chosen.choice(words[i % len(words)]) for i in range(chosen.randrange(5, 16)))

    predictions, references = [text() for _ in range(2000)], [[text() for _ in range(5)] for _ in range(2000)]
    metrics = metrics_for("words", MetricChoices(meteor="nltk", spice=False))
    start = time.process_time()
    measure_all(metrics, *protocol_named("words").apply(predictions, references))
    assert time.process_time() - start < 4
