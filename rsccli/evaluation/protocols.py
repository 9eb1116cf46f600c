"""The ways in which change captions are scored; a result names its own, and two are never mixed.

``words`` is the way of CCExpert and of what follows it; ``word-ids`` that of most repositories, which score numbers in
place of words; ``rscc`` that of the RSCC benchmark's long captions. PTBTokenizer of pycocoevalcap is no part of any of
them: LEVIR-CC comes in words, and none of the published change-captioning numbers went through it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rsccli.errors import ModelError, UsageProblem
from rsccli.evaluation.metrics.base import Metric

ProtocolName = Literal["words", "word-ids", "rscc"]
MeteorChoice = Literal["auto", "java", "nltk", "off"]
Texts = tuple[list[str], list[list[str]]]


def plain_words(text: str) -> str:
    """Lower case, full stops removed, words parted by one space.

    CCExpert's rule is ``text.lower().replace(".", "")``, so commas and hyphens stay and "3.5" becomes "35"; the spaces
    that it leaves behind (" ." at an end) would count as an empty word in ROUGE-L and go here.
    """
    return " ".join(text.lower().replace(".", "").split())


def _words(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Texts:
    return [plain_words(text) for text in predictions], [[plain_words(text) for text in group] for group in references]


def _word_ids(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Texts:
    numbers: dict[str, str] = {}

    def numbered(text: str) -> str:
        return " ".join(numbers.setdefault(word, str(len(numbers) + 1)) for word in plain_words(text).split())

    ours = [numbered(text) for text in predictions]
    return ours, [[numbered(text) for text in group] for group in references]


def _as_they_are(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Texts:
    return list(predictions), [list(group) for group in references]


@dataclass(frozen=True)
class TextProtocol:
    """How texts are normalised, and which scores belong to it.

    Attributes:
        name: as typed. title: one line for a table's caption. metrics: keys in the order of the table; a run has those
            of them that it measured. normalise: both lists of texts to both.
    """

    name: ProtocolName
    title: str
    metrics: tuple[str, ...]
    normalise: Callable[[Sequence[str], Sequence[Sequence[str]]], Texts]

    def apply(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Texts:
        """Texts as they are scored; a text may become empty, none is left out."""
        return self.normalise(predictions, references)


BLEU_KEYS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
NEURAL = ("bert_score_p", "bert_score_r", "bert_score_f1", "roberta_cosine", "st5_scs", "cosine")
SHAPE = ("avg_l", "repetition_rate", "distinct_1", "distinct_2", "vocabulary")
LEVIR_KEYS = (*BLEU_KEYS, "meteor", "rouge_l", "cider_d", "s_m", "spice", *NEURAL, *SHAPE)
# Numbers mean nothing to a model or a parser, and their variety is that of the words.
ID_KEYS = (*BLEU_KEYS, "meteor", "rouge_l", "cider_d", "s_m", *SHAPE)
RSCC_KEYS = ("rouge_l", "meteor", *BLEU_KEYS, "roberta_cosine", "bert_score_p", "bert_score_r", "bert_score_f1")

PROTOCOLS: dict[str, TextProtocol] = {
    protocol.name: protocol
    for protocol in (
        TextProtocol("words", "words, lower-cased, full stops removed (protocol 3)", LEVIR_KEYS, _words),
        TextProtocol("word-ids", "word ids (protocol 1)", ID_KEYS, _word_ids),
        TextProtocol("rscc", "RSCC", (*RSCC_KEYS, "st5_scs", "cosine", "spice", *SHAPE), _as_they_are),
    )
}


@dataclass(frozen=True)
class MetricChoices:
    """What the person chose beside the protocol.

    Attributes:
        meteor: METEOR 1.5 (java), that of nltk, 1.5 where it can run and else nltk's (auto), or none (off). The METEOR
            of ``rscc`` is nltk's by definition.
        spice: True asks for it (an error where its files are missing), None takes it where it is there, False leaves
            it out.
        wordnet: folder of WordNet 3.x; found by itself where None.
        sentence_encoder: sentence-transformers folder: ``st5_scs`` and ``cosine``.
        roberta: folder of an encoder (RoBERTa or BERT): ``roberta_cosine``.
        bert_score: folder of an encoder: ``bert_score_p``, ``bert_score_r``, ``bert_score_f1``.
        bert_score_layers: whose hidden states BERTScore takes; the published choice where the folder is named as a
            known model.
        device: of the neural metrics. batch_size: of the neural metrics.
    """

    meteor: MeteorChoice = "auto"
    spice: bool | None = None
    wordnet: Path | None = None
    sentence_encoder: Path | None = None
    roberta: Path | None = None
    bert_score: Path | None = None
    bert_score_layers: int | None = None
    device: str = "cpu"
    batch_size: int = 32


def protocol_named(name: str) -> TextProtocol:
    """The protocol of that name.

    Raises:
        UsageProblem: there is none.
    """
    if name not in PROTOCOLS:
        raise UsageProblem(f"no protocol is named {name!r}: take one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def metrics_for(protocol: str, choices: MetricChoices | None = None) -> list[Metric]:
    """The metrics of a protocol with the person's choices, for `rsccli.evaluation.metrics.base.measure_all`.

    METEOR's Java begins to load, and models of the neural metrics are loaded, here; nothing is downloaded. S*m is
    composed of measured values by `rsccli.evaluation.metrics.composed.s_m`.

    Raises:
        UsageProblem: choices against the protocol.
        ModelError: a folder that is no such model; Java, WordNet or a library that is asked for and missing.
    """
    choices = choices or MetricChoices()
    named = protocol_named(protocol)
    _check(named.name, choices)
    from rsccli.evaluation.metrics.bleu import Bleu, NgramPrecisions
    from rsccli.evaluation.metrics.cider_d import CiderD
    from rsccli.evaluation.metrics.lengths import AverageLength
    from rsccli.evaluation.metrics.repetition import RepetitionRate
    from rsccli.evaluation.metrics.rouge import RougeL, RougeLF1
    from rsccli.evaluation.metrics.tokens import mteval_words
    from rsccli.evaluation.metrics.variety import Variety

    metrics: list[Metric] = [*_meteor(named.name, choices), *_spice(named.name, choices)]
    metrics += [RougeLF1(), NgramPrecisions(mteval_words)] if named.name == "rscc" else [Bleu(), RougeL(), CiderD()]
    return [*metrics, *_neural(choices), AverageLength(), RepetitionRate(), Variety()]


def left_out(protocol: str, choices: MetricChoices | None = None) -> tuple[str, ...]:
    """What the protocol has a place for and this machine cannot measure, and how to get it: notes for the result."""
    choices = choices or MetricChoices()
    notes = []
    if "spice" in protocol_named(protocol).metrics and choices.spice is None:
        from rsccli.evaluation.metrics import spice

        notes.append(spice.missing())
    return tuple(f"left out: {note}" for note in notes if note)


def _check(name: ProtocolName, choices: MetricChoices) -> None:
    if name == "rscc" and choices.meteor == "java":
        raise UsageProblem("RSCC's METEOR is that of nltk: leave --meteor java out, or take --protocol words")
    if name == "word-ids" and choices.spice:
        raise UsageProblem("SPICE parses words, and word-ids has none: leave --spice out, or take --protocol words")
    if name == "word-ids" and (choices.sentence_encoder or choices.roberta or choices.bert_score):
        raise UsageProblem("neural metrics read words, and word-ids has none: take --protocol words for them")


def _meteor(name: ProtocolName, choices: MetricChoices) -> list[Metric]:
    if choices.meteor == "off":
        return []
    from rsccli.evaluation.metrics import meteor_java

    ids = name == "word-ids"
    why = meteor_java.missing() if choices.meteor == "auto" and name != "rscc" else None
    if choices.meteor == "java" or (choices.meteor == "auto" and name != "rscc" and why is None):
        return [meteor_java.MeteorJava(exact=ids)]
    from rsccli.evaluation.metrics.meteor_nltk import MeteorNltk

    exchanged = f"; not METEOR 1.5, since {why}" if why else ""
    if ids:
        return [MeteorNltk(str.split, None, f"meteor is that of nltk, equal words alone{exchanged}")]
    from rsccli.evaluation.metrics.tokens import nltk_words
    from rsccli.evaluation.metrics.wordnet import find_wordnet

    try:
        wordnet = find_wordnet(choices.wordnet)
    except ModelError as error:
        # Other scores need no WordNet, but nobody should miss METEOR without having said so.
        also = f" ({why})" if why else ""
        raise ModelError(f"{error}{also}; or leave METEOR out with --meteor off") from error
    words_of, how = nltk_words() if name == "rscc" else (str.split, "words at white space")
    note = f"meteor is that of nltk, WordNet {wordnet.version} of {wordnet.where}, {how}{exchanged}"
    return [MeteorNltk(words_of, wordnet.synonyms, note)]


def _spice(name: ProtocolName, choices: MetricChoices) -> list[Metric]:
    if choices.spice is False or name == "word-ids":
        return []
    from rsccli.evaluation.metrics import spice

    if choices.spice is None and spice.missing() is not None:
        return []
    return [spice.Spice()]


def _neural(choices: MetricChoices) -> list[Metric]:
    metrics: list[Metric] = []
    if choices.bert_score is not None:
        from rsccli.evaluation.metrics.bert_score import BertScore

        metrics.append(BertScore(choices.bert_score, choices.bert_score_layers, choices.device, choices.batch_size))
    if choices.roberta is not None:
        from rsccli.evaluation.metrics.states import RobertaCosine

        metrics.append(RobertaCosine(choices.roberta, choices.device, choices.batch_size))
    if choices.sentence_encoder is not None:
        from rsccli.evaluation.metrics.sentences import SentenceCosine

        metrics.append(SentenceCosine(choices.sentence_encoder, choices.device, choices.batch_size))
    return metrics
