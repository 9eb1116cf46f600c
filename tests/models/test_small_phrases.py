"""Phrases for a mask with classes: a table of words, and a plain refusal of everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsccli.models.small.detect import CLASSES
from rsccli.models.small.phrases import Phrase, read_phrase
from rsccli.models.small.questions import Refused
from rsccli.models.small.subjects import OTHER, SUBJECTS


@pytest.mark.parametrize(
    ("text", "classes", "wider", "unread"),
    [
        ("flooded road", ("water", "road"), ("floods: all water",), ()),
        ("New Buildings!", ("building",), (), ("new",)),
        ("large red house", ("building",), (), ("large", "red")),
        ("trees", ("vegetation",), ("trees: all vegetation",), ()),
        ("bare soil", ("bare soil",), (), ()),
        ("other", ("other",), (), ()),
        ("change", (), (), ()),
        ("the changes", (), (), ()),
    ],
)
def test_words_stand_for_classes(
    text: str, classes: tuple[str, ...], wider: tuple[str, ...], unread: tuple[str, ...]
) -> None:
    assert read_phrase(text, CLASSES) == Phrase(text, classes, wider, unread)


@pytest.mark.parametrize("text", ["red car", "", "!!", "the", "asdf change", "x" * 500])
def test_a_phrase_without_a_class_is_refused(text: str) -> None:
    assert isinstance(read_phrase(text, CLASSES), Refused)


@pytest.mark.parametrize("subject", [each for each in SUBJECTS if each.class_name == OTHER], ids=lambda each: each.name)
def test_what_shares_a_class_with_unlike_things_is_refused(subject: object) -> None:
    read = read_phrase(subject.words[0], CLASSES)  # type: ignore[attr-defined]
    assert isinstance(read, Refused) and "no class of its own" in read.reason


def test_every_other_subject_finds_its_class() -> None:
    for subject in SUBJECTS:
        if subject.class_name == OTHER:
            continue
        for word in subject.words:
            read = read_phrase(f"the {word}", CLASSES)
            assert isinstance(read, Phrase) and read.classes == (subject.class_name,), word


def test_a_detector_with_other_classes_knows_only_its_own() -> None:
    assert isinstance(read_phrase("road", ("roof", "water")), Refused)
    read = read_phrase("roof", ("canopy", "water"))
    assert isinstance(read, Refused)
    assert read_phrase("canopy", ("canopy", "water")) == Phrase("canopy", ("canopy",))


@given(st.text(max_size=300))
def test_no_text_at_all_makes_it_fail(text: str) -> None:
    assert isinstance(read_phrase(text, CLASSES), (Phrase, Refused))
