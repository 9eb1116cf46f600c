"""Held-out pairs: real ones with labels seen by eye, generated ones on the same places."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rsccli.datasets import backgrounds
from rsccli.datasets.backgrounds import Label, Mark, Sources, read_sources
from rsccli.datasets.generated import generate
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.reading import log_odds
from rsccli.training.development import (
    SEED,
    SIDE,
    Figures,
    HeldOut,
    RealPair,
    ScoredPairs,
    auc,
    average_precision,
    box_mask,
    cells,
    intersection_over_union,
    labelled_pairs,
    mean_precision,
    measure,
    read_held_out,
    score,
    wanted_keywords,
)
from rsccli.training.loop import TrainSpec, best_checkpoint, load_state, model_of

# A mark within the upper left quarter of a chip of 256 pixels.
INSIDE = (20.0, 30.0, 80.0, 90.0)


def labelled(sources: Sources, label: Label) -> tuple[list[RealPair], list[RealPair]]:
    """Whole chips and quarters of one place that has one label."""
    place = sources.places[0]
    return labelled_pairs(replace(sources, places=(place,), labels={f"{place.name}:2016-2018": label}))


def answers(quarters: list[RealPair]) -> dict[str, bool]:
    return {pair.name.split("/")[1]: pair.changed for pair in quarters}


def test_a_marked_change_makes_its_quarter_changed_and_the_others_not(sources: Sources):
    whole, quarters = labelled(sources, Label("changed", ("new house",), (INSIDE,), "A house."))
    (pair,) = whole
    assert pair.changed and pair.keywords == ("new house",) and pair.caption == "A house."
    assert pair.boxes[40, 30] and pair.boxes.sum() == 60 * 60
    assert answers(quarters) == {"0,0": True, "0,1": False, "1,0": False, "1,1": False}
    part = {each.name.split("/")[1]: each for each in quarters}["0,0"]
    assert np.array_equal(part.pre, pair.pre[:, :128, :128]) and part.boxes.sum() == 60 * 60
    assert part.keywords is None


def test_a_mark_across_a_border_leaves_both_quarters_out(sources: Sources):
    _, quarters = labelled(sources, Label("changed", ("new house",), ((100.0, 30.0, 156.0, 90.0),)))
    assert answers(quarters) == {"1,0": False, "1,1": False}


def test_a_mark_too_small_for_its_quarter_says_nothing(sources: Sources):
    _, quarters = labelled(sources, Label("changed", ("new house",), ((40.0, 40.0, 47.0, 47.0),)))
    assert "0,0" not in answers(quarters)


def test_minor_pairs_are_no_answer_as_a_whole(sources: Sources):
    whole, quarters = labelled(sources, Label("minor", ("tree loss",), (INSIDE,)))
    assert whole == []
    assert answers(quarters) == {"0,1": False, "1,0": False, "1,1": False}


def test_unclear_pairs_are_left_out_and_unchanged_ones_count_whole(sources: Sources):
    assert labelled(sources, Label("unclear")) == ([], [])
    whole, quarters = labelled(sources, Label("unchanged"))
    assert [pair.changed for pair in whole] == [False] and list(answers(quarters).values()) == [False] * 4


def test_a_change_without_a_mark_says_nothing_of_quarters(sources: Sources):
    whole, quarters = labelled(sources, Label("changed", ("new house",)))
    assert len(whole) == 1 and quarters == []


def test_doubtful_ground_says_nothing_of_its_quarter(sources: Sources):
    """Neither that it changed, however large it is, nor that it did not."""
    doubtful = Mark("new house", (150.0, 20.0, 230.0, 100.0), False)
    main = Mark("new house", INSIDE, True)
    _, quarters = labelled(sources, Label("unchanged", marks=(doubtful,)))
    assert answers(quarters) == {"0,0": False, "1,0": False, "1,1": False}
    _, quarters = labelled(sources, Label("changed", ("new house",), (INSIDE,), marks=(main, doubtful)))
    assert answers(quarters) == {"0,0": True, "1,0": False, "1,1": False}
    _, quarters = labelled(sources, Label("minor", ("new house",), (), marks=(doubtful,)))
    assert answers(quarters) == {"0,0": False, "1,0": False, "1,1": False}


def test_a_doubtful_mark_in_a_changed_quarter_leaves_it_changed(sources: Sources):
    marks = (Mark("mud", (90.0, 90.0, 110.0, 110.0), False), Mark("new house", INSIDE, True))
    _, quarters = labelled(sources, Label("changed", ("new house",), (INSIDE,), marks=marks))
    assert answers(quarters) == {"0,0": True, "0,1": False, "1,0": False, "1,1": False}


def test_a_doubtful_mark_close_to_a_border_leaves_both_quarters_out(sources: Sources):
    for right, seen in ((126.0, {"1,0", "1,1"}), (122.0, {"0,1", "1,0", "1,1"})):
        label = Label("unchanged", marks=(Mark("", (80.0, 20.0, right, 60.0), False),))
        assert set(answers(labelled(sources, label)[1])) == seen


def test_generated_pairs_of_a_split_lie_on_its_places_and_are_changed(little_data: Path):
    held_out = read_held_out(little_data, "development", 3)
    assert held_out.real == () and len(held_out.generated) == 3
    for pair in held_out.generated:
        assert pair.background.startswith(("demo_5", "demo_10"))
        assert pair.changed and pair.keywords and pair.mask.any()


def test_pairs_know_what_anybody_saw_in_the_whole_of_them(sources: Sources):
    marks = (Mark("new house", INSIDE, True), Mark("mud", (150.0, 20.0, 230.0, 100.0), False))
    whole, quarters = labelled(sources, Label("changed", ("new house", "boats"), (INSIDE,), marks=marks))
    assert len(quarters) == 3 and whole[0].keywords == ("new house", "boats")
    assert all(set(pair.possible) == {"new house", "boats", "mud"} for pair in (*whole, *quarters))
    assert labelled(sources, Label("unchanged"))[0][0].possible == ()


def test_held_out_changes_are_drawn_only_where_everything_is_known(little_data: Path, monkeypatch: pytest.MonkeyPatch):
    marks = (Mark("mud", (100.0, 100.0, 140.0, 140.0), False), Mark("new house", (20.0, 30.0, 60.0, 70.0), True))
    labels = {f"demo_{place}:2016-2018": Label("minor", marks=marks) for place in (5, 10)}
    monkeypatch.setattr(backgrounds, "read_labels", lambda: labels)
    sources = read_sources(little_data, "development")
    usual = [generate(sources, SEED, index, SIDE) for index in range(30)]
    known = [pair for pair in usual if pair.changed and pair.keywords and pair.known.all()]
    assert 3 <= len(known) < sum(bool(pair.changed and pair.keywords) for pair in usual)
    drawn = read_held_out(little_data, "development", len(known)).generated
    assert [pair.background for pair in drawn] == [pair.background for pair in known]
    for pair, other in zip(drawn, known, strict=True):
        assert pair.known.all() and np.array_equal(pair.post, other.post)


def test_figures_are_shares_and_scores_come_for_every_pair(little_run: TrainSpec, sources: Sources):
    whole, quarters = labelled(sources, Label("changed", ("new house",), (INSIDE,)))
    generated = read_held_out(little_run.data, "development", 3).generated
    back = replace(whole[0], pre=whole[0].post, post=whole[0].pre, changed=False, keywords=())
    held_out = HeldOut((*whole, back), tuple(quarters), generated)
    measured = measure(model_of(load_state(best_checkpoint(little_run.output))), held_out)
    assert measured.whole.change.shape == (2,) and measured.quarters.change.shape == (4,)
    assert measured.generated.keywords.shape == measured.generated.keyword_spots.shape == (3, len(KEYWORDS))
    assert [mask.shape for mask in measured.whole.mask] == [(64, 64)] * 2
    assert measured.whole.domain.shape == (2, 2) and measured.whole.looks.shape[:2] == (2, 2)
    # The second chip is the first one with its dates exchanged.
    for given, turned in ((measured.whole, measured.swapped), (measured.swapped, measured.whole)):
        assert np.allclose(given.looks[0], turned.looks[1], atol=1e-4)
        assert not np.allclose(given.looks[0], turned.looks[0], atol=1e-3)
        assert np.allclose(given.keywords, turned.keywords[::-1], atol=1e-4)
    assert measured.figures.auc_whole == auc(measured.whole.change[:1], measured.whole.change[1:])
    assert all(0 <= value <= 1 for value in measured.figures.as_dict().values() if not np.isnan(value))


def test_pairs_of_different_sizes_are_scored_as_when_alone(little_run: TrainSpec, sources: Sources):
    model = model_of(load_state(best_checkpoint(little_run.output)))
    whole, quarters = labelled(sources, Label("unchanged"))
    pixels = [(pair.pre, pair.post, pair.gsd_m) for pair in (quarters[0], whole[0], quarters[1])]
    together = score(model, pixels)
    # Quarters have 128 pixels, whole chips 256.
    assert together.octaves.tolist() == [0.0, 1.0, 0.0]
    assert together.keyword_spots.shape == (3, len(KEYWORDS))
    for row, pair in enumerate(pixels):
        alone = score(model, [pair])
        assert together.change[row] == pytest.approx(alone.change[0], abs=1e-4)
        assert np.allclose(together.mask[row], alone.mask[0], atol=1e-3)
        assert np.allclose(together.keyword_spots[row], alone.keyword_spots[0], atol=1e-3)
        assert together.keyword_spots[row].max() <= together.spots[row] + 1e-6


def test_padding_does_not_count_as_size(little_run: TrainSpec, sources: Sources):
    """A quarter that stands in a corner of a larger frame is as large as it is alone."""
    model = model_of(load_state(best_checkpoint(little_run.output)))
    whole, quarters = labelled(sources, Label("unchanged"))
    corner = np.zeros((256, 256), bool)
    corner[:128, :128] = True
    frames = [(pair.pre, pair.post, pair.gsd_m) for pair in (whole[0], whole[0], whole[0])]
    scored = score(model, frames, valid=[corner, ~corner, corner | ~corner])
    assert [mask.shape for mask in scored.mask] == [(64, 64)] * 3
    assert scored.pixels.tolist() == [128**2, 3 * 128**2, 4 * 128**2]
    alone = score(model, [(quarters[0].pre, quarters[0].post, quarters[0].gsd_m)])
    assert scored.octaves[0] == alone.octaves[0] == 0.0 and scored.octaves[2] == 1.0
    assert np.isfinite(score(model, frames[:1], valid=[corner & ~corner]).octaves).all()


def test_some_pairs_keep_all_of_their_scores():
    count = np.arange(3.0)
    keywords, domain = count[:, None] + np.zeros(len(KEYWORDS)), count[:, None] + np.zeros(2)
    masks = [np.full((side, side), side, np.float32) for side in (16, 32, 64)]
    pixels = np.array([64.0, 128.0, 256.0]) ** 2
    looks = (count[:, None, None] + np.zeros((2, 5))).astype(np.float32)
    some = ScoredPairs(count, count + 10, keywords, -keywords, domain, masks, looks, pixels).some(
        np.array([True, False, True])
    )
    assert (some.change.tolist(), some.vectors.tolist()) == ([0, 2], [10, 12])
    assert some.keywords[:, 0].tolist() == some.domain[:, 0].tolist() == some.looks[:, 0, 0].tolist() == [0, 2]
    assert [mask.shape for mask in some.mask] == [(16, 16), (64, 64)]
    assert some.keyword_spots[:, 0].tolist() == [0, -2] and some.spots.tolist() == pytest.approx([log_odds(1.0)] * 2)
    assert some.pixels.tolist() == [64**2, 256**2] and some.octaves.tolist() == [-1.0, 1.0]


def test_the_choice_rises_with_every_figure():
    base = Figures(0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    for name in Figures.__dataclass_fields__:
        better = replace(base, **{name: 0.6})
        # Change vectors alone are the rival, not the network.
        assert (better.choice > base.choice) == (name != "auc_vectors"), name


def test_auc_and_average_precision_on_known_ranks():
    assert auc(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx(0.875)
    assert np.isnan(auc(np.array([]), np.array([1.0])))
    assert average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])) == pytest.approx(5 / 6)
    assert np.isnan(average_precision(np.array([1.0]), np.array([False])))


def test_mean_precision_leaves_out_keywords_that_are_too_rare():
    keywords = np.zeros((4, len(KEYWORDS)))
    keywords[:, 0], keywords[:, 1] = (4, 3, 2, 1), (1, 2, 3, 4)
    wanted = np.zeros((4, len(KEYWORDS)), bool)
    wanted[:2, 0], wanted[0, 1] = True, True
    none = np.zeros(4)
    scored = ScoredPairs(
        none, none, keywords, keywords, np.zeros((4, 2)), [], np.zeros((4, 2, 1), np.float32), none + 1
    )
    assert mean_precision(scored, wanted, 2) == 1.0
    assert mean_precision(scored, wanted, 1) == pytest.approx((1.0 + 0.25) / 2)
    assert np.isnan(mean_precision(scored, wanted, 3))


def test_wanted_keywords_know_names_and_nothing_of_parts(sources: Sources):
    whole, quarters = labelled(sources, Label("changed", ("flood", "mud"), (INSIDE,)))
    wanted = wanted_keywords([*whole, *quarters])
    assert {KEYWORDS[index] for index in np.nonzero(wanted[0])[0]} == {"flood", "mud"} and not wanted[1:].any()


def test_masks_are_compared_over_all_pairs_together():
    one, two = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    one[0], two[0, :2] = True, True
    assert intersection_over_union([one, one], [two, one]) == pytest.approx(6 / 8)
    assert intersection_over_union([~one & one], [~one & one]) == 0.0
    box = box_mask(Label("changed", (), ((0.0, 0.0, 8.0, 4.0),)), 16)
    assert cells(box).sum() == 2 and cells(box)[0, :2].all()


@pytest.mark.shared
def test_development_pairs_are_real_places_with_both_answers(real_data: Path):
    whole, quarters = labelled_pairs(read_sources(real_data, "development"))
    for pairs in (whole, quarters):
        counts = Counter(pair.changed for pair in pairs)
        assert counts[True] >= 3 and counts[False] >= 3, counts
    assert all(pair.boxes.any() for pair in whole if pair.changed)
    assert len({pair.name for pair in (*whole, *quarters)}) == len(whole) + len(quarters)
