"""The same checkpoint through transformers: what parity is measured against, and the ``torch`` backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

U8 = npt.NDArray[np.uint8]


def processor_inputs(
    processor: Any,  # noqa: ANN401 - transformers is not typed
    images: Sequence[Sequence[U8]],
    texts: Sequence[str],
    flat: bool = False,
) -> dict[str, torch.Tensor]:
    """Inputs of ``generate()`` by the checkpoint's own processor, padded on the left.

    Args:
        images: of each prompt, uint8 (H, W, 3). texts: whole prompts with image places.
        flat: hand over one list of all images, not one for each prompt: some processors read more into the latter.
    """
    from PIL import Image

    tokenizer = processor.tokenizer
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    pictures: list[Any] = [[Image.fromarray(image) for image in each] for each in images]
    if flat:
        pictures = [picture for each in pictures for picture in each]
    # A template may write the first token itself.
    bos = tokenizer.bos_token
    own = bool(bos) and all(text.startswith(bos) for text in texts)
    options = {"padding": True, "padding_side": "left", "return_tensors": "pt", "add_special_tokens": not own}
    made = processor(text=list(texts), images=pictures, **options)
    return {name: value for name, value in made.items() if name != "mm_token_type_ids"}
