"""The five probes: exact figures on captioners that can be worked out by hand, invariants on the bundled one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from captioners import EchoFactory
from probe_captioners import (
    SAME,
    BlindCaptioner,
    FussyCaptioner,
    RoofCaptioner,
    SentenceCaptioner,
)
from probe_pairs import drawn_set, write_naip

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.probes.domain import DomainSpec
from rsccli.evaluation.probes.domain_page import Domain
from rsccli.evaluation.probes.job import SwapSpec, probe
from rsccli.evaluation.probes.pairs import PairChoice, PairSet, find_pairs
from rsccli.evaluation.probes.resample import Levels, trimmed
from rsccli.evaluation.probes.resolution import ResolutionSpec
from rsccli.evaluation.probes.resolution_page import Resolution
from rsccli.evaluation.probes.result import ProbeResult, render
from rsccli.evaluation.probes.same import Same, SameSpec
from rsccli.evaluation.probes.shift import Shift, ShiftSpec
from rsccli.evaluation.probes.swap import Swap
from rsccli.models.captioner import Captioner, CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.types import Caption

KINDS = ("built", "built", "gone", "same", "same")


@pytest.fixture(scope="module")
def bundled() -> Iterator[Captioner]:
    captioner = load_captioner("rsccli-small", CaptionerOptions(device="cpu", threads=1))
    yield captioner
    captioner.close()


@pytest.fixture(scope="module")
def naip(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> PairSet:
    path = write_naip(tmp_path_factory.mktemp("naip"), shared, (3, 15, 57))
    return find_pairs([str(path)], PairChoice())


# ---- swap ----


def swap_of(result: ProbeResult) -> Swap:
    assert isinstance(result.measured, Swap)
    return result.measured


@pytest.mark.parametrize("captioner", [RoofCaptioner(), SentenceCaptioner()])
def test_a_captioner_that_counts_both_ways_turns_round_always(captioner: RoofCaptioner) -> None:
    result = probe(captioner, drawn_set(KINDS), SwapSpec(), 2)
    every, changed, buildings, *others = swap_of(result).groups
    assert (every.n, changed.n, buildings.n) == (5, 3, 3)
    assert every.same_answer.value == 1.0
    for row in (changed, buildings):
        assert (row.said, row.first_turns.value, row.all_turn.value, row.stuck.value) == (3, 1.0, 1.0, 0.0)
    assert all(row.n == row.said == 0 and row.first_turns.value is None for row in others)
    gap = every.score_gap.value
    assert gap is None if captioner.info.name == "sentences" else gap == pytest.approx(3 * 0.1 / 5)


def test_a_captioner_that_does_not_look_keeps_its_words() -> None:
    every, *_ = swap_of(probe(BlindCaptioner(), drawn_set(KINDS), SwapSpec(), 5)).groups
    assert (every.same_answer.value, every.first_turns.value, every.stuck.value) == (1.0, 0.0, 1.0)


@pytest.mark.shared
def test_real_pairs_exchanged_twice_are_what_they_were(bundled: Captioner, naip: PairSet) -> None:
    result = probe(bundled, naip, SwapSpec(), 3)
    plain = bundled.caption([pair.images.read() for pair in naip.pairs])
    assert [pair.answers[0].text for pair in result.answers] == [caption.text for caption in plain]
    exchanged = [replace(p, pre=p.post, post=p.pre) for p in (pair.images.read() for pair in naip.pairs)]
    assert [pair.answers[1].text for pair in result.answers] == [c.text for c in bundled.caption(exchanged)]


# ---- same ----


def test_what_counts_roofs_sees_none_in_copies_and_all_in_real_pairs() -> None:
    result = probe(RoofCaptioner(), drawn_set(KINDS), SameSpec(copies=("gain-0.8", "jpeg-75")), 4)
    same = result.measured
    assert isinstance(same, Same)
    assert [row.name for row in same.copies] == ["itself, byte for byte", "gain 0.8", "JPEG of quality 75"]
    assert same.copies[0].changed.value == 0 and same.copies[0].unchanged.value == 1
    assert same.real.changed.value == pytest.approx(3 / 5)


def test_a_constant_change_is_a_false_change_everywhere() -> None:
    result = probe(BlindCaptioner(), drawn_set(KINDS), SameSpec(), 4)
    same = result.measured
    assert isinstance(same, Same)
    assert len(same.copies) == 11
    assert {row.changed.value for row in (*same.copies, same.real)} == {1.0}
    assert [row.score.value for row in same.copies] == pytest.approx([0.7] * 11)


class Quiet(RoofCaptioner):
    """Never sees a change."""

    def caption(self, pairs: list) -> list[Caption]:  # type: ignore[override,type-arg]
        return [Caption(SAME, "unchanged", 0.0) for _ in pairs]


def test_a_captioner_that_never_sees_change_is_told_apart_by_its_real_pairs() -> None:
    result = probe(Quiet(), drawn_set(KINDS), SameSpec(copies=("cast",)), 4)
    assert any("that it is quiet on copies says nothing" in note for note in result.notes)


@pytest.mark.shared
def test_the_bundled_captioner_says_nothing_of_one_real_image_twice(bundled: Captioner, naip: PairSet) -> None:
    for date in ("pre", "post"):
        result = probe(bundled, naip, SameSpec(date=date, copies=("jpeg-75",)), 3)  # type: ignore[arg-type]
        same = result.measured
        assert isinstance(same, Same)
        assert same.copies[0].unchanged.value == 1.0 and same.copies[0].words.value == 0.0
        assert same.real.changed.value and same.real.changed.value > 0, "these places did change"


# ---- shift ----


def test_roofs_are_counted_wherever_they_lie() -> None:
    result = probe(RoofCaptioner(), drawn_set(KINDS), ShiftSpec((0, 1, 8)), 3)
    shift = result.measured
    assert isinstance(shift, Shift)
    assert [row.px for row in shift.shifts] == [0, 1, 8]
    for row in shift.shifts:
        assert (row.same_answer.value, row.same_text.value, row.words.value) == (1.0, 1.0, 1.0)
        assert (row.fit.recall.value, row.fit.false_alarms.value, row.fit.ranking.value) == (1.0, 0.0, 1.0)
        assert (row.copy_changed.value, row.score_gap.value) == (0.0, 0.0)
        assert (row.texts.n, row.texts.bleu_4.value) == (3, pytest.approx(100.0))


@pytest.mark.shared
def test_real_pairs_without_shift_agree_with_themselves_and_far_ones_do_not(bundled: Captioner, naip: PairSet) -> None:
    result = probe(bundled, naip, ShiftSpec((0, 0.5, 32)), 3)
    shift = result.measured
    assert isinstance(shift, Shift)
    still, half, far = shift.shifts
    assert (still.same_text.value, still.score_gap.value, still.copy_changed.value) == (1.0, 0.0, 0.0)
    assert half.score_gap.value is not None and half.score_gap.value < 0.1
    assert far.copy_changed.value and far.copy_changed.value > 0, "32 px are taken for change"


@pytest.mark.parametrize("shifts", [(0.5, 1.0), (0.0,), (0.0, -1.0), (0.0, 100.0)])
def test_shifts_need_nought_and_another_within_reach(shifts: tuple[float, ...]) -> None:
    with pytest.raises(UsageProblem, match="--shifts"):
        ShiftSpec(shifts)


# ---- resolution ----


def resolution_of(result: ProbeResult) -> Resolution:
    assert isinstance(result.measured, Resolution)
    return result.measured


def test_a_blind_captioner_does_not_depend_on_resolution() -> None:
    rows = resolution_of(probe(BlindCaptioner(), drawn_set(KINDS), ResolutionSpec((1, 2, 4)), 2)).levels
    for row in rows:
        assert (row.same_answer.value, row.same_text.value, row.words.value) == (1.0, 1.0, 1.0)
        assert (row.like_finest.rouge_l.value, row.like_finest_changed.bleu_4.value) == pytest.approx((100.0, 100.0))
        assert (row.fit.recall.value, row.fit.false_alarms.value, row.fit.ranking.value) == (1.0, 1.0, 0.5)


def test_a_roof_of_12_px_is_gone_where_a_pixel_is_larger() -> None:
    captions = [("a large building has been built",)] * 2 + [("a building has been demolished",)] + [(SAME,)] * 2
    result = probe(RoofCaptioner(), drawn_set(KINDS, captions), ResolutionSpec((1, 4, 12)), 2)
    fine, middle, coarse = resolution_of(result).levels
    assert (fine.true_m, coarse.true_m) == ((1.0, 1.0), (12.0, 12.0))
    assert (fine.changed.value, middle.changed.value, coarse.changed.value) == (0.6, 0.6, 0.0)
    assert (coarse.fit.recall.value, coarse.same_answer.value, coarse.words.value) == (0.0, 0.4, 0.0)
    assert fine.like_people_changed.bleu_4.value == pytest.approx(100.0) and fine.like_people.n == 5
    assert coarse.like_people_changed.rouge_l.value is not None and coarse.like_people_changed.rouge_l.value < 50


@pytest.mark.parametrize(("shown", "told"), [("coarse", [1.0, 2.0, 4.0]), ("enlarged", [1.0, 1.0, 1.0])])
def test_the_captioner_is_told_how_large_pixels_are(shown: str, told: list[float]) -> None:
    echo = EchoFactory().open(CaptionerOptions())
    result = probe(echo, drawn_set(("built",)), ResolutionSpec((1, 2, 4), shown), 1)  # type: ignore[arg-type]
    assert [json.loads(answer.text)["gsd_m"] for answer in result.answers[0].answers] == told
    assert [answer.gsd_m for answer in result.answers[0].answers] == told


@pytest.mark.shared
def test_the_finest_level_of_real_pairs_is_the_pair_itself(bundled: Captioner, naip: PairSet) -> None:
    result = probe(bundled, naip, ResolutionSpec((0.5, 2.0, 10.0)), 3)
    levels = Levels((0.5, 2.0, 10.0))
    plain = bundled.caption([trimmed(pair.images.read(), levels) for pair in naip.pairs])
    assert [pair.answers[0].text for pair in result.answers] == [caption.text for caption in plain]
    fine, middle, coarse = resolution_of(result).levels
    assert fine.same_text.value == 1.0 and fine.true_m == pytest.approx((0.6, 0.6), abs=0.001)
    assert middle.true_m == pytest.approx((2, 2), abs=0.02) and 9.9 < coarse.true_m[0] <= 10.0
    assert coarse.same_text.value is not None and coarse.same_text.value < 1.0, "15 px a side"
    assert any(note.startswith("0.5 m: finer than the pairs") for note in result.notes)


@pytest.mark.parametrize("levels", [(1.0,), (1.0, 1.0), (0.0, 2.0)])
def test_levels_need_two_different_ones(levels: tuple[float, ...]) -> None:
    with pytest.raises(UsageProblem, match="--levels"):
        ResolutionSpec(levels)


# ---- domain ----


def two_regions(away: tuple[str, ...] = KINDS * 4) -> PairSet:
    home, other = drawn_set(KINDS * 4, region="town"), drawn_set(away, region="valley")
    renamed = tuple(
        replace(pair, label=replace(pair.label, name=f"v{i}", place=f"v{i}")) for i, pair in enumerate(other.pairs)
    )
    return PairSet((*home.pairs, *renamed), len(home.pairs) + len(renamed), ("drawn",))


def domain_of(result: ProbeResult) -> Domain:
    assert isinstance(result.measured, Domain)
    return result.measured


def test_what_holds_everywhere_has_no_drop() -> None:
    domain = domain_of(probe(RoofCaptioner(), two_regions(), DomainSpec(("town",)), 8))
    home, away = domain.regions
    assert (home.region, home.home, away.region, away.home) == ("home: town", True, "valley", False)
    assert (home.changed, home.unchanged) == (12, 8)
    assert domain.threshold is not None and 0.1 < domain.threshold < 0.8
    for row in (home, away):
        assert (
            row.answered.value == row.moved_accuracy.value == row.own_accuracy.value == row.answers.ranking.value == 1
        )
        assert row.brier_moved.value is not None and row.brier.value is not None
        assert row.brier_moved.value < row.brier.value < row.brier_base  # type: ignore[operator]
    assert (away.moved_drop.value, away.answered_drop.value, away.ranking_drop.value) == (0.0, 0.0, 0.0)


class Shy(RoofCaptioner):
    """The same with a score that is lower in the second half of a set: another sensor, say."""

    def caption(self, pairs: list) -> list[Caption]:  # type: ignore[override,type-arg]
        said = super().caption(pairs)
        return [
            replace(c, change_score=(c.change_score or 0) / 5) if self._far(p) else c
            for c, p in zip(said, pairs, strict=True)
        ]

    @staticmethod
    def _far(pair: object) -> bool:
        return pair.gsd_m > 1.5  # type: ignore[attr-defined]


def test_a_threshold_that_does_not_travel_costs_half_and_its_own_does_not() -> None:
    pairs = two_regions()
    far = []
    for pair in pairs.pairs:
        if pair.label.region == "valley":
            drawn = pair.images.read()
            pair = replace(pair, images=type(pair.images)(replace(drawn, gsd_m=2.0)))  # type: ignore[call-arg]
        far.append(pair)
    _, away = domain_of(probe(Shy(), replace(pairs, pairs=tuple(far)), DomainSpec(("town",)), 8)).regions
    assert away.answers.ranking.value == 1.0, "the order is right"
    assert (away.moved_accuracy.value, away.moved_drop.value, away.own_accuracy.value) == (0.5, 0.5, 1.0)
    assert away.brier_own.value is not None and away.brier_moved.value is not None
    assert away.brier_own.value < away.brier_moved.value
    assert away.answered.value == 1.0, "its answers are another thing than its scores"


def test_a_captioner_without_scores_has_its_answers_compared() -> None:
    result = probe(SentenceCaptioner(), two_regions(), DomainSpec(("town",)), 8)
    domain = domain_of(result)
    assert domain.threshold is None and domain.regions[1].answered.value == 1.0
    assert len(result.tables) == 1 and any("gives no change score" in note for note in result.notes)


def test_a_region_without_unchanged_pairs_tells_its_recall_alone() -> None:
    result = probe(RoofCaptioner(), two_regions(("built", "gone")), DomainSpec(("town",)), 8)
    away = domain_of(result).regions[1]
    assert (away.moved.recall.value, away.moved_accuracy.value, away.answers.ranking.value) == (1.0, None, None)
    assert any("valley has no unchanged pair" in note for note in result.notes)
    with pytest.raises(InputError, match="home: valley has no unchanged pair"):
        probe(RoofCaptioner(), two_regions(("built", "gone")), DomainSpec(("valley",)), 8)


def test_regions_must_be_there_and_have_labels() -> None:
    with pytest.raises(InputError, match="no pair is of the region 'moon'; there are town, valley"):
        probe(RoofCaptioner(), two_regions(), DomainSpec(("moon",)), 8)
    with pytest.raises(InputError, match="add pairs of a region"):
        probe(RoofCaptioner(), drawn_set(KINDS), DomainSpec(("town",)), 8)
    with pytest.raises(UsageProblem, match="--from"):
        DomainSpec(())
    with pytest.raises(UsageProblem, match="cannot be both"):
        DomainSpec(("a", "b"), ("b",))


# ---- all of them ----


def test_what_fails_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSSY_TILES", "p000001,p000004")
    result = probe(FussyCaptioner(), drawn_set(KINDS), SwapSpec(), 2)
    assert [failure.name for failure in result.failures] == ["pair 1", "pair 4"]
    assert "tile p000001 is refused" in result.failures[0].reason
    assert (result.facts.pairs, result.facts.failed) == (3, 2)
    assert "3 pairs" in render(result, "md").decode() and "2 could not be used" in render(result, "md").decode()


@pytest.mark.parametrize(
    "spec", [SwapSpec(), SameSpec(), ShiftSpec(), ResolutionSpec((1, 2, 4)), DomainSpec(("town",))], ids=str
)
def test_batches_and_repetition_change_nothing(spec: object) -> None:
    pairs = two_regions(KINDS)
    first, second = (probe(RoofCaptioner(), pairs, spec, size) for size in (1, 7))  # type: ignore[arg-type]
    for form in ("md", "json", "svg"):
        assert render(first, form) == render(second, form)


def test_examples_that_ship_can_be_probed(bundled: Captioner, root: Path) -> None:
    rasters = [str(root / "examples" / f"prairie_{date}.tif") for date in ("2012-07-31", "2014-07-20")]
    pairs = find_pairs(rasters, PairChoice(limit=2))
    rows = resolution_of(probe(bundled, pairs, ResolutionSpec((5, 10)), 2)).levels
    assert [row.asked_m for row in rows] == [5, 10]
    assert rows[0].same_text.value == 1.0 and rows[1].true_m == pytest.approx((10.0, 10.0), abs=0.1)
