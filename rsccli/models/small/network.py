"""The small captioner as a PyTorch network: siamese encoder, difference-aware connector, heads, tiny decoder.

Pixels of two dates go through one convolutional encoder; the features of each stride are fused with their
difference and with two things that cost nothing: change vector maps after radiometric matching, and maps of
the smallest difference within a small shift, which forgive misregistration and parallax. The same weights see
the pair at its own and at half resolution, so that small objects and whole fields are both within reach.
Heads give the change score, a change mask and what each changed cell became (stride 4), one score per keyword
that is read off these maps, clouds of each date, and how far each date lies from what was seen in training.
The decoder reads a fixed number of image tokens (a pooled grid, and one for the whole scene), then the facts
as prompt tokens, then its own words.

Training and export import this; captioning does not (it needs onnxruntime alone).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from rsccli.models.small.facts import KEYWORDS

MASK_STRIDE = 4
CLOUD_STRIDE = 16
GRID_CELLS = 4
HAND_MAPS = 10
# Padding to this keeps every stride of both scales whole.
MULTIPLE = 64


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
    stem: int = 20
    siamese: tuple[int, int, int] = (24, 48, 96)
    fused: tuple[int, int, int, int] = (32, 64, 128, 224)
    top_down: int = 40

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def image_tokens(self) -> int:
        """Grid tokens and the scene token."""
        return GRID_CELLS * GRID_CELLS + 1

    @property
    def domain_width(self) -> int:
        """Width of the vector that says what a date looks like."""
        return 2 * self.siamese[1] + 6

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)


class Scores(NamedTuple):
    """What the encoder says before any sentence.

    Attributes:
        change: logits (N,). vectors: log of the mean matched change vector (N,), learnt from nothing.
        keywords: logits (N, K). mask: logits (N, 1, H/4, W/4). classes: logits (N, K, H/4, W/4), what a
            cell became if it changed (softmax over K). cloud: logits (N, 2, H/16, W/16), pre and post.
        domain: squared distance (N, 2) of each date from what was seen, in deviations per dimension.
        rich: features (N, C, h, w) that the image tokens are pooled from. scene: (N, S), of the whole pair.
        looks: (N, 2, domain_width), what each date looks like.
    """

    change: Tensor
    vectors: Tensor
    keywords: Tensor
    mask: Tensor
    classes: Tensor
    cloud: Tensor
    domain: Tensor
    rich: Tensor
    scene: Tensor
    looks: Tensor


class ScaleNorm(nn.Module):
    """Batch normalisation with statistics of its own for each resolution that the shared weights see.

    Attributes:
        scale: which of the two is in use; set by the encoder.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.scale = 0

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        normed: Tensor = self.norms[self.scale](x)
        return normed


def _conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        ScaleNorm(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions and the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), ScaleNorm(channels))

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


def pool_grid(x: Tensor, cells: int) -> Tensor:
    """(N, C, h, w) of any size to (N, cells*cells, C)."""
    rows, cols = area_matrix(cells, _length(x, 2)), area_matrix(cells, _length(x, 3))
    pooled = torch.matmul(torch.matmul(rows, x), cols.transpose(0, 1))
    return pooled.flatten(2).transpose(1, 2)


def _masked_mean(x: Tensor, valid: Tensor) -> Tensor:
    return (x * valid).sum((2, 3)) / valid.sum((2, 3)).clamp(min=1e-3)


def _masked_max(x: Tensor, valid: Tensor) -> Tensor:
    # 0 where nothing is valid.
    return (x + (valid - 1.0) * 1e4).amax((2, 3)) * valid.amax((2, 3))


class _Scale(NamedTuple):
    """What one resolution of a pair gives."""

    p4: Tensor
    rich16: Tensor
    scene: Tensor
    hand: Tensor
    date8: Tensor
    date16: Tensor
    valid4: Tensor


