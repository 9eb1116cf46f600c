"""SPICE (Anderson et al. 2016), by its own jar, where everything that it needs is on the machine.

``Spice()`` of pycocoevalcap downloads Stanford CoreNLP when it is made; here nothing is ever downloaded, the jar is
called directly, and what is missing is named.
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.base import Measured, Metric, check_pairs, mean_score
from rsccli.evaluation.metrics.java import INSTALL_JAVA, coco_folder, find_java

JAR = "spice-1.0.jar"
# Of Stanford CoreNLP 3.6.0, which pycocoevalcap does not carry.
PARSER = ("lib/stanford-corenlp-3.6.0.jar", "lib/stanford-corenlp-3.6.0-models.jar")


def missing() -> str | None:
    """What SPICE lacks on this machine and how to get it; None where it can run."""
    if find_java() is None:
        return f"SPICE needs Java: {INSTALL_JAVA}"
    folder = coco_folder("spice")
    if folder is None or not (folder / JAR).is_file():
        return f"SPICE needs {JAR}, which comes with pycocoevalcap: pip install pycocoevalcap"
    lacking = [name for name in PARSER if not (folder / name).is_file()]
    if lacking:
        return (
            f"SPICE needs {' and '.join(Path(name).name for name in lacking)} of Stanford CoreNLP 3.6.0 "
            f"(stanford-corenlp-full-2015-12-09.zip) in {folder / 'lib'}"
        )
    return None


class Spice(Metric):
    """Mean F-score of scene graphs over the pairs; a pair without a graph counts as 0.

    Raises:
        ModelError: something that it needs is missing.
    """

    name = "SPICE"
    keys = ("spice",)
    outside = True

    def __init__(self) -> None:
        lacking = missing()
        if lacking:
            raise ModelError(lacking)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`.

        Raises:
            ModelError: the jar failed.
        """
        check_pairs(predictions, references)
        asked = [
            {"image_id": index, "test": prediction, "refs": list(texts)}
            for index, (prediction, texts) in enumerate(zip(predictions, references, strict=True))
        ]
        with tempfile.TemporaryDirectory(prefix="rsccli-spice-") as folder:
            return mean_score("spice", _scores(asked, Path(folder)), ("spice is SPICE 1.0 (Java)",))


def _scores(asked: list[dict[str, Any]], folder: Path) -> list[float]:
    question, answer = folder / "in.json", folder / "out.json"
    question.write_text(json.dumps(asked), encoding="utf-8")
    start = [find_java() or "java", "-Dfile.encoding=UTF-8", "-Xmx8G", "-jar", JAR, str(question)]
    # -subset keeps scores by kind of tuple, as pycocoevalcap asks for; the cache lives as long as this call.
    start += ["-cache", str(folder / "cache"), "-out", str(answer), "-subset", "-silent"]
    (folder / "cache").mkdir()
    done = subprocess.run(start, cwd=coco_folder("spice"), capture_output=True, text=True, check=False)
    if done.returncode != 0 or not answer.is_file():
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ModelError(f"SPICE stopped: {said[-1]}; leave it out with --no-spice")
    scores = {int(item["image_id"]): item["scores"]["All"]["f"] for item in json.loads(answer.read_text("utf-8"))}
    return [_finite(scores.get(index)) for index in range(len(asked))]


def _finite(value: object) -> float:
    number = float(value) if isinstance(value, int | float) else math.nan
    return number if math.isfinite(number) else 0.0
