"""Random checkpoints in the published layout of Qwen-VL, LLaVA and InternVL, tiny or as wide as the real ones.

Each maker writes what the published folder holds: a configuration with the same fields, image processor, tokenizer,
chat template and generation settings. ``real=True`` takes the published numbers but two layers of text and of vision;
otherwise sizes are so small that a whole export takes seconds. Weights are random in either case, spread so that every
bias, norm and picture changes what a greedy search says.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import processors
from tokenizers_for_tests import byte_tokenizer
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast
from transformers.modeling_utils import no_init_weights
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

Fields = dict[str, object]

QWEN = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>"),
]
QWEN_TEXT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
QWEN_FIRST = 151643
LLAVA = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
INTERN = ["<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>", "<video>"]

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5]
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# What the published templates make of text and pictures; they know tools and videos too.
QWEN_TURN = (
    "<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in c %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
)
QWEN_ASKING = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
QWEN3_TEMPLATE = "{% for m in messages %}" + QWEN_TURN + "{% endfor %}" + QWEN_ASKING
QWEN2_TEMPLATE = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}" + QWEN_TURN + "{% endfor %}" + QWEN_ASKING
)
IMAGES = "{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}"
TEXTS = "{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}"
# Nothing ends the assistant's turn, and the tokenizer writes the first token.
LLAVA_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'].upper() + ': ' }}{% endif %}"
    + (IMAGES + "{{ '<image>\n' }}{% endfor %}" + TEXTS + "{{ c['text'] + ' ' }}{% endfor %}{% endfor %}")
    + "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
INTERLEAVE_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    + (IMAGES + "{{ '<image>' }}{% endfor %}" + TEXTS + "{{ '\n' + c['text'] }}{% endfor %}")
    + "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# A space after the role, and no new line after a turn.
ONEVISION_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ' ' }}"
    + (IMAGES + "{{ '<image>' }}{% endfor %}" + TEXTS + "{{ '\n' + c['text'] }}{% endfor %}")
    + "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INTERN_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def random_weights(model: torch.nn.Module, seed: int, embedding: float) -> None:
    """Gives a model weights that keep activations near 1 whatever its width; ``embedding``: the spread of tokens."""
    random = torch.Generator().manual_seed(seed)
    # Sharp attention, so that tokens look at few others: at pictures too.
    sharp = 2.0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            last = name.removesuffix(".weight").rsplit(".", 1)[-1]
            if last == "bias" or name.endswith("_bias"):
                weight.normal_(0, 0.3, generator=random)
            elif "norm" in last or last.startswith(("ln_", "lambda_")) or (weight.ndim == 1 and last.isdigit()):
                weight.normal_(sharp if last in ("q_norm", "k_norm") else 1, 0.2, generator=random)
            elif last == "embed_tokens":
                weight.normal_(0, embedding, generator=random)
            elif weight.ndim == 1 or last == "cls_token" or ("embed" in last and "patch" not in last):
                weight.normal_(0, 0.5, generator=random)
            else:
                gain = sharp if last in ("q_proj", "k_proj", "qkv") else 1.4
                # What attention brings must not drown what is known of the place itself.
                gain = {"o_proj": embedding, "out_proj": 0.7, "proj": 0.7, "projection_layer": 0.7}.get(last, gain)
                weight.normal_(0, gain / math.sqrt(weight[0].numel()), generator=random)


def write_checkpoint(
    folder: Path,
    config: Mapping[str, object],
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    *,
    files: Mapping[str, Fields],
    generation: Fields,
    seed: int,
) -> Path:
    """Writes a whole checkpoint: model of a configuration as published, tokenizer, and other files as they are.

    ``seed``: one with which the tiny model's searches neither repeat a token, nor end early, nor are a close choice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind = CONFIG_MAPPING[str(config["model_type"])]
    made = kind.from_dict(copy.deepcopy(dict(config)))
    with no_init_weights():
        model = AutoModelForImageTextToText.from_config(made)
    # Where the same weights end the model as begin it, large ones would make it say its last word again.
    random_weights(model, seed, 0.1 if made.get_text_config(decoder=True).tie_word_embeddings else 1.0)
    model.tie_weights()
    model.save_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    # As published, not as this version of transformers would write them; from 4.57.3 on it takes the large
    # vocabularies of models that were written with it for Mistral's.
    names = {"architectures": [type(model).__name__], "torch_dtype": "float32", "transformers_version": "4.57.0"}
    for name, content in {"config": {**config, **names}, "generation_config": generation, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return folder


def _qwen_tokenizer(
    special: Sequence[str], real: bool, size: int, first_ids: Mapping[str, int] | None = None, **names: object
) -> PreTrainedTokenizerFast:
    """Of Qwen2 and later; ``size``: how many tokens the published one has."""
    published = {name: QWEN_FIRST + i for i, name in enumerate(special)} | dict(first_ids or {})
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", **names}
    if real:
        return byte_tokenizer(special, first_ids=published, size=size, **names)
    return byte_tokenizer(special, **names)


def _ids(tokenizer: PreTrainedTokenizerFast, **tokens: str) -> dict[str, int]:
    return {name: int(tokenizer.convert_tokens_to_ids(token)) for name, token in tokens.items()}


def _qwen_vl_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return _ids(
        tokenizer,
        vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>",
        image_token_id="<|image_pad|>",
        video_token_id="<|video_pad|>",
    )


def _qwen_generation(tokenizer: PreTrainedTokenizerFast, **how: object) -> Fields:
    end, pad = _ids(tokenizer, end="<|im_end|>", pad="<|endoftext|>").values()
    return {"bos_token_id": pad, "pad_token_id": pad, "do_sample": True, "eos_token_id": [end, pad], **how}


def _plain_generation(tokenizer: PreTrainedTokenizerFast) -> Fields:
    """What a model without settings of its own is published with."""
    end, begin = _ids(tokenizer, end="<|im_end|>", begin="<|endoftext|>").values()
    return {"_from_model_config": True, "bos_token_id": begin, "eos_token_id": end}


def _qwen2_text(tokenizer: PreTrainedTokenizerFast, real: Fields | None, *, kv_heads: int = 2) -> Fields:
    """A Qwen2 text model as the part of another one."""
    end, begin = _ids(tokenizer, end="<|im_end|>", begin="<|endoftext|>").values()
    tiny = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 4096,
        "vocab_size": len(tokenizer),
    }
    common = {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "bos_token_id": begin,
        "eos_token_id": end,
        "hidden_act": "silu",
        "num_hidden_layers": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "use_sliding_window": False,
    }
    return {**common, **(real or tiny)}


