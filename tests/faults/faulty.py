"""A captioner for tests of faults: says what `BrightnessCaptioner` says, or fails as the environment wants it to.

- ``FAULTY_SLEEP_S``: seconds to sleep for each tile; ``FAULTY_LOAD_S``: while it is loaded.
- ``FAULTY_MARK``: file that is made when loading begins, for tests that wait for it.
- ``FAULTY_OOM``: batches of more tiles raise ONNX Runtime's words for too little memory, as a session does.
- ``FAULTY_BATCH``: batches of more than one tile raise an error of no particular kind.
- ``FAULTY_TIGHT``: of `TightFactory`, the bundled captioner: most windows that its encoder takes at once.
- ``FAULTY_SAYS``: a kind of rubbish (see ``RUBBISH``), for the tile ``FAULTY_TILE`` or, without it, for all.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from captioners import BrightnessCaptioner, BrightnessFactory

from rsccli.models.captioner import CaptionerOptions
from rsccli.models.small.captioner import SmallCaptioner, SmallInt8Factory
from rsccli.types import Caption, TilePair

OOM = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. "
    "Name:'/encoder/Conv' Status Message: onnxruntime/core/framework/bfc_arena.cc:376 void* "
    "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size "
    "1073741824"
)


def _raises(caption: Caption) -> Any:
    raise KeyError("no such tensor")


RUBBISH: dict[str, Callable[[Caption], Any]] = {
    "empty": lambda caption: replace(caption, text=""),
    "blank": lambda caption: replace(caption, text=" \n\t "),
    "endless": lambda caption: replace(caption, text="and then " * 5_000_000),
    "surrogates": lambda caption: replace(caption, text="a\udcff\ud800b"),
    "control": lambda caption: replace(caption, text='x\x00\x1b[31m<script>alert(1)</script>,"=cmd()"\u202e\r\n'),
    "bytes": lambda caption: replace(caption, text=b"\xff\xfe"),
    "nan": lambda caption: replace(caption, change_score=float("nan")),
    "infinite": lambda caption: replace(caption, logprob=float("-inf")),
    "score 7": lambda caption: replace(caption, change_score=7.0),
    "score text": lambda caption: replace(caption, change_score="high"),
    "status": lambda caption: replace(caption, status="perhaps"),
    "keywords": lambda caption: replace(caption, keywords=(None, 3)),
    "keyword text": lambda caption: replace(caption, keywords="roads"),
    "mask shape": lambda caption: replace(caption, mask=np.zeros((3, 5), bool)),
    "mask floats": lambda caption: replace(caption, mask=np.full((64, 64), np.nan, np.float32)),
    "none": lambda caption: None,
    "dictionary": lambda caption: {"text": "changed"},
    "raises": _raises,
}


class FaultyFactory(BrightnessFactory):
    """Makes `FaultyCaptioner`."""

    def open(self, options: CaptionerOptions) -> FaultyCaptioner:
        """Open; may take its time."""
        if mark := os.environ.get("FAULTY_MARK"):
            Path(mark).touch()
        time.sleep(float(os.environ.get("FAULTY_LOAD_S", "0")))
        return FaultyCaptioner(self.describe(options))


class FaultyCaptioner(BrightnessCaptioner):
    """See the module."""

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption each pair on its own."""
        if len(pairs) > int(os.environ.get("FAULTY_OOM", "1000000")):
            raise RuntimeError(OOM)
        if len(pairs) > 1 and os.environ.get("FAULTY_BATCH"):
            raise ValueError("this model has a bad day")
        time.sleep(float(os.environ.get("FAULTY_SLEEP_S", "0")) * len(pairs))
        captions = super().caption(pairs)
        kind = os.environ.get("FAULTY_SAYS")
        if kind is None:
            return captions
        if kind == "too few":
            return captions[:-1]
        if kind == "no list":
            return None  # type: ignore[return-value]
        only = os.environ.get("FAULTY_TILE")
        return [
            RUBBISH[kind](caption) if only in (None, pair.tile.id) else caption
            for caption, pair in zip(captions, pairs, strict=True)
        ]


class TightFactory(SmallInt8Factory):
    """Makes the bundled captioner with an encoder session that raises ONNX Runtime's error for too large a batch."""

    def open(self, options: CaptionerOptions) -> SmallCaptioner:
        """Open, and put the session into a wrapper."""
        captioner = super().open(options)
        captioner._encoder = _TightSession(captioner._encoder)  # type: ignore[assignment]
        return captioner


class _TightSession:
    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, names: Any, fed: dict[str, Any], *more: Any) -> Any:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail

        if max(len(value) for value in fed.values()) > int(os.environ.get("FAULTY_TIGHT", "1000000")):
            raise Fail(OOM)
        return self._session.run(names, fed, *more)
