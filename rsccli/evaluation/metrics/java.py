"""Where Java and the jars of pycocoevalcap are, found without starting anything that downloads."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

INSTALL_JAVA = "install a Java runtime (Debian: apt-get install default-jre-headless) or name one in JAVA_HOME"


@cache
def find_java() -> str | None:
    """The ``java`` that runs: of JAVA_HOME, else of the PATH; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    named = [str(Path(home) / "bin" / "java")] if home else []
    for candidate in [*named, shutil.which("java")]:
        if candidate and _runs(candidate):
            return candidate
    return None


def _runs(java: str) -> bool:
    # macOS has a java that only says where to buy one.
    try:
        return subprocess.run([java, "-version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def coco_folder(name: str) -> Path | None:
    """A folder inside pycocoevalcap (``meteor``, ``spice``), None where the package is not installed."""
    spec = find_spec("pycocoevalcap")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / name
        if folder.is_dir():
            return folder
    return None