def _siglip(real: bool) -> Fields:
    """SigLIP so400m-patch14-384 without its head; its patches leave a rest at the edge (384 = 27 * 14 + 6)."""
    tiny = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "image_size": 38, "patch_size": 7}
    wide = {"hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "image_size": 384}
    wide |= {"patch_size": 14}
    common = {"model_type": "siglip_vision_model", "vision_use_head": False}
    return {**common, **(wide if real else tiny), "num_hidden_layers": 2}


def _image_fields(mean: Sequence[float], std: Sequence[float], **others: object) -> Fields:
    """Fields that every image processor has."""
    common = {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True}
    values = {"image_mean": list(mean), "image_std": list(std), "resample": 3, "rescale_factor": 1 / 255}
    return {**common, **values, **others}


def make_qwen2_vl(folder: Path, real: bool = False) -> Path:
    """Of Qwen/Qwen2-VL-2B-Instruct."""
    tokenizer = _qwen_tokenizer(QWEN, real, 151657)
    end, begin = _ids(tokenizer, end="<|im_end|>", begin="<|endoftext|>").values()
    patch = 14 if real else 8
    if real:
        text = {"hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12, "vocab_size": 151936}
        vision = {"embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "hidden_size": 1536}
    else:
        text = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "vocab_size": len(tokenizer)}
        vision = {"embed_dim": 32, "mlp_ratio": 2, "num_heads": 2, "hidden_size": 64}
    # No text_config is there: this family's configuration was flat when it was published.
    config = {
        "model_type": "qwen2_vl",
        "attention_dropout": 0.0,
        "bos_token_id": begin,
        "eos_token_id": end,
        **_qwen_vl_ids(tokenizer),
        "hidden_act": "silu",
        **text,
        "max_position_embeddings": 32768,
        "max_window_layers": 28,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": 2,
            **vision,
            "in_chans": 3,
            "patch_size": patch,
            "spatial_merge_size": 2,
            "spatial_patch_size": patch,
            "temporal_patch_size": 2,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24] if real else [2, 3, 3]},
    }
    return write_checkpoint(
        folder,
        config,
        tokenizer,
        QWEN2_TEMPLATE,
        files={"preprocessor_config": _qwen2_pixels(patch, "Qwen2VLProcessor", real)},
        generation=_qwen_generation(tokenizer, repetition_penalty=1.0, temperature=0.01, top_p=0.001, top_k=1),
        seed=22,
    )


