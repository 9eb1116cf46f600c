"""RSCC's "BERT" score: cosine of an encoder's states averaged over all positions, padding included.

It says little (98.6 to 99.6 for every published model) and is offered so that the published column can be compared.
RSCC does not publish how it pads; here a prediction and its reference are padded to the longer of the two, so that the
score of a pair does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.base import F64, Measured, Metric, check_pairs, mean_score

# A text and the number of tokens that it is padded to.
Padded = tuple[str, int]


def load(folder: Path, device: str) -> tuple[Any, Any]:
    """Tokenizer and encoder of a local transformers folder.

    Raises:
        ModelError: the folder has no such model.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no encoder: it has no config.json; give a folder such as a saved roberta-large")
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        model = AutoModel.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever the files make it raise
        raise ModelError(f"{folder} cannot be loaded as an encoder: {error}") from error
    return tokenizer, model.to(device).eval()


def longest_input(tokenizer: Any, config: Any) -> int:  # noqa: ANN401
    """Tokens that the encoder has positions for; RoBERTa keeps the first ones for padding."""
    positions = int(getattr(config, "max_position_embeddings", 512))
    if getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert"):
        positions -= int(config.pad_token_id) + 1
    return min(positions, int(tokenizer.model_max_length))


class RobertaCosine(Metric):
    """Mean over the pairs of that cosine, times 100; of several references the most similar counts.

    Raises:
        ModelError: the folder cannot be used.
    """

    name = "cosine of encoder states"
    keys = ("roberta_cosine",)

    def __init__(self, folder: Path, device: str = "cpu", batch_size: int = 32) -> None:
        self._tokenizer, self._model = load(folder, device)
        self._device, self._batch_size = device, batch_size
        self._longest = longest_input(self._tokenizer, self._model.config)
        self._notes = (f"roberta_cosine with {folder.resolve().name}",)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`."""
        check_pairs(predictions, references)
        texts = list(dict.fromkeys([*predictions, *(text for group in references for text in group)]))
        tokens = self._tokenizer(texts, truncation=True, max_length=self._longest)["input_ids"]
        size = {text: len(ids) for text, ids in zip(texts, tokens, strict=True)}
        asked = [
            [(prediction, text, max(size[prediction], size[text])) for text in group]
            for prediction, group in zip(predictions, references, strict=True)
        ]
        wanted = {(side, length) for group in asked for ours, theirs, length in group for side in (ours, theirs)}
        states = self._averages(sorted(wanted, key=lambda padded: (padded[1], padded[0])))
        best = [
            max(float(states[ours, length] @ states[theirs, length]) for ours, theirs, length in group)
            for group in asked
        ]
        return mean_score("roberta_cosine", best, self._notes)

    def _averages(self, wanted: list[Padded]) -> dict[Padded, F64]:
        """Normalised mean states of texts, texts of one padded length together."""
        import torch

        found: dict[Padded, F64] = {}
        start = 0
        while start < len(wanted):
            length = wanted[start][1]
            stop = start
            while stop < len(wanted) and wanted[stop][1] == length and stop - start < self._batch_size:
                stop += 1
            batch = wanted[start:stop]
            inputs = self._tokenizer(
                [text for text, _ in batch],
                truncation=True,
                max_length=length,
                padding="max_length",
                return_tensors="pt",
            ).to(self._device)
            with torch.inference_mode():
                mean = self._model(**inputs).last_hidden_state.mean(dim=1)
            mean = torch.nn.functional.normalize(mean.double(), dim=1)
            found.update(zip(batch, np.asarray(mean.cpu().numpy(), np.float64), strict=True))
            start = stop
        return found
