"""Whether the 8-bit bundle is as good as the one that it was made from: every aim of both, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from card_answers import answers
from card_bench import Aim, Bench, Section
from card_scores import scores
from card_swap import swap
from card_words import words
from common import table


def int8(aims: Sequence[Aim], other: Bench) -> Section:
    """The table of aims; ``aims``: of the first bundle."""
    second = {aim.what: aim for step in (scores, answers, words, swap) for aim in step(other).aims}
    shared = [(aim, second[aim.what]) for aim in aims if aim.what in second]
    word = {True: "yes", False: "no"}
    rows = [[a.what, a.told(a.wanted), a.told(a.got), word[a.met], b.told(b.got), word[b.met]] for a, b in shared]
    lost = [a.what for a, b in shared if a.met and not b.met]
    verdict = "passes: it misses no aim that fp32 meets" if not lost else f"does not pass: it misses {'; '.join(lost)}"
    head = ("aim", "wanted", "fp32", "met", "int8", "met")
    return Section(
        "Int8",
        f"""`rsccli caption -m rsccli-small-int8`: convolutions of the encoder in 8 bits, the rest as it is. Same
pairs and thresholds as above. It {verdict}.

{table(head, rows)}""",
    )
