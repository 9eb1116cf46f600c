"""Random Pixtral, Phi-4-multimodal, BLIP-2, InstructBLIP, Idefics and ViT-GPT2 checkpoints in their published layout.

Each is of two layers: of a few thousand weights, or with ``real`` of the published width. Weights are wide enough that
greedy tokens vary, and depend on the pictures.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers_for_tests import byte_tokenizer
from torch import nn
from transformers import (
    BertConfig,
    BertTokenizerFast,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    GPT2Config,
    GPT2TokenizerFast,
    IdeficsConfig,
    IdeficsForVisionText2Text,
    IdeficsImageProcessor,
    IdeficsProcessor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlamaTokenizerFast,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Phi4MultimodalConfig,
    Phi4MultimodalForCausalLM,
    PixtralImageProcessor,
    PixtralProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    SwinConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)
from transformers.modeling_utils import no_init_weights
from transformers.pytorch_utils import Conv1D

Kind = TypeVar("Kind", bound=PreTrainedTokenizerFast)

# The first ids of mistral-community/pixtral-12b.
PIXTRAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"]
PIXTRAL += ["[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"]
PIXTRAL += ["[SUFFIX]"]
PIXTRAL_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST]{% if m['content'] is string %}"
    "{{ m['content'] }}{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}[IMG]{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}{% endif %}[/INST]{% else %}{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{{ m['content'][0]['text'] }}{% endif %}{{ eos_token }}{% endif %}{% endfor %}"
)
# Ids of microsoft/Phi-4-multimodal-instruct. Pictures and sounds: <|image|> and <|audio|> in its branch for
# transformers, <|endoftext10|> and <|endoftext11|> in its main branch and in what transformers' script converts.
PHI4 = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018, "<|assistant|>": 200019, "<|end|>": 200020}
PHI4 |= {"<|user|>": 200021, "<|system|>": 200022}
PHI4_IMAGE, PHI4_AUDIO = 200010, 200011
PHI4_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE{% elif c['type'] == 'audio' %}AUDIO{% else %}"
    "{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}"
)
# The frequencies' divisors past 4,096 tokens, of the same.
PHI4_LONG = [1, 1.118320672, 1.250641126, 1.398617824, 1.564103225, 1.74916897, 1.956131817, 2.187582649, 2.446418898]
PHI4_LONG += [2.735880826, 3.059592084, 3.421605075, 3.826451687, 4.279200023, 4.785517845, 5.351743533, 5.984965424]
PHI4_LONG += [6.693110555, 7.485043894, 8.370679318, 9.36110372, 10.4687158, 11.70738129, 13.09260651, 14.64173252]
PHI4_LONG += [16.37415215, 18.31155283, 20.47818807, 22.90118105, 25.61086418, 28.64115884, 32.03, 32.1, 32.13, 32.23]
PHI4_LONG += [32.6, 32.61, 32.64, 32.66, 32.7, 32.71, 32.93, 32.97, 33.28, 33.49, 33.5, 44.16, 47.77]
PHI4_LORA = r"model.layers.\d+.((self_attn.(qkv|o)_proj)|(mlp.(gate_up|down)_proj))"
IDEFICS = ["<unk>", "<s>", "</s>", "<fake_token_around_image>", "<image>", "<end_of_utterance>"]
# As a byte-level vocabulary writes it.
NEWLINE = "Ċ"
# Seed and gain of a small and of a real one. BERT's layers norm what they add to: wide ones would drown the words.
VARIED = {"vit": ((2, 2.0), (2, 2.0)), "swin": ((3, 2.0), (0, 1.0)), "bert": ((2, 0.6), (2, 0.8))}


def make_pixtral(folder: Path, real: bool = False) -> Path:
    """mistral-community/pixtral-12b: pictures of any aspect, a row of patches a line."""
    tokenizer = byte_tokenizer(
        PIXTRAL,
        first_ids={token: i for i, token in enumerate(PIXTRAL)},
        size=131072 if real else None,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )
    _begin_with(tokenizer, "<s>")
    text = {"model_type": "mistral", "vocab_size": len(tokenizer), "num_hidden_layers": 2, "rms_norm_eps": 1e-5}
    text |= {"rope_theta": 1e9, "sliding_window": None, "max_position_embeddings": 1024000, "pad_token_id": 11}
    text |= {"bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False}
    vision = {"model_type": "pixtral", "num_hidden_layers": 2, "hidden_act": "silu", "rope_theta": 10000.0}
    if real:
        text |= _widths(5120, 14336, 32, 8, head_dim=128)
        vision |= _widths(1024, 4096, 16, head_dim=64, image_size=1024, patch_size=16)
    else:
        # As there, attention is narrower than the rest.
        text |= _widths(48, 96, 4, 2, head_dim=8)
        vision |= _widths(32, 64, 4, head_dim=8, image_size=48, patch_size=8)
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=10,
        image_seq_length=1,
        projector_hidden_act="gelu",
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=False,
    )
    model = _made(LlavaForConditionalGeneration, config, never=(10, 12, 13))
    _save(model, folder, bos_token_id=1, eos_token_id=2, pad_token_id=11)
    side, patch = vision["image_size"], vision["patch_size"]
    images = PixtralImageProcessor(size={"longest_edge": side}, patch_size={"height": patch, "width": patch})
    PixtralProcessor(images, tokenizer, patch_size=patch, chat_template=PIXTRAL_TEMPLATE).save_pretrained(folder)
    return folder


def make_phi4_multimodal(
    folder: Path, real: bool = False, *, with_lora: bool = False, image_token: str = "<|image|>"
) -> Path:
    """microsoft/Phi-4-multimodal-instruct as transformers reads it (its branch refs/pr/70).

    Plain, as if what pictures need were merged into the language model; ``with_lora``: in a folder ``vision-lora``
    beside it, as published. Sounds have the smallest encoder there can be.
    """
    audio_token = {"<|image|>": "<|audio|>", "<|endoftext10|>": "<|endoftext11|>"}[image_token]
    special = {**PHI4, image_token: PHI4_IMAGE, audio_token: PHI4_AUDIO}
    if not real:
        special = {token: i for i, token in enumerate(special)}
    plain = byte_tokenizer(list(special), first_ids=special, size=200029 if real else None)
    names = dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), "<|endoftext|>")
    tokenizer = _as(GPT2TokenizerFast, plain, _strip_after("<|assistant|>", "<|end|>", "<|user|>", "<|system|>"))(
        **names, extra_special_tokens={"image_token": image_token, "audio_token": audio_token}
    )
    tokenizer.chat_template = PHI4_TEMPLATE.replace("IMAGE", image_token).replace("AUDIO", audio_token)
    end = special["<|endoftext|>"]
    ends = [end, special["<|end|>"]]
    ids = {"bos_token_id": end, "eos_token_id": ends, "pad_token_id": end}
    vision = {"num_hidden_layers": 2, "patch_size": 14, "image_token_id": special[image_token]}
    wide = _widths(3072, 8192, 24, 8) if real else _widths(48, 96, 6, 2)
    vision |= _widths(1152, 4304, 16, image_size=448, crop_size=448) if real else {}
    vision |= {} if real else _widths(32, 64, 4, image_size=56, crop_size=56)
    factors = PHI4_LONG if real else [1.0, 2.5, 7.0]
    config = Phi4MultimodalConfig(
        vocab_size=200064 if real else len(tokenizer),
        **wide,
        **ids,
        num_hidden_layers=2,
        max_position_embeddings=131072,
        original_max_position_embeddings=4096,
        partial_rotary_factor=0.75,
        rope_scaling={"type": "longrope", "short_factor": [1.0] * len(factors), "long_factor": factors},
        sliding_window=262144,
        tie_word_embeddings=True,
        vision_config=vision,
        audio_config=_smallest_sound(special[audio_token]),
    )
    model = _made(Phi4MultimodalForCausalLM, config, never=(special[image_token], special[audio_token]))
    _save(model, folder, **ids)
    tokenizer.save_pretrained(folder)
    # The published file knows nothing of pictures: the audio settings were saved over them.
    layout = {"feature_extractor_type": "Phi4MultimodalFeatureExtractor", "processor_class": "Phi4MultimodalProcessor"}
    layout |= {"audio_compression_rate": 8, "audio_downsample_rate": 1, "audio_feat_stride": 1, "feature_size": 80}
    layout |= {"hop_length": 160, "n_fft": 512, "win_length": 400, "preemphasis": 0.97, "sampling_rate": 16000}
    layout |= {"padding_side": "right", "padding_value": 0.0, "return_attention_mask": True}
    if not real:
        layout |= {"image_processor_type": "Phi4MultimodalImageProcessorFast", "dynamic_hd": 36, "patch_size": 14}
        layout |= {"size": {"height": 56, "width": 56}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
        layout |= {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
        layout |= {"do_convert_rgb": True}
    _write(folder / "preprocessor_config.json", layout)
    _write(folder / "processor_config.json", {"processor_class": "Phi4MultimodalProcessor"})
    if with_lora:
        _save_lora(model, folder / "vision-lora", 256 if real else 4)
    return folder


def make_blip2(folder: Path, real: bool = False) -> Path:
    """Salesforce/blip2-opt-2.7b: before the prompt as many tokens a picture as there are queries; ends at a newline."""
    special = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<image>": 50265 if real else 4}
    plain = byte_tokenizer(list(special), first_ids=special)
    names = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    # Its processor wants no image_token of a tokenizer: it takes one for more than text.
    tokenizer = _as(GPT2TokenizerFast, plain, _renumber(NEWLINE, 50118) if real else None)(**names)
    _begin_with(tokenizer, "</s>")
    newline = tokenizer.convert_tokens_to_ids(NEWLINE)
    ids = {"bos_token_id": 2, "eos_token_id": newline, "pad_token_id": 1}
    wide = {"hidden_size": 2560, "ffn_dim": 10240, "num_attention_heads": 32} if real else {}
    wide = wide or {"hidden_size": 32, "ffn_dim": 64, "num_attention_heads": 4}
    text = {"model_type": "opt", "vocab_size": 50304 if real else len(tokenizer), "num_hidden_layers": 2, **wide, **ids}
    text |= {"word_embed_proj_dim": wide["hidden_size"], "activation_dropout": 0.0, "prefix": "</s>"}
    queries = 32 if real else 8
    config = Blip2Config(
        vision_config=_eva(real),
        qformer_config=_qformer(real, 30522 if real else 64),
        text_config=text,
        num_query_tokens=queries,
        image_token_index=special["<image>"],
    )
    model = _made(Blip2ForConditionalGeneration, config, never=(special["<image>"],))
    _save(model, folder, **ids)
    Blip2Processor(_blip_images(real), tokenizer, num_query_tokens=queries).save_pretrained(folder)
    return folder


def make_instructblip(folder: Path, real: bool = False) -> Path:
    """Salesforce/instructblip-vicuna-7b: as BLIP-2, and the queries read the instruction, by a tokenizer of their own.

    As published, the model ends at <s>, id 1, which is no token of its tokenizer's own: there </s> begins and ends.
    """
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    special |= {"[PAD]": 32000, "<image>": 32001} if real else {"[PAD]": 3, "<image>": 4}
    plain = byte_tokenizer(list(special), first_ids=special)
    names = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "[PAD]"}
    tokenizer = _as(LlamaTokenizerFast, plain)(**names)
    # [DEC] begins a caption in BLIP.
    reader = _word_pieces(30523 if real else None, dec=True)
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": special["[PAD]"]}
    wide = _widths(4096, 11008, 32, 32, head_dim=128) if real else _widths(32, 64, 4, 4, head_dim=8)
    text = {
        "model_type": "llama",
        "vocab_size": 32064 if real else len(tokenizer),
        "num_hidden_layers": 2,
        **wide,
        **ids,
    }
    text |= {"rms_norm_eps": 1e-6, "max_sequence_length": 2048, "tie_word_embeddings": False}
    queries = 32 if real else 8
    config = InstructBlipConfig(
        vision_config=_eva(real),
        qformer_config=_qformer(real, len(reader)),
        text_config=text,
        num_query_tokens=queries,
        image_token_index=special["<image>"],
        tie_word_embeddings=False,
    )
    model = _made(InstructBlipForConditionalGeneration, config, never=(special["<image>"],))
    _save(model, folder, **ids)
    images = _blip_images(real)
    InstructBlipProcessor(images, tokenizer, reader, num_query_tokens=queries).save_pretrained(folder)
    return folder


def make_idefics(folder: Path, real: bool = False) -> Path:
    """HuggingFaceM4/idefics-9b-instruct: text looks at a picture's latents through gated layers before every fourth.

    Before every second here: of two layers the first, so that there are both kinds.
    """
    extra = len(IDEFICS) - 3
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    if real:
        special |= {token: 32000 + i for i, token in enumerate(IDEFICS[3:])}
    plain = byte_tokenizer(IDEFICS, first_ids=special)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
    tokenizer = _as(LlamaTokenizerFast, plain)(**names, additional_special_tokens=IDEFICS[3:], padding_side="left")
    vision = {"num_hidden_layers": 2, "patch_size": 14, "num_attention_heads": 16 if real else 4}
    vision |= {"embed_dim": 1280, "intermediate_size": 5120, "image_size": 224} if real else {}
    vision |= {} if real else {"embed_dim": 32, "intermediate_size": 64, "image_size": 42}
    perceiver = {"use_resampler": True, "resampler_depth": 2, "qk_layer_norms_perceiver": True}
    perceiver |= {"resampler_n_latents": 64, "resampler_n_heads": 16, "resampler_head_dim": 96} if real else {}
    perceiver |= {} if real else {"resampler_n_latents": 6, "resampler_n_heads": 2, "resampler_head_dim": 12}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    wide = _widths(4096, 11008, 32) if real else _widths(32, 64, 4)
    config = IdeficsConfig(
        vocab_size=len(tokenizer) - extra,
        additional_vocab_size=extra,
        **wide,
        **ids,
        num_hidden_layers=2,
        cross_layer_interval=2,
        rms_norm_eps=1e-6,
        qk_layer_norms=True,
        use_resampler=True,
        freeze_text_layers=False,
        freeze_vision_layers=False,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        vision_config=vision,
        perceiver_config=perceiver,
    )
    fake, image = tokenizer.convert_tokens_to_ids(IDEFICS[3:5])
    _save(_made(IdeficsForVisionText2Text, config, never=(fake, image)), folder, **ids)
    IdeficsProcessor(IdeficsImageProcessor(image_size=vision["image_size"]), tokenizer).save_pretrained(folder)
    return folder


def make_vision_encoder_decoder(folder: Path, real: bool = False, *, kind: str = "vit") -> Path:
    """One picture, no prompt. ``vit``: nlpconnect/vit-gpt2-image-captioning.

    ``swin``: Abdou/vit-swin-base-224-gpt2-image-captioning. ``bert``: the first's encoder, bert-base-uncased's decoder.
    """
    swin, bert = kind == "swin", kind == "bert"
    tokenizer = _word_pieces(30522 if real else None) if bert else _gpt2(real)
    if bert:
        ids = {"bos_token_id": None, "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.sep_token_id}
        ids["decoder_start_token_id"] = tokenizer.cls_token_id
        wide = _widths(768, 3072, 12) if real else _widths(32, 64, 4)
        decoder = BertConfig(vocab_size=len(tokenizer), **wide, num_hidden_layers=2, pad_token_id=ids["pad_token_id"])
    else:
        keys = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
        ids = dict.fromkeys(keys, tokenizer.eos_token_id)
        wide = {"n_embd": 768, "n_head": 12} if real else {"n_embd": 32, "n_head": 4}
        ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
        decoder = GPT2Config(vocab_size=len(tokenizer), **wide, **ends, n_layer=2, n_positions=1024)
    side = 224 if real else (56 if swin else 32)
    if swin:
        # Blocks come in pairs, of which the second looks over its windows' borders; a stage doubles the width.
        stages = 4 if real else 2
        encoder = SwinConfig(
            image_size=side,
            patch_size=4,
            embed_dim=128 if real else 16,
            depths=[2] * stages,
            num_heads=[4, 8, 16, 32][:stages] if real else [2, 4],
            window_size=7,
        )
    else:
        wide = _widths(768, 3072, 12) if real else _widths(32, 64, 4)
        encoder = ViTConfig(**wide, num_hidden_layers=2, image_size=side, patch_size=16 if real else 8)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **ids, tie_word_embeddings=False)
    seed, gain = VARIED[kind][real]
    _save(_made(VisionEncoderDecoderModel, config, seed=seed, gain=gain), folder, **ids)
    tokenizer.save_pretrained(folder)
    if swin:
        layout = {"do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3, "rescale_factor": 1 / 255}
        layout |= {"feature_extractor_type": "ViTFeatureExtractor", "image_processor_type": "ViTImageProcessor"}
        layout |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
        layout |= {"size": {"height": side, "width": side}}
    else:
        # Of before there were image processors.
        layout = {"do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor"}
        layout |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2, "size": side}
    _write(folder / "preprocessor_config.json", layout)
    return folder


MAKERS_B: dict[str, Callable[..., Path]] = {
    "pixtral": make_pixtral,
    "phi4_multimodal": make_phi4_multimodal,
    "blip2": make_blip2,
    "instructblip": make_instructblip,
    "idefics": make_idefics,
    "vision_encoder_decoder": make_vision_encoder_decoder,
}


def _widths(hidden: int, inner: int, heads: int, groups: int | None = None, **others: int) -> dict[str, int]:
    widths = {"hidden_size": hidden, "intermediate_size": inner, "num_attention_heads": heads, **others}
    return widths | ({} if groups is None else {"num_key_value_heads": groups})


def _smallest_sound(token: int) -> dict[str, object]:
    narrow = dict.fromkeys(("hidden_size", "intermediate_size", "nemo_conv_channels"), 8)
    narrow |= dict.fromkeys(("ext_pw_out_channel", "depthwise_separable_out_channel"), 8)
    return narrow | {"num_blocks": 1, "num_attention_heads": 2, "bias_max_distance": 500, "audio_token_id": token}


def _eva(real: bool) -> dict[str, object]:
    """The vision encoder of both BLIPs."""
    wide = _widths(1408, 6144, 16, image_size=224) if real else _widths(32, 64, 4, image_size=42)
    return {**wide, "num_hidden_layers": 2, "patch_size": 14, "layer_norm_eps": 1e-6, "qkv_bias": True}


def _qformer(real: bool, vocabulary: int) -> dict[str, object]:
    """Of two layers only the first looks at the picture."""
    wide = _widths(768, 3072, 12, encoder_hidden_size=1408) if real else _widths(24, 48, 4, encoder_hidden_size=32)
    return {**wide, "num_hidden_layers": 2, "cross_attention_frequency": 2, "vocab_size": vocabulary}


def _blip_images(real: bool) -> BlipImageProcessor:
    side = 224 if real else 42
    return BlipImageProcessor(size={"height": side, "width": side})


def _gpt2(real: bool) -> GPT2TokenizerFast:
    ids = {"<|endoftext|>": 50256} if real else None
    plain = byte_tokenizer(["<|endoftext|>"], first_ids=ids)
    names = ("bos_token", "eos_token", "pad_token", "unk_token")
    return _as(GPT2TokenizerFast, plain)(**dict.fromkeys(names, "<|endoftext|>"))


def _word_pieces(size: int | None = None, *, dec: bool = False) -> BertTokenizerFast:
    """BERT's tokenizer of one token a letter; with ``size`` its special tokens' ids are bert-base-uncased's."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    ids = dict(zip(special, (0, 100, 101, 102, 103) if size else range(5), strict=True))
    letters = string.ascii_lowercase + string.digits + string.punctuation
    others = [*letters, *(f"##{c}" for c in letters)]
    total = (size or 5 + len(others) + dec) - dec
    free = [i for i in range(total) if i not in ids.values()]
    ids |= {token: free[i] for i, token in enumerate(others)}
    ids |= {f"w{i}": i for i in free[len(others) :]}
    plain = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    plain.normalizer = normalizers.BertNormalizer(lowercase=True)
    plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    plain.decoder = decoders.WordPiece()
    ends = [(token, ids[token]) for token in ("[CLS]", "[SEP]")]
    plain.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    return BertTokenizerFast(tokenizer_object=plain, **({"bos_token": "[DEC]"} if dec else {}))


