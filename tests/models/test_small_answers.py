"""Answers about one tile: no more than score, keywords and mask say."""

from __future__ import annotations

from typing import Any

import pytest

from rsccli.models.small.answers import NOTHING, Evidence, Measured, TileAnswer, answer_tile, area_text, cannot_answer
from rsccli.models.small.detect import CLASSES, KEYWORD_CLASSES
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.questions import Asked, read_question

SOME = Measured(area_m2=1200.0, own_m2=600.0, fraction=0.03, parts=2, place="north")
ALL = Measured(area_m2=30_000.0, own_m2=30_000.0, fraction=0.75, parts=5, place="in several parts")


def seen(status: str = "changed", keywords: tuple[str, ...] = (), **more: Any) -> Evidence:
    given: dict[str, Any] = {
        "score": 0.9 if status == "changed" else 0.1,
        "reason": None,
        "mask": ALL if status == "changed" else NOTHING,
        "classes": dict.fromkeys(CLASSES, NOTHING),
        "keyword_classes": KEYWORD_CLASSES,
        "source": "rsccli-small",
        **more,
    }
    return Evidence(status, given.pop("score"), keywords, given.pop("reason"), **given)  # type: ignore[arg-type]


def with_class(name: str, measured: Measured = SOME) -> dict[str, Measured]:
    return {**dict.fromkeys(CLASSES, NOTHING), name: measured}


def answer(question: str, evidence: Evidence) -> TileAnswer:
    asked = read_question(question)
    assert isinstance(asked, Asked), asked
    return answer_tile(asked, evidence)


def test_change_of_any_kind_comes_from_the_score() -> None:
    yes = answer("Did anything change?", seen(keywords=("flood",)))
    assert (yes.status, yes.verdict, yes.value, yes.unit) == ("answered", "yes", 0.9, "score")
    assert yes.text == "Yes (change score 0.90)." and yes.source == "score of rsccli-small"
    no = answer("Did anything change?", seen("unchanged"))
    assert (no.verdict, no.value, no.text) == ("no", 0.1, "No (change score 0.10).")


def test_an_unsure_tile_gives_no_answer_to_any_question() -> None:
    evidence = seen("unsure", ("flood",), reason="it is hazy", mask=None)
    for question in ("Did anything change?", "What changed?", "How much changed?", "Is there flooding?"):
        given = answer(question, evidence)
        assert (given.status, given.verdict, given.value, given.reason) == ("unsure", None, None, "it is hazy")


def test_kinds_are_the_keywords() -> None:
    assert answer("What changed?", seen(keywords=("new house", "bare soil"))).text == "New house and bare soil."
    assert answer("What changed?", seen()).text == "Something changed that has no name here."
    assert answer("What changed?", seen("unchanged")).verdict == "no"
    built = answer(
        "Which new buildings are there?", seen(keywords=("new house", "bare soil"), classes=with_class("building"))
    )
    assert built.kinds == ("new house",)


@pytest.mark.parametrize(
    ("question", "value", "unit"),
    [
        ("How much changed?", 30_000.0, "m2"),
        ("How many hectares changed?", 3.0, "ha"),
        ("What percentage of the area changed?", 75.0, "%"),
        ("How many km2 changed?", 0.03, "km2"),
        ("How many changes are there?", 5.0, "parts"),
        ("How many tiles changed?", 1.0, "tiles"),
    ],
)
def test_numbers_are_those_of_the_mask_in_the_unit_asked_for(question: str, value: float, unit: str) -> None:
    given = answer(question, seen())
    assert (given.status, given.unit) == ("answered", unit) and given.value == pytest.approx(value)
    none = answer(question, seen("unchanged"))
    assert (none.verdict, none.value, none.unit) == ("no", 0.0, unit)


def test_what_a_tile_adds_to_the_scene_is_its_own_ground_alone() -> None:
    given = answer("How much water was gained?", seen(keywords=("water gain",), classes=with_class("water")))
    assert given.value == 1200.0 and given.total == 600.0


