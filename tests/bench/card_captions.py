"""How good the sentences are: judged by eye, and against human sentences."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from card_bench import Aim, Bench, Section, Seen, look
from card_judged import FILE, VERDICTS, Verdict, read_verdicts, set_of, to_judge
from card_sets import Item, chips
from card_stats import ratio, share
from card_text import bleu4, cider_d_each, medoid, rouge_l_each
from common import ROOT, table

from rsccli.models.small.grammar import named_keywords
from rsccli.types import Caption

HEDGE = re.compile(r"\b(possibl[ey]|may|might|hint|not certain|not judged)\b", re.I)
RIGHT = "captions right in object, verb and place, judged by eye"
SETS = {
    "naip": "NAIP test chips labelled changed",
    "harvey": "Harvey, flood water seen by eye",
    "prairie": "prairie 2012-2014",
}


def _same(verdict: Verdict, caption: Caption, wording: str) -> bool:
    return caption.text == (verdict.grammar if wording == "grammar" else verdict.decoder)


def _floor(items: list[Item]) -> str:
    """How often the most frequent keyword of the labels would be right."""
    labels = [item.keywords for item in items if item.keywords]
    if not labels:
        return "-"
    word, n = Counter(k for keywords in labels for k in keywords).most_common(1)[0]
    return f"{100 * n / len(labels):.0f} % ({word})"


def judged(seen: Seen, wording: str) -> tuple[str, tuple[Aim, ...]]:
    """Share of captions that a person called right, where the judged captions are those of this model."""
    unknown = (Aim(RIGHT, 0.7, float("nan"), 0),)
    verdicts = {verdict.pair: verdict for verdict in read_verdicts()}
    known = [(i, c) for i, c in zip(seen.items, seen.captions, strict=True) if i.name in verdicts]
    decided = [(i, c) for i, c in known if all(flag is not None for flag in verdicts[i.name].right)]
    where = FILE.relative_to(ROOT)
    if not decided:
        return f"**Not judged yet:** `{where}` holds no verdict on captions of this revision.", unknown
    same = [_same(verdicts[i.name], c, wording) for i, c in decided]
    if not all(same):
        return (
            f"**Not judged for this revision:** `{where}` holds verdicts on another one ({sum(same)} of {len(same)} "
            "judged captions are what this model says). Draw the sheet again with `tests/bench/judge_sheet.py`."
        ), unknown
    rows = []
    right = [all(verdicts[item.name].right) for item, _ in decided]
    for key, name in SETS.items():
        items = [item for item, _ in decided if set_of(item) == key]
        if not items:
            continue
        flags = np.array([verdicts[item.name].right for item in items], bool)
        places = [item.place for item in items]
        cells = [share(column, places).text(percent=True) for column in (*flags.T, flags.all(1))]
        rows.append([name, str(len(items)), *cells, _floor(items)])
    every = share(right, [item.place for item, _ in decided])
    rows.append(["all", str(len(decided)), *("",) * len(VERDICTS), every.text(percent=True), ""])
    head = ("pairs", "n", *(f"{name} right" for name in VERDICTS), "all three", "floor: object, one word always")
    text = f"""Judged by eye, each caption once, by eyes that saw the pair, the caption and the label's caption: does
the sentence name a change that is there by its right object, with the right verb (what became of it) and at the right
place? An "unchanged" or "unsure" without words is wrong in all three. Verdicts and notes are in `{where}`.

{table(head, rows)}"""
    return text, (Aim(RIGHT, 0.7, every.value, len(decided)),)


def against_labels(bench: Bench) -> str:
    """The usual scores, both ways of wording."""
    changed = bench.seen("chips").labelled("changed").where(lambda item, _: bool(item.caption))
    flooded = bench.seen("harvey").labelled("changed")
    items = changed.items + flooded.items
    wanted = [item.caption for item in items]
    places = [item.place for item in items]
    constant = medoid([item.caption for item in chips(bench.imagery.development) if item.seen == "changed"])
    ways = {name: [c.text for c in look(bench.captioner(name), items).captions] for name in ("decoder", "grammar")}
    ways[f'floor: always "{constant}"'] = [constant] * len(items)
    rows = []
    for name, said in ways.items():
        ones = np.ones(len(items))
        rouge = ratio(np.array(rouge_l_each(said, wanted)), ones, places)
        cider = ratio(np.array(cider_d_each(said, wanted)), ones, places)
        rows.append([name, str(len(items)), f"{bleu4(said, wanted):.1f}", rouge.text(digits=1), cider.text(digits=1)])
    head = ("wording", "n", "BLEU-4", "ROUGE-L", "CIDEr-D")
    return f"""Scores as in LEVIR-CC papers, but on changed pairs alone ({len(changed.items)} NAIP test chips,
{len(flooded.items)} Harvey), against one human sentence each, protocol "words" (lower-cased, punctuation removed).
No METEOR. With one reference and another style of sentence these figures compare the rows of this table and nothing
else. The constant sentence is the one among the development captions that is most like the others.

{table(head, rows)}"""


def agreement(bench: Bench) -> str:
    """Whether sentences say what the answer, the keywords and the mask say."""
    sets = [bench.seen(name) for name in ("chips", "harvey", "prairie")]
    pairs = [(i, c) for seen in sets for i, c in zip(seen.items, seen.captions, strict=True)]
    spoken = [(i, c) for i, c in pairs if c.status != "unchanged" and c.mask is not None]
    unsure = [(i, c) for i, c in spoken if c.status == "unsure"]
    quiet = [(i, c) for i, c in pairs if c.status == "unchanged"]
    cases = [
        ("sentences that name the reported keywords and no other", spoken, _names_keywords),
        ("unsure sentences that say so", unsure, lambda c: bool(HEDGE.search(c.text))),
        ("unchanged answers without keywords and with an empty mask", quiet, _says_nothing),
    ]
    rows = [
        [what, str(len(found)), share([good(c) for _, c in found], [i.place for i, _ in found]).text(percent=True)]
        for what, found, good in cases
    ]
    return f"""On all NAIP test pairs, Harvey and prairie pairs of this page. A grammar alone has 100 % throughout.

{table(("what", "n", "share"), rows)}"""


def _names_keywords(caption: Caption) -> bool:
    return named_keywords(caption.text) == set(caption.keywords)


def _says_nothing(caption: Caption) -> bool:
    return not caption.keywords and (caption.mask is None or not caption.mask.any())


def captions(bench: Bench) -> Section:
    """The tables of sentences."""
    items = to_judge(bench.imagery)
    manifest_words = bench.wording
    seen = look(bench.captioner(), items)
    text, aims = judged(seen, manifest_words)
    body = f"""Real pairs. The wording that ships is `{manifest_words}`; the other one can be had with the option
`words` of `CaptionerOptions`.

### By eye

{text}

### Agreement

{agreement(bench)}

### Against labels

{against_labels(bench)}"""
    return Section("Captions", body, aims)
