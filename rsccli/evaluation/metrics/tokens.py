"""How RSCC parts texts into words: mteval-v13a for its BLEU, nltk's ``word_tokenize`` for its METEOR."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

# mteval-v13a of NIST, in the form of sacrebleu: symbols stand alone, a point or comma between digits does not.
MARKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


def mteval_words(text: str) -> list[str]:
    """Words of mteval-v13a, capitals kept."""
    line = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in ENTITIES:
        line = line.replace(entity, character)
    line = f" {line} "
    for pattern, replacement in MARKS:
        line = pattern.sub(replacement, line)
    return line.split()


# A sentence that the two dozen rules of nltk's tokenizer leave alone but for its commas and its end.
SIMPLE = re.compile(r"[A-Za-z0-9]+(?:,? [A-Za-z0-9]+)*\.?")
# Words that these rules part in two.
PARTED = re.compile(r"(?i)\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b")
ENDS = (".", "?", "!")


@cache
def nltk_words() -> tuple[Callable[[str], list[str]], str]:
    """``word_tokenize`` of nltk and a note on it.

    It parts sentences before words, for which it wants a download (punkt_tab). Where that is not there, the same
    sentence splitter works without its list of English abbreviations: texts with "U.S." or "e.g." may get a word more.
    """
    from nltk.tokenize import NLTKWordTokenizer, sent_tokenize
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    sentences: Callable[[str], list[str]] = sent_tokenize
    note = "words of nltk's word_tokenize"
    try:
        sentences("Two words.")
    except LookupError:
        sentences, note = (
            PunktSentenceTokenizer().tokenize,
            "words of nltk, sentences without punkt_tab's abbreviations",
        )
    words: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize

    def parted(sentence: str) -> list[str]:
        if not SIMPLE.fullmatch(sentence) or PARTED.search(sentence):
            return words(sentence)
        if sentence.endswith("."):
            sentence = sentence[:-1] + " ."
        return sentence.replace(",", " ,").split()

    def all_parted(text: str) -> list[str]:
        if not any(end in text[:-1] for end in ENDS):
            return parted(text)
        return [word for sentence in sentences(text) for word in parted(sentence)]

    return all_parted, note
