"""Raw scores become one answer, whose words, keywords and mask never deny each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import manifest_of

from rsccli.models.manifest import Calibration, Manifest, Thresholds, parse_manifest
from rsccli.models.small.facts import CHANGED, COUNTS, KEYWORDS, PLACES, UNCHANGED, UNSURE
from rsccli.models.small.reading import (
    KEYWORD_CELLS,
    SPOT_CELLS,
    SPOT_FLOOR,
    Reading,
    Window,
    keyword_spots,
    log_odds,
    mask_spot,
    octaves,
    read_windows,
    sigmoid,
    tile_logit,
)

LOW = -9.0


@pytest.fixture(scope="module")
def manifest(scripted: Path) -> Manifest:
    """Score: sigmoid of the change logit; changed from 0.6, unchanged up to 0.2, keywords and mask at 0.5."""
    content = json.dumps(manifest_of(scripted))
    limits = Thresholds(0.6, 0.2, (0.5,) * len(KEYWORDS), 0.5, None)
    return replace(parse_manifest(content, scripted), thresholds=limits, calibration=Calibration(1.0, 0.0))


def window(change: float = LOW, names: dict[str, float] | None = None, side: int = 64, **others: Any) -> Window:
    """Scores of a window; ``names``: keyword logits, the others are low."""
    keywords = np.full(len(KEYWORDS), LOW, np.float32)
    for name, value in (names or {}).items():
        keywords[KEYWORDS.index(name)] = value
    cells = side // 4
    parts: dict[str, Any] = {
        "tokens": np.full((3, 4), change, np.float32),
        "vectors": 0.0,
        "domain": (0.0, 0.0),
        "mask": np.full((cells, cells), LOW, np.float32),
        "classes": np.zeros((len(KEYWORDS), cells, cells), np.float32),
        "cloud": np.full((2, cells // 4, cells // 4), LOW, np.float32),
        "valid": np.ones((cells, cells), bool),
        "row": 0,
        "col": 0,
        "height": side,
        "width": side,
    }
    return Window(change=change, keywords=keywords, **(parts | others))


def mark(seen: Window, name: str, *boxes: tuple[int, int, int, int]) -> Window:
    """Changed cells (top, bottom, left, right) that became something."""
    mask, classes = seen.mask.copy(), seen.classes.copy()
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = 9.0
        classes[KEYWORDS.index(name), top:bottom, left:right] = 9.0
    return replace(seen, mask=mask, classes=classes)


def read(manifest: Manifest, *windows: Window, shape: tuple[int, int] = (64, 64), **others: Any) -> Reading:
    return read_windows(windows, others.get("valid", np.ones(shape, bool)), manifest, others.get("foreign"))


def test_log_odds_and_sigmoid_undo_each_other_and_stay_finite() -> None:
    for probability in (1e-5, 0.1, 0.5, 0.99):
        assert sigmoid(log_odds(probability)) == pytest.approx(probability, rel=1e-6)
    assert np.isfinite([log_odds(0.0), log_odds(1.0), sigmoid(1e4), sigmoid(-1e4)]).all()


def test_the_score_is_calibrated_with_the_change_vector(manifest: Manifest) -> None:
    fitted = replace(manifest, calibration=Calibration(2.0, -0.5, 3.0))
    assert tile_logit([window(0.7, vectors=0.2)], fitted)[1] == pytest.approx(2.0 * 0.7 + 3.0 * 0.2 - 0.5)


@pytest.mark.parametrize(
    ("height", "width", "doublings"),
    [(128, 128, 0.0), (256, 256, 1.0), (64, 64, -1.0), (256, 64, 0.0), (128, 256, 0.5)],
)
def test_octaves_are_doublings_of_the_side(height: int, width: int, doublings: float) -> None:
    assert octaves(height * width) == pytest.approx(doublings)


def test_the_size_of_a_window_is_weighed(manifest: Manifest) -> None:
    fitted = replace(manifest, calibration=Calibration(2.0, -0.5, size=-1.5))
    for side, doublings in ((128, 0.0), (256, 1.0), (64, -1.0)):
        assert tile_logit([window(0.7, side=side)], fitted)[1] == pytest.approx(2.0 * 0.7 - 1.5 * doublings - 0.5)
    assert read(fitted, window(0.7, side=256), shape=(256, 256)).score == pytest.approx(sigmoid(1.4 - 1.5 - 0.5))


def test_a_spot_is_the_log_odds_of_its_strongest_cells() -> None:
    """Of the mean of their probabilities, wherever they lie; one cell alone is less than a spot."""
    mask = np.full((16, 16), LOW, np.float32)
    mask.flat[np.arange(0, 256, 32)] = log_odds(0.75)
    assert mask.max() > LOW and (mask > LOW).sum() == SPOT_CELLS
    assert mask_spot(mask) == pytest.approx(log_odds(0.75), abs=1e-4)
    mask.flat[0] = LOW
    assert mask_spot(mask) == pytest.approx(log_odds(0.75 * (1 - 1 / SPOT_CELLS)), abs=1e-3)
    assert np.isfinite([mask_spot(np.full((16, 16), value, np.float32)) for value in (-1e4, 1e4)]).all()


def test_the_strongest_spot_of_each_window_is_weighed(manifest: Manifest) -> None:
    fitted = replace(manifest, calibration=Calibration(2.0, -0.5, spot=0.5))
    seen = window(0.7, mask=np.full((16, 16), 3.0, np.float32))
    assert tile_logit([seen], fitted)[1] == pytest.approx(2.0 * 0.7 + 0.5 * 3.0 - 0.5)
    strongest, logit = tile_logit([window(0.9), seen], fitted)
    assert strongest == 1 and logit == pytest.approx(2.0 * 0.7 + 0.5 * 3.0 - 0.5 - np.log(2))


def test_padding_and_gaps_do_not_count_as_size(manifest: Manifest) -> None:
    """Half of a window with data is half a doubling less, wherever its frame ends."""
    fitted = replace(manifest, calibration=Calibration(2.0, -0.5, size=-1.5))
    valid = np.ones((64, 64), bool)
    valid[:, 32:] = False
    for others in ({"width": 128}, {}):
        padded = window(0.7, side=256, valid=valid, **others)
        assert tile_logit([padded], fitted)[1] == pytest.approx(2.0 * 0.7 - 1.5 * 0.5 - 0.5)
    assert np.isfinite(tile_logit([window(0.7, valid=np.zeros((16, 16), bool))], fitted)[1])


def test_each_window_of_a_tile_counts_by_its_own_size(manifest: Manifest) -> None:
    """The smaller one shows less, but more than its size lets expect."""
    fitted = replace(manifest, calibration=Calibration(1.0, 0.0, size=-2.0))
    windows = [window(2.0, side=128), window(1.0, side=64)]
    strongest, logit = tile_logit(windows, fitted)
    assert strongest == 1 and logit == pytest.approx(1.0 + 2.0 - np.log(2))
    assert (read(fitted, *windows, shape=(128, 128)).tokens == 1.0).all()


def test_more_windows_must_show_more(manifest: Manifest) -> None:
    """Four windows at a score that is changed alone: no more changed, by the log of their number."""
    alone, four = window(1.0), [window(1.0)] * 4
    assert tile_logit(four, manifest)[1] == pytest.approx(tile_logit([alone], manifest)[1] - np.log(4))
    assert read(manifest, alone).status == "changed"
    assert read(manifest, *four).status == "unsure"


def test_more_windows_must_show_more_of_a_keyword_too(manifest: Manifest) -> None:
    seen = window(9.0, {"mud": 1.0})
    assert read(manifest, seen).keywords == ("mud",)
    assert read(manifest, seen, window(9.0)).keywords == ("mud",)
    assert read(manifest, *[seen] * 4).keywords == ()


def test_the_strongest_window_speaks(manifest: Manifest) -> None:
    assert tile_logit([window(1.0), window(5.0), window(2.0)], manifest)[0] == 1
    found = read(manifest, window(1.0), window(5.0), window(2.0))
    assert (found.tokens == 5.0).all()
    assert found.score == pytest.approx(sigmoid(5.0 - np.log(3)))


@pytest.mark.parametrize(
    ("score", "status", "told"),
    [(0.2, "unchanged", UNCHANGED), (0.21, "unsure", UNSURE), (0.59, "unsure", UNSURE), (0.6, "changed", CHANGED)],
)
def test_thresholds_decide(manifest: Manifest, score: float, status: str, told: int) -> None:
    nudge = 1e-9 if score == 0.6 else -1e-9
    found = read(manifest, mark(window(log_odds(score) + nudge, {"mud": 3.0}), "mud", (0, 8, 0, 8)))
    assert (found.status, found.facts.status) == (status, told)
    assert (found.reason is not None) is (status == "unsure")
    assert found.keywords == (() if status == "unchanged" else ("mud",))


def test_unsure_between_the_thresholds_says_the_score(manifest: Manifest) -> None:
    assert read(manifest, window(0.0)).reason == "change score 0.50 lies between 0.20 and 0.60"


def test_unchanged_has_no_mask_and_no_words_whatever_the_maps_say(manifest: Manifest) -> None:
    found = read(manifest, mark(window(-5.0, {"flood": 9.0}), "flood", (0, 16, 0, 16)))
    assert found.status == "unchanged" and found.keywords == () and found.facts.findings == ()
    assert found.mask is not None and found.mask.shape == (64, 64) and not found.mask.any()


@pytest.mark.parametrize(
    ("others", "say"),
    [
        ({"cloud": np.full((2, 4, 4), 9.0, np.float32)}, "clouds hide 100 %"),
        ({"domain": (0.1, 3.0)}, "later image looks unlike"),
    ],
)
def test_what_cannot_be_judged_has_a_reason_and_nothing_else(
    manifest: Manifest, others: dict[str, Any], say: str
) -> None:
    strict = replace(manifest, thresholds=replace(manifest.thresholds, domain=1.0))
    found = read(strict, mark(window(9.0, {"mud": 9.0}, **others), "mud", (0, 8, 0, 8)))
    assert found.status == "unsure" and found.reason is not None and say in found.reason
    assert found.keywords == () and found.facts.findings == () and found.mask is None


def test_a_foreign_tile_is_not_judged_and_its_first_reason_stays(manifest: Manifest) -> None:
    found = read(manifest, window(9.0, {"mud": 9.0}), foreign="it is grey")
    assert (found.status, found.reason, found.keywords, found.mask) == ("unsure", "it is grey", (), None)


def test_no_limit_of_looks_means_no_such_check(manifest: Manifest) -> None:
    assert read(manifest, window(9.0, domain=(99.0, 99.0))).status == "changed"


def test_clouds_over_ground_without_data_do_not_count(manifest: Manifest) -> None:
    cloud = np.full((2, 4, 4), LOW, np.float32)
    cloud[:, :, :3] = 9.0
    valid = np.ones((16, 16), bool)
    valid[:, :12] = False
    assert read(manifest, window(9.0, cloud=cloud)).mask is None
    assert read(manifest, window(9.0, cloud=cloud, valid=valid)).status == "changed"


def test_windows_without_data_do_not_thin_the_clouds(manifest: Manifest) -> None:
    cloudy = window(9.0, cloud=np.full((2, 4, 4), 9.0, np.float32))
    empty = window(LOW, valid=np.zeros((16, 16), bool), col=64)
    assert "clouds hide 100 %" in str(read(manifest, cloudy, empty, shape=(64, 128)).reason)


def test_of_two_that_deny_each_other_the_stronger_stays(manifest: Manifest) -> None:
    seen = window(9.0, {"greener vegetation": 1.8, "drier vegetation": 2.0, "debris": 1.5})
    assert read(manifest, seen).keywords == ("drier vegetation", "debris")


def calibrated(manifest: Manifest, **names: tuple[float, float, float]) -> Manifest:
    """Scale, bias and threshold of some keywords (``_`` for a space); the others have 1, 0 and 0.5."""
    scale, bias, limits = [1.0] * len(KEYWORDS), [0.0] * len(KEYWORDS), [0.5] * len(KEYWORDS)
    for name, values in names.items():
        k = KEYWORDS.index(name.replace("_", " "))
        scale[k], bias[k], limits[k] = values
    fit = Calibration(1.0, 0.0, keyword_scale=tuple(scale), keyword_bias=tuple(bias))
    thresholds = replace(manifest.thresholds, keywords=tuple(limits))
    return replace(manifest, calibration=fit, thresholds=thresholds)


def test_thresholds_of_keywords_are_on_their_calibrated_probability(manifest: Manifest) -> None:
    """Twice the logit less 3: at a probability of 0.6 from a logit of 1.7."""
    fitted = calibrated(manifest, mud=(2.0, -3.0, 0.6))
    edge = (log_odds(0.6) + 3.0) / 2.0
    for logit, names in ((edge - 0.01, ()), (edge + 0.01, ("mud",))):
        assert read(fitted, window(9.0, {"mud": logit})).keywords == names


def test_a_keywords_spot_is_the_mean_of_its_strongest_cells() -> None:
    """Where the ground changed, and to that."""
    seen = mark(window(9.0), "mud", (0, 4, 0, 4))
    cells, others = seen.mask.size, len(KEYWORDS) - 1
    assert KEYWORD_CELLS == 16 < cells
    share = sigmoid(9.0) * np.exp(9.0) / (np.exp(9.0) + others)
    spots = keyword_spots(seen.mask, seen.classes)
    assert spots.shape == (len(KEYWORDS),) and spots[KEYWORDS.index("mud")] == pytest.approx(log_odds(share), abs=1e-3)
    assert spots.argmax() == KEYWORDS.index("mud") and np.sort(spots)[-2] < -7.0
    half = keyword_spots(*(part.copy() for part in (mark(window(9.0), "mud", (0, 4, 0, 2)).mask, seen.classes)))
    assert half[KEYWORDS.index("mud")] == pytest.approx(log_odds(share / 2), abs=1e-2)
    # Scores without bounds do not run away.
    wild = keyword_spots(np.full((16, 16), 1e4, np.float32), 1e4 * seen.classes)
    assert np.isfinite(wild).all() and abs(wild).max() <= -log_odds(SPOT_FLOOR) + 1e-6


def test_the_spot_of_a_keyword_is_weighed(manifest: Manifest) -> None:
    fit = Calibration(1.0, 0.0, keyword_scale=(0.0,) * len(KEYWORDS), keyword_spot=(0.5,) * len(KEYWORDS))
    fitted = replace(manifest, calibration=fit)
    seen = mark(window(9.0, {"boats": 5.0}), "mud", (0, 4, 0, 4))
    assert read(fitted, seen).keywords == ("mud",)
    assert read(fitted, window(9.0, {"boats": 5.0})).keywords == ()


def test_a_keyword_in_a_larger_window_needs_more(manifest: Manifest) -> None:
    """Each window by its own size; gaps do not count."""
    size = tuple(-1.0 if name == "mud" else 0.0 for name in KEYWORDS)
    fitted = replace(manifest, calibration=Calibration(1.0, 0.0, keyword_scale=(0.5,) * len(size), keyword_size=size))
    gaps = np.zeros((64, 64), bool)
    gaps[:32, :32] = True
    for others, least in (({"side": 128}, 0.0), ({"side": 256}, 2.0), ({"side": 256, "valid": gaps}, 0.0)):
        for more, names in ((-0.1, ()), (0.1, ("mud",))):
            seen = window(9.0, {"mud": least + more}, **others)
            assert read(fitted, seen, shape=(256, 256)).keywords == names
    both = window(9.0, side=256), window(9.0, {"mud": 0.5 + 2.0 * np.log(2)}, side=128)
    assert read(fitted, *both, shape=(256, 256)).keywords == ("mud",)


@pytest.mark.parametrize("only", ["keyword_scale", "keyword_spot", "keyword_size", "keyword_bias"])
def test_what_a_bundle_lacks_of_the_keyword_fit_changes_nothing(manifest: Manifest, only: str) -> None:
    neutral = {"keyword_scale": 1.0, "keyword_spot": 0.0, "keyword_size": 0.0, "keyword_bias": 0.0}
    value = {"keyword_spot": -0.1, "keyword_size": -2.0}.get(only, 2.0)
    one: dict[str, Any] = {only: (value,) * len(KEYWORDS)}
    rest: dict[str, Any] = {name: (value,) * len(KEYWORDS) for name, value in neutral.items()}
    names = {"mud": 1.0, "debris": -0.5, "boats": -3.0}
    some, every = (
        read(replace(manifest, calibration=Calibration(1.0, 0.0, **fit)), window(9.0, names)).keywords
        for fit in (one, rest | one)
    )
    assert some == every and some[0] == "mud"


def test_stronger_means_more_probable_by_its_own_calibration(manifest: Manifest) -> None:
    """Neither the higher logit nor the distance from its threshold."""
    seen = window(9.0, {"greener vegetation": 1.0, "drier vegetation": 2.0})
    fitted = calibrated(manifest, drier_vegetation=(1.0, 0.0, sigmoid(1.9)))
    assert read(fitted, seen).keywords == ("drier vegetation",)
    fitted = calibrated(manifest, drier_vegetation=(1.0, -1.5, 0.1), greener_vegetation=(1.0, 0.0, 0.7))
    assert read(fitted, seen).keywords == ("greener vegetation",)
    fitted = calibrated(manifest, mud=(0.5, 0.0, 0.5), debris=(1.0, -1.0, 0.5))
    assert read(fitted, window(9.0, {"mud": 3.0, "debris": 2.0, "boats": 1.2})).keywords == ("mud", "boats", "debris")


def test_a_keyword_below_its_threshold_denies_nothing(manifest: Manifest) -> None:
    fitted = calibrated(manifest, drier_vegetation=(1.0, 0.0, 0.95))
    seen = window(9.0, {"greener vegetation": 1.0, "drier vegetation": 2.0})
    assert read(fitted, seen).keywords == ("greener vegetation",)


def test_what_is_denied_takes_no_place_among_the_three(manifest: Manifest) -> None:
    names = {"greener vegetation": 4.0, "drier vegetation": 3.9, "mud": 3.6, "boats": 3.3}
    assert read(manifest, window(9.0, names)).keywords == ("greener vegetation", "mud", "boats")


def test_at_most_three_keywords_the_strongest_first(manifest: Manifest) -> None:
    names = {"mud": 3.2, "debris": 4.0, "boats": 3.8, "parking lot": 3.6, "bare soil": -0.1}
    assert read(manifest, window(9.0, names)).keywords == ("debris", "boats", "parking lot")


def test_what_is_much_less_probable_is_not_said_beside_the_strongest(manifest: Manifest) -> None:
    near, far = {"mud": 3.1, "debris": 4.0}, {"mud": 2.9, "debris": 4.0}
    assert read(manifest, window(9.0, near)).keywords == ("debris", "mud")
    assert read(manifest, window(9.0, far)).keywords == ("debris",)


def test_a_change_without_a_name_has_the_place_of_the_mask(manifest: Manifest) -> None:
    found = read(manifest, mark(window(9.0), "mud", (0, 4, 12, 16)))
    (finding,) = found.facts.findings
    assert finding.keyword is None and PLACES[finding.place] == "upper right" and found.keywords == ()


def test_a_sure_change_that_reaches_no_keyword_stays_without_a_name(manifest: Manifest) -> None:
    found = read(manifest, window(9.0, {"mud": log_odds(0.49)}))
    assert (found.status, found.keywords, len(found.facts.findings)) == ("changed", (), 1)


def test_each_keyword_has_its_own_place_and_number(manifest: Manifest) -> None:
    seen = window(9.0, {"new house": 3.0, "mud": 2.0})
    seen = mark(mark(seen, "new house", (0, 2, 0, 2), (0, 2, 4, 6)), "mud", (12, 16, 12, 16))
    houses, mud = read(manifest, seen).facts.findings
    assert (COUNTS[houses.count], PLACES[houses.place]) == ("two", "upper left")
    assert (COUNTS[mud.count], PLACES[mud.place]) == ("uncounted", "lower right")


def test_a_keyword_without_cells_of_its_own_has_the_place_of_the_whole_change(manifest: Manifest) -> None:
    seen = mark(window(9.0, {"debris": 3.0}), "mud", (12, 16, 0, 4))
    (finding,) = read(manifest, seen).facts.findings
    assert KEYWORDS[finding.keyword or 0] == "debris" and PLACES[finding.place] == "lower left"


def test_masks_of_windows_lie_at_their_own_pixels(manifest: Manifest) -> None:
    """A tile of 128 x 100 pixels in four windows, two of them narrow; one is changed in its lower right corner."""
    places = [(0, 0, 64, 64), (0, 64, 64, 36), (64, 0, 64, 64), (64, 64, 64, 36)]
    windows = [window(LOW, row=row, col=col, height=height, width=width) for row, col, height, width in places]
    windows[2] = mark(replace(windows[2], change=9.0), "mud", (8, 16, 8, 16))
    found = read(manifest, *windows, shape=(128, 100))
    expected = np.zeros((128, 100), bool)
    expected[96:128, 32:64] = True
    assert found.mask is not None
    rows, cols = np.nonzero(found.mask ^ expected)
    # Between a changed and a quiet cell the edge may move by half a cell.
    assert (np.minimum(abs(rows - 96), abs(cols - 32)) <= 2).all()
    assert found.facts.findings[0].place == PLACES.index("bottom")


def test_the_mask_stays_inside_of_the_pixels_with_data(manifest: Manifest) -> None:
    valid = np.ones((64, 64), bool)
    valid[10:20, :] = False
    found = read(manifest, mark(window(9.0), "mud", (0, 16, 0, 16)), valid=valid)
    np.testing.assert_array_equal(found.mask, valid)


def test_the_mask_threshold_is_the_bundles(manifest: Manifest) -> None:
    seen = window(9.0, mask=np.full((16, 16), log_odds(0.4), np.float32))
    for limit, changed in ((0.35, True), (0.45, False)):
        fitted = replace(manifest, thresholds=replace(manifest.thresholds, mask=limit))
        mask = read(fitted, seen).mask
        assert mask is not None and mask.all() == mask.any() == changed
