"""What training minimises, one term for each thing that the encoder says. What nobody knows (nan) counts nothing."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import Scores
from rsccli.training.batches import NO_CLASS, Batch

KEYWORD_POSITIVE_WEIGHT = 4.0
SMOOTHING = 0.03


class Losses(NamedTuple):
    """Mean losses of a batch: scalars."""

    change: Tensor
    keywords: Tensor
    classes: Tensor
    mask: Tensor
    cloud: Tensor

    @property
    def total(self) -> Tensor:
        """Their weighted sum."""
        return self.change + 3.0 * self.keywords + self.classes + 1.5 * self.mask + 0.3 * self.cloud


def _known_mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp(min=1.0)


def score_losses(scores: Scores, batch: Batch) -> Losses:
    """Losses of the change score, the keywords, what each changed cell became, the mask, and clouds.

    Unchanged real pairs hold some real change, hence the smoothed labels.
    """
    asked = (~torch.isnan(batch.change)).float()
    target = torch.nan_to_num(batch.change) * (1.0 - 2.0 * SMOOTHING) + SMOOTHING
    change = _known_mean(F.binary_cross_entropy_with_logits(scores.change, target, reduction="none"), asked)
    known = (~torch.isnan(batch.keywords)).float()
    wanted = torch.nan_to_num(batch.keywords)
    weight = torch.full((len(KEYWORDS),), KEYWORD_POSITIVE_WEIGHT, device=wanted.device)
    each = F.binary_cross_entropy_with_logits(scores.keywords, wanted, reduction="none", pos_weight=weight)
    keywords = _known_mean(each, known)
    visible = (F.avg_pool2d(batch.valid, 4) > 0.5).float() * batch.known
    cells = F.binary_cross_entropy_with_logits(scores.mask, batch.mask, reduction="none")
    drawn = torch.sigmoid(scores.mask) * visible
    truth = batch.mask * visible
    overlap = (drawn * truth).sum((1, 2, 3))
    size = (drawn + truth).sum((1, 2, 3))
    some = (truth.sum((1, 2, 3)) > 0).float()
    dice = _known_mean(1.0 - (2.0 * overlap + 1.0) / (size + 1.0), some)
    mask = _known_mean(cells, visible) + 0.5 * dice
    # Every change weighs the same, however large: small things are what is missed.
    named = (batch.classes != NO_CLASS).float()
    became = F.cross_entropy(scores.classes, batch.classes.clamp(min=0), reduction="none")
    share = named.sum((1, 2))
    classes = _known_mean((became * named).sum((1, 2)) / share.clamp(min=1.0), (share > 0).float())
    cloud = F.binary_cross_entropy_with_logits(scores.cloud, batch.cloud)
    return Losses(change, keywords, classes, mask, cloud)
