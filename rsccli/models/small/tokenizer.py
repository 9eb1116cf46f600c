"""The word tokenizer of the small captioner: a few hundred whole words, made from its grammar."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIAL = (PAD, BOS, EOS, UNKNOWN)


def build_tokenizer(words: Iterable[str]) -> Tokenizer:
    """A tokenizer whose ids are the special tokens, then the words in sorted order.

    Args:
        words: whole words and punctuation marks, case kept.
    """
    known = [*SPECIAL, *sorted(set(words))]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(known)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    # Joins words with spaces and takes the space before a comma or full stop out again.
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer
