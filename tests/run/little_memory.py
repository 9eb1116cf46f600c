"""A run in little memory, for a test: ``python little_memory.py BUNDLE PRE POST`` prints JSON.

The run is done twice in one process: as it is, and with captions of so many tokens allowed that the keys and values of
few tiles fit into what the limit on the address space (RLIMIT_AS) leaves.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rsccli.errors import OutOfMemoryError
from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import Captioner, CaptionerInfo, CaptionerOptions
from rsccli.models.manifest import DecoderSpec
from rsccli.models.registry import load_captioner
from rsccli.models.small.captioner import SmallFactory
from rsccli.run.caption import CaptionJob, PreparedJob, prepare_job
from rsccli.run.loop import caption_tiles
from rsccli.types import Caption, TilePair

#: Keys and values of one tile, and what the limit leaves for them: four tiles fit, five do not.
TILE_BYTES, LEFT_BYTES = 200 * 2**20, 900 * 2**20


class Noting:
    """A captioner that notes how many tiles it was given at once, and whether they fitted."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self.calls: list[tuple[int, bool]] = []

    @property
    def info(self) -> CaptionerInfo:
        return self._captioner.info

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        try:
            captions = self._captioner.caption(pairs)
        except OutOfMemoryError:
            self.calls.append((len(pairs), False))
            raise
        self.calls.append((len(pairs), True))
        return captions

    def close(self) -> None:
        self._captioner.close()


def records(prepared: PreparedJob, captioner: Captioner) -> list[dict[str, Any]]:
    batches = caption_tiles(prepared.pair, captioner, batch_size=prepared.batch_size)
    return [asdict(record) for batch in batches for record in batch.records]


def tokens(spec: DecoderSpec) -> int:
    """How long a caption must be allowed to be for one tile to take so much."""
    return TILE_BYTES // (2 * 2 * spec.layers * spec.heads * spec.head_dim * 4)


def main(bundle: str, pre: str, post: str) -> None:
    geometry = PairOptions(tile_size=128, radiometry="none")
    options = CaptionerOptions(device="cpu", threads=1, words="decoder")
    prepared = prepare_job(CaptionJob(pre, post, geometry=geometry, model=bundle, captioner=options, batch_size=12))
    plain = records(prepared, load_captioner(bundle, options))
    spec = SmallFactory(Path(bundle)).bundle().manifest.decoder
    long = CaptionerOptions(device="cpu", threads=1, words="decoder", max_new_tokens=tokens(spec))
    captioner = Noting(load_captioner(bundle, long))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + LEFT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print(json.dumps({"plain": plain, "limited": records(prepared, captioner), "calls": captioner.calls}))


if __name__ == "__main__":
    main(*sys.argv[1:])