def _qwen2_pixels(patch: int, processor: str, real: bool) -> Fields:
    sizes = {"min_pixels": 3136, "max_pixels": 12845056} if real else {"min_pixels": 16 * 16, "max_pixels": 64 * 64}
    return {
        **sizes,
        "patch_size": patch,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": processor,
    }


def make_qwen2_5_vl(folder: Path, real: bool = False) -> Path:
    """Of Qwen/Qwen2.5-VL-3B-Instruct.

    Its vision looks at windows of 4 x 4 merged patches and at whole images in layers 7, 15, 23 and 31 of 32.
    Here one layer has windows and the next whole images; the tiny one has another with windows (of 2 x 2) after that.
    """
    tokenizer = _qwen_tokenizer(QWEN, real, 151665)
    end, begin = _ids(tokenizer, end="<|im_end|>", begin="<|endoftext|>").values()
    patch = 14 if real else 8
    if real:
        text = {"hidden_size": 2048, "intermediate_size": 11008, "num_attention_heads": 16, "vocab_size": 151936}
        vision = {"depth": 2, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "window_size": 112}
    else:
        text = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "vocab_size": len(tokenizer)}
        vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "window_size": 32}
    # Flat, as Qwen2-VL's.
    config = {
        "model_type": "qwen2_5_vl",
        "attention_dropout": 0.0,
        "bos_token_id": begin,
        "eos_token_id": end,
        **_qwen_vl_ids(tokenizer),
        "hidden_act": "silu",
        **text,
        "max_position_embeddings": 128000,
        "max_window_layers": 70,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "hidden_act": "silu",
            **vision,
            "in_chans": 3,
            "out_hidden_size": text["hidden_size"],
            "patch_size": patch,
            "spatial_merge_size": 2,
            "spatial_patch_size": patch,
            "fullatt_block_indexes": [1],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24] if real else [2, 3, 3]},
    }
    return write_checkpoint(
        folder,
        config,
        tokenizer,
        QWEN2_TEMPLATE,
        files={"preprocessor_config": _qwen2_pixels(patch, "Qwen2_5_VLProcessor", real)},
        generation=_qwen_generation(tokenizer, repetition_penalty=1.05, temperature=1e-06),
        seed=10,
    )


