"""A model's paragraph is let through where it says what the facts say, and not where it says anything else."""

from __future__ import annotations

from decimal import Decimal

import pytest
from made_run import make_facts, make_features

from rsccli.output.phrasing.amounts import amounts, parts
from rsccli.output.phrasing.check import objection
from rsccli.output.phrasing.prompt import phrasing_prompt
from rsccli.output.phrasing.reading import Day, read, sentences
from rsccli.output.scene import Scene
from rsccli.output.summary import summarise

# Facts of the made run: 7 of 48 tiles changed (0.86 ha, 1.2 % of 72.58 ha), A1 of 6 tiles all over (up to 0.74 ha), A3
# one tile in the north-west (up to 0.12 ha), 7 unsure, 7 unchanged, 13 failed, 14 without data.
FIRST = "Between 1 June 2016 and 17 May 2020, 7 of 48 tiles are called changed [r00000c00000]."
FAILED = "13 tiles could not be read or captioned [r00000c00005]."


@pytest.fixture(scope="module")
def scene() -> Scene:
    facts = make_facts()
    return summarise(make_features(48, facts), facts).scene


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7 of 48 tiles", {("7", "tiles"), ("48", "tiles")}),
        ("Seven neighbouring tiles and twenty-one areas", {("7", "tiles"), ("21", "areas")}),
        ("1 234.5 ha, 12,000 m² and 3 %", {("1234.5", "ha"), ("12000", "m2"), ("3", "%")}),
        ("up to 0.12 hectares", {("0.12", "up to ha")}),
        ("about 5 tiles, more than 6 tiles", {("5", "hedged tiles"), ("6", "hedged tiles")}),
        ("48 houses were lost", {("48", "houses")}),
        ("3 more, the largest", {("3", "")}),
        ("no tile is unsure, none of the areas grew", {("0", "tiles"), ("0", "areas")}),
        ("the one that grew", set()),
        ("5 square kilometres", {("5", "km2")}),
    ],
)
def test_numbers_are_read_with_what_they_count(text: str, found: set[tuple[str, str]]) -> None:
    assert set(amounts(text)) == {(Decimal(value).normalize(), unit) for value, unit in found}


def test_parts_of_a_whole_are_read_in_their_order() -> None:
    assert parts("7 of 48 tiles, three out of the 5 areas") == ((7, 48), (3, 5))


def test_dates_ids_and_directions_are_read() -> None:
    said = read(
        "From 1 June 2016 to May 17th, 2020 in the northwest and southern part [r00000c00001, A3], since 2016-06-01."
    )
    assert said.days == (Day(2016, 6, 1), Day(2020, 5, 17), Day(2016, 6, 1))
    assert said.tiles == ("r00000c00001",) and said.areas == ("A3",)
    assert said.directions == ("north-west", "south") and not said.numbers


def test_sentences_keep_the_citation_behind_them() -> None:
    text = "It grew by 1.5 ha. [r00000c00001] Then it stopped [r00000c00002]. Now"
    assert sentences(text) == ["It grew by 1.5 ha. [r00000c00001]", "Then it stopped [r00000c00002].", "Now"]


def test_our_own_paragraph_passes(scene: Scene) -> None:
    assert objection(scene.paragraph, scene) is None


@pytest.mark.parametrize(
    "text",
    [
        f"{FIRST} {FAILED}",
        "From 1 June 2016 to May 17, 2020 seven of 48 tiles changed, 0.86 ha of ground or 1.2 per cent of the 72.58 ha "
        "that both dates cover [r00000c00000, r00000c00007]. Thirteen tiles failed. [r00000c00005] The largest of 4 "
        "areas is A1, 6 tiles with a house, up to 0.74 hectares [r00000c00007].",
        f"{FIRST} {FAILED} In the northwest lies A3, up to 0.12 ha of it changed [r00000c00000].",
        f"{FIRST} {FAILED} Seven tiles are unsure [r00000c00002].",
    ],
)
def test_other_words_for_the_same_facts_pass(scene: Scene, text: str) -> None:
    assert objection(text, scene) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (f"{FIRST} {FAILED} The", "middle of a sentence"),
        (f"{FIRST} {FAILED} A fire [r00000c00000", "middle of a sentence"),
        (f"{FIRST}", "leaves out"),
        (f"{FAILED} 7 tiles are unsure [r00000c00002].", "leaves out"),
        (f"{FIRST} {FAILED} The end.", "without citing a tile"),
        (f"{FIRST} {FAILED} Nothing at all [r00099c00099].", "r00099c00099"),
        (f"{FIRST} {FAILED} A9 lies there.", "A9"),
        (f"{FIRST.replace('7 of 48', '8 of 48')} {FAILED}", "8 tiles"),
        (f"{FIRST.replace('7 of 48', '48 of 7')} {FAILED}", "48 of 7"),
        (f"{FIRST.replace('tiles', 'houses')} {FAILED}", "houses"),
        (f"{FIRST.replace('7 of', 'about 7 of')} {FAILED}", "hedged"),
        (f"{FIRST} {FAILED.replace('r00000c00005', 'r00000c00002')}", "13 tiles"),
        (f"{FIRST} {FAILED} A3 has 0.12 ha of changed ground [r00000c00000].", "0.12 ha"),
        (f"{FIRST} {FAILED} A3 lies in the south-east [r00000c00000].", "south-east"),
        (f"{FIRST} {FAILED} A flood reached it [r00000c00000].", "'flood'"),
        (f"{FIRST} {FAILED} New trees were planted [r00000c00000].", "'new trees'"),
        (f"{FIRST} {FAILED} Half of it is lost [r00000c00000].", "'half'"),
        (f"{FIRST} {FAILED} 7 tiles are unchanged [r00000c00002].", "unchanged"),
        (f"{FIRST} {FAILED} It did not change [r00000c00000].", "denies"),
        (f"{FIRST.replace('2020', '2021')} {FAILED}", "neither of the two"),
        (f"{FIRST.replace('1 June 2016 and 17 May 2020', '17 May 2020 and 1 June 2016')} {FAILED}", "wrong order"),
        (f"{FIRST} {FAILED} " + "7 tiles are unsure [r00000c00002]. " * 9, "more often"),
        (f"{FIRST} {FAILED} " + "It is so [r00000c00002]. " * 200, "times as long"),
        ("Sure! Here is the paragraph: " + f"{FIRST} {FAILED}", "citing"),
    ],
)
def test_what_the_facts_do_not_say_is_not_let_through(scene: Scene, text: str, why: str) -> None:
    found = objection(text, scene)
    assert found is not None and why in found


def test_prompt_holds_every_claim_and_no_brace(scene: Scene) -> None:
    prompt = phrasing_prompt(scene)
    assert prompt.count("\n- ") == len(scene.claims) and "{" not in prompt
    assert all(tile in prompt for claim in scene.claims for tile in claim.tile_ids[:3])
