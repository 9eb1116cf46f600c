"""Names of scores and numbers as people read them."""

from __future__ import annotations

from rsccli.evaluation.result import Score

TITLES: dict[str, str] = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "cider_d": "CIDEr-D",
    "s_m": "S*m",
    "spice": "SPICE",
    "bert_score_p": "BERTScore P",
    "bert_score_r": "BERTScore R",
    "bert_score_f1": "BERTScore F1",
    "roberta_cosine": "BERT (RSCC)",
    "st5_scs": "ST5-SCS",
    "cosine": "cosine",
    "avg_l": "Avg_L, words",
    "repetition_rate": "repetition rate",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "vocabulary": "vocabulary, words",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
}
# Scores of the flag are shares; people read them as per cent.
SHARES = frozenset(("accuracy", "precision", "recall", "f1"))
NOTHING = "-"


def title_of(key: str) -> str:
    """A score's name in tables."""
    return TITLES.get(key, key)


def number(key: str, value: float | None) -> str:
    """One decimal; shares as per cent, a number of words as a whole number; ``-`` where there is no value."""
    if value is None:
        return NOTHING
    if key == "vocabulary":
        return f"{value:,.0f}"
    return f"{100 * value if key in SHARES else value:.1f}"


def interval(score: Score, with_sign: bool = False) -> str:
    """``51.2 to 54.0``, or ``-``."""
    if score.low is None or score.high is None:
        return NOTHING
    told = signed if with_sign else number
    return f"{told(score.key, score.low)} to {told(score.key, score.high)}"


def count(value: int, one: str = "", more: str = "") -> str:
    """``1,333``, or with a noun ``1 pair``, ``1,333 pairs``."""
    noun = one if value == 1 else more or f"{one}s"
    return f"{value:,} {noun}" if one else f"{value:,}"


def signed(key: str, value: float | None) -> str:
    """A difference with its sign."""
    if value is None:
        return NOTHING
    told = number(key, abs(value))
    return f"{'-' if value < 0 else '+'}{told}"


def p_value(value: float | None) -> str:
    """Three decimals; what is smaller is said so."""
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"
