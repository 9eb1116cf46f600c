"""Retrieval: recall and rank with ties and equals, from captions, vectors, similarities and a dual encoder."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from coloured_map import COLOURS
from tiny_dual import write_tiny_dual

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.retrieval.equals import Equals, plain
from rsccli.evaluation.retrieval.pages import document, page_of
from rsccli.evaluation.retrieval.ranks import CUTS, Rank, chance_of, rank_of
from rsccli.evaluation.retrieval.result import Retrieval, Row, numbers_of
from rsccli.evaluation.retrieval.run import Request, evaluate_retrieval
from rsccli.evaluation.tables.terminal import render_terminal

SAME = ["there is no difference", "the scene is the same as before"]


def by_hand(scores: np.ndarray, right: np.ndarray) -> Rank:
    """Every order that the scores allow, one by one."""
    recall, first, count = np.zeros(len(CUTS)), 0.0, 0
    for order in itertools.permutations(range(len(scores))):
        if any(scores[a] < scores[b] for a, b in itertools.pairwise(order)):
            continue
        place = next(place for place, each in enumerate(order, start=1) if right[each])
        recall += [place <= cut for cut in CUTS]
        first += place
        count += 1
    return Rank(tuple(recall / count), first / count)


@pytest.mark.parametrize("seed", range(25))
def test_ties_count_as_the_mean_over_their_orders(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 8))
    scores = random.integers(0, 3, count).astype(float)
    right = random.random(count) < 0.4
    right[random.integers(count)] = True
    told, expected = rank_of(scores, right), by_hand(scores, right)
    assert told.recall == pytest.approx(expected.recall) and told.first == pytest.approx(expected.first)


def test_what_scores_everything_alike_gets_what_chance_gets() -> None:
    right = np.zeros(1333, bool)
    right[:666] = True
    assert rank_of(np.zeros(1333), right) == chance_of(666, 1333)
    # One right answer in N: k of N, and the middle of the list.
    assert chance_of(1, 100).recall == pytest.approx((0.01, 0.05, 0.1)) and chance_of(1, 100).first == 50.5
    assert chance_of(2, 3).recall == (pytest.approx(2 / 3), 1.0, 1.0)


def test_a_question_without_a_right_answer_is_no_question() -> None:
    with pytest.raises(ValueError, match="right answer"):
        rank_of(np.zeros(3), np.zeros(3, bool))
    with pytest.raises(ValueError, match="score"):
        rank_of(np.array([1.0, math.nan]), np.array([True, False]))


def test_equal_sentences_are_equal_whatever_their_dress() -> None:
    captions = [SAME, ["There is no difference .", "two houses"], ["a pond"], ["Two  houses!"]]
    equals = Equals(captions, [SAME[0], "two houses", "a pond"], [0, 1, 2])
    assert equals.pairs_of(0, True).tolist() == [True, True, False, False]
    assert equals.pairs_of(0, False).tolist() == [True, False, False, False]
    assert equals.pairs_of(1, True).tolist() == [False, True, False, True]
    assert equals.texts_of(1, True).tolist() == [True, True, False]
    assert equals.texts_of(1, False).tolist() == [False, True, False]
    # The fourth pair owns none of the texts, but has one of them as its caption.
    assert equals.texts_of(3, True).tolist() == [False, True, False]
    assert plain(" The scene, is THE same_as before. ") == "the scene is the same as before"


def test_numbers_are_means_and_medians() -> None:
    ranks = [Rank((1.0, 1.0, 1.0), 1.0), Rank((0.0, 0.5, 1.0), 6.0), Rank((0.0, 0.0, 0.0), 40.0)]
    numbers = numbers_of(ranks, [0, 1, 2], 200, 0)
    assert numbers.recall == pytest.approx((100 / 3, 50.0, 200 / 3)) and numbers.median_rank == 6.0
    for value, interval in zip(numbers.recall, numbers.intervals, strict=True):
        assert interval is not None and 0 <= interval[0] <= value <= interval[1] <= 100
    assert numbers_of(ranks, [0, 1, 2], 0, 0).intervals == (None, None, None)
    assert numbers_of(ranks, [0, 1, 2], 200, 0) == numbers, "the same seed gives the same intervals"
    assert numbers_of(ranks, [7, 7, 7], 200, 0).intervals == (None, None, None), "one pair is nothing to draw from"


def test_intervals_draw_pairs_and_not_questions() -> None:
    # Five questions of each of two pairs, all alike within a pair: as uncertain as two questions are.
    ranks = [Rank((float(pair),) * 3, 1.0) for pair in (0, 1) for _ in range(5)]
    interval = numbers_of(ranks, [0] * 5 + [1] * 5, 500, 0).intervals[0]
    assert interval == (0.0, 100.0)


def captions_file(path: Path, captions: list[list[str]], flags: list[int] | None = None) -> Path:
    images = [
        {
            "filename": f"val_{number:06d}.png",
            "split": "val",
            **({} if flags is None else {"changeflag": flags[number]}),
            "sentences": [{"raw": text} for text in own],
        }
        for number, own in enumerate(captions)
    ]
    path.write_text(json.dumps({"images": images}))
    return path


FOUR = [
    ["two houses appear by the road", "two houses are built along a road"],
    ["a pond has dried", "the pond lost its water"],
    [*SAME],
    [*reversed(SAME)],
]


def row_of(found: Retrieval, way: str, scope: str = "all", by: str | None = None) -> Row:
    (row,) = [each for each in found.rows if (each.way, each.scope) == (way, scope) and by in (None, each.by)]
    return row


def test_captions_find_their_other_captions(tmp_path: Path) -> None:
    found = evaluate_retrieval(Request(captions_file(tmp_path / "c.json", FOUR, [1, 1, 0, 0]), samples=0))
    assert (found.kind, found.pairs, found.changed_pairs, found.texts, found.shared) == ("captions", 4, 2, 8, 4)
    changed = row_of(found, "text to change", "changed")
    assert (changed.questions, changed.answers) == (4, 4)
    assert changed.equals.recall == changed.naive.recall == (100.0, 100.0, 100.0)
    # "there is no difference" shares no word with the other sentence of its own pair, but all with its twin's document,
    # where it is the sentence that was left: naively that is wrong.
    whole = row_of(found, "text to change")
    assert whole.naive.recall[0] == pytest.approx(50.0) and whole.equals.recall[0] == 100.0
    back = row_of(found, "change to text", "changed")
    assert back.equals.recall[0] == 100.0 and back.questions == 4


def test_a_system_that_knows_nothing_is_chance(tmp_path: Path) -> None:
    path = captions_file(tmp_path / "c.json", FOUR)
    np.save(tmp_path / "s.npy", np.zeros((8, 4)))
    found = evaluate_retrieval(Request(path, similarity=tmp_path / "s.npy", samples=0))
    for row in found.rows:
        assert row.equals == row.chance and row.naive.recall <= row.chance.recall
    text = row_of(found, "text to change")
    # Half of the texts have one right pair of four, half have two.
    assert text.chance.recall[0] == pytest.approx(100 * (0.25 + 0.5) / 2)
    assert text.chance.median_rank == pytest.approx((2.5 + 5 / 3) / 2)


@pytest.mark.parametrize("texts", ["all", "first"])
def test_vectors_of_others_are_scored(tmp_path: Path, texts: str) -> None:
    path = captions_file(tmp_path / "c.json", FOUR)
    pairs = np.eye(4)
    own = np.repeat(pairs, 2, axis=0) if texts == "all" else pairs
    weak = np.roll(pairs, 1, axis=0)
    np.savez(tmp_path / "v.npz", texts=3.0 * own, good=7.0 * pairs, change=weak)
    found = evaluate_retrieval(Request(path, vectors=tmp_path / "v.npz", samples=50))
    assert {row.by for row in found.rows} == {"good", "change"}
    for way in ("text to change", "change to text"):
        assert row_of(found, way, by="good").equals.recall == (100.0, 100.0, 100.0)
        assert row_of(found, way, by="good").naive.recall[0] == 100.0
    # Rolled by one: the texts of the third pair find the fourth, which has the same sentences.
    moved = row_of(found, "text to change", by="change")
    assert moved.naive.recall[0] == 0.0 and moved.equals.recall[0] == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("name", "arrays", "said"),
    [
        ("v.npz", {"texts": np.zeros((3, 4)), "good": np.eye(4)}, "texts are 3, but"),
        ("v.npz", {"texts": np.zeros((8, 4))}, "at least one other"),
        ("v.npz", {"good": np.eye(4)}, "an array named texts"),
        ("v.npz", {"texts": np.zeros((8, 4)), "good": np.zeros((5, 4))}, "shape"),
        ("v.npz", {"texts": np.zeros((8, 4)), "good": np.zeros((4, 3))}, "shape"),
        ("v.npz", {"texts": np.full((8, 4), np.nan), "good": np.eye(4)}, "no numbers"),
        ("v.npz", {"texts": np.array(["a"] * 8), "good": np.eye(4)}, "not numbers"),
        ("v.npz", None, "not an archive"),
        ("s.npy", np.zeros((8, 3)), "similarities are"),
        ("s.npy", np.zeros(8), "similarities are"),
        ("s.npy", np.zeros((5, 4)), "rows are 5, but"),
        ("s.npy", None, "not an array of numpy"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, name: str, arrays: object, said: str) -> None:
    path, file = captions_file(tmp_path / "c.json", FOUR), tmp_path / name
    if arrays is None:
        file.write_bytes(b"no numbers")
    elif isinstance(arrays, dict):
        np.savez(file, **arrays)
    else:
        np.save(file, np.asarray(arrays))
    kind = {"vectors": file} if name.endswith("z") else {"similarity": file}
    with pytest.raises(InputError, match=said):
        evaluate_retrieval(Request(path, **kind))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("captions", "said"), [([["one"]], "at least two"), ([["one"], ["two"]], "two sentences or more")]
)
def test_too_few_captions_are_told(tmp_path: Path, captions: list[list[str]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        evaluate_retrieval(Request(captions_file(tmp_path / "c.json", captions)))


def test_contradicting_requests_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    for options in (
        {"model": path},
        {"pairs": path},
        {"vectors": path, "similarity": path},
        {"model": path, "pairs": path, "vectors": path},
    ):
        with pytest.raises(UsageProblem, match="--"):
            Request(path, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageProblem, match="REF is missing"):
        Request(None)


def coloured_pairs(folder: Path) -> Path:
    """Two dates of each colour, in folders A and B."""
    names = list(COLOURS)[:3]
    for date in ("A", "B"):
        (folder / date).mkdir(parents=True)
    for number, (first, second) in enumerate(itertools.permutations(names, 2)):
        for date, name in (("A", first), ("B", second)):
            picture = np.full((16, 16, 3), COLOURS[name][::-1], np.uint8)
            cv2.imwrite(str(folder / date / f"val_{number:06d}.png"), picture)
    return folder


def test_a_dual_encoder_finds_what_its_words_say(tmp_path: Path) -> None:
    folder, bundle = coloured_pairs(tmp_path / "pairs"), write_tiny_dual(tmp_path / "bundle")
    changes = list(itertools.permutations(list(COLOURS)[:3], 2))
    # The second sentence names what is there after, which two of six pairs have alike.
    captions = [[f"{second} more than {first} less", second] for first, second in changes]
    path = captions_file(tmp_path / "c.json", captions)
    found = evaluate_retrieval(Request(path, model=bundle, pairs=folder, device="cpu", samples=0))
    assert (found.kind, found.pairs, found.texts, found.shared) == ("model", 6, 12, 6)
    after, before, change = (row_of(found, "text to change", by=by) for by in ("post", "pre", "change"))
    # "red" has two right answers among the equals, and both are the nearest of all.
    assert after.equals.recall[0] > before.equals.recall[0] and after.equals.recall[0] > after.naive.recall[0]
    assert change.equals.recall[0] >= 50.0 and after.answers == 6
    assert any("captions of c.json" in note for note in found.notes)
    np.save(tmp_path / "broken.npy", np.zeros(3))
    (folder / "A" / "val_000003.png").write_bytes(b"no picture")
    fewer = evaluate_retrieval(Request(path, model=bundle, pairs=folder, device="cpu", samples=0))
    assert fewer.pairs == 5 and any("val_000003" in note for note in fewer.notes)


def test_the_page_and_the_document_say_the_same(tmp_path: Path) -> None:
    found = evaluate_retrieval(Request(captions_file(tmp_path / "c.json", FOUR, [1, 1, 0, 0]), split="val", samples=20))
    told = document(found)
    assert told["format"] == "rsccli-retrieval-1" and told["references"]["split"] == "val"
    assert [row["scope"] for row in told["rows"]] == ["all", "changed", "all", "changed"]
    first = told["rows"][0]
    assert set(first) == {"by", "way", "scope", "questions", "answers", "equals", "naive", "chance"}
    assert set(first["equals"]) == {"recall_1", "recall_5", "recall_10", "median_rank", "intervals"}
    json.dumps(told)
    text = render_terminal(page_of(found))
    assert f"{first['equals']['recall_1']:.1f}" in text and "changed pairs alone" in text and "bootstrap" in text


@pytest.mark.slow
@pytest.mark.shared
def test_the_validation_captions_of_levir_cc_have_known_numbers(shared: Path) -> None:
    path = shared / "captions" / "levir_cc_train_val.json"
    found = evaluate_retrieval(Request(path, split="val", samples=0))
    assert (found.pairs, found.changed_pairs, found.texts) == (1333, 667, 6665)
    text, changed = row_of(found, "text to change"), row_of(found, "text to change", "changed")
    # 666 unchanged pairs share five sentences: a coin finds one of them every second time.
    assert text.chance.recall[0] == pytest.approx(25.0, abs=0.1)
    assert changed.chance.recall[0] < 0.2
    # Words alone find a changed pair far better than chance, and far worse than well.
    assert 4 < changed.naive.recall[0] < changed.equals.recall[0] < 10
    assert 50 < row_of(found, "text to change", "changed").equals.median_rank < 60
    # Not to count equals makes the unchanged half a lottery.
    assert text.naive.recall[0] < 5 < text.equals.recall[0]
