"""Where a detection keeps what it has not finished: hidden, beside the output that the user named."""

from __future__ import annotations

from pathlib import Path

DETECT = ".detect"
_POLYGONS = ".polygons.geojsonl"


def work_folder(output: Path) -> Path:
    """The folder of a detection into an output."""
    return output.with_name(f".{output.name}{DETECT}")


def work_journal(folder: Path) -> Path:
    """The journal in a work folder."""
    return folder / "journal"


def hidden_path(output: Path) -> Path:
    """Where the polygons of a detection lie until they have their phrases."""
    return output.with_name(f".{output.name}{_POLYGONS}")


def output_of(path: Path) -> Path:
    """The output of which a path is a work folder or hidden polygons; else the path itself."""
    name = path.name
    for suffix in (DETECT, _POLYGONS):
        if name.startswith(".") and name.endswith(suffix):
            name = name[1:].removesuffix(suffix)
    return path.with_name(name)
