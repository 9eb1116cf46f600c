"""The METEOR 1.5 jar as a process that answers lines of text with lines of counts."""

from __future__ import annotations

import atexit
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.base import F64
from rsccli.evaluation.metrics.java import coco_folder, find_java

JAR = "meteor-1.5.jar"
# Counts in an answer.
FIELDS = 23
# A prediction, then its references.
Question = tuple[str, ...]
# Lines on their way at once: their answers must fit into a pipe, or both sides wait for each other.
AHEAD = 100


class MeteorProcess:
    """One running jar, started at the first use and ended with Python; about 1.1 GB while it has its paraphrases.

    Args:
        options: behind ``-stdio``.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self._options = list(options)
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None
        self._lock = Lock()

    def start(self) -> None:
        """Start the jar without waiting for it; a second call does nothing.

        Raises:
            ModelError: it cannot be started.
        """
        with self._lock:
            self._running()

    def counts(self, questions: Sequence[Question]) -> F64:
        """Counts (N, FIELDS) of each prediction against the best of its references; no question starts nothing.

        Raises:
            ModelError: the jar stopped or answered something else.
        """
        if not questions:
            return np.empty((0, FIELDS))
        with self._lock:
            process = self._running()
            answers: list[str] = []
            try:
                for start in range(0, len(questions), AHEAD):
                    lines = [_line(*part) for part in questions[start : start + AHEAD]]
                    assert process.stdin is not None and process.stdout is not None
                    process.stdin.write("".join(lines))
                    process.stdin.flush()
                    answers.extend(process.stdout.readline() for _ in lines)
                return np.array([answer.split() for answer in answers], np.float64).reshape(len(questions), FIELDS)
            except (OSError, ValueError) as error:
                raise ModelError(f"METEOR 1.5 stopped: {self._said()}; take another with --meteor nltk") from error

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
            folder = coco_folder("meteor") or Path()
            java = find_java() or "java"
            # Options of pycocoevalcap, and UTF-8 wherever this runs.
            start = [
                java,
                "-Dfile.encoding=UTF-8",
                "-XX:+UseSerialGC",
                "-Xmx2G",
                "-jar",
                JAR,
                "-",
                "-",
                "-stdio",
                *self._options,
            ]
            try:
                self._process = subprocess.Popen(
                    [*start, *self._options],
                    cwd=folder,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    text=True,
                    encoding="utf-8",
                )
            except OSError as error:
                raise ModelError(f"METEOR 1.5 does not start ({error}); take another with --meteor nltk") from error
            atexit.register(self.stop)
        return self._process

    def stop(self) -> None:
        """End the jar; the next use starts it again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _said(self) -> str:
        if self._errors is None:
            return "it said nothing"
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _line(prediction: str, *references: str) -> str:
    """A question to the jar; bars part its fields and a line end ends it, so neither may stand in a text."""
    fields = (" ".join(text.replace("|||", " ").split()) for text in (*references, prediction))
    return "SCORE ||| " + " ||| ".join(fields) + "\n"


@cache
def process(case: str, exact: bool) -> MeteorProcess:
    """The process of this Python with ``-norm`` or ``-lower``; all who measure share it, and it starts when needed."""
    matchers = ["-m", "exact", "-w", "1.0"] if exact else []
    return MeteorProcess(["-l", "en", case, *matchers])
