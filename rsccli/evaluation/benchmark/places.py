"""Where the images of a record are: a path, or a file name that lies somewhere below the folder of the pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rsccli.errors import InputError
from rsccli.evaluation.records import base_name


class Places:
    """Finds images.

    Args:
        roots: folders that names are relative to, the first one that has the file counts. A name that none of them has
            is looked for by its last part in all folders below them.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(root for root in dict.fromkeys(roots) if root.is_dir())
        self._below: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """The file of a name.

        Raises:
            InputError: there is none, or there are several.
        """
        plain = name.strip().replace("\\", "/")
        for root in self._roots:
            if (root / plain).is_file():
                return root / plain
        found = self._index().get(base_name(plain), [])
        if len(found) > 1:
            raise InputError(f"{name}: several files have that name, {found[0]} and {found[1]}; give its folder, too")
        if not found:
            raise InputError(f"{name}: no such file in {' or '.join(map(str, self._roots)) or 'any folder'}")
        return found[0]

    def _index(self) -> dict[str, list[Path]]:
        """Files by their names, each once, whatever roots lie in each other."""
        if self._below is None:
            self._below = {}
            seen: set[str] = set()
            for root in self._roots:
                for folder, _, names in os.walk(root):
                    if (real := os.path.realpath(folder)) in seen:
                        continue
                    seen.add(real)
                    for name in names:
                        self._below.setdefault(name, []).append(Path(folder) / name)
        return self._below
