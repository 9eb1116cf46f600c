"""Real pairs under drawn changes: labels hold, crops stay registered, splits stay apart."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from marks import HIGH, MARK, WIDE, label_of, painted, shown, wider

from rsccli.datasets import backgrounds
from rsccli.datasets.backgrounds import (
    MARK_MARGIN_PX,
    SLIVER_OF_CROP,
    SLIVER_OF_MARK,
    Background,
    Box,
    Label,
    Mark,
    Sources,
    background,
    main_marks,
    read_labels,
    read_looks,
    read_sources,
)
from rsccli.datasets.naip import GSD_M, HELD_OUT_CITY, SPLITS, Place, split_of
from rsccli.models.small.facts import KEYWORDS
from rsccli.types import Bool

SIDE = 128
CHIP_PX = 256
SEEN = {"changed", "minor", "unchanged", "unclear"}
Rows = list[dict[str, str]]


def drawn(sources: Sources, number: int) -> list[Background]:
    rng = np.random.default_rng(1)
    return [background(sources, rng, SIDE) for _ in range(number)]


def named(pair: str) -> tuple[str, int, list[int]]:
    """City, number and years of a label's pair."""
    place, years = pair.split(":")
    city, number = place.rsplit("_", 1)
    return city, int(number), [int(year) for year in years.split("-")]


