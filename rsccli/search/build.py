"""A captioned map to an index: made beside its place, and there whole or not at all.

What is already known is kept: vectors of an older index of the same images and encoder, and those of a run that was
stopped. So a map that grew or was captioned anew costs only its new tiles.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rsccli import __version__
from rsccli.errors import InputError, OutputError, UsageProblem
from rsccli.output.readers import read_outputs
from rsccli.output.writers.atomic import sync
from rsccli.search.embed import Progress, embed_pairs, pixels_key, write_captions, write_pictures
from rsccli.search.features import Written, write_tiles
from rsccli.search.freshness import source_of
from rsccli.search.layout import (
    CAPTION_VECTORS,
    MANIFEST,
    PICTURE_VECTORS,
    Encoder,
    IndexFacts,
    Source,
    is_index,
    read_facts,
)
from rsccli.search.parts import Parts, keep_old
from rsccli.search.vectors import write_codes
from rsccli.types import RunFacts

if TYPE_CHECKING:
    from rsccli.models.dual.encoder import DualEncoder

Say = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """An index that is ready.

    Attributes:
        facts: what it holds. kept: tiles whose vectors were there before. unchanged: nothing had to be done.
    """

    facts: IndexFacts
    kept: int = 0
    unchanged: bool = False


def check_place(index: Path, source: Path, overwrite: bool) -> None:
    """Find out before any work whether the index can be written.

    An index of the same map is brought up to date; anything else in its place is refused.

    Raises:
        OutputError: something else is there, or the folder cannot be written.
    """
    if index.exists() and not is_index(index):
        raise OutputError(f"{index} is no index of rsccli: name another folder with -o")
    if index.exists() and not overwrite:
        try:
            told = read_facts(index).source.path
        except InputError as error:
            raise OutputError(f"{index} holds a damaged index; add --overwrite to make it again") from error
        if Path(told).name != source.name:
            raise OutputError(f"{index} is the index of {told}; add --overwrite to replace it, or name another with -o")
    folder = index.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} of the index does not exist; make it with: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {folder} of the index is not writable; name another one with -o")


def build_index(
    source: Path,
    index: Path,
    encoder: DualEncoder | None = None,
    *,
    overwrite: bool = False,
    say: Say = lambda _: None,
    progress: Callable[[int], Progress] | None = None,
) -> Built:
    """Make or bring up to date the index of a map.

    Args:
        source: an output of ``rsccli caption``. index: folder of the index.
        encoder: for vectors of pictures and captions; None: captions as words alone.
        overwrite: replace an index of another map. say: takes lines of progress.
        progress: is called with the number of tiles to look at, and gives what is told of each that is done.

    Raises:
        InputError: the map is no output of ours, is damaged, or its images are gone.
        InputChangedError: an image is no longer the file that was captioned.
        UsageProblem: vectors are wanted of a map that does not name its images.
        OutputError: something else is in the place of the index, or it cannot be written.
    """
    check_place(index, source, overwrite)
    facts, features = read_outputs(source)
    told = source_of(source)
    if encoder is not None and facts is None:
        raise UsageProblem(
            f"{source} does not say which images it was made from: index the map in a format with facts (.geojson, "
            ".gpkg, .fgb, .parquet), or keep its .report.json beside it"
        )
    key = pixels_key(facts, encoder.bundle.digest) if encoder is not None and facts is not None else None
    old = _old(index)
    if old is not None and old.source.sha256 == told.sha256 and old.pixels == key and not old.failed:
        return Built(_moved(index, old, told), old.pictures, unchanged=True)
    work = index.absolute().parent / f".{index.name}.part"
    try:
        with _alone(work) as (fresh, parts_folder):
            written = write_tiles(fresh, facts, features)
            written.places.save(fresh)
            say(f"{len(written.ids)} tiles, {len(written.captions)} different captions")
            made = IndexFacts(__version__, told, len(written.ids), len(written.captions), pixels=key)
            kept = 0
            if encoder is not None and facts is not None and key is not None:
                parts = Parts(parts_folder, key)
                if old is not None:
                    keep_old(parts, set(written.ids), index, old, key)
                made, kept = _vectors(fresh, made, written, facts, encoder, parts, say, progress or _silent)
            (fresh / MANIFEST).write_bytes(made.to_bytes())
            _into_place(fresh, index)
            shutil.rmtree(work, ignore_errors=True)
            return Built(made, kept)
    except OSError as error:
        raise OutputError(
            f"{index} cannot be written: {error.strerror or error}; free space there, then run the same command again"
        ) from error


def _vectors(
    fresh: Path,
    made: IndexFacts,
    written: Written,
    facts: RunFacts,
    encoder: DualEncoder,
    parts: Parts,
    say: Say,
    progress: Callable[[int], Progress],
) -> tuple[IndexFacts, int]:
    """Vectors of captions and pictures with their codes; the facts of the index with them, and how many were known."""
    from rsccli.run.pixels import open_run_pixels

    known = parts.ids()
    rows = {written.ids[row]: row for row in written.readable}
    missing = [tile for tile in rows if tile not in known]
    kept, failed = len(rows) - len(missing), 0
    if kept:
        say(f"{kept} tiles have their vectors from before")
    # Opened even where nothing is missing: an index of images that changed is refused.
    with open_run_pixels(facts) as pixels:
        for note in pixels.notes:
            say(note)
        failed = embed_pairs(encoder, pixels.pairs(missing), parts, progress(len(missing)))
    pictures = write_pictures(fresh, parts, rows, encoder.width)
    say(f"vectors of {len(written.captions)} captions")
    write_captions(fresh, CAPTION_VECTORS, encoder, written.captions, lambda _: None)
    for name in (*PICTURE_VECTORS, CAPTION_VECTORS):
        if write_codes(fresh, name):
            say(f"codes of {name}")
    bundle = encoder.bundle
    who = Encoder(bundle.manifest.name, bundle.revision, str(bundle.folder.absolute()), bundle.digest, encoder.width)
    dates = ((facts.pre.path, facts.pre.identity), (facts.post.path, facts.post.identity))
    return replace(made, pictures=pictures, failed=failed, inputs=dates, encoder=who), kept


def encoder_folder(index: Path, asked: Path | None, overwrite: bool) -> Path | None:
    """Folder of the dual encoder for an index: as asked, or the one that made the vectors that are there.

    Raises:
        UsageProblem: it was not asked for, and that one is gone: vectors would be lost without a word.
    """
    old = _old(index)
    if asked is not None or overwrite or old is None or old.encoder is None:
        return asked
    folder = Path(old.encoder.folder)
    if not folder.is_dir():
        raise UsageProblem(
            f"{index} has vectors of {old.encoder.name}, which is gone from {folder}: say where it is with --model, or "
            "add --overwrite to index captions alone"
        )
    return folder


def _silent(_: int) -> Progress:
    return lambda tiles: None


def _old(index: Path) -> IndexFacts | None:
    """Facts of the index that is there; None where there is none that can be read."""
    try:
        return read_facts(index) if is_index(index) else None
    except InputError:
        return None


def _moved(index: Path, old: IndexFacts, told: Source) -> IndexFacts:
    """The same index of a map that was copied or touched: its place and time are written down."""
    if old.source == told:
        return old
    made = replace(old, source=told)
    unfinished = index / f"{MANIFEST}.part"
    unfinished.write_bytes(made.to_bytes())
    os.replace(unfinished, index / MANIFEST)
    return made


@contextmanager
def _alone(work: Path) -> Iterator[tuple[Path, Path]]:
    """Folders for the new index and for its parts, while no other process makes the same index.

    The parts stay when the work is stopped; they are what it goes on with.
    """
    work.mkdir(exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"{work}: another process is making this index. Wait for it, or choose another -o"
            ) from error
        except OSError:
            pass  # a file system without locks: go on without
        fresh, parts = work / "index", work / "parts"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        try:
            yield fresh, parts
        finally:
            # Parts stay for the next time; without any, nothing is left.
            shutil.rmtree(fresh, ignore_errors=True)
            if not any(parts.glob("*.npz")):
                shutil.rmtree(work, ignore_errors=True)


def _into_place(fresh: Path, index: Path) -> None:
    """Move the folder to its place; the old one stays until the new one is there."""
    for path in fresh.iterdir():
        sync(path)
    sync(fresh)
    old = fresh.with_name("old")
    shutil.rmtree(old, ignore_errors=True)
    if index.exists():
        os.rename(index, old)
    try:
        os.rename(fresh, index)
    except OSError:
        if old.exists():
            os.rename(old, index)
        raise
    sync(index.absolute().parent)
