"""OpenCLIP's weights (RemoteCLIP, GeoRSCLIP, LAION's) as a CLIP model of transformers.

OpenCLIP keeps OpenAI's layout: ``visual.conv1``, ``visual.transformer.resblocks.N``, ``transformer.resblocks.N``,
``text_projection``, ``logit_scale``; queries, keys and values of an attention are one matrix. The activation cannot be
told from the weights: OpenAI's own models and what was fine-tuned from them under OpenCLIP's ``openai`` tag need
QuickGELU, others GELU. The wrong one gives vectors that look fine and are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsccli.errors import ModelError
from rsccli.models.dual.checkpoint import DualSource

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]

ACTIVATIONS = ("gelu", "quick_gelu")
#: OpenAI's own mean and deviation, which OpenCLIP takes unless its settings say otherwise.
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
#: Width of a head is 64 but in these: H, g, bigG and e of OpenCLIP have 16 heads.
_SIXTEEN_HEADS = (1280, 1408, 1664, 1792)
#: What the authors' own instructions build, by the name of the file: RemoteCLIP's call of OpenCLIP has no tag (GELU),
#: GeoRSCLIP's has the tag ``openai`` (QuickGELU) but for its H-14, which starts from LAION's.
_KNOWN = (
    (re.compile(r"RemoteCLIP-ViT", re.IGNORECASE), "gelu"),
    (re.compile(r"(RS5M|GeoRSCLIP)_ViT-H", re.IGNORECASE), "gelu"),
    (re.compile(r"(RS5M|GeoRSCLIP)_ViT", re.IGNORECASE), "quick_gelu"),
)
#: Numbers that older files carry beside the weights.
_NO_WEIGHTS = ("attn_mask", "input_resolution", "context_length", "vocab_size")


def activation_of(source: DualSource, asked: str | None) -> str:
    """``gelu`` or ``quick_gelu``: as asked, by the settings beside the weights, or by the name of a known file.

    Raises:
        ModelError: nothing tells.
    """
    if asked is not None:
        return asked
    model = source.settings.get("model_cfg", source.settings)
    if "vision_cfg" in model:
        return "quick_gelu" if model.get("quick_gelu") else "gelu"
    found = next((activation for pattern, activation in _KNOWN if pattern.search(source.name)), None)
    if found is None:
        raise ModelError(
            f"{source.weights[0]}: nothing tells which activation these OpenCLIP weights were trained with: give "
            "--activation quick_gelu (OpenAI's CLIP and what was fine-tuned from it with pretrained='openai') or "
            "--activation gelu (OpenCLIP's models without 'quickgelu' in their name)"
        )
    return found


def load_state(path: Path) -> State:
    """Weights of a file by OpenCLIP's names; no code in it is run.

    Raises:
        ModelError: it cannot be read, or holds no weights.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling may raise anything
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{path} cannot be read as weights ({first[:200]}): give a file with a state dict (a TorchScript archive "
            "is none), or copy it again"
        ) from error
    for wrapper in ("state_dict", "model", "model_state_dict"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping):
        raise ModelError(f"{path} holds a {type(found).__name__}, no weights by name")
    state = {}
    for name, value in found.items():
        # Distributed training and OpenCLIP's CustomTextCLIP put a prefix before the names.
        short = str(name).removeprefix("module.").removeprefix("text.")
        if short not in _NO_WEIGHTS and isinstance(value, torch.Tensor):
            state[short] = value
    return state


