"""The small captioner as a PyTorch network: siamese encoder, difference fusion, heads, tiny decoder.

Pixels of two dates go through one convolutional encoder; the features of each stride are fused with their
difference and with two things that cost nothing: change vector maps after radiometric matching, and maps of
the smallest difference within a small shift, which forgive misregistration and parallax. Heads give the
change score, one score per keyword and a mask at stride 4. The decoder reads a fixed number of image tokens:
a pooled grid, one token for the whole scene, and tokens for the facts that its sentence has to follow.

Training and export import this; captioning does not (it needs onnxruntime alone).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from rsccli.models.small.facts import (
    EXTENT_EDGES,
    EXTENTS,
    KEYWORDS,
    MAX_KEYWORDS,
    NOWHERE,
    PLACES,
    SPREAD,
    SPREAD_DEVIATION,
    STATUS_NAMES,
    THIRDS,
)

MASK_STRIDE = 4
GRID_CELLS = 4
HAND_MAPS = 10


@dataclass(frozen=True)
class SmallConfig:
    """Sizes of the small captioner.

    Attributes:
        vocab: number of tokens. width: of image tokens and decoder. layers, heads: of the decoder.
        stem: channels at stride 2. siamese: channels of each date's features at strides 4, 8, 16.
        fused: channels of the fused features at strides 4, 8, 16, 32. top_down: of the mask path.
    """

    vocab: int
    width: int = 192
    layers: int = 2
    heads: int = 6
    stem: int = 24
    siamese: tuple[int, int, int] = (32, 64, 128)
    fused: tuple[int, int, int, int] = (48, 96, 192, 256)
    top_down: int = 48

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def image_tokens(self) -> int:
        """Grid tokens, scene token, status, extent and place tokens, one token per keyword."""
        return GRID_CELLS * GRID_CELLS + 4 + len(KEYWORDS)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)


class Scores(NamedTuple):
    """What the encoder says before any sentence.

    Attributes:
        change: logits (N,). keywords: logits (N, K). mask: logits (N, 1, H/4, W/4).
        grid: tokens (N, GRID_CELLS**2 + 1, D), the pooled grid and the scene.
        maps: where each keyword is, logits (N, K, H/16, W/16); learnt from, not exported.
    """

    change: Tensor
    keywords: Tensor
    mask: Tensor
    grid: Tensor
    maps: Tensor


class FactTensors(NamedTuple):
    """Facts as the decoder reads them, all float.

    Attributes:
        status: one-hot (N, 3). extent: one-hot (N, 5). place: one-hot (N, 11). keywords: 0 or 1 (N, K).
    """

    status: Tensor
    extent: Tensor
    place: Tensor
    keywords: Tensor


def _conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions and the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        return F.relu(x + self.second(self.first(x)))


def _smallest_shifted(fixed: Tensor, moved: Tensor) -> Tensor:
    """Smallest mean squared difference to any of the nine neighbours: (N, C, h, w) twice to (N, 1, h, w)."""
    height, width = fixed.shape[-2], fixed.shape[-1]
    padded = F.pad(moved, (1, 1, 1, 1), mode="replicate")
    best: Tensor | None = None
    for dy in range(3):
        for dx in range(3):
            gap = (fixed - padded[:, :, dy : dy + height, dx : dx + width]).square().mean(1, keepdim=True)
            best = gap if best is None else torch.minimum(best, gap)
    assert best is not None
    return best


def _matched(image: Tensor, valid: Tensor) -> Tensor:
    """Each band to mean 0 and deviation 1 over the valid pixels; 0 where not valid."""
    count = valid.sum((2, 3), keepdim=True).clamp(min=1.0)
    mean = (image * valid).sum((2, 3), keepdim=True) / count
    centred = (image - mean) * valid
    deviation = (centred.square().sum((2, 3), keepdim=True) / count + 1e-2).sqrt()
    return centred / deviation


def difference_maps(pre: Tensor, post: Tensor, valid: Tensor) -> Tensor:
    """What a change looks like without learning anything.

    Args:
        pre: normalised (N, 3, H, W), 0 where not valid. post: the same. valid: (N, 1, H, W), 0 or 1.

    Returns:
        (N, HAND_MAPS, H/4, W/4): length of the raw and of the matched change vector, smallest difference
        within one cell of 4 px both ways and of 8 px both ways, change of texture, the matched vector.
    """
    before, after = _matched(pre, valid), _matched(post, valid)
    before4, after4 = F.avg_pool2d(before, 4), F.avg_pool2d(after, 4)
    raw = (F.avg_pool2d(pre, 4) - F.avg_pool2d(post, 4)).square().mean(1, keepdim=True)
    vector = after4 - before4
    texture = [
        (F.avg_pool2d(x.square(), 4) - x4.square()).clamp(min=0.0).mean(1, keepdim=True)
        for x, x4 in ((before, before4), (after, after4))
    ]
    before8, after8 = F.avg_pool2d(before4, 2), F.avg_pool2d(after4, 2)
    shifted = [
        _smallest_shifted(before4, after4),
        _smallest_shifted(after4, before4),
        F.interpolate(_smallest_shifted(before8, after8), scale_factor=2.0, mode="nearest"),
        F.interpolate(_smallest_shifted(after8, before8), scale_factor=2.0, mode="nearest"),
    ]
    squares = [raw, vector.square().mean(1, keepdim=True), *shifted]
    lengths = [(square + 1e-4).sqrt() for square in squares]
    change_of_texture = (texture[1] + 1e-4).sqrt() - (texture[0] + 1e-4).sqrt()
    return torch.cat([*lengths, change_of_texture, vector], 1)


def area_matrix(cells: int, length: Tensor) -> Tensor:
    """Weights (cells, length) that average ``length`` values into ``cells`` bins of equal size."""
    start = torch.arange(cells, dtype=torch.float32).unsqueeze(1) * length / cells
    position = torch.arange(length, dtype=torch.float32).unsqueeze(0)  # type: ignore[call-overload]
    overlap = torch.minimum(position + 1.0, start + length / cells) - torch.maximum(position, start)
    weights: Tensor = overlap.clamp(min=0.0) * cells / length
    return weights


def _length(x: Tensor, axis: int) -> Tensor:
    """Size of an axis as a tensor, so that a traced graph keeps it dynamic."""
    return torch._shape_as_tensor(x)[axis]


def _pool_grid(x: Tensor, cells: int) -> Tensor:
    """(N, C, h, w) of any size to (N, cells*cells, C)."""
    rows, cols = area_matrix(cells, _length(x, 2)), area_matrix(cells, _length(x, 3))
    pooled = torch.matmul(torch.matmul(rows, x), cols.transpose(0, 1))
    return pooled.flatten(2).transpose(1, 2)


def _masked_mean(x: Tensor, valid: Tensor) -> Tensor:
    return (x * valid).sum((2, 3)) / valid.sum((2, 3)).clamp(min=1e-3)


def _masked_max(x: Tensor, valid: Tensor) -> Tensor:
    return (x + (valid - 1.0) * 1e4).amax((2, 3))


class ChangeEncoder(nn.Module):
    """Two dates to change score, keyword scores, mask, and grid tokens."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        s4, s8, s16 = config.siamese
        f4, f8, f16, f32 = config.fused
        td = config.top_down
        keywords = len(KEYWORDS)
        self.stem = nn.Sequential(_conv(3, config.stem, 2), _conv(config.stem, s4, 2), Residual(s4))
        self.date8 = nn.Sequential(_conv(s4, s8, 2), Residual(s8), Residual(s8))
        self.date16 = nn.Sequential(_conv(s8, s16, 2), Residual(s16), Residual(s16))
        self.hand_norm = nn.BatchNorm2d(HAND_MAPS)
        self.fuse4 = nn.Sequential(_conv(3 * s4 + HAND_MAPS, f4, kernel=1), Residual(f4))
        self.down8 = _conv(f4, f8, 2)
        self.fuse8 = nn.Sequential(_conv(3 * s8 + 2 + f8, f8, kernel=1), Residual(f8))
        self.down16 = _conv(f8, f16, 2)
        self.fuse16 = nn.Sequential(_conv(3 * s16 + f16, f16, kernel=1), Residual(f16))
        self.fuse32 = nn.Sequential(_conv(f16, f32, 2), Residual(f32))
        self.lateral32 = nn.Conv2d(f32, td, 1)
        self.lateral16 = nn.Conv2d(f16, td, 1)
        self.lateral8 = nn.Conv2d(f8, td, 1)
        self.lateral4 = nn.Conv2d(f4, td, 1)
        self.smooth16, self.smooth8, self.smooth4 = _conv(td, td), _conv(td, td), _conv(td, td)
        self.mask_head = nn.Conv2d(td, 1, 1)
        self.keyword_maps = nn.Conv2d(f16 + td, keywords, 1)
        scene = 2 * f32 + 2 * HAND_MAPS + 2
        self.keyword_head = nn.Linear(scene, keywords)
        self.change_head = nn.Sequential(nn.Linear(scene + keywords, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 1))
        self.grid_head = nn.Linear(f16 + td, config.width)
        self.scene_head = nn.Linear(scene, config.width)
        self.grid_place = nn.Parameter(torch.randn(GRID_CELLS**2, config.width) * 0.02)

    def forward(self, pre: Tensor, post: Tensor, valid: Tensor) -> Scores:
        """Pixels as the bundle contract has them: normalised (N, 3, H, W) twice, and (N, 1, H, W)."""
        valid4 = F.avg_pool2d(valid, 4)
        valid16 = (F.avg_pool2d(valid4, 4) > 0.25).float()
        valid32 = (F.avg_pool2d(valid4, 8) > 0.0).float()
        hand = self.hand_norm(difference_maps(pre, post, valid)) * valid4
        both4 = self.stem(torch.cat([pre, post], 0))
        both8 = self.date8(both4)
        both16 = self.date16(both8)
        a4, b4 = both4.chunk(2)
        a8, b8 = both8.chunk(2)
        a16, b16 = both16.chunk(2)
        forgiving = torch.cat([_smallest_shifted(a8, b8), _smallest_shifted(b8, a8)], 1)
        x4 = self.fuse4(torch.cat([a4, b4, (a4 - b4).abs(), hand.to(a4.dtype)], 1))
        x8 = self.fuse8(torch.cat([a8, b8, (a8 - b8).abs(), forgiving, self.down8(x4)], 1))
        x16 = self.fuse16(torch.cat([a16, b16, (a16 - b16).abs(), self.down16(x8)], 1))
        x32 = self.fuse32(x16)
        p16 = self.smooth16(self.lateral16(x16) + _twice(self.lateral32(x32)))
        p8 = self.smooth8(self.lateral8(x8) + _twice(p16))
        p4 = self.smooth4(self.lateral4(x4) + _twice(p8))
        mask = self.mask_head(p4).float() + (valid4 - 1.0) * 20.0
        seen = torch.sigmoid(mask)
        rich16 = torch.cat([x16, p16], 1).float()
        x32 = x32.float()
        scene = torch.cat(
            [
                _masked_mean(x32, valid32),
                _masked_max(x32, valid32),
                _masked_mean(hand, valid4),
                _masked_max(F.avg_pool2d(hand, 4), valid16) * 0.3,
                _masked_mean(seen, valid4),
                _masked_max(F.avg_pool2d(seen, 2), (F.avg_pool2d(valid4, 2) > 0.25).float()),
            ],
            1,
        )
        maps = self.keyword_maps(rich16).float() + (valid16 - 1.0) * 20.0
        # Log-mean-exp: between the mean and the largest cell, and nearly the same at every input size.
        peak = maps.amax((2, 3), keepdim=True).detach()
        share = valid16.sum((2, 3)).clamp(min=1.0)
        pooled = ((maps - peak).exp() * valid16).sum((2, 3)).clamp(min=1e-6) / share
        keywords = pooled.log() + peak.flatten(1) + self.keyword_head(scene)
        change = self.change_head(torch.cat([scene, keywords * 0.2], 1)).squeeze(1)
        grid = self.grid_head(_pool_grid(rich16, GRID_CELLS)) + self.grid_place
        tokens = torch.cat([grid, self.scene_head(scene).unsqueeze(1)], 1)
        return Scores(change.float(), keywords, mask, tokens.float(), maps)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class FactReader(nn.Module):
    """Facts to decoder tokens, and scores to facts by thresholds that are set when a bundle is written."""

    change_unchanged: Tensor
    change_changed: Tensor
    keyword_thresholds: Tensor
    mask_threshold: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.status = nn.Linear(len(STATUS_NAMES), width, bias=False)
        self.extent = nn.Linear(len(EXTENTS), width, bias=False)
        self.place = nn.Linear(len(PLACES), width, bias=False)
        self.present = nn.Parameter(torch.randn(len(KEYWORDS), width) * 0.5)
        self.absent = nn.Parameter(torch.randn(len(KEYWORDS), width) * 0.05)
        for name in ("change_unchanged", "change_changed", "mask_threshold"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("keyword_thresholds", torch.zeros(len(KEYWORDS)))

    def forward(self, facts: FactTensors) -> Tensor:
        """Tokens (N, 3 + K, D)."""
        present = facts.keywords.unsqueeze(2)
        named = present * self.present + (1.0 - present) * self.absent
        whole = torch.stack([self.status(facts.status), self.extent(facts.extent), self.place(facts.place)], 1)
        return torch.cat([whole, named], 1)

    def read(self, scores: Scores, valid: Tensor) -> FactTensors:
        """Scores (logits) to facts by the thresholds, all of it in operations that ONNX has.

        Args:
            scores: of the encoder. valid: (N, 1, H, W), 0 or 1.
        """
        changed = (scores.change >= self.change_changed).float()
        unchanged = (scores.change <= self.change_unchanged).float() * (1.0 - changed)
        unsure = (1.0 - changed) * (1.0 - unchanged)
        status = torch.stack([unchanged, unsure, changed], 1)
        speaks = (1.0 - unchanged).unsqueeze(1)
        margin = scores.keywords - self.keyword_thresholds
        kth = margin.topk(MAX_KEYWORDS, dim=1).values[:, -1:]
        keywords = ((margin >= 0.0) & (margin >= kth)).float() * speaks
        inside, valid4 = self._cells(scores.mask, valid)
        inside = inside * speaks.view(-1, 1, 1, 1)
        extent, place = mask_fact_tensors(inside, valid4)
        return FactTensors(status, extent, place, keywords)

    def _cells(self, mask: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        valid4 = (F.avg_pool2d(valid, MASK_STRIDE) > 0.5).float()
        return (mask >= self.mask_threshold).float() * valid4, valid4


def mask_fact_tensors(mask: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """``facts.mask_facts`` for a batch, in operations that ONNX has.

    Args:
        mask: 0 or 1, (N, 1, h, w), 0 where not valid. valid: 0 or 1, the same shape.

    Returns:
        One-hot extents (N, 5) and places (N, 11).
    """
    changed = mask.sum((1, 2, 3))
    count = changed.clamp(min=1.0)
    fraction = changed / valid.sum((1, 2, 3)).clamp(min=1.0)
    some = (changed > 0.0).float()
    level = some + sum(((fraction >= edge).float() * some for edge in EXTENT_EDGES), torch.zeros_like(some))
    extent = F.one_hot(level.long(), len(EXTENTS)).float()
    axes = []
    for axis in (2, 3):
        other = 5 - axis
        length = _length(mask, axis)
        position = torch.arange(length, dtype=torch.float32)  # type: ignore[call-overload]
        used = ((valid.sum((1, other)) > 0.0).float() * (position + 1.0)).amax(1).clamp(min=1.0)
        along = mask.sum((1, other))
        where = (position + 0.5).unsqueeze(0) / used.unsqueeze(1)
        mean = (along * where).sum(1) / count
        variance = (along * (where - mean.unsqueeze(1)).square()).sum(1) / count
        third = (mean >= THIRDS[0]).long() + (mean >= THIRDS[1]).long()
        axes.append((third, variance))
    (row, tall), (col, wide) = axes
    spread = (tall + wide > SPREAD_DEVIATION**2).long()
    some_long = some.long()
    place = (3 * row + col) * (1 - spread) + SPREAD * spread
    place = place * some_long + NOWHERE * (1 - some_long)
    return extent, F.one_hot(place, len(PLACES)).float()


class SmallCaptioner(nn.Module):
    """Encoder, fact reader and decoder together: what training optimises and export takes apart."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ChangeEncoder(config)
        self.facts = FactReader(config.width)
        self.decoder = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=config.vocab,
                hidden_size=config.width,
                intermediate_size=2 * config.width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.heads,
                max_position_embeddings=256,
                tie_word_embeddings=True,
                attn_implementation="eager",
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
            )
        )

    def image_tokens(self, scores: Scores, facts: FactTensors) -> Tensor:
        """Tokens (N, T, D) that stand before a sentence."""
        return torch.cat([scores.grid, self.facts(facts)], 1)

    def sentence_logits(self, tokens: Tensor, input_ids: Tensor) -> Tensor:
        """Teacher forcing: logits (N, L, V), position i predicts the token after ``input_ids[:, i]``."""
        words = self.decoder.get_input_embeddings()(input_ids)
        out = self.decoder(inputs_embeds=torch.cat([tokens, words], 1), use_cache=False)
        logits: Tensor = out.logits[:, tokens.shape[1] :]
        return logits
