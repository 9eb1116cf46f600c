"""The check of a fresh export: the bundle is opened as a user would, and compared with the model it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsccli.errors import DeviceError
from rsccli.models.large.captioner import LargeFactory
from rsccli.models.large.family import Family
from rsccli.models.large.parity import measure_parity
from rsccli.types import TilePair

if TYPE_CHECKING:
    from rsccli.models.large.export import ExportJob


def compare(
    folder: Path,
    family: Family,
    model: Any,  # noqa: ANN401 - transformers is not typed
    processor: Any,  # noqa: ANN401
    pairs: Sequence[TilePair],
    job: ExportJob,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Parity as the manifest keeps it.

    Raises:
        BundleError: the bundle does not say what PyTorch says.
    """
    from rsccli.models.large.export import damaged, options_for_comparison

    factory = LargeFactory(folder)
    try:
        captioner = factory.open(options_for_comparison())
    except DeviceError as error:
        if job.dtype != "bf16":
            raise
        say(f"not compared: {error}")
        return {"compared_with": None, "reason": "no device here runs bf16"}
    try:
        ends = captioner.manifest.tokens.ends
        parity = measure_parity(captioner, family, model, processor, pairs, ends)
    finally:
        captioner.close()
    if not parity.good(job.dtype):
        raise damaged(job.output, str(parity))
    say(
        f"the same tokens on {parity.same_captions} of {parity.pairs} pairs ({parity.tokens} tokens), "
        f"logits within {parity.logits:.1e}"
    )
    return parity.as_dict()
