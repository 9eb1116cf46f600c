"""Tokenizers of dual encoders as one ``tokenizer.json``: the checkpoint's own, or made from what lies beside it."""

from __future__ import annotations

import gzip
import string
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from rsccli.errors import ModelError
from rsccli.models.dual.manifest import TOKENIZER
from rsccli.models.tokenizer import open_tokenizer

#: Merge rules of CLIP's own tokenizer, 48,894 lines (see the licence beside the file).
MERGES = Path(__file__).resolve().parent / "assets" / "clip_bpe_merges.txt.gz"
CLIP_BEGIN, CLIP_END = "<|startoftext|>", "<|endoftext|>"
CLIP_VOCABULARY = 49408
SENTENCEPIECE = "spiece.model"


def clip_tokenizer() -> Tokenizer:
    """CLIP's tokenizer (Radford et al. 2021) from the rules in this package.

    OpenCLIP weights come without one. The ids are those of OpenCLIP's and of transformers' tokenizer.
    """
    rules = gzip.decompress(MERGES.read_bytes()).decode("utf-8").splitlines()
    merges = [(first, second) for first, second in (rule.split() for rule in rules)]
    # GPT-2's order of bytes: printable ones by their value, then the others.
    letters = list(_byte_letters())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges), CLIP_BEGIN, CLIP_END]
    vocabulary = {word: place for place, word in enumerate(words)}
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token=CLIP_END, end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words_or_signs = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words_or_signs, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    ends = [(word, vocabulary[word]) for word in (CLIP_END, CLIP_BEGIN)]
    made.post_processor = processors.RobertaProcessing(*ends, trim_offsets=False, add_prefix_space=False)
    made.add_special_tokens([AddedToken(word, normalized=False, special=True) for word in (CLIP_BEGIN, CLIP_END)])
    return made


def _byte_letters() -> list[str]:
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [value for value in range(256) if value not in plain]
    return [*map(chr, plain), *(chr(256 + place) for place in range(len(others)))]


def folder_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder: ``tokenizer.json``, ``vocab.json`` with ``merges.txt``, or ``spiece.model``.

    Raises:
        ModelError: none of them is there, or one is damaged.
    """
    if (folder / SENTENCEPIECE).is_file() and not _is_fast(folder):
        return sentencepiece_tokenizer(folder / SENTENCEPIECE)
    if (folder / TOKENIZER).is_file():
        return open_tokenizer(folder / TOKENIZER)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        from transformers import CLIPTokenizerFast

        try:
            slow = CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
        except Exception as error:  # the bare class is what tokenizers raises for a file that it cannot read
            raise ModelError(f"{folder}: vocab.json or merges.txt cannot be read ({error}): copy them again") from error
        backend: Tokenizer = slow.backend_tokenizer
        return backend
    raise ModelError(
        f"{folder} holds no {TOKENIZER}, no vocab.json with merges.txt and no {SENTENCEPIECE}: copy the checkpoint's "
        "tokenizer files there, or name a folder that has them with --tokenizer"
    )


def _is_fast(folder: Path) -> bool:
    """Whether ``tokenizer.json`` is the tokenizer that the checkpoint itself names (Gemma's in SigLIP 2)."""
    import json

    path = folder / "tokenizer_config.json"
    if not (folder / TOKENIZER).is_file() or not path.is_file():
        return (folder / TOKENIZER).is_file()
    return str(json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class", "")) != "SiglipTokenizer"


def sentencepiece_tokenizer(path: Path) -> Tokenizer:
    """SigLIP's tokenizer (Zhai et al. 2023) from its sentencepiece model, which transformers itself reads only slowly.

    As in big_vision: lower case, no ASCII punctuation, single spaces; the pieces of a Unigram model; ``</s>`` behind.

    Raises:
        ModelError: it is no sentencepiece model of that kind.
    """
    from transformers.convert_slow_tokenizer import import_protobuf

    model: Any = import_protobuf().ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf has its own class
        raise ModelError(f"{path} is no sentencepiece model ({error}): copy it again") from error
    names = [piece.piece for piece in model.pieces]
    unknown, end = model.trainer_spec.unk_piece or "<unk>", model.trainer_spec.eos_piece or "</s>"
    if model.trainer_spec.model_type != 1 or unknown not in names or end not in names:
        raise ModelError(f"{path}: no Unigram model with {unknown} and {end}, as SigLIP's is: copy the right file")
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    made = Tokenizer(models.Unigram(pieces, unk_id=names.index(unknown), byte_fallback=False))
    signs = Regex("[" + "".join(f"\\{sign}" for sign in string.punctuation) + "]")
    steps: list[Any] = [normalizers.Lowercase(), normalizers.Replace(signs, "")]
    steps += [normalizers.Replace(Regex(r"[\s▁]+"), " "), normalizers.Strip()]
    if model.normalizer_spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap))
    # The map may make spaces of its own (full-width ones, say).
    steps += [normalizers.Replace(Regex(r" {2,}"), " "), normalizers.Strip()]
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    made.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    place = names.index(end)
    made.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, place)])
    made.add_special_tokens([AddedToken(word, normalized=False, special=True) for word in (end, unknown)])
    return made