def rows_of(name: str) -> Rows:
    with (resources.files("rsccli.datasets") / "assets" / name).open("r", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def split_of_pair(pair: str) -> str:
    city, number, _ = named(pair)
    return split_of(city, number)


def box_of(row: dict[str, str]) -> Box:
    return float(row["left"]), float(row["top"]), float(row["right"]), float(row["bottom"])


def in_chip(box: Box) -> bool:
    left, top, right, bottom = box
    return 0 <= left < right <= CHIP_PX and 0 <= top < bottom <= CHIP_PX


def painted_share(box: Box, other: Box) -> float:
    """Share of a box that another one covers, pixel by pixel."""
    inside = np.zeros((2, CHIP_PX, CHIP_PX), bool)
    for layer, (left, top, right, bottom) in zip(inside, (box, other), strict=True):
        layer[round(top) : round(bottom), round(left) : round(right)] = True
    return float(inside.all(0).sum() / inside[0].sum())


def inner(mask: Bool, edge: int = 1) -> Bool:
    return mask[edge:-edge, edge:-edge]


@pytest.fixture(scope="module")
def steps() -> dict[str, Rows]:
    """Lines of the marks file by pair name, where a person found something."""
    pairs: dict[str, Rows] = {}
    for row in rows_of("naip_marks.csv"):
        pairs.setdefault(f"{row['place']}:{row['from']}-{row['to']}", []).append(row)
    return {pair: [row for row in rows if row["grade"] != "none"] for pair, rows in pairs.items()}


@pytest.fixture(scope="module")
def two_marks(sources: Sources) -> Sources:
    """New trees in one spot, tree loss in another."""
    return painted(sources, label_of(Mark("new trees", WIDE, True), Mark("tree loss", HIGH, True)))


def test_the_labels_file_is_well_formed():
    rows = rows_of("naip_labels.csv")
    assert len({row["pair"] for row in rows}) == len(rows)
    labels = read_labels()
    for row in rows:
        pair, label = row["pair"], labels[row["pair"]]
        # In the order of time.
        _, _, (first, second) = named(pair)
        assert first < second, pair
        keywords, boxes = list(filter(None, row["keywords"].split(";"))), row["boxes"].split("|")
        assert row["seen"] in SEEN, pair
        assert set(keywords) <= set(KEYWORDS) and len(set(keywords)) == len(keywords), pair
        assert row["caption"] and label.caption == row["caption"], pair
        assert bool(row["boxes"]) == (row["seen"] in ("changed", "minor")), pair
        assert not (keywords and row["seen"] == "unchanged"), pair
        if label.marks is None:
            assert (label.seen, list(label.keywords)) == (row["seen"], keywords), pair
            assert len(label.boxes) == len(list(filter(None, boxes))) and all(map(in_chip, label.boxes)), pair


def test_the_marks_file_is_well_formed(steps: dict[str, Rows]):
    rows = rows_of("naip_marks.csv")
    assert len({tuple(row.values()) for row in rows}) == len(rows)
    assert {split_of_pair(pair) for pair in steps} == set(SPLITS)
    for row in rows:
        assert int(row["from"]) < int(row["to"]), row
        assert row["grade"] in ("main", "minor", "none") and row["lasts"] in ("y", "n"), row
        if row["grade"] == "none":
            # A step without a mark has this line alone.
            assert not any(row[key] for key in ("keyword", "left", "top", "right", "bottom")), row
            assert not steps[f"{row['place']}:{row['from']}-{row['to']}"], row
        else:
            assert row["keyword"] in (*KEYWORDS, "other") and in_chip(box_of(row)), row


@pytest.mark.shared
def test_every_step_of_every_place_is_marked(real_places: list[Place], steps: dict[str, Rows]):
    dates = {place.name: [chip.year for chip in place.chips] for place in real_places}
    expected = {f"{name}:{a}-{b}" for name, years in dates.items() for a, b in itertools.pairwise(years)}
    # Beside them may be places that are left out, of ground that others have.
    assert len(expected) > 700 and expected == {pair for pair in steps if pair.split(":")[0] in dates}
    labels = read_labels()
    for name, years in dates.items():
        for first in years:
            assert all(labels[f"{name}:{first}-{later}"].marks is not None for later in years if later > first), name


def test_a_step_has_its_marks_and_only_named_main_ones_are_main(steps: dict[str, Rows]):
    labels = read_labels()
    # These may have more marks, of boxes that another look found.
    looked = {row["pair"] for row in rows_of("naip_labels.csv")}
    counts: Counter[str] = Counter()
    for pair, rows in steps.items():
        label = labels[pair]
        assert label.marks is not None
        for mark, row in zip(label.marks, rows, strict=pair not in looked):
            assert mark.box == box_of(row)
            assert mark.keyword == ("" if row["keyword"] == "other" else row["keyword"])
            assert mark.main == (row["grade"] == "main" and row["keyword"] != "other")
        main = [mark for mark in label.marks if mark.main]
        assert label.boxes == tuple(mark.box for mark in main)
        if split_of_pair(pair) == "train":
            assert label.keywords == tuple(dict.fromkeys(mark.keyword for mark in main))
            assert label.seen == ("changed" if main else "minor" if rows else "unchanged")
            counts[label.seen] += 1
    assert set(counts) == {"changed", "minor", "unchanged"} and counts["changed"] > 200


def test_the_pair_of_first_and_last_date_holds_what_lasted(steps: dict[str, Rows]):
    places: dict[str, Rows] = {}
    for rows in steps.values():
        for row in rows:
            places.setdefault(row["place"], []).append(row)
    labels, undone, rebuilt = read_labels(), 0, 0
    for place, rows in places.items():
        main = [row for row in rows if row["grade"] == "main" and row["keyword"] != "other"]
        if {row["to"] for row in rows} == {"2018"}:
            continue
        marks = labels[f"{place}:2016-2020"].marks
        assert marks is not None
        kept = {(mark.keyword, mark.box) for mark in marks if mark.main}
        lasting = [(row["from"], (row["keyword"], box_of(row))) for row in main if row["lasts"] == "y"]
        first, second = ({mark for year, mark in lasting if year == start} for start in ("2016", "2018"))
        assert second <= kept <= first | second, place
        # What was undone may have left something behind: there it is doubtful ground, as what became something else.
        rest = {(mark.keyword, mark.box) for mark in marks if not mark.main}
        gone = {(row["keyword"], box_of(row)) for row in main if row["lasts"] == "n"}
        assert gone | (first - kept) <= rest, place
        for keyword, box in first - kept:
            assert any(name != keyword and painted_share(box, other) > 0.45 for name, other in second), (place, box)
        undone, rebuilt = undone + len(gone), rebuilt + len(first - kept)
    assert undone > 50 and rebuilt > 20


@pytest.mark.parametrize(
    ("later", "kept"),
    [
        ("y,main,new building,10,10,30,24", False),
        ("y,main,new building,19,4,60,44", False),
        # Less than half of it.
        ("y,main,new building,10,10,30,19", True),
        ("y,main,new building,30,10,50,30", True),
        # The same once more, nothing sure, and what did not stay.
        ("y,main,bare soil,10,10,30,30", True),
        ("y,minor,new building,10,10,30,30", True),
        ("y,main,other,10,10,30,30", True),
        ("n,main,new building,10,10,30,30", True),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_what_became_something_else_is_main_no_more(
    later: str, kept: bool, backwards: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = ["demo_1,2016,2018,y,main,bare soil,10,10,30,30", f"demo_1,2018,2020,{later}"]
    header = "place,from,to,lasts,grade,keyword,left,top,right,bottom"
    (tmp_path / "assets").mkdir()
    # The order of the lines is not that of time.
    lines = [header, *(rows[::-1] if backwards else rows)]
    (tmp_path / "assets" / "naip_marks.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "assets" / "naip_labels.csv").write_text("pair,seen,keywords,boxes,caption\n", encoding="utf-8")
    monkeypatch.setattr(backgrounds, "resources", SimpleNamespace(files=lambda _: tmp_path))
    _, spots = read_looks()
    soil = Mark("bare soil", (10.0, 10.0, 30.0, 30.0), True)
    # In its own step it is one all the same, and the second is never less for the first.
    assert spots["demo_1:2016-2018"] == [soil]
    (second,) = spots["demo_1:2018-2020"]
    assert set(spots["demo_1:2016-2020"]) == {
        replace(soil, main=kept),
        replace(second, main=second.main and later.startswith("y")),
    }


LOOKED = {
    "changed": Label("changed", ("tree loss", "new road"), (MARK, HIGH), "Text."),
    "minor": Label("minor", ("tree loss",), (MARK,), "Text."),
    "unchanged": Label("unchanged", caption="Text."),
    "unclear": Label("unclear", ("tree loss",), (), "Text."),
}
SPOTS = {
    "main": [Mark("new road", WIDE, True), Mark("snow", HIGH, False)],
    "minor": [Mark("snow", HIGH, False)],
    "none": [],
}


def joined(pair: str, first: str, second: str, monkeypatch: pytest.MonkeyPatch) -> Label:
    """The label of a pair by what two looks say; the first may lack it."""
    pairs = {pair: LOOKED[first]} if first else {}
    monkeypatch.setattr(backgrounds, "read_looks", lambda: (pairs, {pair: SPOTS[second]}))
    return read_labels()[pair]


@pytest.mark.parametrize("place", [f"{HELD_OUT_CITY}_4", f"{HELD_OUT_CITY}_1", "santa_monica_15"])
@pytest.mark.parametrize(
    ("first", "second", "seen", "keywords"),
    [
        ("changed", "main", "changed", ("new road", "tree loss")),
        ("changed", "minor", "minor", ("tree loss", "new road")),
        ("changed", "none", "minor", ("tree loss", "new road")),
        ("minor", "main", "minor", ("new road", "tree loss")),
        ("minor", "minor", "minor", ("tree loss",)),
        ("minor", "none", "minor", ("tree loss",)),
        ("unchanged", "main", "minor", ("new road",)),
        # A spot that is not worth naming is no change.
        ("unchanged", "minor", "unchanged", ()),
        ("unchanged", "none", "unchanged", ()),
        ("unclear", "main", "unclear", ("new road",)),
        ("unclear", "none", "unclear", ()),
        ("", "main", "unclear", ("new road",)),
        ("", "none", "unclear", ()),
    ],
)
def test_a_held_out_pair_is_what_both_looks_agree_on(
    place: str, first: str, second: str, seen: str, keywords: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    label = joined(f"{place}:2016-2018", first, second, monkeypatch)
    assert (label.seen, label.keywords) == (seen, keywords)
    assert label.caption == ("Text." if first else "")
    # Where it is, the second look says; a box of the first may be any of its keywords.
    assert label.boxes == ((WIDE,) if second == "main" else ())
    boxes, names = (LOOKED[first].boxes, LOOKED[first].keywords) if first else ((), ())
    assert label.marks == (*SPOTS[second], *(Mark(name, box, False) for box in boxes for name in names))


@pytest.mark.parametrize("first", [*LOOKED, ""])
@pytest.mark.parametrize(("second", "seen"), [("main", "changed"), ("minor", "minor"), ("none", "unchanged")])
def test_a_training_pair_follows_the_look_at_spots(first: str, second: str, seen: str, monkeypatch: pytest.MonkeyPatch):
    label = joined("santa_monica_16:2016-2018", first, second, monkeypatch)
    assert (label.seen, label.keywords) == (seen, ("new road",) if second == "main" else ())


def test_held_out_labels_are_sure_only_where_both_files_are(steps: dict[str, Rows]):
    looks = {row["pair"]: row for row in rows_of("naip_labels.csv")}
    labels, told = read_labels(), Counter[tuple[str, bool, str]]()
    for pair in steps:
        if split_of_pair(pair) == "train":
            continue
        label, first = labels[pair], looks.get(pair)
        main = {row["keyword"] for row in steps[pair] if row["grade"] == "main"} - {"other"}
        if first is None:
            assert label.seen == "unclear", pair
            continue
        told[first["seen"], bool(main), label.seen] += 1
        if label.seen == "minor":
            assert set(label.keywords) == main | set(filter(None, first["keywords"].split(";"))), pair
    assert set(told) == {
        ("changed", True, "changed"),
        ("changed", False, "minor"),
        ("minor", True, "minor"),
        ("minor", False, "minor"),
        ("unchanged", True, "minor"),
        ("unchanged", False, "unchanged"),
    }


def test_a_label_by_another_look_makes_its_boxes_doubtful(steps: dict[str, Rows]):
    labels, checked = read_labels(), Counter[str]()
    for row in rows_of("naip_labels.csv"):
        marks = labels[row["pair"]].marks
        if row["pair"] not in steps or marks is None:
            continue
        boxes = {tuple(float(value) for value in box.split()) for box in row["boxes"].split("|") if box}
        names = row["keywords"].split(";")
        # Which keyword belongs to which box is not known: each box may be any of them.
        doubted = {(mark.keyword, mark.box) for mark in marks[len(steps[row["pair"]]) :]}
        assert doubted == {(name, box) for box in boxes for name in names}, row["pair"]
        assert not any(mark.main for mark in marks[len(steps[row["pair"]]) :])
        checked[split_of_pair(row["pair"])] += bool(boxes)
    assert min(checked[split] for split in SPLITS) > 50, checked


def test_held_out_pairs_are_labelled_and_both_answers_are_among_them():
    counts = Counter((split_of_pair(pair), label.seen) for pair, label in read_labels().items())
    for split, changed, unchanged, unclear in (("development", 115, 35, 20), ("test", 50, 10, 15)):
        assert counts[split, "changed"] >= changed and counts[split, "unchanged"] >= unchanged, counts
        assert 0 < counts[split, "unclear"] <= unclear, counts
    assert counts["train", "changed"] >= 400 and not counts["train", "unclear"], counts


@pytest.mark.shared
def test_every_label_is_of_imagery_that_is_there(shared: Path):
    for pair in read_labels():
        city, number, years = named(pair)
        for year in years:
            assert (shared / "naip" / f"{city}_{year}_{number}.tif").exists(), pair


def test_splits_share_textures_and_nothing_else(little_data: Path, sources: Sources):
    development = read_sources(little_data, "development")
    assert [place.name for place in sources.places] == ["demo_1", "demo_2"] and len(sources.prairie) == 2
    assert [place.name for place in development.places] == ["demo_5", "demo_10"] and development.prairie == ()
    assert np.array_equal(development.textures.soil, sources.textures.soil)
    assert {back.name.split(":")[0] for back in drawn(sources, 80)} == {"demo_1", "demo_2", "prairie"}
    assert {back.name.split(":")[0] for back in drawn(development, 20)} == {"demo_5", "demo_10"}


@pytest.mark.shared
def test_the_held_out_city_is_never_drawn_over(real_places: list[Place], sources: Sources):
    """With the real places and labels, as training reads them."""
    training = tuple(place for place in real_places if place.split == "train")
    labels = read_labels()
    every = replace(sources, places=training, labels=labels, marked=())
    assert not any(back.name.startswith(HELD_OUT_CITY) for back in drawn(every, 150))
    names = {place.name for place in training}
    assert not any(pair.split(":")[0] in names for pair in labels if pair.startswith(HELD_OUT_CITY))


def test_the_same_chance_gives_the_same_crop(sources: Sources):
    for first, second in zip(drawn(sources, 12), drawn(sources, 12), strict=True):
        assert first.name == second.name and first.gsd_m == second.gsd_m
        assert np.array_equal(first.pre, second.pre) and np.array_equal(first.post, second.post)


def test_crops_come_finer_and_coarser_than_the_chip(sources: Sources):
    backs = [back for back in drawn(sources, 200) if back.name.startswith("demo")]
    sizes = [back.gsd_m for back in backs]
    assert min(sizes) < 0.65 * GSD_M and max(sizes) > 1.1 * GSD_M * CHIP_PX / SIDE
    for back in backs:
        assert back.pre.shape == back.post.shape == (SIDE, SIDE, 3) and back.pre.dtype == np.float32
        assert 0 <= back.pre.min() and back.pre.max() <= 255
    assert any(back.same_date for back in backs) and not all(back.same_date for back in backs)


def test_trees_stand_where_the_crop_shows_them(sources: Sources):
    checked = 0
    for back in drawn(sources, 60):
        inside = back.trees[((back.trees > 1) & (back.trees < SIDE - 1)).all(1)].astype(int)
        for x, y in inside:
            # Crowns of the little data are far darker than its fields.
            assert back.post[y, x].mean() < 70, back.name
            checked += 1
    assert checked > 60


@pytest.mark.parametrize("mirrored_share", [0.0, 1.0])
def test_a_main_mark_is_the_mask_of_its_keyword_on_its_pixels(
    two_marks: Sources, mirrored_share: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(backgrounds, "MIRRORED_SHARE", mirrored_share)
    seen: Counter[str] = Counter()
    for back in drawn(two_marks, 150):
        assert set(back.counts) == set(back.real)
        for number, keyword in enumerate(("new trees", "tree loss")):
            if keyword not in back.real:
                continue
            there, mask = shown(back, number), back.real[keyword]
            assert mask.dtype == bool and mask.any(), back.gsd_m
            # The outermost pixels may be blends of what lies in and out of a mark.
            assert not inner(mask & ~wider(there)).any() and not inner(there & ~wider(mask)).any(), back.gsd_m
            assert back.counts[keyword] == 1
            seen[keyword] += 1
    assert min(seen["new trees"], seen["tree loss"]) > 30


def test_a_view_wider_than_the_chip_still_knows_its_marks(two_marks: Sources, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backgrounds, "MIRRORED_SHARE", 1.0)
    # From three quarters of the mirrored chip on, every crop holds the whole chip.
    backs = [back for back in drawn(two_marks, 150) if not back.same_date]
    wide = [back for back in backs if back.gsd_m > 0.76 * 2 * CHIP_PX * GSD_M / SIDE]
    assert len(wide) >= 15
    assert all(set(back.real) == {"new trees", "tree loss"} for back in wide)


def test_a_mark_that_only_the_mirror_shows_is_no_negative(two_marks: Sources, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backgrounds, "MIRRORED_SHARE", 1.0)
    mirrored = 0
    for back in drawn(two_marks, 200):
        if back.same_date:
            continue
        for number, keyword in enumerate(("new trees", "tree loss")):
            there = shown(back, number)
            if there.sum() > 100:
                assert back.doubts is not None and (keyword in back.real or keyword in back.doubts), back.gsd_m
                assert back.doubtful is not None and not inner(there & ~back.doubtful).any(), back.gsd_m
                mirrored += keyword not in back.real
    assert mirrored > 10


@pytest.mark.parametrize("mirrored_share", [0.0, 1.0])
def test_masks_lie_right_over_what_they_show(
    two_marks: Sources, mirrored_share: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(backgrounds, "MIRRORED_SHARE", mirrored_share)
    shifts = []
    for back in drawn(two_marks, 300):
        mask = back.real.get("new trees")
        if mask is None or back.gsd_m < 1.4 * GSD_M or not 0 < mask.sum() == inner(mask, 2).sum():
            continue
        shifts.append(np.argwhere(mask).mean(0) - np.argwhere(shown(back)).mean(0))
    # Half a pixel is much where marks are small.
    assert len(shifts) > 10 and np.abs(np.mean(shifts, 0)).max() < 0.1, np.mean(shifts, 0)


def test_a_sliver_of_a_main_mark_is_doubtful_and_never_a_positive(sources: Sources, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backgrounds, "MIRRORED_SHARE", 0.0)
    house = painted(sources, label_of(Mark("new house", (40.0, 110.0, 70.0, 140.0), True)))
    whole, slivers = 0, 0
    for back in drawn(house, 500):
        if back.same_date:
            continue
        there = shown(back)
        of_mark, of_crop = there.sum() * (back.gsd_m / GSD_M) ** 2 / 30**2, there.mean()
        if of_mark > SLIVER_OF_MARK + 0.1 or of_crop > SLIVER_OF_CROP + 0.005:
            assert set(back.real) == {"new house"} and back.doubts == (), back.gsd_m
            whole += 1
        elif there.any() and of_mark < SLIVER_OF_MARK - 0.1 and of_crop < SLIVER_OF_CROP - 0.005:
            assert back.real == {} and back.counts == {} and back.doubts == ("new house",), back.gsd_m
            assert back.doubtful is not None and not (there & ~back.doubtful).any()
            slivers += 1
    assert whole > 100 and slivers >= 5


def test_a_minor_mark_is_doubtful_ground_of_its_keyword(sources: Sources):
    minor = painted(sources, label_of(Mark("new road", WIDE, False), Mark("", HIGH, False)))
    assert minor.marked == ()
    doubted: Counter[tuple[str, ...]] = Counter()
    for back in drawn(minor, 150):
        assert back.real == {} and back.counts == {}
        there = shown(back, 0) | shown(back, 1)
        if back.same_date:
            assert back.doubtful is None and back.doubts == ()
        elif there.any():
            assert back.doubtful is not None and not (there & ~back.doubtful).any(), back.gsd_m
            # Once more as wide as the margin for rounding.
            margin = round((MARK_MARGIN_PX + 1) * GSD_M / back.gsd_m) + 1
            # A mark that lies out of the crop may still have its margin in it.
            assert not inner(back.doubtful & ~wider(there, margin), margin).any(), back.gsd_m
            assert back.doubts is not None
            doubted[back.doubts] += 1
            if not shown(back, 0).any():
                assert back.doubts == ()
    assert set(doubted) == {("new road",), ()} and min(doubted.values()) > 10


def test_nothing_is_asked_of_the_edge_of_a_main_mark(marked: Sources):
    checked = 0
    for back in drawn(marked, 80):
        if not back.real:
            continue
        assert back.doubtful is not None
        mask = back.real["new building"]
        assert not (mask & ~back.doubtful).any()
        edge = wider(mask, max(1, int((MARK_MARGIN_PX - 1) * GSD_M / back.gsd_m))) & ~mask
        assert back.doubtful[edge].mean() > 0.95 or back.gsd_m > GSD_M * MARK_MARGIN_PX, back.gsd_m
        far = wider(mask, int((MARK_MARGIN_PX + 2) * GSD_M / back.gsd_m) + 2)
        assert not (back.doubtful & ~far).any(), back.gsd_m
        checked += 1
    assert checked > 40


def test_main_and_minor_marks_of_one_pair_are_told_apart(sources: Sources, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backgrounds, "MIRRORED_SHARE", 0.0)
    both = painted(sources, label_of(Mark("new building", WIDE, True), Mark("new road", HIGH, False)))
    backs = [back for back in drawn(both, 150) if shown(back, 0).mean() > 0.05 and shown(back, 1).any()]
    backs = [back for back in backs if not back.same_date]
    assert len(backs) > 20
    for back in backs:
        assert set(back.real) == {"new building"} and back.doubts == ("new road",)


def test_two_marks_of_one_keyword_are_one_mask_and_counted(sources: Sources):
    houses = painted(sources, label_of(Mark("new house", WIDE, True), Mark("new house", HIGH, True)))
    numbers = set()
    for back in drawn(houses, 80):
        if back.counts:
            assert set(back.real) == {"new house"}
            numbers.add(back.counts["new house"])
            if back.counts["new house"] == 2:
                there = shown(back, 0) | shown(back, 1)
                mask = back.real["new house"]
                assert not inner(there & ~wider(mask)).any() and not inner(mask & ~wider(there)).any(), back.gsd_m
    assert numbers == {1, 2}


def test_a_labelled_pair_is_never_shown_backwards_in_time(marked: Sources):
    place = marked.places[0]
    names = {back.name for back in drawn(marked, 80) if not back.same_date}
    assert names == {f"{place.name}:2016-2018"}
    unlabelled = {back.name for back in drawn(replace(marked, labels={}), 80) if not back.same_date}
    assert unlabelled == {f"{place.name}:2016-2018", f"{place.name}:2018-2016"}
    for back in drawn(marked, 80):
        earlier = replace(back, post=back.pre)
        assert not shown(earlier).any() or back.same_date


@pytest.mark.parametrize("seen", ["changed", "minor", "unclear"])
def test_boxes_whose_keywords_are_not_known_apart_are_doubtful_alone(sources: Sources, seen: str):
    several = painted(sources, Label(seen, ("new building", "tree loss"), (WIDE, HIGH)))
    assert several.marked == ()
    checked = 0
    for back in drawn(several, 80):
        assert back.real == {} and back.counts == {}
        there = shown(back, 0) | shown(back, 1)
        if back.same_date:
            assert back.doubtful is None
        elif there.any():
            assert back.doubtful is not None and not (there & ~back.doubtful).any() and back.doubts is None
            checked += 1
    assert checked > 30


def test_an_unlabelled_pair_doubts_the_boxes_of_the_other_dates(sources: Sources):
    place = sources.places[0]
    first, second = place.chips
    third = replace(second, year=2020)
    labels = {f"{place.name}:2016-2018": label_of(Mark("new building", MARK, True))}
    every = replace(sources, places=(replace(place, chips=(first, second, third)),), prairie=(), labels=labels)
    backs = [back for back in drawn(every, 120) if back.name.endswith(("2018-2020", "2020-2018"))]
    doubted = [back for back in backs if back.doubtful is not None]
    assert len(doubted) > 10
    assert all(back.real == {} and back.doubts is None for back in doubted)


def test_every_main_mark_can_be_chosen_and_rare_keywords_weigh_more(sources: Sources):
    place = sources.places[0]
    often = [Mark("tree loss", (10.0 * number, 0.0, 10.0 * number + 9, 9.0), True) for number in range(4)]
    label = label_of(*often, Mark("new road", WIDE, True), Mark("snow", HIGH, False), Mark("", HIGH, False))
    names = (f"{place.name}:2016-2018", f"{place.name}:2018-2022", "elsewhere_1:2016-2018")
    marks = main_marks(sources.places, dict.fromkeys(names, label))
    assert [mark.box for mark in marks] == [mark.box for mark in often] + [WIDE]
    assert all((mark.place, mark.first, mark.second) == (place, *place.chips) for mark in marks)
    weights = [mark.weight for mark in marks]
    assert weights[:4] == [weights[0]] * 4 and weights[4] == pytest.approx(2 * weights[0])


def test_marks_come_up_by_their_weight_and_in_the_crop(sources: Sources):
    both = painted(sources, label_of(Mark("new trees", WIDE, True), Mark("tree loss", HIGH, True)))
    trees, loss = both.marked
    uneven = replace(both, prairie=sources.prairie, marked=(trees._replace(weight=0.0), loss), real_share=1.0)
    backs = [back for back in drawn(uneven, 60) if not back.name.startswith("prairie")]
    assert len(backs) > 40
    for back in backs:
        assert "tree loss" in back.real and not back.same_date, back.gsd_m
    assert not all("new trees" in back.real for back in backs)


def test_marked_pairs_come_up_in_training_as_often_as_asked(marked: Sources, sources: Sources):
    rare = replace(marked.places[0], city="rare")
    labels = {"rare_1:2016-2018": label_of(Mark("new building", MARK, True))}
    marks = main_marks((rare,), labels)
    often = replace(sources, places=sources.places[:1], labels=labels, marked=marks, real_share=0.5)
    backs = [back for back in drawn(often, 100) if back.name.startswith("rare")]
    assert 30 <= len(backs) <= 60
    assert all(back.name == "rare_1:2016-2018" and "new building" in back.real for back in backs)
    # A development set is drawn over its places evenly.
    for none in (replace(often, prairie=()), replace(often, real_share=0.0)):
        assert not any(back.name.startswith("rare") for back in drawn(none, 60))


def test_prairie_labels_lie_on_water_that_changed(sources: Sources):
    backs = [back for back in drawn(sources, 200) if back.name.startswith("prairie")]
    grown = [back for back in backs if back.real.get("water gain") is not None and back.real["water gain"].sum() > 40]
    assert grown
    for back in backs:
        assert 2.9 < back.gsd_m < 10.1 and back.water is not None
        assert not (back.same_date and back.real)
    for back in grown:
        wet = back.real["water gain"]
        # Ponds of the little prairie are dark and none of its fields is as dark.
        assert back.post[wet].mean() < back.pre[wet].mean() - 15
