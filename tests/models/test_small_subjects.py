"""The table of what can change: it agrees with the captioner's keywords and with the mask's classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsccli.models.small.detect import CLASSES, KEYWORD_CLASSES
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.subjects import BY_WORD, SUBJECTS, Subject, find_subjects


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_keywords_of_a_subject_exist_and_belong_to_its_class(subject: Subject) -> None:
    assert subject.keywords and set(subject.keywords) <= set(KEYWORDS)
    assert {KEYWORD_CLASSES[word] for word in subject.keywords} == {subject.class_name}
    assert subject.class_name in CLASSES


def test_every_keyword_of_the_captioner_can_be_asked_for() -> None:
    assert {word for subject in SUBJECTS for word in subject.keywords} == set(KEYWORDS)


def test_no_word_names_two_subjects() -> None:
    words = [word for subject in SUBJECTS for word in subject.words]
    assert len(words) == len(set(words)) == len(BY_WORD)
    assert all(word == word.lower() and word.strip() == word for word in words)


def test_the_longest_name_wins() -> None:
    found, rest = find_subjects("a new parking lot near a road".split())
    assert [each.name for each in found] == ["parking lots", "roads"] and rest == ["a", "new", "near", "a"]
    found, rest = find_subjects(["swimming", "pools"])
    assert [each.name for each in found] == ["swimming pools"] and rest == []
    assert find_subjects([]) == ([], [])


def test_the_page_has_the_whole_table(root: Path) -> None:
    page = (root / "docs" / "ground.md").read_text(encoding="utf-8")
    for subject in SUBJECTS:
        assert f"| {subject.name} | {subject.class_name} | {', '.join(subject.words)} |" in page
