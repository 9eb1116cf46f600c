"""A fresh bundle against PyTorch: features of real pictures and of texts, through both ways from the pixels on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.models.dual.encoder import F32, DualEncoder, unit
from rsccli.models.dual.loading import LoadedDual
from rsccli.models.dual.manifest import read_dual_bundle
from rsccli.models.large.checkpoint import quiet_transformers
from rsccli.models.large.pictures import U8, pair_pictures
from rsccli.types import TilePair

if TYPE_CHECKING:
    from rsccli.models.dual.export import DualJob

logger = logging.getLogger(__name__)

#: Least cosine between both ways that rounding leaves, by precision.
LEAST_COSINE = {"fp32": 1 - 1e-5, "fp16": 0.999}
#: Short, long (cut off), with capitals, signs and other letters.
TEXTS = (
    "new houses along a road",
    "The scene is the same as before.",
    "Many trees have been REMOVED, and a parking-lot appears!",
    "it's 3 buildings (2 large; 1 small) beside the river",
    "café près de la forêt",
    "many buildings with paths leading to the road appear beside the road and the vegetation is replaced by bare land "
    * 6,
)


@dataclass(frozen=True)
class DualParity:
    """What was compared.

    Attributes:
        pictures, texts: how many. picture_cosine, text_cosine: least over them. pixels: largest difference of a
            normalised pixel. same_tokens: texts with the ids of the checkpoint's own tokenizer; None where that cannot
            be loaded (SigLIP's needs sentencepiece) or is not there (OpenCLIP). device: of the bundle.
    """

    pictures: int
    texts: int
    picture_cosine: float
    text_cosine: float
    pixels: float
    same_tokens: int | None
    device: str

    def good(self, dtype: str) -> bool:
        """Whether the bundle says what PyTorch says."""
        near = min(self.picture_cosine, self.text_cosine) >= LEAST_COSINE[dtype]
        return near and self.pixels <= 1e-5 and self.same_tokens in (None, self.texts)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return {
            "compared_with": "transformers get_image_features() and get_text_features(), float32",
            "pictures": self.pictures,
            "texts": self.texts,
            "picture_cosine": round(self.picture_cosine, 8),
            "text_cosine": round(self.text_cosine, 8),
            "pixels": float(f"{self.pixels:.3g}"),
            "same_tokens": self.same_tokens,
            "device": self.device,
        }


def compare_dual(
    folder: Path, loaded: LoadedDual, pairs: Sequence[TilePair], job: DualJob, say: Callable[[str], None]
) -> dict[str, Any]:
    """Parity as the manifest keeps it.

    Raises:
        BundleError: the bundle does not say what PyTorch says.
    """
    from rsccli.models.large.export import damaged

    encoder = DualEncoder(read_dual_bundle(folder), device="cpu")
    try:
        parity = measure_dual(encoder, loaded, [picture for pair in pairs for picture in pair_pictures(pair)])
    finally:
        encoder.close()
    if not parity.good(job.dtype):
        raise damaged(job.output, str(parity))
    say(f"cosines of at least {parity.picture_cosine:.6f} (pictures) and {parity.text_cosine:.6f} (texts)")
    return parity.as_dict()


def measure_dual(encoder: DualEncoder, loaded: LoadedDual, pictures: Sequence[U8]) -> DualParity:
    """Compare a bundle with the checkpoint that it was made from."""
    import torch

    from rsccli.models.dual.pictures import prepare_pictures

    model = loaded.model.float()
    given = loaded.processor(images=list(pictures), return_tensors="pt", input_data_format="channels_last")
    ids = torch.from_numpy(encoder.tokens(TEXTS))
    with torch.no_grad():
        seen = model.get_image_features(pixel_values=given["pixel_values"]).numpy()
        read = model.get_text_features(input_ids=ids).numpy()
    own = prepare_pictures(pictures, encoder.manifest.picture)
    return DualParity(
        pictures=len(pictures),
        texts=len(TEXTS),
        picture_cosine=_least_cosine(encoder.pictures(pictures), seen),
        text_cosine=_least_cosine(encoder.texts(TEXTS), read),
        pixels=float(np.abs(own - given["pixel_values"].numpy()).max()),
        same_tokens=_same_tokens(encoder, loaded),
        device=encoder.provider or "",
    )


def _least_cosine(ours: F32, theirs: F32) -> float:
    return float((ours.astype(np.float64) * unit(theirs.astype(np.float32))).sum(axis=1).min())


def _same_tokens(encoder: DualEncoder, loaded: LoadedDual) -> int | None:
    from transformers import AutoTokenizer

    if loaded.folder is None:
        return None
    try:
        with quiet_transformers():
            own = AutoTokenizer.from_pretrained(loaded.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raises the bare class; libraries of slow ones may be missing
        logger.info("token ids were not compared: %s", error)
        return None
    length, whole = loaded.text.length, loaded.text.padded
    theirs = own(list(TEXTS), truncation=True, max_length=length, padding="max_length" if whole else False)["input_ids"]
    # Behind the end of a shorter text any padding does.
    both = zip(encoder.tokens(TEXTS).tolist(), theirs, strict=True)
    return sum(1 for row, ids in both if row[: len(ids)] == list(ids))
