"""Runtime of a dual encoder's bundle: pictures and texts to vectors of length 1, with ONNX Runtime and tokenizers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import ModelError, OutOfMemoryError, UsageProblem
from rsccli.models.dual.manifest import (
    FEATURES,
    IMAGE,
    PIXELS,
    TEXT,
    TOKENIZER,
    TOKENS,
    DualBundle,
    open_dual_bundle,
)
from rsccli.models.dual.pictures import prepare_pictures
from rsccli.models.tokenizer import open_tokenizer

if TYPE_CHECKING:
    import onnxruntime

logger = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

#: Pictures or texts in one call: on a CPU more use no less time each, and memory grows with them.
CPU_AT_ONCE, GPU_AT_ONCE = 8, 64


def open_dual(folder: Path, device: str = "auto", threads: int | None = None) -> DualEncoder:
    """Verify a bundle and make it ready.

    Args:
        folder: of the bundle. device: see `rsccli.models.devices.resolve_device`. threads: None for the usable cores.

    Raises:
        BundleError: no dual encoder's bundle, or a file is missing, damaged or altered.
    """
    return DualEncoder(open_dual_bundle(folder), device, threads)


class DualEncoder:
    """A loaded bundle. Each graph is opened when it is needed first: a search needs no picture.

    Args:
        bundle: verified. device, threads: see `open_dual`.
    """

    def __init__(self, bundle: DualBundle, device: str = "auto", threads: int | None = None) -> None:
        self.bundle, self.manifest = bundle, bundle.manifest
        self._device, self._threads = device, threads
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._at_once = CPU_AT_ONCE
        self._closed = False
        spec = self.manifest.text
        self._tokenizer = open_tokenizer(bundle.path(TOKENIZER))
        self._tokenizer.enable_truncation(spec.length)
        self._tokenizer.enable_padding(pad_id=spec.pad, length=spec.length if spec.padded else None)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self.manifest.width

    @property
    def provider(self) -> str | None:
        """What runs the graphs; None before the first call."""
        session = next(iter(self._sessions.values()), None)
        return None if session is None else str(session.get_providers()[0])

    def pictures(self, pictures: Sequence[U8]) -> F32:
        """Vectors of pictures.

        Args:
            pictures: uint8 (H, W, 3) each, red, green, blue, of any size.

        Returns:
            float32 (N, width), each of length 1.

        Raises:
            ModelError: a graph failed, or the encoder is closed. OutOfMemoryError: it does not fit.
        """
        made = np.empty((len(pictures), self.width), np.float32)
        session = self._session(IMAGE)
        for start in range(0, len(pictures), self._at_once):
            part = prepare_pictures(pictures[start : start + self._at_once], self.manifest.picture)
            made[start : start + self._at_once] = self._run(session, IMAGE, {PIXELS: part})
        return unit(made)

    def texts(self, texts: Sequence[str]) -> F32:
        """Vectors of texts, (N, width), each of length 1; what is longer than the model reads is cut off.

        Raises:
            UsageProblem: a text without a letter or a digit. ModelError, OutOfMemoryError: as above.
        """
        made = np.empty((len(texts), self.width), np.float32)
        session = self._session(TEXT)
        for start in range(0, len(texts), self._at_once):
            ids = self.tokens(texts[start : start + self._at_once])
            made[start : start + self._at_once] = self._run(session, TEXT, {TOKENS: ids})
        return unit(made)

    def tokens(self, texts: Sequence[str]) -> I64:
        """Token ids (N, L) of texts, padded."""
        for text in texts:
            if not any(character.isalnum() for character in text):
                raise UsageProblem(f"{text!r} has no word in it: ask for something in words")
        return np.array([each.ids for each in self._tokenizer.encode_batch(list(texts))], np.int64)

    def close(self) -> None:
        """Give the sessions back."""
        self._sessions.clear()
        self._closed = True

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        from rsccli.models.sessions import check_signature, open_sessions

        if self._closed:
            raise ModelError(f"dual encoder {self.manifest.name!r} is closed: open it again")
        if name not in self._sessions:
            path = self.bundle.path(name)
            device, (session,) = open_sessions([path], self._device, self._threads, dtype=self.manifest.dtype)
            check_signature(session, path, (PIXELS,) if name == IMAGE else (TOKENS,), (FEATURES,))
            self._at_once = CPU_AT_ONCE if device.kind == "cpu" else GPU_AT_ONCE
            self._sessions[name] = session
            logger.info("%s %s: %s on %s", self.manifest.name, self.bundle.revision, name, device)
        return self._sessions[name]

    def _run(self, session: onnxruntime.InferenceSession, name: str, feeds: dict[str, npt.NDArray[Any]]) -> F32:
        from rsccli.models.memory import is_out_of_memory
        from rsccli.models.sessions import onnxruntime_errors

        try:
            (features,) = session.run([FEATURES], feeds)
        except onnxruntime_errors() as error:
            count = len(next(iter(feeds.values())))
            if is_out_of_memory(error):
                raise OutOfMemoryError(
                    f"{name} has not enough memory for {count} at once: give --device cpu"
                ) from error
            raise ModelError(f"{self.bundle.path(name)} failed on {count} inputs: {error}") from error
        return np.asarray(features, np.float32)


def unit(vectors: F32) -> F32:
    """The same directions with length 1; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: F32 = vectors / np.maximum(length, 1e-12)
    return made
