"""8-bit weights for the decoder of a bundle, kept only where they say nearly what the float weights say."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import BundleError
from rsccli.models.bundle import DECODER
from rsccli.models.large.captioner import LargeCaptioner, LargeFactory
from rsccli.types import TilePair

#: What an 8-bit decoder must hold against the float one, along the float one's own captions.
LEAST_COSINE, LEAST_AGREEMENT = 0.99, 0.9
STEPS = 24


@dataclass(frozen=True)
class Closeness:
    """An 8-bit decoder against the float one.

    Attributes:
        cosine: least over all steps, of the logits less their mean. agreement: share of steps with the same best token.
        steps: how many were compared. head: whether the layer before the logits has 8 bits, too.
    """

    cosine: float
    agreement: float
    steps: int
    head: bool

    @property
    def good(self) -> bool:
        """Whether it may ship."""
        return self.cosine >= LEAST_COSINE and self.agreement >= LEAST_AGREEMENT


def quantize(folder: Path, pairs: Sequence[TilePair], say: Callable[[str], None]) -> dict[str, Any]:
    """Replace the decoder of a float bundle by one with 8-bit weights; what was measured, for the manifest.

    First every matrix product is tried, then all but the one before the logits, which errors hurt most.

    Raises:
        BundleError: neither is near enough to the float decoder.
    """
    from rsccli.models.large.export import options_for_comparison

    captioner = LargeFactory(folder).open(options_for_comparison())
    try:
        tokens = _own_tokens(captioner, pairs)
        wanted = captioner.forced_logits(captioner.see(pairs), tokens)
    finally:
        captioner.close()
    # With its weights beside it under the name that the graph knows.
    aside = folder / "float"
    aside.mkdir()
    for path in list(folder.glob(f"{DECODER}*")):
        os.replace(path, aside / path.name)
    original = aside / DECODER
    tried = []
    try:
        for head in (True, False):
            _quantize_graph(original, folder / DECODER, head)
            found = _closeness(folder, pairs, tokens, wanted, head)
            tried.append(found)
            say(f"8 bits: cosine {found.cosine:.4f}, same best token in {100 * found.agreement:.0f} % of {found.steps}")
            if found.good:
                return {
                    "decoder_cosine": round(found.cosine, 5),
                    "decoder_agreement": round(found.agreement, 4),
                    "steps": found.steps,
                    "head": found.head,
                }
    finally:
        shutil.rmtree(aside)
    best = max(tried, key=lambda each: each.cosine)
    raise BundleError(
        f"8-bit weights change what this model says (logits' cosine {best.cosine:.3f}, at least {LEAST_COSINE} is "
        f"asked for; the same best token in {100 * best.agreement:.0f} % of steps, at least "
        f"{100 * LEAST_AGREEMENT:.0f} %): "
        "leave --quantize out; nothing was written"
    )


def _own_tokens(captioner: LargeCaptioner, pairs: Sequence[TilePair]) -> npt.NDArray[np.int64]:
    """What the float decoder says, all rows as long as the longest; filled up with its first token of an end."""
    decoded = captioner.decode(captioner.see(pairs), STEPS)
    length = max(1, *(len(each.tokens) for each in decoded))
    end = captioner.manifest.tokens.ends[0]
    return np.array([[*each.tokens, *[end] * (length - len(each.tokens))] for each in decoded], np.int64)


def _closeness(
    folder: Path,
    pairs: Sequence[TilePair],
    tokens: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.float32],
    head: bool,
) -> Closeness:
    from rsccli.models.large.export import options_for_comparison

    captioner = LargeFactory(folder).open_unverified(options_for_comparison())
    try:
        found = captioner.forced_logits(captioner.see(pairs), tokens)
    finally:
        captioner.close()
    ours, theirs = (each - each.mean(-1, keepdims=True) for each in (found, wanted))
    scale = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    cosine = float(((ours * theirs).sum(-1) / np.maximum(scale, 1e-12)).min())
    same = float((found.argmax(-1) == wanted.argmax(-1)).mean())
    return Closeness(cosine, same, int(np.prod(found.shape[:2])), head)


def _quantize_graph(source: Path, target: Path, head: bool) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for path in target.parent.glob(f"{target.name}*"):
        path.unlink()
    outside = source.with_name(f"{source.name}.data").exists()
    left_out = [] if head else [_last_product(onnx.load(str(source), load_external_data=False))]
    root = logging.getLogger()
    level = root.level
    # It advises on its own preprocessing, which is for other kinds of graphs.
    root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=left_out,
            use_external_data_format=outside,
        )
    finally:
        root.setLevel(level)


def _last_product(model: Any) -> str:  # noqa: ANN401 - onnx is not typed
    """Name of the matrix product that makes the logits."""
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    return str(products[-1].name)
