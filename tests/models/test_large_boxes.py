"""Boxes that models write: every published form is read, everything else is malformed, nothing is guessed."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rsccli.models.large.boxes import (
    FORMS,
    LONGEST_TEXT,
    MOST_BOXES,
    SCALES,
    Box,
    Malformed,
    Scale,
    View,
    grounding_prompt,
    parse_boxes,
)

VIEW = View(0, 0, 256, 256, 504, 252)
HALF = {"absolute": (126, 63, 252, 126), "thousand": (250, 250, 500, 500), "normalised": (0.25, 0.25, 0.5, 0.5)}
HALF["percent"] = (25, 25, 50, 50)


def boxes(text: str, scale: Scale) -> list[tuple[float, float, float, float, str]]:
    found = parse_boxes(text, scale, VIEW)
    assert not isinstance(found, Malformed), found
    return [(box.left, box.top, box.right, box.bottom, box.label) for box in found]


@pytest.mark.parametrize(
    ("scale", "text", "label"),
    [
        # Qwen2.5-VL, as its cookbook shows it, and Qwen3-VL.
        ("absolute", '```json\n[\n\t{"bbox_2d": [126, 63, 252, 126], "label": "road"}\n]\n```', "road"),
        ("absolute", '[{"bbox_2d": [126, 63, 252, 126], "label": "road"}]', "road"),
        ("thousand", '{"bbox_2d": [250, 250, 500, 500], "label": "road"}', "road"),
        ("thousand", '[{"label": "road", "bbox_2d": [250, 250, 500, 500], "sub_label": "x"}]', "road"),
        # InternVL, with its tags and as a tokenizer leaves it.
        ("thousand", "<ref>road</ref><box>[[250, 250, 500, 500]]</box>", "road"),
        ("thousand", "<box>[250, 250, 500, 500]</box>", ""),
        ("thousand", "flooded road[[250, 250, 500, 500]]", "flooded road"),
        # Qwen2-VL, with its marks and without.
        (
            "thousand",
            "<|object_ref_start|>road<|object_ref_end|><|box_start|>(250,250),(500,500)<|box_end|>",
            "road",
        ),
        ("thousand", "road(250,250),(500,500)", "road"),
        # LLaVA 1.5 and TEOChat.
        ("normalised", "[0.25, 0.25, 0.5, 0.5]", ""),
        ("normalised", "The flooded road is at [0.25, 0.25, 0.5, 0.5].", ""),
        ("percent", "[25, 25, 50, 50]", ""),
        ("percent", "[[25, 25, 50, 50]]", ""),
    ],
)
def test_every_published_form_is_read(scale: Scale, text: str, label: str) -> None:
    assert boxes(text, scale) == [(0.25, 0.25, 0.5, 0.5, label)]


def test_several_boxes_of_one_answer() -> None:
    assert (
        len(
            boxes(
                "<ref>a</ref><box>[[0, 0, 10, 10], [20, 20, 30, 30]]</box>\n<ref>b</ref><box>[[5,5,6,6]]</box>",
                "thousand",
            )
        )
        == 3
    )
    assert [each[4] for each in boxes("a[[0,0,1,1]] b[[2,2,3,3]]", "percent")] == ["a", "b"]
    assert len(boxes("[1, 2, 3, 4], [5, 6, 7, 8]", "percent")) == 2
    assert len(boxes("Roads are at [1, 2, 3, 4] and at [5, 6, 7, 8].", "percent")) == 2
    assert len(boxes("a(1,2),(3,4) b(5,6),(7,8)", "thousand")) == 2
    # Said twice it is there once.
    assert len(boxes("[1, 2, 3, 4], [1, 2, 3, 4]", "percent")) == 1


@pytest.mark.parametrize(
    "text",
    ["[]", "```json\n[]\n```", "None", "none.", "Nothing", "No.", "not found", "There are no destroyed buildings."],
)
def test_an_answer_that_there_is_none_has_no_boxes(text: str) -> None:
    assert parse_boxes(text, "percent", VIEW) == ()


@pytest.mark.parametrize(
    ("text", "scale", "why"),
    [
        ("", "percent", "said nothing"),
        ("I see a road on the left.", "percent", "no box"),
        ("There is no road at [1, 2, 3, 4].", "percent", "denies"),
        ("It isn't at [1, 2, 3, 4].", "percent", "denies"),
        ('[{"bbox_2d": [1, 2, 3', "absolute", "cut"),
        ("```json\n[1, 2", "absolute", "not closed"),
        ("[1, 2, 3, 4", "percent", "not closed"),
        ("[1, 2, 3]", "percent", "four numbers"),
        ("[1, 2, 3, 4, 5]", "percent", "four numbers"),
        ("[[1, 2, 3, 4], [5, 6]]", "percent", "four numbers"),
        ("[[1, 2, 3, 4], []]", "percent", "four numbers"),
        ("[[]]", "percent", "four numbers"),
        ("the road []", "percent", "are not [x1, y1, x2, y2]"),
        ("[[[1, 2, 3, 4]]]", "percent", "too deep"),
        ("[[1, 2, 3, 4], 5]", "percent", "four numbers"),
        ('["1", 2, 3, 4]', "percent", "no number"),
        ("[true, 2, 3, 4]", "percent", "no number"),
        ("[null, 2, 3, 4]", "percent", "no number"),
        ("[NaN, 2, 3, 4]", "percent", "no JSON"),
        ("[1e999, 2, 3, 4]", "percent", "no JSON"),
        ("[-Infinity, 2, 3, 4]", "percent", "no JSON"),
        ("[3, 2, 1, 4]", "percent", "wrong order"),
        ("[1, 4, 3, 2]", "percent", "wrong order"),
        ("[1, 2, 1, 4]", "percent", "no area"),
        ("[100.5, 2, 104, 4]", "percent", "beyond"),
        ("[100, 200, 300, 400]", "normalised", "may not be normalised"),
        ("[0, 0, 2000, 100]", "thousand", "may not be thousand"),
        ("[-500, 0, 100, 100]", "thousand", "may not be thousand"),
        ("[0, 0, 800, 100]", "absolute", "may not be absolute"),
        ('{"box": [1, 2, 3, 4]}', "absolute", "bbox_2d"),
        ('[{"bbox_2d": [1, 2, 3, 4]}, 7]', "absolute", "bbox_2d"),
        ('[{"bbox_2d": [1, 2, 3, 4], "label": 7}]', "absolute", "no text"),
        ('[{"bbox_2d": "1, 2, 3, 4"}]', "absolute", "four numbers"),
        ("<ref>a</ref><box>[1, 2</box>", "thousand", "no JSON"),
        ("<ref>a</ref> there", "thousand", "tags"),
        ("<box>[[1, 2, 3, 4]]", "thousand", "tags"),
        ("(1,2),(3", "thousand", "(x1,y1)"),
        ("(1,2),(3,4) so it is", "thousand", "(x1,y1)"),
        ("house 3 [1, 2, 3, 4]", "percent", "are not"),
        ("[1, 2, 3, 4] {5}", "percent", "are not"),
        ("]1, 2, 3, 4[", "percent", "are not"),
    ],
)
def test_everything_else_is_malformed_with_the_reason(text: str, scale: Scale, why: str) -> None:
    found = parse_boxes(text, scale, VIEW)
    assert isinstance(found, Malformed) and why in found.reason, found


def test_one_wrong_box_spoils_the_answer() -> None:
    good = '{"bbox_2d": [1, 2, 30, 40], "label": "road"}'
    assert isinstance(parse_boxes(f'[{good}, {{"bbox_2d": [9, 9, 1, 1]}}]', "absolute", VIEW), Malformed)


def test_a_box_over_the_edge_is_cut_there() -> None:
    assert boxes("[-5, 90, 50, 108]", "percent") == [(0.0, 0.9, 0.5, 1.0, "")]


def test_an_answer_that_never_ends_is_none() -> None:
    one = json.dumps({"bbox_2d": [1, 2, 3, 4]})
    assert isinstance(parse_boxes(f"[{','.join([one] * 2000)}]", "absolute", VIEW), Malformed)
    many = ",".join(f"[0, 0, {n / 10}, 1]" for n in range(1, MOST_BOXES + 2))
    found = parse_boxes(f"[{many}]", "percent", VIEW)
    assert isinstance(found, Malformed) and "more than" in found.reason


@pytest.mark.parametrize(
    "piece",
    ["[", "[[", "]", "(", "{", " ", "\n", "```", "```json ", "<ref>", "<box>", "1,", "a[[", "road (", "no ", "9"],
)
def test_hostile_repetition_is_read_in_no_time(piece: str) -> None:
    text = (piece * LONGEST_TEXT)[: LONGEST_TEXT - 1]
    start = time.perf_counter()
    for scale in SCALES:
        for hostile in (text, "```" + text[3:], "[1, 2, 3, 4]" + text[12:], text[:-12] + "[1, 2, 3, 4]"):
            assert isinstance(parse_boxes(hostile, scale, VIEW), (Malformed, tuple))
    assert time.perf_counter() - start < 2


_NUMBERS = st.one_of(st.integers(), st.floats(), st.text(alphabet="0123456789.-+eE,", max_size=30))


@given(st.text(alphabet="[](){}<>|/,.:;\"' \n`0123456789-+eEabrefox_ndl", max_size=200), st.sampled_from(SCALES))
@example("[" * 5000, "percent")
@example('{"bbox_2d":' * 2000, "absolute")
@example("[9" + "9" * 400 + ", 1, 2, 3]", "percent")
@example("(" + "9" * 12 + ",1),(2,3)", "thousand")
def test_whatever_comes_out_lies_inside(text: str, scale: Scale) -> None:
    found = parse_boxes(text, scale, VIEW)
    if isinstance(found, Malformed):
        assert found.reason
        return
    for box in found:
        assert 0 <= box.left < box.right <= 1 and 0 <= box.top < box.bottom <= 1


@given(st.lists(_NUMBERS, min_size=0, max_size=6), st.sampled_from(SCALES))
def test_odd_numbers_make_no_box(numbers: list[object], scale: Scale) -> None:
    found = parse_boxes(f"[{', '.join(map(str, numbers))}]", scale, VIEW)
    for box in () if isinstance(found, Malformed) else found:
        assert 0 <= box.left < box.right <= 1 and 0 <= box.top < box.bottom <= 1


@given(
    st.sampled_from(SCALES),
    st.tuples(*[st.integers(0, 1000)] * 4).filter(lambda c: c[0] < c[2] and c[1] < c[3]),
    st.sampled_from(("json", "tags", "brackets", "pairs")),
)
def test_a_box_comes_back_as_it_was_written(scale: Scale, corners: tuple[int, int, int, int], form: str) -> None:
    sides = {"absolute": (504, 252), "thousand": (1000, 1000), "normalised": (1, 1), "percent": (100, 100)}[scale]
    written = [round(corner / 1000 * sides[place % 2], 6) for place, corner in enumerate(corners)]
    numbers = ", ".join(f"{number:.6f}" for number in written)
    text = {
        "json": f'[{{"bbox_2d": [{numbers}], "label": "road"}}]',
        "tags": f"<ref>road</ref><box>[[{numbers}]]</box>",
        "brackets": f"road[[{numbers}]]",
        "pairs": "road({:.6f},{:.6f}),({:.6f},{:.6f})".format(*written),
    }[form]
    ((left, top, right, bottom, label),) = boxes(text, scale)
    assert [left, top, right, bottom] == pytest.approx([corner / 1000 for corner in corners], abs=1e-5)
    assert label == "road"


@pytest.mark.parametrize("scale", SCALES)
def test_the_prompt_names_phrase_and_form(scale: Scale) -> None:
    prompt = grounding_prompt("flooded {road}", FORMS[scale])
    assert "flooded {road}" in prompt and "[x1, y1, x2, y2]" in prompt and "answer []" in prompt
    assert "{phrase}" not in prompt and "{form}" not in prompt


def test_a_box_knows_its_label() -> None:
    assert parse_boxes("a  b[[1,2,3,4]]", "percent", VIEW) == (Box(0.01, 0.02, 0.03, 0.04, "a b"),)
