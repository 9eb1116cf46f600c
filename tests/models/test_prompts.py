from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from rsccli.errors import UsageProblem
from rsccli.models.prompts import (
    KNOWN,
    OWN,
    POST_MARK,
    PRE_MARK,
    REGIMES,
    CountsFrom,
    PromptFields,
    PromptTemplate,
    load_template,
    render,
)

SOURCES = get_args(CountsFrom)
COUNTS = PromptFields(disaster="wildfire", counts="3 buildings: 1 with no damage, 2 destroyed")


def own(tmp_path: Path, text: str) -> PromptTemplate:
    path = tmp_path / "ask.txt"
    path.write_text(text, encoding="utf-8")
    return load_template(str(path))


@pytest.mark.parametrize("counts_from", SOURCES)
@pytest.mark.parametrize("regime", REGIMES)
def test_built_in_prompts_ask_for_changes_and_for_their_absence(regime: str, counts_from: CountsFrom) -> None:
    template = load_template(regime, counts_from)
    text = render(template, COUNTS)
    assert template.regime == regime and "built-in" in template.source
    assert "If nothing changed, say so." in text and "two images" in text
    assert not {"{", "}"} & set(text) and "unknown" not in text
    assert template.needs_counts == (regime != "naive")


def test_naive_tells_nothing_but_the_task() -> None:
    template = load_template("naive")
    assert not any(template.uses(name) for name in KNOWN)
    assert render(template, COUNTS) == render(template, PromptFields()) == template.text
    assert load_template("naive", "mask").text == template.text


def test_labels_come_with_the_scale_and_its_colours() -> None:
    textual, visual = (render(load_template(regime), COUNTS) for regime in ("textual", "visual"))
    for text in (textual, visual):
        assert "Type of disaster: wildfire." in text
        assert "count 3 buildings: 1 with no damage, 2 destroyed." in text
        for level in ("0, no damage", "1, minor damage", "2, major damage", "3, destroyed"):
            assert level in text
    assert "outlined" not in textual
    colours = "green for no damage, blue for minor damage, orange for major damage, red for destroyed, white"
    assert colours in visual


def test_a_mask_knows_no_levels_of_damage() -> None:
    fields = PromptFields(counts="2 changed areas covering 4.1 % of the image, of the kind flood")
    textual, visual = (render(load_template(regime, "mask"), fields) for regime in ("textual", "visual"))
    for text in (textual, visual):
        assert "It found 2 changed areas covering 4.1 % of the image, of the kind flood." in text
        assert "minor damage" not in text and "Type of disaster: unknown." in text
    assert "outlined in white" in visual and "outlined" not in textual


@pytest.mark.parametrize("counts_from", SOURCES)
@pytest.mark.parametrize("regime", ["textual", "visual"])
def test_without_counts_there_is_no_textual_or_visual_prompt(regime: str, counts_from: CountsFrom) -> None:
    with pytest.raises(UsageProblem, match=f"the {regime} prompt needs counts: give --labels FILE, or --counts-from"):
        render(load_template(regime, counts_from), PromptFields(disaster="flooding"))


def test_every_field_of_the_users_own_file(tmp_path: Path) -> None:
    text = "{disaster} | {counts} | {pre_date} | {post_date} | {place} | {gsd}\n"
    template = own(tmp_path, text)
    fields = PromptFields("storm", "1 building", "2017-08-01", "2017-09-02", "Houston", 0.46321)
    assert render(template, fields) == "storm | 1 building | 2017-08-01 | 2017-09-02 | Houston | 0.463 m"
    assert render(template, PromptFields()) == " | ".join(["unknown"] * 6)
    assert template.regime == OWN and template.source == str(tmp_path / "ask.txt")
    assert all(template.uses(name) for name in KNOWN if name not in ("pre", "post"))


@pytest.mark.parametrize(("gsd", "told"), [(30.0, "30 m"), (0.3, "0.3 m"), (1113.2, "1110 m"), (0.0999999, "0.1 m")])
def test_ground_sampling_distance_in_metres(tmp_path: Path, gsd: float, told: str) -> None:
    assert render(own(tmp_path, "{gsd}"), PromptFields(gsd=gsd)) == told


def test_images_stand_where_the_template_has_them(tmp_path: Path) -> None:
    template = own(tmp_path, "Before: {pre}\nAfter: {post}\nIn {place}?")
    assert render(template, PromptFields(place="Paris")) == f"Before: {PRE_MARK}\nAfter: {POST_MARK}\nIn Paris?"
    assert template.uses("pre") and template.uses("post")
    assert PRE_MARK not in render(own(tmp_path, "What changed?"), PromptFields())


def test_double_braces_are_braces(tmp_path: Path) -> None:
    template = own(tmp_path, 'Answer as {{"place": "{place}", "changed": []}}. {{{gsd}}}')
    assert render(template, PromptFields(place="Ulm", gsd=1)) == 'Answer as {"place": "Ulm", "changed": []}. {1 m}'


def test_a_value_cannot_bring_the_place_of_an_image(tmp_path: Path) -> None:
    template = own(tmp_path, "{pre}{post} {place}")
    assert render(template, PromptFields(place="{pre} {place}")) == "{pre}{post} (pre) (place)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("one\ntwo {date}", r"line 2: the field \{date\} is unknown: known are \{disaster\}, .*\{gsd\}, \{pre\}"),
        ("{ place }", r"the field \{ place \} is unknown"),
        ("{Place}", r"the field \{Place\} is unknown"),
        ("{place!r}", r"the field \{place!r\} is unknown"),
        ("{}", r"the field \{\} is unknown"),
        ("what {place", r"line 1: a \{ without its other half: fields are \{disaster\}.*is written \{\{"),
        ("what place}", r"line 1: a \} without its other half.*is written \}\}"),
        ("{{place}", r"a \} without its other half"),
        ("{pre} {place {post}", r"a \{ without its other half"),
        ("{pre} and {post}, {pre} again", r"\{pre\} stands 2 times"),
        ("look at {pre}", r"\{pre\} without \{post\}"),
        ("look at {post}", r"\{post\} without \{pre\}"),
        ("no image at {{pre}}", r"would read as the place of an image"),
    ],
)
def test_mistakes_in_a_file_are_told_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageProblem, match=f"ask.txt.*{message}"):
        own(tmp_path, text)


def test_a_name_that_is_neither_regime_nor_file(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="nave: no such file, and no regime: give naive, textual, visual"):
        load_template(str(tmp_path / "nave"))
    with pytest.raises(UsageProblem, match="cannot be read as UTF-8 text"):
        load_template(str(tmp_path))
    (tmp_path / "latin.txt").write_bytes("Straße".encode("latin-1"))
    with pytest.raises(UsageProblem, match=r"latin\.txt: cannot be read as UTF-8 text"):
        load_template(str(tmp_path / "latin.txt"))


def test_files_of_other_systems(tmp_path: Path) -> None:
    (tmp_path / "dos.txt").write_bytes("\ufeffWhat changed\r\nin {place}?\r\n".encode())
    template = load_template(str(tmp_path / "dos.txt"))
    assert render(template, PromptFields(place="Köln")) == "What changed\nin Köln?"
