"""A large bundle asked in words alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from command import Made
from made_run import make_facts, make_features

from rsccli.errors import ModelError, UsageProblem
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.large.captioner import LargeCaptioner, LargeFactory
from rsccli.models.large.texts import answer_text
from rsccli.models.registry import load_captioner
from rsccli.output.summary import summarise
from rsccli.run.phrase import SummaryModel, phrase_summary


@pytest.fixture(scope="module")
def captioner(made: Made) -> Iterator[LargeCaptioner]:
    opened = LargeFactory(made.bundle).open(CaptionerOptions(device="cpu", threads=1))
    yield opened
    opened.close()


def test_no_picture_goes_into_the_prompt(captioner: LargeCaptioner) -> None:
    """The prompt's tokens are those of the chat around the words, and the answer follows from them."""
    chat = captioner.manifest.chat
    plain = chat.text("How many?", pictures=0)
    assert plain == f"{chat.head}{chat.lead}How many?{chat.tail}" and chat.image not in plain
    first = answer_text(captioner, "How many tiles changed?", 12)
    assert first and first == answer_text(captioner, "How many tiles changed?", 12)
    assert first != answer_text(captioner, "Which tiles burnt down?", 12)


def test_braces_are_no_places_of_pictures(captioner: LargeCaptioner) -> None:
    assert answer_text(captioner, "What is {x}?", 4)


def test_a_token_that_stands_for_a_picture_is_refused(captioner: LargeCaptioner) -> None:
    with pytest.raises(UsageProblem, match="stands for a picture"):
        answer_text(captioner, "A keyword <|image_pad|> of somebody", 4)


def test_the_bundled_captioner_is_not_asked_in_words() -> None:
    small = load_captioner()
    with pytest.raises(ModelError, match="cannot be asked in words alone"):
        answer_text(small, "What changed?", 4)
    small.close()


def test_random_weights_phrase_nothing_that_passes(made: Made) -> None:
    """Synthetic weights: the check refuses what they say, and the paragraph stays."""
    facts = make_facts()
    summary = summarise(make_features(48, facts), facts)
    chosen = SummaryModel(str(made.bundle), CaptionerOptions(device="cpu", threads=1))
    found = phrase_summary(summary, chosen).scene
    assert found.paragraph == summary.scene.paragraph and found.phrased_by is None
    assert found.rejected is not None and "was not used" in found.rejected
