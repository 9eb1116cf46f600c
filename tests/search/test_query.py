"""Questions to an index: by words, by pictures, by change; filters, ties, stale indexes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from coloured_map import SAME, Coloured, make_map
from tiny_dual import open_tiny_dual, write_tiny_dual

from rsccli.errors import InputChangedError, InputError, ModelError, UsageProblem
from rsccli.search.build import build_index
from rsccli.search.places import Filter
from rsccli.search.query import By, Hit, Question, SearchIndex


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> tuple[Coloured, Path]:
    """A map with an index of words and pictures; do not write into it."""
    coloured = make_map(tmp_path_factory.mktemp("map"))
    index = coloured.path.with_suffix(".index")
    build_index(coloured.path, index, open_tiny_dual(bundle))
    return coloured, index


def ask(index: Path, text: str, by: By = "caption", k: int = 20, only: Filter | None = None) -> list[Hit]:
    with SearchIndex(index, device="cpu") as opened:
        return opened.search(Question(text, k, by, only or Filter()))


def ids(hits: list[Hit]) -> list[str]:
    return [str(hit.feature["id"]) for hit in hits]


@pytest.mark.parametrize(
    ("by", "text", "first"),
    [
        ("post", "red", {"r00000c00000", "r00000c00003"}),
        ("pre", "red", {"r00000c00003", "r00001c00002"}),
        # What turned red, not what was red before.
        ("change", "red", {"r00000c00000"}),
        ("change", "blue", {"r00000c00002"}),
        ("meaning", "green", {"r00000c00001", "r00001c00003"}),
    ],
)
def test_a_colour_finds_its_tiles(made: tuple[Coloured, Path], by: By, text: str, first: set[str]) -> None:
    assert set(ids(ask(made[1], text, by, len(first)))) == first


def test_change_of_the_other_direction_comes_last(made: tuple[Coloured, Path]) -> None:
    found = ask(made[1], "red", "change")
    assert len(found) == 11 and ids(found)[-1] == "r00001c00002" and found[-1].score < -0.5 < 0.5 < found[0].score


def test_ranks_count_and_scores_fall(made: tuple[Coloured, Path]) -> None:
    for by in ("caption", "meaning", "pre", "post", "change"):
        found = ask(made[1], "a green field", by)  # type: ignore[arg-type]
        assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
        scores = [hit.score for hit in found]
        assert scores == sorted(scores, reverse=True)


def test_a_hit_is_the_feature_as_it_was(made: tuple[Coloured, Path]) -> None:
    coloured, index = made
    hit = ask(index, "grey field turned red", k=1)[0]
    (feature,) = (each for each in coloured.features if each.id == hit.feature["id"])
    properties = hit.feature["properties"]
    assert (properties["caption"], properties["status"]) == (feature.caption, feature.status)
    assert hit.feature["bbox"] == list(feature.bbox) and hit.feature["geometry"]["type"] == "Polygon"


def test_of_one_caption_the_strongest_change_comes_first(made: tuple[Coloured, Path]) -> None:
    found = ask(made[1], "scene same before")
    assert {hit.feature["properties"]["caption"] for hit in found} == {SAME}
    assert len({hit.score for hit in found}) == 1
    assert ids(found) == sorted(ids(found)), "equal changes stay in the order of the map"


@pytest.mark.parametrize("by", ["caption", "meaning", "post", "change"])
def test_filters_are_kept(made: tuple[Coloured, Path], by: By) -> None:
    coloured, index = made
    whole = ask(index, "red field", by)
    west, south, east, north = coloured.features[0].bbox
    box = (west, south, (west + east) / 2, (south + north) / 2)
    inside = [each.id for each in coloured.features if each.bbox[0] <= box[2] and each.bbox[3] >= box[1]
              and each.bbox[2] >= box[0] and each.bbox[1] <= box[3]]  # fmt: skip
    boxed = ask(index, "red field", by, only=Filter(box))
    assert ids(boxed) == [each for each in ids(whole) if each in inside] != []
    changed = ask(index, "red field", by, 2, Filter(None, ("changed",)))
    status = {str(each.id): each.status for each in coloured.features}
    assert ids(changed) == [each for each in ids(whole) if status[each] == "changed"][:2]
    assert ids(ask(index, "red field", by, only=Filter((10, 10, 11, 11)))) == []


def test_fewer_are_found_where_there_are_no_more(made: tuple[Coloured, Path]) -> None:
    assert len(ask(made[1], "blue", "post", 500)) == 11
    assert len(ask(made[1], "elephants")) == 0


@pytest.mark.parametrize("by", ["meaning", "pre", "post", "change"])
def test_an_index_of_words_says_how_to_get_vectors(coloured: Coloured, by: By) -> None:
    index = coloured.path.with_suffix(".index")
    build_index(coloured.path, index)
    with pytest.raises(UsageProblem, match="--model BUNDLE"):
        ask(index, "red", by)


@pytest.mark.parametrize(
    ("text", "k", "by", "said"), [("red", 0, "caption", "-k 0"), ("red", 3, "smell", "--by smell")]
)
def test_a_wrong_question_is_refused(text: str, k: int, by: By, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        Question(text, k, by)


def test_a_question_without_words_is_refused(made: tuple[Coloured, Path]) -> None:
    for by in ("caption", "post"):
        with pytest.raises(UsageProblem, match="no word in it"):
            ask(made[1], "?!", by)  # type: ignore[arg-type]


def test_a_stale_index_is_refused_and_may_be_searched(coloured: Coloured, bundle: Path) -> None:
    index = coloured.path.with_suffix(".index")
    build_index(coloured.path, index, open_tiny_dual(bundle))
    content = coloured.path.read_bytes()
    coloured.path.write_bytes(content.replace(b"road", b"rail"))
    with pytest.raises(InputChangedError, match=r"no longer the map that was indexed.*rsccli index"):
        SearchIndex(index)
    with SearchIndex(index, allow_stale=True) as opened:
        assert len(opened.search(Question("road"))) == 6
    # Written again with the same content it is the same map.
    coloured.path.write_bytes(content)
    SearchIndex(index).close()
    coloured.path.unlink()
    SearchIndex(index).close()
    image = Path(coloured.facts.pre.path)
    os.utime(image, ns=(1, 1))
    with pytest.raises(InputChangedError, match="no longer the image that was indexed"):
        SearchIndex(index)
    image.unlink()
    SearchIndex(index).close()


def test_a_moved_index_goes_with_its_map(coloured: Coloured, tmp_path: Path) -> None:
    index = coloured.path.with_suffix(".index")
    build_index(coloured.path, index)
    place = tmp_path / "elsewhere"
    place.mkdir()
    shutil.move(index, place / index.name)
    shutil.move(coloured.path, place / coloured.path.name)
    assert len(ask(place / index.name, "road")) == 6
    (place / coloured.path.name).write_bytes(b"{}")
    with pytest.raises(InputChangedError):
        ask(place / index.name, "road")


def test_an_encoder_that_is_gone_or_another_is_named(coloured: Coloured, bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(bundle, tmp_path / "moved"))
    index = coloured.path.with_suffix(".index")
    build_index(coloured.path, index, open_tiny_dual(moved))
    shutil.rmtree(moved)
    assert len(ask(index, "road")) == 6, "words need no encoder"
    with pytest.raises(ModelError, match=r"is gone.*--model"):
        ask(index, "red", "post")
    with SearchIndex(index, model=bundle, device="cpu") as opened:
        assert opened.search(Question("red", 1, "change"))[0].feature["id"] == "r00000c00000"
    other = write_tiny_dual(tmp_path / "other", "other")
    with (
        SearchIndex(index, model=other, device="cpu") as opened,
        pytest.raises(ModelError, match="was made with tiny-dual"),
    ):
        opened.search(Question("red", 1, "change"))


@pytest.mark.parametrize("name", ["tiles.sqlite", "places.npz"])
def test_a_damaged_index_says_so(coloured: Coloured, bundle: Path, name: str) -> None:
    index = coloured.path.with_suffix(".index")
    build_index(coloured.path, index, open_tiny_dual(bundle))
    path = index / name
    path.write_bytes(b"x" * 5000)
    for by in ("caption", "post"):
        with pytest.raises(InputError, match="make the index again"):
            ask(index, "red road", by)  # type: ignore[arg-type]
    path.unlink()
    with pytest.raises(InputError, match="make the index again"):
        ask(index, "road")
