"""Finding the files of shards, and saying which are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsccli.errors import InputError
from rsccli.run.shard.name import SUFFIX, Shard

#: Names of missing shards in a message.
_NAMED = 20


@dataclass(frozen=True)
class FoundShards:
    """Files of shards.

    Attributes:
        paths: of finished ones. unfinished: shards of which only a journal lies there.
    """

    paths: tuple[Path, ...]
    unfinished: frozenset[Shard]

    def names(self, shards: Sequence[Shard]) -> str:
        """Numbers of shards, e.g. ``2, 5, 7``; of very many the first ones."""
        more = f" and {len(shards) - _NAMED} more" if len(shards) > _NAMED else ""
        return ", ".join(str(shard.index) for shard in shards[:_NAMED]) + more

    def missing_message(self, missing: Sequence[Shard]) -> str:
        """What is missing, and what to do."""
        count = missing[0].count
        begun = [shard for shard in missing if shard in self.unfinished]
        told = f" ({self.names(begun)} begun, not finished)" if begun else ""
        return (
            f"{len(missing)} of {count} shards {'is' if len(missing) == 1 else 'are'} missing: {self.names(missing)}"
            f"{told}. Run them again with the same command, e.g. --shard {missing[0]}; or merge what is there with "
            "--allow-missing"
        )


def find_shards(given: Sequence[Path]) -> FoundShards:
    """Files as they are named, and all shards of folders; each once.

    Raises:
        InputError: a name that leads nowhere, or no finished shard at all.
    """
    paths: dict[Path, Path] = {}
    unfinished: set[Shard] = set()
    for name in given:
        for path in _within(name):
            if path.name.endswith(f"{SUFFIX}.journal"):
                unfinished |= {shard} if (shard := Shard.of_file(path)) is not None else set()
            else:
                paths.setdefault(path.resolve(), path)
    if not paths:
        begun = f"; {len(unfinished)} are begun, not finished" if unfinished else ""
        raise InputError(
            f"no finished shard in {', '.join(map(str, given))}{begun}. rsccli caption --shard i/n -o OUT writes them "
            "into OUT.shards"
        )
    return FoundShards(tuple(paths.values()), frozenset(unfinished))


def _within(name: Path) -> list[Path]:
    if not name.is_dir():
        if not name.exists():
            raise InputError(f"{name}: no such file or folder. Name the shards, or OUT.shards")
        return [name]
    try:
        return [path for path in sorted(name.iterdir()) if path.name.endswith((SUFFIX, f"{SUFFIX}.journal"))]
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error
