"""Folders and files that hold pairs: LEVIR-CC's layout, RSCC's lines, lists of pairs, two folders of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rsccli.errors import InputError
from rsccli.evaluation.benchmark.pairs import BenchmarkPair, PairList, merged
from rsccli.evaluation.benchmark.places import Places
from rsccli.evaluation.benchmark.rows import SUFFIXES, ListedRow, Listing, read_listing
from rsccli.evaluation.benchmark.told import gsd_of, told_of
from rsccli.evaluation.probes.listing import DATES, IMAGES, IN_FOLDER
from rsccli.evaluation.records import grouped

LEVIR_CAPTIONS = "LevirCCcaptions.json"


def find_source(path: Path, images: Path | None = None) -> PairList:
    """Find the pairs of what a user named.

    Args:
        path: a file that lists pairs, a folder with one, or a folder with ``A`` and ``B`` (or pre and post, before and
            after). images: folder that the list's names are relative to, if not its own.

    Raises:
        InputError: nothing there, or no list of pairs; a damaged one, the message names the line.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; name a folder of pairs, or a file that lists them")
    if images is not None and not images.is_dir():
        raise InputError(f"--images {images} is no folder")
    if path.is_file():
        return _listed(path, images)
    listing = next((path / name for name in (*IN_FOLDER, LEVIR_CAPTIONS) if (path / name).is_file()), None)
    if listing is not None:
        return _listed(listing, images)
    dates = next(
        ((first, second) for first, second in DATES if (path / first).is_dir() and (path / second).is_dir()), None
    )
    if dates is not None:
        return _two_folders(path, *dates)
    others = sorted(each for each in path.iterdir() if each.is_file() and each.suffix.lower() in SUFFIXES)
    if len(others) == 1:
        return _listed(others[0], images)
    what = (
        f"{len(others)} files that may list pairs ({others[0].name}, {others[1].name}, ...): name one"
        if others
        else (
            f"no list of pairs ({', '.join(IN_FOLDER)}, {LEVIR_CAPTIONS}) and no folders of two dates "
            f"({' or '.join('/ and '.join(each) + '/' for each in DATES)})"
        )
    )
    raise InputError(f"{path}: it holds {what}")


def _listed(path: Path, images: Path | None) -> PairList:
    listing = read_listing(path)
    own = path.parent
    places = Places([each for root in ((images,) if images else (own,)) for each in (root, root / "images")])
    pairs = [_pair(row, index, places) for index, row in enumerate(listing.rows)]
    if not any(pair.pre or pair.post for pair in pairs):
        raise InputError(f"{path}: it names no images; a pair needs pre and post")
    return PairList(path, listing.format, merged(pairs, path), listing.captioned, tuple(_notes(listing)))


def _notes(listing: Listing) -> Iterator[str]:
    yield from (f"{listing.path.name}: {line}" for line in grouped(listing.problems))


def _pair(row: ListedRow, index: int, places: Places) -> BenchmarkPair:
    record, problems = row.record, []
    files: dict[str, Path | None] = {}
    told = told_of(row.values, record.where)
    for date, name in (("pre", record.pre), ("post", record.post), ("annotated", told.annotated)):
        files[date] = None
        if name is None:
            if date != "annotated":
                problems.append(f"its record names no {date}")
            continue
        try:
            files[date] = places.find(name)
        except InputError as error:
            # The outlines are missed by the regime that shows them, and by no other.
            if date != "annotated":
                problems.append(f"{date}: {error}")
    if files["pre"] is not None and files["pre"] == files["post"]:
        problems.append(f"pre and post are the same file, {files['pre']}")
    return BenchmarkPair(
        key=record.key,
        index=index,
        pre=record.pre or "",
        post=record.post or "",
        pre_file=files["pre"],
        post_file=files["post"],
        annotated=files["annotated"],
        references=record.captions,
        changed=record.changed,
        split=record.split,
        gsd_m=gsd_of(row.values, record.where),
        told=told,
        problem="; ".join(problems) or None,
    )


def _two_folders(folder: Path, first: str, second: str) -> PairList:
    names = [
        {each.name for each in (folder / date).iterdir() if each.suffix.lower() in IMAGES} for date in (first, second)
    ]
    pairs = []
    for index, name in enumerate(sorted(names[0] | names[1])):
        files = [
            folder / date / name if name in there else None for date, there in zip((first, second), names, strict=True)
        ]
        lone = next((date for date, file in zip((first, second), files, strict=True) if file is None), None)
        pairs.append(
            BenchmarkPair(
                key=name,
                index=index,
                pre=f"{first}/{name}",
                post=f"{second}/{name}",
                pre_file=files[0],
                post_file=files[1],
                problem=f"it is not in {lone}/" if lone else None,
            )
        )
    if not pairs:
        raise InputError(f"{folder}: no image in {first}/ and {second}/")
    return PairList(folder, f"{first} and {second}", tuple(pairs), captioned=False)
