"""A dual encoder over a folder of pairs: its own vectors of pictures and captions find each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError
from rsccli.evaluation.probes.pairs import Pair, PairChoice, find_pairs
from rsccli.evaluation.retrieval.given import matrix_rows
from rsccli.evaluation.retrieval.measure import Task
from rsccli.evaluation.retrieval.references import task_of
from rsccli.evaluation.retrieval.result import Row
from rsccli.models.large.pictures import pair_pictures
from rsccli.search.embed import Embeds

F32 = npt.NDArray[np.float32]

#: Pairs whose pixels are in memory at once.
_AT_ONCE = 32


def pairs_with_captions(folder: Path, references: Path | None, split: str | None) -> tuple[tuple[Pair, ...], list[str]]:
    """Pairs of a folder or a file of pairs that have captions, and what a reader should know.

    Args:
        folder: see `rsccli.evaluation.probes.listing`. references: file of captions, where the pairs have none.

    Raises:
        InputError: there are none, or only one.
    """
    # Vectors know no scale: any one will do for images that do not say theirs.
    found = find_pairs([str(folder)], PairChoice(references=references, split=split, limit=0, gsd_m=1.0))
    kept = tuple(pair for pair in found.pairs if pair.label.captions)
    if len(kept) < 2:
        raise InputError(
            f"{folder}: {len(kept)} of {len(found.pairs)} pairs have captions; give a file that has them as REF, "
            "joined by id or by the names of the images"
        )
    notes = list(found.notes)
    if len(kept) < len(found.pairs):
        notes.append(f"{len(found.pairs) - len(kept)} pairs without captions were left out")
    return kept, notes


def dual_rows(
    encoder: Embeds,
    pairs: Sequence[Pair],
    samples: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[Row], Task, list[str]]:
    """Rows of both ways, by pre, by post, and by their difference (see `rsccli.search.embed.write_pictures`).

    Returns:
        Rows, the task that they come from, and which pairs were left out because they cannot be read.

    Raises:
        InputError: fewer than two pairs can be read. ModelError: the encoder failed.
    """
    seen: list[Pair] = []
    notes: list[str] = []
    made: dict[str, list[F32]] = {"pre": [], "post": []}
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        pictures = []
        for pair in some:
            try:
                pictures.append(pair_pictures(pair.images.read()))
                seen.append(pair)
            except InputError as error:
                notes.append(f"left out: {error}")
        for name, date in zip(("pre", "post"), zip(*pictures, strict=True), strict=False):
            made[name].append(encoder.pictures(date))
        progress(len(some))
    if len(seen) < 2:
        raise InputError(f"{len(seen)} of {len(pairs)} pairs can be read: {'; '.join(notes[:2])}")
    vectors = {name: np.concatenate(parts) for name, parts in made.items()}
    vectors["change"] = vectors["post"] - vectors["pre"]
    task = task_of([pair.label.captions for pair in seen], [pair.label.changed for pair in seen])
    texts = encoder.texts(task.texts)
    rows = [row for name, items in vectors.items() for row in matrix_rows(name, texts @ items.T, task, samples, seed)]
    return rows, task, notes
