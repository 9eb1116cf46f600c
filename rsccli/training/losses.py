"""What training minimises, one term for each thing that the network says."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rsccli.models.small.network import FactTensors, Scores, SmallCaptioner
from rsccli.training.batches import Batch

KEYWORD_POSITIVE_WEIGHT = 4.0
SMOOTHING = 0.03
MAP_SHARE = 0.12


class Losses(NamedTuple):
    """Mean losses of a batch: scalars."""

    change: Tensor
    keywords: Tensor
    maps: Tensor
    mask: Tensor
    sentence: Tensor

    @property
    def total(self) -> Tensor:
        """Their weighted sum."""
        return self.change + 3.0 * self.keywords + 8.0 * self.maps + 1.5 * self.mask + 0.5 * self.sentence


def score_losses(scores: Scores, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Losses of the change score, the keywords (unknown ones are nan), where they are, and the mask.

    Unchanged real pairs hold some real change, hence the smoothed labels.
    """
    target = batch.change * (1.0 - 2.0 * SMOOTHING) + SMOOTHING
    change = F.binary_cross_entropy_with_logits(scores.change, target)
    known = ~torch.isnan(batch.keywords)
    wanted = torch.nan_to_num(batch.keywords)
    weight = torch.full((wanted.shape[1],), KEYWORD_POSITIVE_WEIGHT)
    each = F.binary_cross_entropy_with_logits(scores.keywords, wanted, reduction="none", pos_weight=weight)
    keywords = (each * known).sum() / known.sum().clamp(min=1)
    open_blocks = (F.avg_pool2d(batch.valid, 16) > 0.5).float()
    where = F.binary_cross_entropy_with_logits(
        scores.maps, (batch.maps > MAP_SHARE).float(), reduction="none", pos_weight=weight.view(-1, 1, 1)
    )
    maps = (where * open_blocks).sum() / (open_blocks.sum() * wanted.shape[1])
    visible = F.avg_pool2d(batch.valid, 4)
    cells = F.binary_cross_entropy_with_logits(scores.mask, batch.mask, reduction="none")
    plain = (cells * visible).sum() / visible.sum()
    drawn = torch.sigmoid(scores.mask) * visible
    changed = batch.change > 0
    overlap = (drawn * batch.mask).sum((1, 2, 3))
    size = (drawn + batch.mask).sum((1, 2, 3))
    dice = (1.0 - (2.0 * overlap + 1.0) / (size + 1.0)) * changed
    return change, keywords, maps, plain + 0.5 * dice.sum() / changed.sum().clamp(min=1)


def batch_losses(model: SmallCaptioner, batch: Batch) -> Losses:
    """Encoder in bfloat16 where the machine has it fast, the rest in float32."""
    with torch.autocast("cpu", torch.bfloat16):
        scores = model.encoder(batch.pre, batch.post, batch.valid)
    scores = Scores(*(part.float() for part in scores))
    change, keywords, maps, mask = score_losses(scores, batch)
    # Sentences of a quarter of the pairs: the decoder learns fast, and is polished alone in the end.
    few = slice(0, (len(batch.change) + 3) // 4)
    some, facts = Scores(*(part[few] for part in scores)), FactTensors(*(part[few] for part in batch.facts))
    # A told sentence must follow its facts against the image: the image is there, but does not learn from it.
    told = batch.told[few].view(-1, 1, 1)
    tokens = torch.cat([torch.where(told > 0, some.grid.detach(), some.grid), model.facts(facts)], 1)
    logits = model.sentence_logits(tokens, batch.ids[few, :-1])
    sentence = F.cross_entropy(logits.flatten(0, 1), batch.ids[few, 1:].flatten(), ignore_index=0)
    return Losses(change, keywords, maps, mask, sentence)
