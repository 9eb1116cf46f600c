"""What a captioner says is held against its contract before anything is kept: a model may say anything.

Rubbish costs the tile that it is about, as ``model_error`` with the reason, and nothing else: whatever a captioner
raises becomes a `ModelError`, which the loop narrows down to single tiles.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np

from rsccli.errors import ModelError, OutOfMemoryError, RsccliError
from rsccli.models.memory import is_out_of_memory
from rsccli.types import Caption, CaptionStatus, Detection, TilePair

T = TypeVar("T")

#: Characters of the longest caption: no description of a tile has that many, a model that never ends does.
LONGEST_TEXT = 20_000
_STATUSES = get_args(CaptionStatus)
# A mean of rounded numbers may lie beside its bound by that much.
_NEARLY = 1e-3


def asked(call: Callable[[Sequence[TilePair]], Sequence[T]], pairs: Sequence[TilePair], what: str) -> list[T]:
    """Call a model on a batch.

    Args:
        call: gives one result for each pair. what: who is asked, for messages.

    Raises:
        OutOfMemoryError: the batch does not fit. ModelError: it raised something, or gave another number of results.
    """
    try:
        found = list(call(pairs))
    except (RsccliError, MemoryError):
        raise
    except Exception as error:
        kind = OutOfMemoryError if is_out_of_memory(error) else ModelError
        raise kind(f"{what} failed: {_said(error)}") from error
    if len(found) != len(pairs):
        raise ModelError(f"{what} gave {len(found)} results for {len(pairs)} tiles")
    return found


def checked_caption(caption: Caption, pair: TilePair, what: str) -> Caption:
    """The caption, if it keeps the contract of `Caption`; one without words is ``unsure``, whatever it says it is.

    Raises:
        ModelError: names what is wrong with it.
    """
    wrong = _wrong_caption(caption, pair)
    if wrong is not None:
        raise ModelError(f"{what} gave {wrong}")
    if not caption.text.strip() and caption.status != "unsure":
        return replace(caption, status="unsure", reason=caption.reason or "the model said nothing")
    return caption


def checked_detection(detection: Detection, pair: TilePair, what: str, classes: int) -> Detection:
    """The detection, if it keeps the contract of `Detection`.

    Args:
        classes: how many the detector tells apart.

    Raises:
        ModelError: names what is wrong with it.
    """
    wrong = _wrong_detection(detection, pair, classes)
    if wrong is not None:
        raise ModelError(f"{what} gave {wrong}")
    return detection


def _wrong_caption(caption: object, pair: TilePair) -> str | None:
    if not isinstance(caption, Caption):
        return f"{type(caption).__name__} instead of a caption"
    if not isinstance(caption.text, str):
        return f"a caption that is {type(caption.text).__name__}, not text"
    if len(caption.text) > LONGEST_TEXT:
        return f"a caption of {len(caption.text):,} characters"
    if caption.status not in _STATUSES:
        return f"the unknown status {str(caption.status)[:40]!r}"
    if not _within(caption.change_score, 0.0, 1.0):
        return f"the change score {caption.change_score!r}, not a number from 0 to 1"
    if not _within(caption.logprob, -math.inf, 0.0):
        return f"the log-probability {caption.logprob!r}, not a number up to 0"
    words = caption.keywords
    if not isinstance(words, (tuple, list)) or not all(isinstance(word, str) for word in words):
        return "keywords that are no texts"
    if sum(map(len, words)) > LONGEST_TEXT:
        return f"{len(words):,} keywords"
    if caption.reason is not None and not isinstance(caption.reason, str):
        return f"a reason that is {type(caption.reason).__name__}, not text"
    if caption.mask is not None and not _is_array(caption.mask, pair.valid.shape, "b"):
        return f"a mask that is no bool array of {pair.valid.shape}: {_shape(caption.mask)}"
    return None


def _wrong_detection(detection: object, pair: TilePair, classes: int) -> str | None:
    if not isinstance(detection, Detection):
        return f"{type(detection).__name__} instead of a detection"
    probability, kinds = detection.probability, detection.classes
    if not _is_array(probability, pair.valid.shape, "f"):
        return f"probabilities that are no floats of {pair.valid.shape}: {_shape(probability)}"
    if kinds is not None and not _is_array(kinds, (classes, *pair.valid.shape), "f"):
        return f"classes that are no floats of {(classes, *pair.valid.shape)}: {_shape(kinds)}"
    # Comparisons with NaN are false.
    for values in (probability, kinds):
        if values is not None and not (values.min() >= -_NEARLY and values.max() <= 1 + _NEARLY):
            return "probabilities that are no numbers from 0 to 1"
    return None


def _within(value: object, least: float, most: float) -> bool:
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        return False
    number = float(value)
    return math.isfinite(number) and least - _NEARLY <= number <= most + _NEARLY


def _is_array(value: object, shape: tuple[int, ...], kind: str) -> bool:
    return isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind == kind


def _shape(value: object) -> str:
    return f"{value.dtype} of {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _said(error: Exception) -> str:
    """Kind and text of an error, and where it was raised: whoever writes a captioner needs the line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"
