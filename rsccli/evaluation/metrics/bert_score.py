"""BERTScore (Zhang et al. 2020) by the bert-score library, with a local encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.base import F64, Measured, Metric, check_pairs, hundred_means
from rsccli.evaluation.metrics.states import longest_input


class BertScore(Metric):
    """Mean precision, recall and F1 of matched token embeddings, no idf, not rescaled with a baseline.

    Of several references the best counts, for each of the three on its own, as the library does.

    Args:
        folder: a transformers encoder. layers: whose hidden states are compared; where None, the library's choice for
            a model of the folder's name (17 for roberta-large).

    Raises:
        ModelError: the folder cannot be used, the layer is unknown, or the library is missing.
    """

    name = "BERTScore"
    keys = ("bert_score_p", "bert_score_r", "bert_score_f1")

    def __init__(self, folder: Path, layers: int | None = None, device: str = "cpu", batch_size: int = 32) -> None:
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} is no encoder: it has no config.json; give a folder such as roberta-large")
        try:
            from bert_score import BERTScorer
            from bert_score.utils import model2layers
        except ImportError as error:
            raise ModelError("BERTScore needs bert-score: pip install 'rsccli[neural]'") from error
        name = folder.resolve().name
        layers = model2layers.get(name) if layers is None else layers
        if layers is None:
            raise ModelError(f"BERTScore knows no layer for a model named {name}: give one with --bert-score-layers")
        try:
            self._scorer = BERTScorer(
                model_type=str(folder), num_layers=layers, idf=False, device=device, batch_size=batch_size
            )
        except Exception as error:  # whatever the files make it raise
            raise ModelError(f"{folder} cannot be used for BERTScore with {layers} layers: {error!r}") from error
        # A tokenizer that was saved without its limit has one of 10^30, which the fast tokenizers cannot hold.
        tokenizer = self._scorer._tokenizer
        tokenizer.model_max_length = longest_input(tokenizer, self._scorer._model.config)
        self._batch_size = batch_size
        self._notes = (f"bert_score with {name}, layer {layers}, no idf, not rescaled",)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`; equal pairs are scored once."""
        check_pairs(predictions, references)
        asked = [(text, *group) for text, group in zip(predictions, references, strict=True)]
        unique = list(dict.fromkeys(asked))
        scores: dict[tuple[str, ...], F64] = {}
        if unique:
            parts = self._scorer.score(
                [key[0] for key in unique], [list(key[1:]) for key in unique], batch_size=self._batch_size
            )
            rows = np.stack([np.asarray(part, np.float64) for part in parts], axis=1)
            scores.update(zip(unique, rows, strict=True))
        statistics = np.array([scores[key] for key in asked], np.float64).reshape(-1, len(self.keys))
        return Measured(self.keys, statistics, hundred_means, self._notes)