def make_qwen3_vl(folder: Path, real: bool = False) -> Path:
    """Of Qwen/Qwen3-VL-4B-Instruct, whose heads are together wider than its hidden states.

    Features of three vision layers (5, 11 and 17 of 24) go into the first text layers; here those of the first two.
    The tiny one has a layer without such features after them, in vision and in text.
    """
    tokenizer = _qwen_tokenizer(QWEN, real, 151669)
    end, begin = _ids(tokenizer, end="<|im_end|>", begin="<|endoftext|>").values()
    patch = 16 if real else 8
    if real:
        text = {"hidden_size": 2560, "intermediate_size": 9728, "num_attention_heads": 32, "num_key_value_heads": 8}
        text |= {"head_dim": 128, "num_hidden_layers": 2, "vocab_size": 151936}
        vision = {"depth": 2, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16}
        vision |= {"num_position_embeddings": 2304}
        size = {"longest_edge": 16777216, "shortest_edge": 65536}
        video_size = {"longest_edge": 25165824, "shortest_edge": 4096}
    else:
        text = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}
        text |= {"head_dim": 16, "num_hidden_layers": 3, "vocab_size": len(tokenizer)}
        vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2}
        # A grid of 5 x 5, from which those of images are interpolated.
        vision |= {"num_position_embeddings": 25}
        size = video_size = {"longest_edge": 64 * 64, "shortest_edge": 16 * 16}
    config = {
        "model_type": "qwen3_vl",
        **_qwen_vl_ids(tokenizer),
        "text_config": {
            "model_type": "qwen3_vl_text",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": begin,
            "eos_token_id": end,
            "hidden_act": "silu",
            **text,
            "max_position_embeddings": 262144,
            "rms_norm_eps": 1e-06,
            "rope_scaling": {
                "mrope_interleaved": True,
                "mrope_section": [24, 20, 20] if real else [4, 2, 2],
                "rope_type": "default",
            },
            "rope_theta": 5000000,
            "tie_word_embeddings": True,
            "use_cache": True,
        },
        "tie_word_embeddings": True,
        "vision_config": {
            "model_type": "qwen3_vl",
            "deepstack_visual_indexes": [0, 1],
            "hidden_act": "gelu_pytorch_tanh",
            **vision,
            "in_channels": 3,
            "out_hidden_size": text["hidden_size"],
            "patch_size": patch,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }
    pixels = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2, "image_mean": HALF, "image_std": HALF}
    pixels |= {"processor_class": "Qwen3VLProcessor"}
    return write_checkpoint(
        folder,
        config,
        tokenizer,
        QWEN3_TEMPLATE,
        files={
            "preprocessor_config": {"size": size, **pixels, "image_processor_type": "Qwen2VLImageProcessorFast"},
            "video_preprocessor_config": {
                "size": video_size,
                **pixels,
                "video_processor_type": "Qwen3VLVideoProcessor",
            },
        },
        generation=_qwen_generation(tokenizer, top_p=0.8, top_k=20, temperature=0.7, repetition_penalty=1.0),
        seed=25,
    )


