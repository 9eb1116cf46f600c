"""Questions to a real bundle of a large model: the pictures of a tile go through the encoder once for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked_captioners import ROOF
from colour_pair import colour_pair
from command import Made

from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.large.captioner import LargeCaptioner, LargeFactory
from rsccli.models.registry import register, unregister
from rsccli.run.ask.answerers import FRAME
from rsccli.run.ask.job import prepare_ask, run_ask
from rsccli.run.caption import CaptionJob
from rsccli.run.tilewise import TilewiseJob

QUESTIONS = ("Did anything change?", "How many houses were built?", "What {grew}?")


class Counting:
    """A session that counts the pictures it sees, and runs as ever."""

    def __init__(self, session: Any) -> None:
        self.session, self.pictures = session, 0

    def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> Any:
        self.pictures += len(next(iter(feeds.values())))
        return self.session.run(outputs, feeds)


class CountedFactory:
    """Opens a bundle whose encoder counts."""

    def __init__(self, bundle: Path) -> None:
        self.factory = LargeFactory(bundle)
        self.opened: list[tuple[LargeCaptioner, Counting]] = []

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        return self.factory.describe(options)

    def open(self, options: CaptionerOptions) -> LargeCaptioner:
        captioner = self.factory.open(options)
        counting = Counting(captioner._encoder)
        captioner._encoder = counting  # type: ignore[assignment]
        self.opened.append((captioner, counting))
        return captioner


@pytest.fixture
def counted(made: Made) -> Iterator[CountedFactory]:
    factory = CountedFactory(made.bundle)
    register("counted", lambda: factory)
    yield factory
    unregister("counted")


def ask(folder: Path, output: Path, questions: tuple[str, ...]) -> Any:
    pair = colour_pair(folder, [], [(5, 5, 20, 20, ROOF)], size=(128, 64))
    job = CaptionJob(
        str(pair.pre),
        str(pair.post),
        geometry=PairOptions(tile_size=64),
        model="counted",
        captioner=CaptionerOptions(prompt="naive", device="cpu", threads=1, max_new_tokens=6),
    )
    return run_ask(prepare_ask(TilewiseJob(job, output), questions))


def test_more_questions_cost_no_more_looks(counted: CountedFactory, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    ask(tmp_path / "data", tmp_path / "one.geojson", QUESTIONS[:1])
    ask(tmp_path / "data", tmp_path / "three.geojson", QUESTIONS)
    # Two dates of two tiles, whatever the number of questions.
    assert [counting.pictures for _, counting in counted.opened] == [4, 4]


def test_answers_are_those_of_the_bundle_and_each_question_alone(counted: CountedFactory, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    result = ask(tmp_path / "data", tmp_path / "all.geojson", QUESTIONS)
    together = json.loads((tmp_path / "all.geojson").read_text())["features"]
    assert len(together) == 6 and len(result.answers) == 3
    for number, question in enumerate(QUESTIONS, 1):
        ask(tmp_path / "data", tmp_path / f"{number}.geojson", (question,))
        alone = json.loads((tmp_path / f"{number}.geojson").read_text())["features"]
        mine = [each for each in together if each["properties"]["question_number"] == number]
        for one, other in zip(mine, alone, strict=True):
            for name in ("answer", "status", "tile", "source"):
                assert one["properties"][name] == other["properties"][name]
            assert one["properties"]["logprob"] == pytest.approx(other["properties"]["logprob"], abs=1e-3)


def test_the_frame_names_both_dates_and_the_question() -> None:
    assert "{question}" in FRAME and "earlier" in FRAME and "later" in FRAME
