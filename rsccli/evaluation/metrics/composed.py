"""S*m: the one number by which change-captioning papers rank."""

from __future__ import annotations

from collections.abc import Mapping

PARTS = ("bleu_4", "meteor", "rouge_l", "cider_d")


def s_m(values: Mapping[str, float]) -> float | None:
    """Mean of BLEU-4, METEOR, ROUGE-L and CIDEr-D, all times 100; None where one of them was not measured.

    With another METEOR than 1.5 it is no S*m of a paper: the result's notes name the METEOR.
    """
    if any(part not in values for part in PARTS):
        return None
    return sum(values[part] for part in PARTS) / len(PARTS)
