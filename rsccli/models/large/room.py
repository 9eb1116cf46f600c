"""How many tiles a large bundle can take at once, reckoned from what the device has free."""

from __future__ import annotations

import numpy as np

from rsccli.models.decoding.buffers import ELEMENTS
from rsccli.models.decoding.prefill import stretch_tokens
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
#: Copies of a prompt's embeddings: of the pictures, of the row and of the batch.
EMBEDDINGS = 3


def batch_bytes(manifest: LargeManifest, reader: Reader, tile_px: int, rows: int) -> int:
    """Memory of a batch of N tiles: keys and values (held twice), the prompt, and what is at work on one stretch of it.

    A prompt is read in stretches (`rsccli.models.decoding.prefill`), so scores and activations hardly grow with it.
    """
    tile = np.zeros((tile_px, tile_px * (2 if reader.mosaic else 1), 3), np.uint8)
    image_tokens = len(reader.picture(tile).tokens) * (1 if reader.mosaic else 2)
    prompt = image_tokens + TEXT_TOKENS
    decoder = manifest.decoder
    size = ELEMENTS[decoder.dtype][1].itemsize
    length = prompt + manifest.tokens.max_new_tokens
    past = 2 * 2 * decoder.layers * decoder.heads * decoder.head_dim * length * size
    kept = past + prompt * decoder.width * 4 * EMBEDDINGS + decoder.vocab * 4 * 3
    stretch = min(prompt, stretch_tokens(decoder, rows, prompt))
    at_work = stretch * (decoder.width * 4 * ACTIVATIONS + 2 * decoder.query_heads * prompt * 4)
    return int(rows * (kept + at_work))


def rows_that_fit(manifest: LargeManifest, reader: Reader, tile_px: int, free_bytes: float) -> int:
    """Tiles at once, 1 to `MOST_ROWS`."""
    left = free_bytes * SHARE - manifest.size_bytes * WEIGHTS_FACTOR
    fitting = (rows for rows in range(MOST_ROWS, 1, -1) if batch_bytes(manifest, reader, tile_px, rows) <= left)
    return next(fitting, 1)
