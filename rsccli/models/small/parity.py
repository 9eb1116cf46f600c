"""Whether the exported graphs say what PyTorch says, measured on shapes that the export did not see."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch

from rsccli.models.small.network import SmallCaptioner

F32 = npt.NDArray[np.float32]
TOLERANCE = 2e-3
SIDES = ((64, 64), (128, 256), (256, 256))
PARTS = ("image_tokens", "change_logit", "change_vector", "keyword_logits", "mask_logits", "class_logits", "domain")
GREEDY_STEPS = 24


@dataclass(frozen=True)
class Parity:
    """Largest absolute differences between onnxruntime (CPU) and PyTorch.

    Attributes:
        pairs: image pairs compared, over several sizes. decoder_logits: over all greedy steps.
        image_tokens, change_logit, change_vector, keyword_logits, mask_logits, class_logits, domain: of the encoder.
        captions_equal: sentences with the same tokens, of ``pairs``.
    """

    pairs: int
    captions_equal: int
    image_tokens: float
    change_logit: float
    change_vector: float
    keyword_logits: float
    mask_logits: float
    class_logits: float
    domain: float
    decoder_logits: float

    @property
    def good(self) -> bool:
        """All sentences equal and all differences small."""
        figures = [getattr(self, name) for name in (*PARTS, "decoder_logits")]
        return self.captions_equal == self.pairs and max(figures) < TOLERANCE

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the manifest, with what they mean."""
        return {
            "compared": "onnxruntime CPU against PyTorch fp32 on noise pairs, largest difference (relative above 1)",
            **asdict(self),
        }


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure_parity(model: SmallCaptioner, folder: Path) -> Parity:
    """Run both on the same pairs, sentences greedily and with growing keys and values."""
    encoder, embed, decoder = (_session(folder / f"{name}.onnx") for name in ("encoder", "embed", "decoder"))
    random = np.random.default_rng(0)
    worst = dict.fromkeys(PARTS, 0.0)
    decoder_worst, equal, pairs = 0.0, 0, 0
    for height, width in SIDES:
        pre, post, valid = _noise_pairs(random, height, width)
        gsd = np.array([0.6, 5.0], np.float32)
        ours = encoder.run(list(PARTS), {"pre": pre, "post": post, "valid": valid, "gsd": gsd})
        with torch.no_grad():
            scores = model.encoder(*(torch.from_numpy(x) for x in (pre, post, valid, gsd)))
            tokens = model.encoder.image_tokens(scores)
        heads = (scores.change, scores.vectors, scores.keywords, scores.mask, scores.classes, scores.domain)
        for name, mine, other in zip(PARTS, ours, (tokens, *heads), strict=True):
            worst[name] = max(
                worst[name], float((np.abs(mine - other.numpy()) / np.maximum(1.0, np.abs(other.numpy()))).max())
            )
        words, gap = _greedy(model, embed, decoder, tokens)
        decoder_worst = max(decoder_worst, gap)
        equal += words
        pairs += len(pre)
    return Parity(pairs, equal, decoder_logits=decoder_worst, **worst)


def _noise_pairs(random: np.random.Generator, height: int, width: int) -> tuple[F32, F32, F32]:
    """Two pairs of smooth noise, the second with a border that is not valid."""
    coarse = random.normal(size=(2, 2, 3, height // 16, width // 16)).astype(np.float32)
    smooth = coarse.repeat(16, 3).repeat(16, 4)
    noisy = smooth + 0.3 * random.normal(size=smooth.shape).astype(np.float32)
    noisy[1, 0, :, : height // 2] = noisy[0, 0, :, : height // 2]
    valid = np.ones((2, 1, height, width), np.float32)
    valid[1, :, :, -20:] = 0.0
    pre, post = (np.ascontiguousarray(date * valid) for date in noisy)
    return pre, post, valid


def _greedy(
    model: SmallCaptioner, embed: ort.InferenceSession, decoder: ort.InferenceSession, tokens: torch.Tensor
) -> tuple[int, float]:
    """How many sentences have the same greedy tokens, and the largest difference of logits."""
    config = model.config
    batch = tokens.shape[0]
    ids = np.full((batch, 1), 1, np.int64)
    empty = np.zeros((batch, config.heads, 0, config.head_dim), np.float32)
    names = [name.name for name in decoder.get_inputs()[3:]]
    past = dict.fromkeys(names, empty)
    given = np.concatenate([tokens.numpy(), embed.run(None, {"input_ids": ids})[0]], 1)
    same, worst, seen = np.ones(batch, bool), 0.0, 0
    for _ in range(GREEDY_STEPS):
        length = given.shape[1]
        feeds = {
            "inputs_embeds": given,
            "attention_mask": np.ones((batch, seen + length), np.int64),
            "position_ids": np.arange(seen, seen + length)[None].repeat(batch, 0),
            **past,
        }
        ours, *present = decoder.run(None, feeds)
        with torch.no_grad():
            theirs = model.sentence_logits(tokens, torch.from_numpy(ids))[:, -1].numpy()
        worst = max(worst, float(np.abs(ours[:, 0] - theirs).max()))
        best = ours[:, 0].argmax(1)
        same &= best == theirs.argmax(1)
        seen += length
        past = dict(zip(names, present, strict=True))
        ids = np.concatenate([ids, best[:, None]], 1)
        given = embed.run(None, {"input_ids": best[:, None]})[0]
    return int(same.sum()), worst
