"""Random checkpoints of dual encoders in published layouts, tiny: CLIP and SigLIP of transformers, OpenCLIP weights.

Weights are spread so that different pictures and texts get clearly different vectors: a graph that ignores its input
would not pass for the right one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)
from transformers.convert_slow_tokenizer import import_protobuf

from rsccli.models.dual.texts import clip_tokenizer

VISION = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1}
WIDTH = 32
SIDE, PATCH = 32, 8


def spread(model: nn.Module, seed: int = 0) -> None:
    """Weights that keep activations near 1 and attention sharp."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 0:
                continue
            if name.endswith("bias"):
                weight.normal_(0, 0.1, generator=random)
            elif "norm" in name or "ln_" in name:
                weight.normal_(1, 0.2, generator=random)
            elif "embedding" in name and "patch" not in name:
                weight.normal_(0, 0.7, generator=random)
            else:
                gain = 2.0 if any(part in name for part in ("q_proj", "k_proj", "in_proj")) else 1.2
                weight.normal_(0, gain / math.sqrt(weight[0].numel()), generator=random)


def make_clip(folder: Path, activation: str = "quick_gelu", legacy: bool = False) -> Path:
    """As openai/clip-vit-base-patch32 is published; ``legacy``: with the end token that its configuration has."""
    ends = {"eos_token_id": 2} if legacy else {"eos_token_id": 49407, "bos_token_id": 49406, "pad_token_id": 49407}
    text = {**TEXT, "vocab_size": 49408, "max_position_embeddings": 77, "hidden_act": activation, **ends}
    vision = {**VISION, "image_size": SIDE, "patch_size": PATCH, "hidden_act": activation}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))
    spread(model)
    model.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE).save_pretrained(folder)
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    made = PreTrainedTokenizerFast(tokenizer_object=clip_tokenizer(), model_max_length=77, **names)
    made.save_pretrained(folder)
    return folder


PIECES = (
    "▁the", "▁new", "▁house", "▁houses", "▁road", "▁trees", "▁are", "▁a", "▁along", "▁scene", "▁same", "▁as", "▁before",
    "▁is", "▁many", "▁building", "▁buildings", "s", "▁", "ing", "ed",
)  # fmt: skip


def sentencepiece_model(extra: str = "abcdefghijklmnopqrstuvwxyz0123456789éêè") -> bytes:
    """A Unigram model as SigLIP's: ``<pad>``, ``</s>``, ``<unk>``, words and single letters."""
    model: Any = import_protobuf().ModelProto()
    model.trainer_spec.model_type = 1
    model.trainer_spec.unk_id, model.trainer_spec.eos_id, model.trainer_spec.pad_id = 2, 1, 0
    model.trainer_spec.bos_id = -1
    model.normalizer_spec.remove_extra_whitespaces = True
    for place, (piece, kind) in enumerate((("<pad>", 3), ("</s>", 3), ("<unk>", 2))):
        model.pieces.add(piece=piece, score=0.0, type=kind)
        assert model.pieces[place].piece == piece
    for piece in PIECES:
        model.pieces.add(piece=piece, score=-2.0 - 0.1 * len(piece), type=1)
    for letter in extra:
        if letter not in PIECES:
            model.pieces.add(piece=letter, score=-9.0, type=1)
    made: bytes = model.SerializeToString()
    return made


def make_siglip(folder: Path) -> Path:
    """As google/siglip-base-patch16-224 is published, with its sentencepiece model."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = sentencepiece_model()
    proto: Any = import_protobuf().ModelProto.FromString(pieces)
    text = {
        **TEXT,
        "vocab_size": len(proto.pieces),
        "max_position_embeddings": 64,
        "projection_size": VISION["hidden_size"],
    }
    model = SiglipModel(
        SiglipConfig(text_config=text, vision_config={**VISION, "image_size": SIDE, "patch_size": PATCH})
    )
    spread(model)
    model.save_pretrained(folder)
    SiglipImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    (folder / "spiece.model").write_bytes(pieces)
    told = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**told, "model_max_length": 64, "do_lower_case": True}))
    return folder


class QuickGelu(nn.Module):
    """As OpenAI wrote it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """One residual block of OpenAI's CLIP; names as in its state dict."""

    def __init__(self, width: int, heads: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, hidden), "c_proj": nn.Linear(hidden, width)})
        self.act = QuickGelu() if activation == "quick_gelu" else nn.GELU()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp["c_proj"](self.act(self.mlp["c_fc"](self.ln_2(x))))


class Blocks(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads, hidden, activation) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        # Sequence first, as nn.MultiheadAttention has it unless told otherwise.
        x = x.permute(1, 0, 2)
        for block in self.resblocks:
            x = block(x, mask)
        return x.permute(1, 0, 2)


class Visual(nn.Module):
    def __init__(self, side: int, patch: int, width: int, layers: int, hidden: int, out: int, activation: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((side // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Blocks(layers, width, width // 64, hidden, activation)
        self.proj = nn.Parameter(torch.empty(width, out))

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.conv1(pixels).flatten(2).permute(0, 2, 1)
        first = self.class_embedding + torch.zeros(len(x), 1, x.shape[-1])
        x = self.ln_pre(torch.cat([first, x], dim=1) + self.positional_embedding)
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class OpenClip(nn.Module):
    """OpenAI's CLIP with a vision transformer, written from its paper and the names of its weights alone."""

    def __init__(self, activation: str, side: int = SIDE, patch: int = PATCH, out: int = WIDTH) -> None:
        super().__init__()
        self.visual = Visual(side, patch, 128, 2, 192, out, activation)
        self.transformer = Blocks(2, 64, 1, 96, activation)
        self.token_embedding = nn.Embedding(49408, 64)
        self.positional_embedding = nn.Parameter(torch.empty(77, 64))
        self.ln_final = nn.LayerNorm(64)
        self.text_projection = nn.Parameter(torch.empty(64, out))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        spread(self, 3)

    def encode_image(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.visual(pixels)
        return found

    def encode_text(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        mask = torch.full((length, length), float("-inf")).triu(1)
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        x = self.ln_final(self.transformer(x, mask))
        return x[torch.arange(len(ids)), ids.argmax(dim=-1)] @ self.text_projection


def make_open_clip(path: Path, activation: str = "quick_gelu", prefix: str = "") -> tuple[Path, OpenClip]:
    """Weights in OpenCLIP's layout as one file, and the model that they belong to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model = OpenClip(activation).eval()
    state = {f"{prefix}{name}": value.detach().clone() for name, value in _named(model.state_dict())}
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save(state if not prefix else {"epoch": 3, "state_dict": state}, path)
    return path, model


def _named(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    yield from state.items()