def _begin_with(tokenizer: PreTrainedTokenizerFast, token: str) -> None:
    ids = [(token, tokenizer.convert_tokens_to_ids(token))]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        f"{token} $A", f"{token} $A {token} $B", ids
    )


def _as(
    kind: type[Kind], tokenizer: PreTrainedTokenizerFast, edit: Callable[[dict], None] | None = None
) -> Callable[..., Kind]:
    """The same tokens in the published tokenizer's class."""
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    if edit:
        edit(written)
    return lambda **names: kind(tokenizer_object=Tokenizer.from_str(json.dumps(written)), **names)


def _renumber(token: str, number: int) -> Callable[[dict], None]:
    """Two tokens change places."""

    def edit(written: dict) -> None:
        vocabulary = written["model"]["vocab"]
        other = next(name for name, i in vocabulary.items() if i == number)
        vocabulary[token], vocabulary[other] = number, vocabulary[token]

    return edit


def _strip_after(*tokens: str) -> Callable[[dict], None]:
    """White space after these tokens is theirs."""

    def edit(written: dict) -> None:
        for token in written["added_tokens"]:
            token["rstrip"] = token["content"] in tokens

    return edit


def _made(
    kind: type[PreTrainedModel], config: object, *, never: Sequence[int] = (), seed: int = 3, gain: float = 2.0
) -> PreTrainedModel:
    """A model of random weights that never says ``never``: tokens whose places pictures take.

    A layer makes a signal ``gain`` times as wide.
    """
    with no_init_weights():
        model = kind(config)
    model.tie_weights()
    chance = torch.Generator().manual_seed(seed)
    seen = set()
    with torch.no_grad():
        for module in model.modules():
            for name, weight in module.named_parameters(recurse=False):
                if id(weight) not in seen:
                    seen.add(id(weight))
                    _fill(module, name, weight, gain, chance)
        for name, module in model.named_modules():
            if name.endswith(("final_layer_norm", "ln_f")) or (name == "model.norm" and config.tie_word_embeddings):
                # Otherwise a head that is the embeddings themselves says the last token again.
                module.weight.uniform_(-1.7, 1.7, generator=chance)
        _silence(model, never)
    return model.eval()


