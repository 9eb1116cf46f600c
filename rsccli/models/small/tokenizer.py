"""The word tokenizer of the small captioner: a few hundred whole words, made from its grammar."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from rsccli.models.small.facts import prompt_vocabulary
from rsccli.models.small.grammar import vocabulary

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIAL = (PAD, BOS, EOS, UNKNOWN)


def captioner_tokenizer() -> Tokenizer:
    """The tokenizer of the grammar's words and of the prompt's facts."""
    return build_tokenizer(vocabulary(), prompt_vocabulary())


def build_tokenizer(words: Iterable[str], prompt: Iterable[str] = ()) -> Tokenizer:
    """A tokenizer whose ids are the special tokens, the prompt's tokens, then the words in sorted order.

    Args:
        words: whole words and punctuation marks, case kept. prompt: tokens that stand for facts, never spoken.
    """
    special = [*SPECIAL, *prompt]
    known = [*special, *sorted(set(words))]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(known)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    # Joins words with spaces and takes the space before a comma or full stop out again.
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.add_special_tokens(special)
    return tokenizer