class ChangeEncoder(nn.Module):
    """Two dates to change score, keyword scores, maps, and image tokens."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        s4, s8, s16 = config.siamese
        f4, f8, f16, f32 = config.fused
        td = config.top_down
        keywords = len(KEYWORDS)
        self.stem = nn.Sequential(_conv(3, config.stem, 2), _conv(config.stem, s4, 2), Residual(s4))
        self.date8 = nn.Sequential(_conv(s4, s8, 2), Residual(s8))
        self.date16 = nn.Sequential(_conv(s8, s16, 2), Residual(s16))
        self.hand_norm = ScaleNorm(HAND_MAPS)
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
        self.both_scales = _conv(2 * td, td, kernel=1)
        self.gsd = nn.Linear(1, td)
        self.mask_head = nn.Conv2d(td, 1, 1)
        self.class_head = nn.Conv2d(td, keywords, 1)
        self.cloud_head = nn.Conv2d(s16, 1, 1)
        scene = 2 * (2 * f32 + 2 * HAND_MAPS) + 3
        self.scene_drop = nn.Dropout(0.2)
        self.keyword_head = nn.Linear(scene, keywords)
        self.keyword_gain = nn.Parameter(torch.tensor([[0.5], [0.5]]).repeat(1, keywords))
        self.change_head = nn.Sequential(nn.Linear(scene, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 1))
        self.change_gain = nn.Parameter(torch.tensor([0.5, 0.5]))
        self.grid_head = nn.Linear(f16 + td, config.width)
        self.scene_head = nn.Linear(scene, config.width)
        self.grid_place = nn.Parameter(torch.randn(GRID_CELLS**2, config.width) * 0.02)
        # What only ever sees one resolution keeps to the first set of statistics.
        own = {id(norm) for norm in self.both_scales.modules()}
        self._shared = [m for m in self.modules() if isinstance(m, ScaleNorm) and id(m) not in own]
        self.register_buffer("domain_mean", torch.zeros(config.domain_width))
        self.register_buffer("domain_white", torch.zeros(config.domain_width, config.domain_width))

    domain_mean: Tensor
    domain_white: Tensor

    def forward(self, pre: Tensor, post: Tensor, valid: Tensor, gsd: Tensor) -> Scores:
        """Pixels as the bundle contract has them.

        Args:
            pre, post: normalised (N, 3, H, W), 0 where not valid, sides multiples of 64.
            valid: (N, 1, H, W), 0 or 1. gsd: (N,), metres per pixel.
        """
        fine = self._scale(0, pre, post, valid)
        valid2 = F.avg_pool2d(valid, 2)
        share = valid2.clamp(min=0.25)
        coarse = self._scale(
            1,
            F.avg_pool2d(pre, 2) / share * (valid2 > 0.3),
            F.avg_pool2d(post, 2) / share * (valid2 > 0.3),
            (valid2 > 0.3).float(),
        )
        ground = torch.log2(gsd.clamp(0.1, 50.0)).unsqueeze(1)
        p4 = self.both_scales(torch.cat([fine.p4, _twice(coarse.p4)], 1))
        p4 = F.relu(p4 + self.gsd(ground)[:, :, None, None])
        valid4 = fine.valid4
        mask = self.mask_head(p4).float() + (valid4 - 1.0) * 20.0
        classes = self.class_head(p4).float()
        seen = torch.sigmoid(mask)
        mean_seen = _masked_mean(seen, valid4)
        peak_seen = F.avg_pool2d(seen, 4).amax((2, 3))
        scene = self.scene_drop(torch.cat([fine.scene, coarse.scene, mean_seen, peak_seen, ground], 1))
        # A keyword's evidence: how much of the scene became it, and its strongest spot (about 16 px).
        joint = seen * torch.softmax(classes, 1)
        evidence = torch.stack([_logit_of(_masked_mean(joint, valid4)), _logit_of(F.avg_pool2d(joint, 4).amax((2, 3)))])
        keywords = (evidence * self.keyword_gain.unsqueeze(1)).sum(0) + self.keyword_head(scene)
        whole = torch.stack([_logit_of(mean_seen), _logit_of(peak_seen)]).squeeze(2)
        change = self.change_head(scene).squeeze(1) + (whole * self.change_gain.unsqueeze(1)).sum(0)
        vectors = _logit_of(_masked_mean(fine.hand[:, 1:2], valid4)).squeeze(1)
        looks = torch.stack([self._look(x, fine.date8[i], valid) for i, x in enumerate((pre, post))], 1)
        offset = torch.matmul(looks - self.domain_mean, self.domain_white)
        return Scores(
            change=change.float(),
            vectors=vectors,
            keywords=keywords.float(),
            mask=mask,
            classes=classes,
            cloud=torch.cat([self.cloud_head(x).float() for x in fine.date16.unbind(0)], 1),
            domain=offset.square().mean(2),
            rich=torch.cat([fine.rich16, F.avg_pool2d(p4, 4)], 1).float(),
            scene=scene.float(),
            looks=looks,
        )

    def image_tokens(self, scores: Scores) -> Tensor:
        """Tokens (N, GRID_CELLS**2 + 1, D) that stand before a prompt."""
        return self.tokens_of(pool_grid(scores.rich, GRID_CELLS), scores.scene)

    def tokens_of(self, grid: Tensor, scene: Tensor) -> Tensor:
        """Tokens from the pooled grid (N, cells, C) and the scene (N, S)."""
        return torch.cat([self.grid_head(grid) + self.grid_place, self.scene_head(scene).unsqueeze(1)], 1)

    def _look(self, pixels: Tensor, date8: Tensor, valid: Tensor) -> Tensor:
        """Mean and deviation of colours and of low features: what a date looks like, (N, domain_width)."""
        open8 = (F.avg_pool2d(valid, 8) > 0.5).float()
        parts = []
        for x, where in ((pixels, valid), (date8.detach().float(), open8)):
            mean = _masked_mean(x, where)
            spread = _masked_mean((x - mean[:, :, None, None]).square(), where)
            parts += [mean, (spread + 1e-4).sqrt()]
        return torch.cat(parts, 1)

    def _scale(self, scale: int, pre: Tensor, post: Tensor, valid: Tensor) -> _Scale:
        for norm in self._shared:
            norm.scale = scale
        valid4 = F.avg_pool2d(valid, 4)
        valid16 = (F.avg_pool2d(valid4, 4) > 0.25).float()
        valid32 = (F.avg_pool2d(valid4, 8) > 0.0).float()
        raw = difference_maps(pre, post, valid)
        hand = self.hand_norm(raw) * valid4
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
        x32 = x32.float()
        scene = torch.cat(
            [
                _masked_mean(x32, valid32),
                _masked_max(x32, valid32),
                _masked_mean(hand, valid4),
                _masked_max(F.avg_pool2d(hand, 4), valid16) * 0.3,
            ],
            1,
        )
        return _Scale(p4, x16, scene, raw, torch.stack([a8, b8]), torch.stack([a16, b16]), valid4)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _logit_of(share: Tensor) -> Tensor:
    """Log-odds of a share, its floor at 1e-4."""
    kept = share.clamp(1e-4, 1.0 - 1e-4)
    return (kept / (1.0 - kept)).log()


class SmallCaptioner(nn.Module):
    """Encoder and decoder together: what training optimises and export takes apart."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ChangeEncoder(config)
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

    def sentence_logits(self, tokens: Tensor, input_ids: Tensor) -> Tensor:
        """Teacher forcing: logits (N, L, V), position i predicts the token after ``input_ids[:, i]``.

        Args:
            tokens: image tokens (N, T, D). input_ids: prompt, BOS and words (N, L).
        """
        words = self.decoder.get_input_embeddings()(input_ids)
        out = self.decoder(inputs_embeds=torch.cat([tokens, words], 1), use_cache=False)
        logits: Tensor = out.logits[:, tokens.shape[1] :]
        return logits
