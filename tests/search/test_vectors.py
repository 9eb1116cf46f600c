"""Nearest vectors: exact where they are few, nearly so by codes, and right under every filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsccli.errors import InputError
from rsccli.search import vectors
from rsccli.search.vectors import VectorIndex, _products, codes_path, has_faiss, rows_path, vector_path, write_codes

needs_faiss = pytest.mark.skipif(not has_faiss(), reason="faiss is not installed")
COUNT, WIDTH = 20_000, 64


def put(folder: Path, values: np.ndarray, name: str = "post") -> Path:
    np.save(vector_path(folder, name), values.astype(np.float16))
    np.save(rows_path(folder, name), np.arange(len(values), dtype=np.int32))
    return folder


def unit(count: int, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def brute(stored: np.ndarray, question: np.ndarray, k: int, allowed: np.ndarray | None = None) -> list[int]:
    scores = stored.astype(np.float64) @ question
    if allowed is not None:
        scores[~allowed] = -np.inf
    return np.argsort(-scores, kind="stable")[:k].tolist()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random directions, the hardest there are, with codes."""
    folder = put(tmp_path_factory.mktemp("vectors"), unit(COUNT))
    if has_faiss():
        assert write_codes(folder, "post", many=1)
    return folder


def test_half_numbers_become_whole_ones_without_loss() -> None:
    random = np.random.default_rng(0)
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = np.resize(every[np.isfinite(every)], (992, 64))
    small = (finite / np.float16(2048)).astype(np.float16)  # products of the largest would not fit a float32
    question = random.standard_normal(64).astype(np.float32)
    exact = small.astype(np.float64) @ question.astype(np.float64)
    size = np.abs(small.astype(np.float64)) @ np.abs(question.astype(np.float64))
    assert (np.abs(_products(small, question) - exact) <= 1e-5 * size + 1e-12).all()


@pytest.mark.parametrize("k", [1, 10, 300])
def test_few_vectors_are_searched_exactly(tmp_path: Path, k: int) -> None:
    values = unit(1500).astype(np.float16)
    index = VectorIndex(put(tmp_path, values), "post")
    for question in unit(5, seed=1):
        places, scores = index.nearest(question, k)
        assert places.tolist() == brute(values, question, k)
        assert np.allclose(scores, values[places].astype(np.float32) @ question, atol=1e-6)


def test_equal_vectors_keep_their_order(tmp_path: Path) -> None:
    index = VectorIndex(put(tmp_path, np.ones((700, 8), np.float32)), "post")
    assert index.nearest(np.ones(8, np.float32), 600)[0].tolist() == list(range(600))


@needs_faiss
def test_codes_lose_little_even_among_random_directions(many: Path) -> None:
    index = VectorIndex(many, "post")
    stored = np.load(vector_path(many, "post"))
    hit = sum(
        len(set(index.nearest(question, 10)[0].tolist()) & set(brute(stored, question, 10)))
        for question in unit(40, seed=1)
    )
    assert hit >= 0.97 * 400
    assert codes_path(many, "post").stat().st_size < vector_path(many, "post").stat().st_size / 6


@needs_faiss
@pytest.mark.parametrize("share", [0.9, 0.5, 0.15, 0.003])
def test_a_filter_is_kept_and_costs_no_hits(many: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    # With so few rows everything allowed would be looked at; the codes are to be used.
    monkeypatch.setattr(vectors, "_FEW", 100)
    index, stored = VectorIndex(many, "post"), np.load(vector_path(many, "post"))
    allowed = np.random.default_rng(2).random(COUNT) < share
    hit = wanted = 0
    for question in unit(20, seed=3):
        places, _ = index.nearest(question, 10, allowed)
        assert len(places) == 10 and allowed[places].all()
        right = brute(stored, question, 10, allowed)
        hit, wanted = hit + len(set(places.tolist()) & set(right)), wanted + 10
    assert hit >= 0.97 * wanted


@needs_faiss
def test_a_filter_on_what_is_farthest_is_answered_too(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The worst case: only what lies on the other side is allowed, so that no candidate near the question is.
    monkeypatch.setattr(vectors, "_FEW", 100)
    index, stored = VectorIndex(many, "post"), np.load(vector_path(many, "post"))
    question = unit(1, seed=4)[0]
    allowed = np.zeros(COUNT, bool)
    allowed[np.argsort(stored.astype(np.float32) @ question)[:3000]] = True
    assert index.nearest(question, 20, allowed)[0].tolist() == brute(stored, question, 20, allowed)


def test_fewer_than_wanted_and_none(many: Path) -> None:
    index = VectorIndex(many, "post")
    allowed = np.zeros(COUNT, bool)
    question = unit(1, seed=5)[0]
    assert len(index.nearest(question, 10, allowed)[0]) == 0
    allowed[[7, 11]] = True
    assert sorted(index.nearest(question, 10, allowed)[0].tolist()) == [7, 11]


@needs_faiss
def test_an_odd_width_has_codes_too(tmp_path: Path) -> None:
    folder = put(tmp_path, unit(3000, 33))
    assert write_codes(folder, "post", many=1000)
    stored, question = np.load(vector_path(folder, "post")), unit(1, 33, seed=9)[0]
    assert VectorIndex(folder, "post").nearest(question, 5)[0].tolist() == brute(stored, question, 5)


def test_few_vectors_get_no_codes(tmp_path: Path) -> None:
    assert not write_codes(put(tmp_path, unit(500)), "post")
    assert not codes_path(tmp_path, "post").exists()


@needs_faiss
def test_the_same_vectors_give_the_same_codes(tmp_path: Path) -> None:
    values = unit(2000)
    first, second = (put(tmp_path / name, values) for name in ("a", "b") if (tmp_path / name).mkdir() is None)
    for folder in (first, second):
        write_codes(folder, "post", many=1)
    assert codes_path(first, "post").read_bytes() == codes_path(second, "post").read_bytes()


def test_without_the_library_the_same_is_found(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "has_faiss", lambda: False)
    stored, question = np.load(vector_path(many, "post")), unit(1, seed=6)[0]
    assert VectorIndex(many, "post").nearest(question, 10)[0].tolist() == brute(stored, question, 10)


@pytest.mark.parametrize("damage", ["gone", "cut", "rows"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    put(tmp_path, unit(50))
    path = vector_path(tmp_path, "post")
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        np.save(rows_path(tmp_path, "post"), np.arange(3, dtype=np.int32))
    with pytest.raises(InputError, match=r"post\.vectors\.npy cannot be read"):
        VectorIndex(tmp_path, "post")
