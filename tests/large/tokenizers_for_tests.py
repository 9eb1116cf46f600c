"""Byte-level tokenizers with the special tokens of large checkpoints, at their published ids where those matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def byte_tokenizer(
    special: Sequence[str], *, first_ids: Mapping[str, int] | None = None, size: int | None = None, **names: object
) -> PreTrainedTokenizerFast:
    """One token a byte.

    ``special`` tokens have the ids of ``first_ids``; bytes, then the other special tokens take the lowest ids that are
    left. Ids that nobody has are words that no text ever becomes, so that there are neither gaps nor ids without text:
    up to the highest special token, or up to ``size`` tokens. ``names`` (``eos_token="</s>"``) are the tokenizer's own.
    """
    fixed = dict(first_ids or {})
    taken = set(fixed.values())
    free = _without(taken)
    vocabulary = {token: next(free) for token in sorted(pre_tokenizers.ByteLevel.alphabet())}
    vocabulary |= {token: fixed[token] if token in fixed else next(free) for token in special}
    used = set(vocabulary.values())
    # A word begins with a space, which reads so in a byte-level vocabulary.
    vocabulary |= {f"Ġw{i}": i for i in range(size or max(used) + 1) if i not in used}
    plain = Tokenizer(models.BPE(vocabulary, []))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plain.decoder = decoders.ByteLevel()
    inputs = ["input_ids", "attention_mask"]
    made = PreTrainedTokenizerFast(tokenizer_object=plain, model_input_names=inputs, **names)
    made.add_special_tokens({"additional_special_tokens": list(special)}, replace_additional_special_tokens=False)
    return made


def _without(taken: set[int]) -> Iterator[int]:
    return (i for i in count() if i not in taken)
