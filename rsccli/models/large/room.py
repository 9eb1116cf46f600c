"""How many tiles a large bundle can take at once, reckoned from what the device has free."""

from __future__ import annotations

import numpy as np

from rsccli.models.decoding.buffers import ELEMENTS
from rsccli.models.large.family import Reader
from rsccli.models.large.manifest import LargeManifest

#: Rows at once that are of no further use.
MOST_ROWS = 64
#: Share of the free memory that is planned with: the rest is for what is not reckoned.
SHARE = 0.7
#: Text of a prompt, tokens: the pictures are reckoned exactly.
TEXT_TOKENS = 200
#: ONNX Runtime keeps the weights and packs some of them anew.
WEIGHTS_FACTOR = 1.3
#: Activations of one token in a decoder, in multiples of its width, float32: what ONNX Runtime holds at its peak.
ACTIVATIONS = 24


def row_bytes(manifest: LargeManifest, reader: Reader, tile_px: int) -> int:
    """Memory of one tile in a batch: keys and values (held twice), activations and scores of its prompt, logits."""
    tile = np.zeros((tile_px, tile_px * (2 if reader.mosaic else 1), 3), np.uint8)
    image_tokens = len(reader.picture(tile).tokens) * (1 if reader.mosaic else 2)
    prompt = image_tokens + TEXT_TOKENS
    decoder = manifest.decoder
    size = ELEMENTS[decoder.dtype][1].itemsize
    length = prompt + manifest.tokens.max_new_tokens
    past = 2 * 2 * decoder.layers * decoder.heads * decoder.head_dim * length * size
    heads = max(decoder.heads, decoder.width // decoder.head_dim)
    scores = 2 * heads * prompt**2 * 4
    return int(past + prompt * decoder.width * 4 * ACTIVATIONS + scores + decoder.vocab * 4 * 3)


def rows_that_fit(manifest: LargeManifest, reader: Reader, tile_px: int, free_bytes: float) -> int:
    """Tiles at once, 1 to `MOST_ROWS`."""
    left = free_bytes * SHARE - manifest.size_bytes * WEIGHTS_FACTOR
    return max(1, min(MOST_ROWS, int(left // row_bytes(manifest, reader, tile_px))))
