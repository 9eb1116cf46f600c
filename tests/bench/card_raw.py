"""Raw keyword scores of a bundle's encoder: finer than the words that are said, for rank correlations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from card_bench import BATCH, tile_pair
from card_sets import Item
from card_stats import F64

from rsccli.models.bundle import ENCODER, open_bundle
from rsccli.models.preprocess import encoder_batches, prepare


def keyword_logits(folder: Path, items: Sequence[Item]) -> tuple[tuple[str, ...], F64]:
    """Names, and logits (n, K), of pairs that fit into one window."""
    import onnxruntime

    bundle = open_bundle(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(bundle.path(ENCODER), options, providers=["CPUExecutionProvider"])
    wanted = {given.name for given in session.get_inputs()}
    found = np.zeros((len(items), len(bundle.manifest.keywords)))
    pairs = [tile_pair(item) for item in items]
    for indices in encoder_batches(pairs, bundle.manifest.input, BATCH // 4):
        batch = prepare([pairs[i] for i in indices], bundle.manifest.input)
        gsd = np.array([pairs[i].gsd_m for i in indices], np.float32)
        feeds = {"pre": batch.pre, "post": batch.post, "valid": batch.valid, "gsd": gsd}
        fed = {name: value for name, value in feeds.items() if name in wanted}
        found[list(indices)] = session.run(["keyword_logits"], fed)[0]
    return bundle.manifest.keywords, found
