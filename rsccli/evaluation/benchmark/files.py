"""The folder of a benchmark: results in three forms, captions and journals of every entrant."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rsccli.errors import OutputError
from rsccli.evaluation.benchmark.document import render_json
from rsccli.evaluation.benchmark.page import page_of
from rsccli.evaluation.benchmark.result import Benchmark
from rsccli.evaluation.tables.latex import render_latex
from rsccli.evaluation.tables.markdown import render_markdown
from rsccli.output.writers.atomic import replacing

RESULTS = ("results.json", "results.md", "results.tex")
PREDICTIONS = "predictions"


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse what could not be written, before anything is loaded.

    Raises:
        OutputError: results are there already, or no folder can be made.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with -o")
    if not folder.exists() and not folder.parent.is_dir():
        raise OutputError(f"the folder {folder.parent} does not exist; make it with: mkdir -p {folder.parent}")
    there = next((folder / name for name in RESULTS if (folder / name).exists()), None)
    if there is not None and not overwrite:
        raise OutputError(
            f"{there} exists; add --overwrite to replace it (captions are kept, only missing ones are asked for; with "
            "--no-resume all of them), or name another folder with -o"
        )


@contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """Make the folder and keep other processes out of it; gives the folder of captions.

    Raises:
        OutputError: it cannot be made, or another process is writing to it.
    """
    predictions = folder / PREDICTIONS
    try:
        predictions.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OutputError(f"cannot make {predictions}: {error.strerror}; name another folder with -o") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"{folder}: another process is writing to it. Wait for it, or choose another folder with -o"
            ) from error
        except OSError:
            pass  # a file system without locks: go on without
        yield predictions
    finally:
        os.close(handle)


def write_results(folder: Path, result: Benchmark) -> tuple[Path, ...]:
    """Write the results, each file whole or not at all.

    Raises:
        OutputError: one of them cannot be written.
    """
    page = page_of(result)
    forms = (render_json(result), render_markdown(page), render_latex(page))
    paths = tuple(folder / name for name in RESULTS)
    for path, text in zip(paths, forms, strict=True):
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8", errors="replace")
    return paths
