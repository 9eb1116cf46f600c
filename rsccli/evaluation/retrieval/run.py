"""What ``rsccli evaluate retrieval`` does, from files to the result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.retrieval.measure import Task, shared_texts
from rsccli.evaluation.retrieval.references import read_references
from rsccli.evaluation.retrieval.result import Retrieval, Row

Kind = Literal["captions", "model", "vectors", "similarity"]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes:
        references: file of captions of people; None with a ``model`` whose pairs have captions themselves.
        split, column: of the references. model: bundle of a dual encoder; pairs: folder or file of pairs that it looks
            at. device: for it. vectors: ``.npz``; similarity: ``.npy``; see `rsccli.evaluation.retrieval.given`. One
            of model, vectors and similarity at most; none of them: captions by their words.
        samples, seed: of the intervals.
    """

    references: Path | None
    split: str | None = None
    column: str | None = None
    model: Path | None = None
    pairs: Path | None = None
    device: str = "auto"
    vectors: Path | None = None
    similarity: Path | None = None
    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        given = [each for each in (self.model, self.vectors, self.similarity) if each is not None]
        if len(given) > 1:
            raise UsageProblem("--model, --vectors and --similarity each stand for the pairs: give one of them")
        if (self.model is None) != (self.pairs is None):
            raise UsageProblem("--model needs --pairs to look at, and --pairs a dual encoder (--model) that looks")
        if self.references is None and self.model is None:
            raise UsageProblem("REF is missing: name the file with the captions of people")


def evaluate_retrieval(
    request: Request, progress: Callable[[int], Progress] = lambda total: lambda done: None
) -> Retrieval:
    """Measure.

    Args:
        progress: is called with the number of pairs to look at, and gives what is told of each that is done.

    Raises:
        UsageProblem, InputError: a file that cannot be read, or does not fit. ModelError: the bundle cannot be used.
    """
    if request.model is not None and request.pairs is not None:
        return _by_model(request, request.model, request.pairs, progress)
    assert request.references is not None
    references = read_references(request.references, request.split, request.column)
    notes = list(references.notes)
    if request.vectors is not None or request.similarity is not None:
        from rsccli.evaluation.retrieval.given import similarity_rows, vector_rows

        if request.vectors is not None:
            kind: Kind = "vectors"
            rows, task = vector_rows(request.vectors, references, request.samples, request.seed)
            source = f"Vectors of {request.vectors}"
        else:
            assert request.similarity is not None
            kind = "similarity"
            rows, task = similarity_rows(request.similarity, references, request.samples, request.seed)
            source = f"Similarities of {request.similarity}"
        return _result(request, kind, source, rows, [task], notes)
    from rsccli.evaluation.retrieval.lexical import lexical_rows

    rows, tasks, told = lexical_rows(references, request.samples, request.seed)
    return _result(request, "captions", "Captions by their words", rows, tasks, [*notes, *told])


def _by_model(request: Request, model: Path, folder: Path, progress: Callable[[int], Progress]) -> Retrieval:
    from rsccli.evaluation.retrieval.dual import dual_rows, pairs_with_captions
    from rsccli.models.dual.encoder import open_dual

    encoder = open_dual(model, request.device)
    try:
        pairs, notes = pairs_with_captions(folder, request.references, request.split)
        rows, task, left = dual_rows(encoder, pairs, request.samples, request.seed, progress(len(pairs)))
        source = f"Dual encoder {encoder.manifest.name} {encoder.bundle.revision} on {folder}"
    finally:
        encoder.close()
    return _result(request, "model", source, rows, [task], [*notes, *left])


def _result(
    request: Request, kind: Kind, source: str, rows: list[Row], tasks: list[Task], notes: list[str]
) -> Retrieval:
    # In the turns of captions the pairs are the same, the texts others.
    changed = list(tasks[0].changed)
    path = request.references or request.pairs
    assert path is not None
    return Retrieval(
        kind=kind,
        source=source,
        references=str(path),
        sha256=_sha256(path) if path.is_file() else "",
        split=request.split,
        pairs=len(tasks[0].captions),
        changed_pairs=None if None in changed else sum(map(bool, changed)),
        texts=sum(len(task.texts) for task in tasks),
        shared=sum(map(shared_texts, tasks)),
        rows=tuple(rows),
        samples=request.samples,
        seed=request.seed,
        notes=tuple(notes),
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