def test_a_subject_needs_its_keyword_and_its_pixels() -> None:
    both = answer("Are there new buildings?", seen(keywords=("new house",), classes=with_class("building")))
    assert both.text == "Yes: new house, 1,200 m2." and both.verdict == "yes"
    keyword_alone = answer("Are there new buildings?", seen(keywords=("new house",)))
    assert keyword_alone.status == "unsure" and "no part of the change mask looks like building" in str(
        keyword_alone.reason
    )
    pixels_alone = answer("Are there new buildings?", seen(classes=with_class("building")))
    assert pixels_alone.status == "unsure" and "no keyword names it" in str(pixels_alone.reason)
    neither = answer("Are there new buildings?", seen(keywords=("flood",), classes=with_class("water")))
    assert (neither.status, neither.verdict, neither.text) == ("answered", "no", "No.")


def test_another_kind_of_the_same_class_is_a_no_that_tells_it() -> None:
    given = answer("Were buildings removed?", seen(keywords=("new house",), classes=with_class("building")))
    assert (given.verdict, given.text) == ("no", "No: new house instead.")


def test_two_kinds_of_one_class_have_no_area_of_their_own() -> None:
    evidence = seen(keywords=("new house", "building removed"), classes=with_class("building"))
    area = answer("How much building was removed?", evidence)
    assert area.status == "unsure" and area.value is None and "cannot be told apart" in str(area.reason)
    assert answer("How many buildings were removed?", evidence).status == "unsure"
    # Whether there is one at all, and where the class lies, are not touched by that.
    assert answer("Were buildings removed?", evidence).text == "Yes: building removed."
    assert answer("How much did buildings change?", evidence).value == 1200.0


def test_where_is_a_part_of_the_tile() -> None:
    one = answer("Where are new buildings?", seen(keywords=("new house",), classes=with_class("building")))
    assert (one.text, one.place, one.value) == ("In the north of the tile: new house.", "in the north", 1200.0)
    assert answer("Where did something change?", seen()).text == "In several parts of the tile."
    assert answer("Where did something change?", seen("unchanged")).text == "Nowhere."


def test_without_a_mask_there_is_no_area() -> None:
    for question in ("How much changed?", "Where did something change?", "How many changes are there?"):
        given = answer(question, seen(mask=None))
        assert given.status == "cannot_answer" and "no mask" in str(given.reason)
    assert answer("Did anything change?", seen(mask=None)).verdict == "yes"


def test_without_classes_a_keyword_says_yes_but_how_much_is_not_known() -> None:
    evidence = seen(keywords=("flood",), classes=None)
    assert answer("Is there flooding?", evidence).verdict == "yes"
    given = answer("How much is flooded?", evidence)
    assert given.status == "cannot_answer" and "no classes per pixel" in str(given.reason)


def test_a_captioner_without_the_keyword_cannot_answer_at_all() -> None:
    flood, kind, any_change = (
        read_question(text) for text in ("Is there flooding?", "What changed?", "Did it change?")
    )
    assert isinstance(flood, Asked) and isinstance(kind, Asked) and isinstance(any_change, Asked)
    assert cannot_answer(flood, "brightness", ("brighter", "darker")) == "brightness has no keyword for floods"
    assert cannot_answer(kind, "plain", ()) == "plain names no kinds of change"
    assert cannot_answer(any_change, "plain", ()) is None
    assert cannot_answer(flood, "rsccli-small", KEYWORDS) is None


@pytest.mark.parametrize(
    ("area", "text"), [(0.4, "0 m2"), (1234.5, "1,234 m2"), (12_345.0, "12,345 m2 (1.2 ha)"), (2.5e6, "2.50 km2")]
)
def test_areas_are_written_for_people(area: float, text: str) -> None:
    assert area_text(area) == text
