"""Versions of what made the numbers: of the libraries that this run has loaded, not of all that are installed."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from rsccli import __version__

# Name of the module and of the package that it comes in.
_LIBRARIES = (
    ("numpy", "numpy"),
    ("scipy", "scipy"),
    ("nltk", "nltk"),
    ("pycocoevalcap", "pycocoevalcap"),
    ("rouge_score", "rouge-score"),
    ("bert_score", "bert-score"),
    ("sentence_transformers", "sentence-transformers"),
    ("transformers", "transformers"),
    ("torch", "torch"),
)


def versions(java: bool = False) -> tuple[tuple[str, str], ...]:
    """Name and version; call it when the scores are made.

    Args:
        java: whether METEOR 1.5 or SPICE ran: their jars come with pycocoevalcap, whose Python is not loaded.
    """
    told = [("rsccli", __version__), ("python", platform.python_version())]
    for module, package in _LIBRARIES:
        if module in sys.modules or (java and package == "pycocoevalcap"):
            try:
                told.append((package, version(package)))
            except PackageNotFoundError:  # loaded from a folder, not installed
                told.append((package, "unknown"))
    return tuple(told)
