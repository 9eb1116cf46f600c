"""ROUGE-L (Lin 2004) in the two forms that the field prints: of COCO captions, and of rouge_score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from rsccli.evaluation.metrics.base import Measured, Metric, check_pairs, mean_score
from rsccli.evaluation.metrics.longest import Places, longest_common, places_of

BETA = 1.2
# Different sentences whose words are kept at hand; LEVIR-CC has about 50,000.
KEPT = 1 << 16


class RougeL(Metric):
    """F-measure (beta 1.2) of the best precision and the best recall over the references, taken separately.

    As ``Rouge`` of pycocoevalcap: words are parted at single spaces, so an empty text counts as one empty word.
    """

    name = "ROUGE-L"
    keys = ("rouge_l",)

    def __init__(self) -> None:
        self._places: Callable[[str], Places] = lru_cache(KEPT)(lambda text: places_of(text.split(" ")))

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`."""
        check_pairs(predictions, references)
        return mean_score("rouge_l", [self._score(*pair) for pair in zip(predictions, references, strict=True)])

    def _score(self, prediction: str, references: Sequence[str]) -> float:
        words = prediction.split(" ")
        precision = recall = 0.0
        for reference in references:
            places = self._places(reference)
            common = longest_common(words, places)
            precision = max(precision, common / len(words))
            recall = max(recall, common / places.length)
        if precision == 0 or recall == 0:
            return 0.0
        return ((1 + BETA**2) * precision * recall) / (recall + BETA**2 * precision)


class RougeLF1(Metric):
    """F1 of the longest common subsequence, as ``rougeL`` of rouge_score without a stemmer: RSCC's "ROUGE".

    RSCC has one reference; of several the best counts, as in ``RougeScorer.score_multi``. Hugging Face evaluate, which
    RSCC calls, prints the median of 1,000 bootstrap means instead of the mean; the mean is printed here.
    """

    name = "ROUGE"
    keys = ("rouge_l",)

    def __init__(self) -> None:
        from rouge_score.tokenize import tokenize

        def parted(text: str) -> tuple[list[str], Places]:
            words: list[str] = tokenize(text, None)
            return words, places_of(words)

        self._parted: Callable[[str], tuple[list[str], Places]] = lru_cache(KEPT)(parted)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`; letters and digits are what counts, capitals do not."""
        check_pairs(predictions, references)
        scores = [
            max(self._score(prediction, text) for text in texts)
            for prediction, texts in zip(predictions, references, strict=True)
        ]
        return mean_score("rouge_l", scores, ("rouge_l is rougeL F1 of rouge_score, as RSCC prints it",))

    def _score(self, prediction: str, reference: str) -> float:
        words, _ = self._parted(prediction)
        theirs, places = self._parted(reference)
        if not words or not theirs:
            return 0.0
        common = longest_common(words, places)
        precision, recall = common / len(words), common / len(theirs)
        return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