def _fill(module: nn.Module, name: str, weight: nn.Parameter, gain: float, chance: torch.Generator) -> None:
    if name.endswith("bias"):
        low, high = -0.3, 0.3
    elif name.startswith("alpha"):
        # The gates of Idefics, which are zeros before training.
        low, high = 0.5, 1.5
    elif weight.ndim == 1:
        low, high = 0.3, 1.7
    elif isinstance(module, nn.Embedding) or (weight.ndim > 2 and "Conv" not in type(module).__name__):
        low, high = -1.7, 1.7
    else:
        inputs = weight.shape[0] if isinstance(module, Conv1D) else weight[0].numel()
        high = gain * (3 / inputs) ** 0.5
        low = -high
    weight.uniform_(low, high, generator=chance)


def _silence(model: PreTrainedModel, tokens: Sequence[int]) -> None:
    head = model.get_output_embeddings()
    usual = head.weight.shape[0]
    for token in tokens:
        if token < usual:
            head.weight[token] = 0
        else:
            head.additional_fc.weight[token - usual] = 0


def _save(model: PreTrainedModel, folder: Path, **ids: object) -> None:
    for name, value in ids.items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)


def _save_lora(model: PreTrainedModel, folder: Path, rank: int) -> None:
    """In PEFT's layout, as transformers' conversion script writes it."""
    chance = torch.Generator().manual_seed(1)
    weights = {}
    for i, layer in enumerate(model.model.layers):
        for name in ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"):
            wide = layer.get_submodule(name)
            key = f"base_model.model.model.layers.{i}.{name}.lora"
            for part, shape in (("A", (rank, wide.in_features)), ("B", (wide.out_features, rank))):
                high = (3 / shape[1]) ** 0.5
                weights[f"{key}_{part}.weight"] = torch.empty(shape).uniform_(-high, high, generator=chance)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "lora_dropout": 0.0}
    config |= {"target_modules": PHI4_LORA, "bias": "none", "inference_mode": False, "init_lora_weights": True}
    config |= {"fan_in_fan_out": False, "base_model_name_or_path": None, "modules_to_save": None, "use_dora": False}
    _write(folder / "adapter_config.json", config)


def _write(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