def config_of(state: State, activation: str, where: str) -> dict[str, Any]:
    """Sizes of the model as a configuration of transformers' CLIP, read off the weights.

    Raises:
        ModelError: no vision transformer in OpenAI's layout.
    """
    if "visual.conv1.weight" not in state or "visual.class_embedding" not in state:
        what = "a ResNet" if any("attnpool" in name for name in state) else "no vision transformer in OpenCLIP's layout"
        raise ModelError(
            f"{where}: this is {what}: the ViT models of OpenCLIP can be exported (ViT-B-32, ViT-L-14, ...)"
        )
    try:
        width, _, patch, _ = state["visual.conv1.weight"].shape
        places = state["visual.positional_embedding"].shape[0] - 1
        context, text_width = state["positional_embedding"].shape
        vocabulary = state["token_embedding.weight"].shape[0]
        hidden, text_hidden = (state[f"{part}resblocks.0.mlp.c_fc.bias"].shape[0] for part in _PARTS)
        projection = state["visual.proj"].shape[1]
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(f"{where}: not the layout of OpenCLIP's ViT models ({error} is missing)") from error
    side = round(places**0.5)
    if side * side != places:
        raise ModelError(f"{where}: its {places} patches are no square: only square inputs are exported")
    depth, text_depth = (_depth(state, part) for part in _PARTS)
    common = {"hidden_act": activation, "layer_norm_eps": 1e-5, "projection_dim": projection}
    return {
        "projection_dim": projection,
        "vision_config": {
            **common,
            "hidden_size": width,
            "intermediate_size": hidden,
            "num_hidden_layers": depth,
            "num_attention_heads": 16 if width in _SIXTEEN_HEADS else max(1, width // 64),
            "image_size": side * patch,
            "patch_size": patch,
        },
        "text_config": {
            **common,
            "hidden_size": text_width,
            "intermediate_size": text_hidden,
            "num_hidden_layers": text_depth,
            "num_attention_heads": max(1, text_width // 64),
            "max_position_embeddings": context,
            "vocab_size": vocabulary,
        },
    }


_PARTS = ("visual.transformer.", "transformer.")


def _depth(state: State, part: str) -> int:
    numbers = [int(name[len(part) :].split(".")[1]) for name in state if name.startswith(f"{part}resblocks.")]
    return max(numbers) + 1


def converted(state: State, config: Mapping[str, Any], end: int, where: str) -> Any:  # noqa: ANN401 - transformers
    """A CLIP model of transformers with these weights.

    Args:
        state: from `load_state`. config: from `config_of`. end: token whose state is the text's.

    Raises:
        ModelError: weights are missing, left over, or of another shape.
    """
    import torch
    from transformers import CLIPConfig, CLIPModel

    text = {**config["text_config"], "eos_token_id": end, "bos_token_id": end - 1, "pad_token_id": end}
    made = CLIPConfig(
        text_config=text, vision_config=dict(config["vision_config"]), projection_dim=config["projection_dim"]
    )
    with torch.device("meta"):
        model = CLIPModel(made)
    left = dict(state)
    weights = dict(_renamed(left))
    if left:
        raise ModelError(
            f"{where}: {len(left)} weights have no place in CLIP, the first is {min(left)}: another architecture"
        )
    wanted = {name: value.shape for name, value in model.named_parameters()}
    missing = sorted(set(wanted) - set(weights))
    if missing:
        raise ModelError(f"{where}: {len(missing)} weights are missing, the first is {missing[0]} (transformers' name)")
    wrong = [name for name, shape in wanted.items() if weights[name].shape != shape]
    if wrong:
        raise ModelError(f"{where}: {wrong[0]} has the shape {tuple(weights[wrong[0]].shape)}: another architecture")
    model = model.to_empty(device="cpu")
    model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    for part in (model.text_model.embeddings, model.vision_model.embeddings):
        # Buffers are not among the weights, and to_empty left them unset.
        part.position_ids = torch.arange(part.position_ids.shape[-1])[None]
    return model.eval()


def _renamed(left: State) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights by transformers' names; takes what it knows out of ``left``."""

    def take(name: str, to: str, turned: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
        if name in left:
            value = left.pop(name)
            yield to, value.t().contiguous() if turned else value

    yield from take("logit_scale", "logit_scale")
    yield from take("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight")
    yield from take("visual.class_embedding", "vision_model.embeddings.class_embedding")
    yield from take("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight")
    yield from take("visual.proj", "visual_projection.weight", turned=True)
    yield from take("token_embedding.weight", "text_model.embeddings.token_embedding.weight")
    yield from take("positional_embedding", "text_model.embeddings.position_embedding.weight")
    yield from take("text_projection", "text_projection.weight", turned=True)
    yield from take("text_projection.weight", "text_projection.weight")
    for kind in ("weight", "bias"):
        yield from take(f"visual.ln_pre.{kind}", f"vision_model.pre_layrnorm.{kind}")
        yield from take(f"visual.ln_post.{kind}", f"vision_model.post_layernorm.{kind}")
        yield from take(f"ln_final.{kind}", f"text_model.final_layer_norm.{kind}")
    for part, to in zip(_PARTS, ("vision_model", "text_model"), strict=True):
        for layer in range(_depth(left, part)):
            yield from _block(left, f"{part}resblocks.{layer}", f"{to}.encoder.layers.{layer}")


def _block(left: State, old: str, new: str) -> Iterator[tuple[str, torch.Tensor]]:
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for kind in ("weight", "bias"):
        for name, to in names.items():
            if f"{old}.{name}.{kind}" in left:
                yield f"{new}.{to}.{kind}", left.pop(f"{old}.{name}.{kind}")
        if f"{old}.attn.in_proj_{kind}" in left:
            parts = left.pop(f"{old}.attn.in_proj_{kind}").chunk(3)
            for name, value in zip(("q_proj", "k_proj", "v_proj"), parts, strict=True):
                yield f"{new}.self_attn.{name}.{kind}", value.contiguous()
