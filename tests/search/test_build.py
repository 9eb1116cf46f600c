"""Making an index: what it holds, what it keeps, when it refuses, and that it is there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coloured_map import POST, PRE, Coloured, make_map
from tiny_dual import open_tiny_dual, write_tiny_dual

from rsccli.errors import InputChangedError, InputError, OutputError, UsageProblem
from rsccli.output.writers import write_features
from rsccli.search import build, embed
from rsccli.search.build import build_index, check_place, encoder_folder
from rsccli.search.features import TileTable
from rsccli.search.layout import find_index, read_facts
from rsccli.search.query import Question, SearchIndex
from rsccli.search.vectors import VectorIndex


class Counting:
    """The tiny encoder, which counts what it looks at and may be stopped."""

    def __init__(self, folder: Path, stop_after: int | None = None) -> None:
        self._inner = open_tiny_dual(folder)
        self.bundle, self.width = self._inner.bundle, self._inner.width
        self.seen = 0
        self._stop_after = stop_after

    def pictures(self, pictures: list[np.ndarray]) -> np.ndarray:
        if self._stop_after is not None and self.seen >= self._stop_after:
            raise KeyboardInterrupt
        self.seen += len(pictures)
        return self._inner.pictures(pictures)

    def texts(self, texts: list[str]) -> np.ndarray:
        return self._inner.texts(texts)

    def close(self) -> None:
        self._inner.close()


def index_of(made: Coloured) -> Path:
    return made.path.with_suffix(".index")


def hits(index: Path, text: str, by: str = "caption", **options: object) -> list[str]:
    with SearchIndex(index, device="cpu") as opened:
        return [hit.feature["id"] for hit in opened.search(Question(text, by=by, **options))]  # type: ignore[arg-type]


def test_captions_alone_need_no_images(coloured: Coloured) -> None:
    for path in coloured.path.parent.glob("*.tif"):
        path.unlink()
    built = build_index(coloured.path, index_of(coloured))
    assert (built.facts.tiles, built.facts.captions, built.facts.encoder) == (12, 7, None)
    assert {path.name for path in index_of(coloured).iterdir()} == {"index.json", "tiles.sqlite", "places.npz"}
    found = hits(index_of(coloured), "turned red")
    assert len(found) == 6 and set(found[:2]) == {"r00000c00000", "r00001c00002"}


def test_vectors_are_of_the_pictures(coloured: Coloured, bundle: Path) -> None:
    encoder = open_tiny_dual(bundle)
    built = build_index(coloured.path, index_of(coloured), encoder)
    # The tile without data after has no vectors.
    assert (built.facts.pictures, built.facts.failed) == (11, 0)
    table = TileTable(index_of(coloured))
    ids = table.ids()
    table.close()
    pre, post, change = (VectorIndex(index_of(coloured), name) for name in ("pre", "post", "change"))
    assert [ids[row] for row in post.rows] == ids[:11]
    for place, (first, second) in enumerate(zip(PRE, POST[:11], strict=False)):
        for name, index in ((first, pre), (second, post)):
            if name != "grey":
                word = encoder.texts([str(name)])[0]
                assert index.at(np.array([place]))[0].astype(np.float32) @ word > 0.9
    difference = post.at(np.arange(11)).astype(np.float32) - pre.at(np.arange(11)).astype(np.float32)
    assert np.abs(change.at(np.arange(11)).astype(np.float32) - difference).max() < 1e-3
    assert np.linalg.norm(difference[3]) < 0.1, "red stayed red: nothing to find there"


def test_what_did_not_change_is_kept(coloured: Coloured, bundle: Path) -> None:
    encoder = Counting(bundle)
    build_index(coloured.path, index_of(coloured), encoder)  # type: ignore[arg-type]
    assert encoder.seen == 22
    again = build_index(coloured.path, index_of(coloured), encoder)  # type: ignore[arg-type]
    assert again.unchanged and encoder.seen == 22
    # The same images captioned anew, with other words: no picture is looked at again.
    features = [
        f if f.caption is None else f.__class__(**{**_members(f), "caption": "Snow."}) for f in coloured.features
    ]
    write_features(coloured.path, features, coloured.facts)
    anew = build_index(coloured.path, index_of(coloured), encoder)  # type: ignore[arg-type]
    assert (anew.kept, anew.facts.captions, encoder.seen, anew.unchanged) == (11, 1, 22, False)
    assert len(hits(index_of(coloured), "snow")) == 11 and hits(index_of(coloured), "red") == []
    assert hits(index_of(coloured), "red", "change", k=1) == ["r00000c00000"]
    # Fewer tiles, then all of them: only what is new is looked at.
    write_features(coloured.path, coloured.features[:4], coloured.facts)
    build_index(coloured.path, index_of(coloured), encoder)  # type: ignore[arg-type]
    write_features(coloured.path, coloured.features, coloured.facts)
    grown = build_index(coloured.path, index_of(coloured), encoder)  # type: ignore[arg-type]
    assert (grown.kept, grown.facts.pictures, encoder.seen) == (4, 11, 22 + 14)


def _members(feature: object) -> dict[str, object]:
    return {name: getattr(feature, name) for name in feature.__slots__}  # type: ignore[attr-defined]


def test_a_stopped_run_goes_on_where_it_was(coloured: Coloured, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "PART_TILES", 4)
    stopped = Counting(bundle, stop_after=8)
    with pytest.raises(KeyboardInterrupt):
        build_index(coloured.path, index_of(coloured), stopped)  # type: ignore[arg-type]
    assert stopped.seen == 8 and not index_of(coloured).exists()
    second = Counting(bundle)
    built = build_index(coloured.path, index_of(coloured), second)  # type: ignore[arg-type]
    assert (built.kept, second.seen) == (4, 14)
    assert hits(index_of(coloured), "blue", "post", k=2) == ["r00000c00002", "r00001c00001"]
    assert not list(coloured.path.parent.glob(".*.part")), "nothing is left beside it"


def test_a_torn_part_is_looked_at_again(coloured: Coloured, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "PART_TILES", 4)
    with pytest.raises(KeyboardInterrupt):
        build_index(coloured.path, index_of(coloured), Counting(bundle, stop_after=8))  # type: ignore[arg-type]
    (part,) = (coloured.path.parent / ".out.index.part" / "parts").glob("*.npz")
    part.write_bytes(part.read_bytes()[:300])
    second = Counting(bundle)
    assert build_index(coloured.path, index_of(coloured), second).facts.pictures == 11  # type: ignore[arg-type]
    assert second.seen == 22


def test_vectors_of_another_encoder_are_not_kept(coloured: Coloured, bundle: Path, tmp_path: Path) -> None:
    build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle))
    other = Counting(write_tiny_dual(tmp_path / "other", "other"))
    built = build_index(coloured.path, index_of(coloured), other)  # type: ignore[arg-type]
    assert (built.kept, other.seen) == (0, 22)
    encoder = built.facts.encoder
    assert encoder is not None and encoder.name == "other"


def test_images_that_changed_are_refused(coloured: Coloured, bundle: Path, tmp_path: Path) -> None:
    build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle))
    image = Path(coloured.facts.post.path)
    os.utime(image, ns=(1, 1))
    write_features(coloured.path, coloured.features[:5], coloured.facts)
    with pytest.raises(InputChangedError, match="no longer the file that was captioned"):
        build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle))
    image.unlink()
    with pytest.raises(InputError, match="cannot be read again"):
        build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle))
    assert read_facts(index_of(coloured)).tiles == 12, "the old index is as it was"


def test_a_map_without_facts_has_no_pictures(coloured: Coloured, bundle: Path) -> None:
    path = coloured.path.with_name("bare.geojsonl")
    write_features(path, coloured.features, coloured.facts)
    assert build_index(path, path.with_suffix(".index")).facts.tiles == 12
    with pytest.raises(UsageProblem, match="does not say which images"):
        build_index(path, path.with_name("other.index"), open_tiny_dual(bundle))


def test_what_is_no_index_of_this_map_is_refused(coloured: Coloured, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="no index of rsccli"):
        build_index(coloured.path, mine, overwrite=True)
    assert (mine / "letter.txt").read_text() == "dear"
    other = make_map(tmp_path, name="elsewhere")
    build_index(other.path, index_of(other))
    with pytest.raises(OutputError, match="is the index of"):
        check_place(index_of(other), coloured.path, overwrite=False)
    assert build_index(coloured.path, index_of(other), overwrite=True).facts.source.path == str(coloured.path)
    with pytest.raises(OutputError, match="mkdir -p"):
        check_place(tmp_path / "none" / "x.index", coloured.path, False)


def test_the_old_index_stays_when_the_new_one_cannot_be_made(
    coloured: Coloured, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(coloured.path, index_of(coloured))
    monkeypatch.setattr(build, "write_codes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="No space left on device"):
        build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle))
    assert len(hits(index_of(coloured), "same scene")) == 5 and read_facts(index_of(coloured)).encoder is None


def test_two_processes_do_not_make_the_same_index(coloured: Coloured) -> None:
    work = coloured.path.parent / ".out.index.part"
    work.mkdir()
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another process is making this index"):
            build_index(coloured.path, index_of(coloured))
    assert build_index(coloured.path, index_of(coloured)).facts.tiles == 12


def test_a_touched_copy_is_the_same_map(coloured: Coloured) -> None:
    build_index(coloured.path, index_of(coloured))
    os.utime(coloured.path)
    again = build_index(coloured.path, index_of(coloured))
    assert again.unchanged and read_facts(index_of(coloured)).source.mtime_ns == coloured.path.stat().st_mtime_ns


def test_the_encoder_of_an_index_is_asked_again(coloured: Coloured, bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(bundle, tmp_path / "moved"))
    build_index(coloured.path, index_of(coloured), open_tiny_dual(moved))
    assert encoder_folder(index_of(coloured), None, False) == moved
    assert encoder_folder(index_of(coloured), bundle, False) == bundle
    assert encoder_folder(index_of(coloured), None, True) is None
    shutil.rmtree(moved)
    with pytest.raises(UsageProblem, match="is gone from"):
        encoder_folder(index_of(coloured), None, False)


def test_a_tile_twice_is_an_error(coloured: Coloured) -> None:
    write_features(coloured.path, [*coloured.features, coloured.features[0]], coloured.facts)
    with pytest.raises(InputError, match="r00000c00000 is in the map twice"):
        build_index(coloured.path, index_of(coloured))
    assert not index_of(coloured).exists() and not list(coloured.path.parent.glob(".*.part"))


def test_a_map_without_tiles_has_an_index_that_finds_nothing(coloured: Coloured, bundle: Path) -> None:
    write_features(coloured.path, [], coloured.facts)
    build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle))
    for by in ("caption", "meaning", "post"):
        assert hits(index_of(coloured), "red", by) == []


def test_an_index_is_found_beside_its_map(coloured: Coloured, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no index yet: make it with rsccli index"):
        find_index(coloured.path)
    build_index(coloured.path, index_of(coloured))
    assert find_index(coloured.path) == find_index(index_of(coloured)) == index_of(coloured)
    with pytest.raises(InputError, match="is no index"):
        find_index(tmp_path)


def test_a_damaged_manifest_says_how_to_mend_it(coloured: Coloured) -> None:
    build_index(coloured.path, index_of(coloured))
    for content in (b"", b"{}", b'{"format": "rsccli-index/9"}', b"[1]"):
        (index_of(coloured) / "index.json").write_bytes(content)
        with pytest.raises(InputError, match="--overwrite"):
            read_facts(index_of(coloured))
    assert build_index(coloured.path, index_of(coloured), overwrite=True).facts.tiles == 12


def test_a_tile_that_cannot_be_read_is_counted(coloured: Coloured, bundle: Path) -> None:
    image = Path(coloured.facts.post.path)
    # Uncompressed blocks in the order of the tiles: the last three are gone, and one of these had no data anyway.
    os.truncate(image, image.stat().st_size - 3 * 64 * 64 * 3)
    identity = f"size={image.stat().st_size} mtime_ns={image.stat().st_mtime_ns}"
    facts = replace(coloured.facts, post=replace(coloured.facts.post, identity=identity))
    write_features(coloured.path, coloured.features, facts)
    built = build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle))
    assert (built.facts.pictures, built.facts.failed) == (9, 2)
    assert len(hits(index_of(coloured), "red", "post")) == 9 and len(hits(index_of(coloured), "scene")) == 5
    # Not taken for done: whoever runs it again has them looked at again.
    assert not build_index(coloured.path, index_of(coloured), open_tiny_dual(bundle)).unchanged