def make_llava(folder: Path, real: bool = False) -> Path:
    """Of llava-hf/llava-1.5-7b-hf: CLIP ViT-L/14-336 and Vicuna 7B, a Llama whose fields are mostly left out there."""
    first = {name: i for i, name in enumerate(LLAVA[:3])}
    if real:
        first |= {"<image>": 32000, "<pad>": 32001}
    tokenizer = byte_tokenizer(
        LLAVA,
        first_ids=first,
        size=32002 if real else None,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side="left",
    )
    begins = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    tokenizer.backend_tokenizer.post_processor = begins
    image, pad = _ids(tokenizer, image="<image>", pad="<pad>").values()
    if real:
        text = {"max_position_embeddings": 4096, "vocab_size": 32064}
        vision = {"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "num_attention_heads": 16}
        vision |= {"num_hidden_layers": 2, "patch_size": 14, "projection_dim": 768}
    else:
        text = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 4}
        text |= {"max_position_embeddings": 4096, "vocab_size": len(tokenizer)}
        # The last layer's features are not read: with three layers, two of them count.
        vision = {"hidden_size": 32, "image_size": 35, "intermediate_size": 64, "num_attention_heads": 2}
        vision |= {"num_hidden_layers": 3, "patch_size": 7, "projection_dim": 24}
    side, patch = vision["image_size"], vision["patch_size"]
    config = {
        "model_type": "llava",
        "ignore_index": -100,
        "image_token_index": image,
        "image_seq_length": (side // patch) ** 2,
        "pad_token_id": pad,
        "projector_hidden_act": "gelu",
        "text_config": {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "num_hidden_layers": 2,
            "rms_norm_eps": 1e-05,
            **text,
        },
        "tie_word_embeddings": False,
        "vision_config": {"model_type": "clip_vision_model", **vision, "vocab_size": 32000},
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "vocab_size": text["vocab_size"],
    }
    pixels = {"do_center_crop": True, "crop_size": {"height": side, "width": side}, "size": {"shortest_edge": side}}
    pixels |= {"image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor"}
    return write_checkpoint(
        folder,
        config,
        tokenizer,
        LLAVA_TEMPLATE,
        files={
            "preprocessor_config": _image_fields(CLIP_MEAN, CLIP_STD, **pixels),
            "processor_config": {
                "image_token": "<image>",
                "num_additional_image_tokens": 1,
                "patch_size": patch,
                "processor_class": "LlavaProcessor",
                "vision_feature_select_strategy": "default",
            },
        },
        generation={"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": pad},
        seed=25,
    )


def make_llava_interleave(folder: Path, real: bool = False) -> Path:
    """Of llava-hf/llava-interleave-qwen-0.5b-hf: SigLIP and Qwen1.5 0.5B."""
    special = [*QWEN_TEXT, "<image>"]
    tokenizer = _qwen_tokenizer(special, real, 151647, padding_side="left")
    wide = {"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16, "num_key_value_heads": 16}
    wide |= {"max_position_embeddings": 32768, "max_window_layers": 21, "vocab_size": 152000}
    vision = _siglip(real)
    side, patch = vision["image_size"], vision["patch_size"]
    config = {
        "model_type": "llava",
        "ignore_index": -100,
        "image_token_index": _ids(tokenizer, image="<image>")["image"],
        "projector_hidden_act": "gelu",
        "text_config": {**_qwen2_text(tokenizer, wide if real else None, kv_heads=4), "tie_word_embeddings": True},
        "vision_config": vision,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    }
    pixels = {"size": {"height": side, "width": side}, "image_processor_type": "SiglipImageProcessor"}
    return write_checkpoint(
        folder,
        config,
        tokenizer,
        INTERLEAVE_TEMPLATE,
        files={
            "preprocessor_config": _image_fields(HALF, HALF, **pixels, processor_class="LlavaProcessor"),
            "processor_config": {
                "image_token": "<image>",
                "num_additional_image_tokens": 0,
                "patch_size": patch,
                "processor_class": "LlavaProcessor",
                "vision_feature_select_strategy": "full",
            },
        },
        generation=_plain_generation(tokenizer),
        seed=20,
    )


def make_llava_onevision(folder: Path, real: bool = False) -> Path:
    """Of llava-hf/llava-onevision-qwen2-0.5b-ov-hf: SigLIP and Qwen2 0.5B.

    An image alone is cut into tiles; several of one prompt (a list in the list of images) are not.
    """
    special = [*QWEN_TEXT, "<image>", "<video>"]
    tokenizer = _qwen_tokenizer(special, real, 151648, padding_side="left")
    wide = {"hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14, "num_key_value_heads": 2}
    wide |= {"max_position_embeddings": 32768, "max_window_layers": 24, "vocab_size": 152000}
    vision = _siglip(real)
    side, patch = int(str(vision["image_size"])), int(str(vision["patch_size"]))
    grid = [[side * height, side * width] for height in range(1, 7) for width in range(1, 7)]
    config = {
        "model_type": "llava_onevision",
        "ignore_index": -100,
        "image_grid_pinpoints": grid,
        "image_token_index": _ids(tokenizer, image="<image>")["image"],
        "projector_hidden_act": "gelu",
        # The text's word counts, not the outer one.
        "text_config": {**_qwen2_text(tokenizer, wide if real else None), "tie_word_embeddings": True},
        "tie_word_embeddings": False,
        "use_image_newline_parameter": True,
        "video_token_index": _ids(tokenizer, video="<video>")["video"],
        "vision_aspect_ratio": "anyres_max_9",
        "vision_config": vision,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    }
    pixels = {"do_pad": True, "image_grid_pinpoints": grid, "size": {"height": side, "width": side}}
    pixels |= {"image_processor_type": "LlavaOnevisionImageProcessor", "processor_class": "LlavaOnevisionProcessor"}
    return write_checkpoint(
        folder,
        config,
        tokenizer,
        ONEVISION_TEMPLATE,
        files={
            "preprocessor_config": _image_fields(HALF, HALF, **pixels),
            "processor_config": {
                "image_token": "<image>",
                "num_image_tokens": (side // patch) ** 2,
                "processor_class": "LlavaOnevisionProcessor",
                "video_token": "<video>",
                "vision_feature_select_strategy": "full",
            },
        },
        generation=_plain_generation(tokenizer),
        seed=27,
    )


def make_internvl3(folder: Path, real: bool = False) -> Path:
    """Of OpenGVLab/InternVL3-1B-hf: InternViT 300M and Qwen2.5 0.5B with rope scaling that sets in beyond its length.

    Images are cut into up to twelve tiles, with the whole image after them: the processor asks for that, although
    the file of its image processor says otherwise.
    """
    names = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    names |= {"video_token": "<video>"}
    published = {name: 151665 + i for i, name in enumerate(INTERN)}
    tokenizer = _qwen_tokenizer([*QWEN, *INTERN], real, 151675, published, extra_special_tokens=names)
    wide = {"hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14, "num_key_value_heads": 2}
    # The last token of the tokenizer has no embedding; it stands for videos alone.
    wide |= {"max_position_embeddings": 32768, "max_window_layers": 70, "vocab_size": 151674}
    if real:
        vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}
        vision |= {"image_size": [448, 448], "patch_size": [14, 14]}
    else:
        vision = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
        vision |= {"image_size": [28, 28], "patch_size": [7, 7]}
    side, patch = vision["image_size"][0], vision["patch_size"][0]
    tokens = (side // patch // 2) ** 2
    config = {
        "model_type": "internvl",
        "downsample_ratio": 0.5,
        "image_seq_length": tokens,
        "image_token_id": _ids(tokenizer, image="<IMG_CONTEXT>")["image"],
        "projector_hidden_act": "gelu",
        "text_config": {
            **_qwen2_text(tokenizer, wide if real else None),
            "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
            "sliding_window": None,
            "tie_word_embeddings": False,
        },
        "vision_config": {
            "model_type": "internvl_vision",
            "attention_bias": True,
            "attention_dropout": 0.0,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            **vision,
            "layer_norm_eps": 1e-06,
            "layer_scale_init_value": 0.1,
            "norm_type": "layer_norm",
            "num_channels": 3,
            "num_hidden_layers": 2,
            "projection_dropout": 0.0,
            "use_absolute_position_embeddings": True,
            "use_mask_token": False,
            "use_mean_pooling": True,
            "use_qk_norm": False,
        },
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
    }
    pixels = {"crop_to_patches": False, "min_patches": 1, "max_patches": 12, "size": {"height": side, "width": side}}
    pixels |= {"image_processor_type": "GotOcr2ImageProcessorFast", "processor_class": "InternVLProcessor"}
    return write_checkpoint(
        folder,
        config,
        tokenizer,
        INTERN_TEMPLATE,
        files={
            "preprocessor_config": _image_fields(IMAGENET_MEAN, IMAGENET_STD, **pixels),
            "processor_config": {"image_seq_length": tokens, "processor_class": "InternVLProcessor"},
        },
        generation=_plain_generation(tokenizer),
        seed=2,
    )


MAKERS_A: dict[str, Callable[..., Path]] = {
    "qwen2_vl": make_qwen2_vl,
    "qwen2_5_vl": make_qwen2_5_vl,
    "qwen3_vl": make_qwen3_vl,
    "llava": make_llava,
    "llava_interleave": make_llava_interleave,
    "llava_onevision": make_llava_onevision,
    "internvl3": make_internvl3,
}
