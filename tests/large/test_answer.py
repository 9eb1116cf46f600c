"""What captions say of change; the sentences are LEVIR-CC's and those that published models write."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rsccli.models.large.answer import status_of, stop_note

LEVIR_CC = (
    "the scene is the same as before .",
    "there is no difference .",
    "the two scenes seem identical .",
    "no change has occurred .",
    "almost nothing has changed .",
)
UNCHANGED = (
    "No significant changes are visible.",
    "There are no visible changes between the two images.",
    "The two images are nearly identical, with no discernible differences.",
    "There are no significant or notable differences between the images.",
    "In the second image, no changes can be seen.",
    "The area appears largely unchanged.",
    "The scene remains the same.",
    "The area hasn’t changed.",
    "Nothing seems to have changed.",
    "The images do not show any noticeable changes.",
    "I can't see any differences.",
    "Both images show a residential area with roads and trees. There are no significant changes.",
    "The image shows a rural area with no visible changes.",
    "There are no visible signs of damage.",
    "No buildings were damaged or destroyed.",
    "No new buildings have been constructed.",
    "The buildings remain intact.",
    "The two images show no significant changes while the overall layout remains the same.",
    "No changes in the buildings. No changes in the roads.",
    "Neither image shows any change.",
    "Little has changed in the area.",
    "There was no new construction, and the area remained stable.",
    "Although the seasons differ, no changes are visible.",
    "No change, the area appears the same.",
    "No.",
    "unchanged",
)
CHANGED = (
    "Two houses are gone.",
    "A road has been built through the forest.",
    "The building is no longer there.",
    "The images show significant changes in land use.",
    "Several new buildings were constructed. The rest of the area remains the same.",
    "The fields are greener. No changes to the buildings are visible.",
    "The flood has inundated fields and roads, with no visible damage to the buildings.",
    "The house has no roof and is damaged.",
    "Not all houses were destroyed.",
    "The field has not only changed its colour.",
    "Both images show the same area; new houses were built beside the road.",
    "The second image shows the same place after a wildfire: the houses are burnt.",
    "The scene is not the same as before.",
    "The two images are not identical.",
    "Two identical houses appear on the left.",
    "No fewer than ten houses were built.",
    "The forest without any buildings was cleared.",
    "A house is built and no other changes are visible.",
    "While the vegetation is greener, the buildings are unchanged.",
    "Few new houses appear in the desert.",
)
BOTH = (
    "There is no damage, but two houses are gone",
    "No significant changes are visible, except for a new road in the north.",
    "There are no major changes. However, a pond dried up.",
    "The buildings remain unchanged, while the vegetation has become greener.",
    "No changes to the roads. Two new houses were built.",
    "There is no difference apart from a new house.",
    "Except for a new house, nothing has changed.",
    "Almost nothing has changed, only a house is built.",
    "The scene is the same as before and a house appears on the left.",
    "No significant change: a house was built on the left.",
)


@pytest.mark.parametrize("text", [*LEVIR_CC, *UNCHANGED])
def test_words_that_deny_change(text: str) -> None:
    assert status_of(text) == ("unchanged", None)


@pytest.mark.parametrize("text", CHANGED)
def test_words_that_tell_of_change(text: str) -> None:
    assert status_of(text) == ("changed", None)


@pytest.mark.parametrize("text", BOTH)
def test_words_that_do_both(text: str) -> None:
    status, why = status_of(text)
    assert status == "unsure" and why is not None and "both" in why


def test_a_part_that_did_not_change_says_nothing_of_the_rest() -> None:
    status, why = status_of("A pond lies in the west. The houses remain intact.")
    assert status == "unsure" and why is not None and "part" in why


@pytest.mark.parametrize("text", ["", "  \n", "...", "\ufffd"])
def test_no_words(text: str) -> None:
    assert status_of(text) == ("unsure", "the model said nothing")


@given(text=st.text(max_size=200))
@example(text="But.")
@example(text="while; but, with no")
def test_any_text_has_a_status(text: str) -> None:
    """And a reason where, and only where, it is unsure."""
    status, why = status_of(text)
    assert (status == "unsure") == (why is not None)
    # Space around it is not part of what is said.
    assert status_of(f"\n {text} ") == (status, why)


@pytest.mark.parametrize("words", [*LEVIR_CC, *UNCHANGED, *CHANGED])
def test_case_does_not_matter(words: str) -> None:
    assert status_of(words.upper()) == status_of(words)


def test_how_a_caption_ended() -> None:
    assert stop_note("end", 20) is None
    assert stop_note("length", 20) == "the caption was cut at 20 tokens"
    assert "repeat" in str(stop_note("loop", 20))
