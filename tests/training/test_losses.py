"""Every loss falls when the network says what the batch says; what nobody knows costs nothing."""

from __future__ import annotations

import pytest
import torch

from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import Scores, SmallCaptioner, SmallConfig
from rsccli.training.batches import NO_CLASS, Batch
from rsccli.training.loop import batch_losses
from rsccli.training.losses import KEYWORD_POSITIVE_WEIGHT, Losses, score_losses

SIDE = 64
CELLS = SIDE // 4
K = len(KEYWORDS)


@pytest.fixture
def batch() -> Batch:
    """Four pairs: changed with two keywords, unchanged twice, and one of which nobody knows anything."""
    generator = torch.Generator().manual_seed(0)
    pre, post = (torch.randn(4, 3, SIDE, SIDE, generator=generator) for _ in range(2))
    mask = torch.zeros(4, 1, CELLS, CELLS)
    mask[0, 0, 2:8, 2:12] = 1.0
    # What changed is plain in the pixels.
    post[0, :, 8:32, 8:48] += 3.0
    classes = torch.full((4, CELLS, CELLS), NO_CLASS)
    classes[0, 2:8, 2:6], classes[0, 2:8, 6:12] = 3, 5
    keywords = torch.zeros(4, K)
    keywords[0, [3, 5]] = 1.0
    keywords[3] = torch.nan
    change = torch.tensor([1.0, 0.0, 0.0, float("nan")])
    known = torch.ones_like(mask)
    known[3] = 0.0
    cloud = torch.zeros(4, 2, SIDE // 16, SIDE // 16)
    cloud[1, 0, :2] = 1.0
    return Batch(
        pre, post, torch.ones(4, 1, SIDE, SIDE), torch.full((4,), 0.6), change, keywords, mask, known, classes, cloud
    )


def said(batch: Batch, sign: float) -> Scores:
    """Scores that say what a batch says, or its contrary."""
    count = batch.change.shape[0]
    classes = torch.zeros(count, K, CELLS, CELLS).scatter(1, batch.classes.clamp(min=0)[:, None], 8.0 * sign)
    none = torch.zeros(count)
    return Scores(
        change=sign * 4 * (torch.nan_to_num(batch.change) * 2 - 1),
        vectors=none,
        keywords=sign * 6 * (torch.nan_to_num(batch.keywords) * 2 - 1),
        mask=sign * 6 * (batch.mask * 2 - 1),
        classes=classes,
        cloud=sign * 4 * (batch.cloud * 2 - 1),
        domain=torch.zeros(count, 2),
        rich=none,
        scene=none,
        looks=none,
    )


def test_right_scores_cost_less_than_wrong_ones(batch: Batch):
    right, wrong = score_losses(said(batch, 1.0), batch), score_losses(said(batch, -1.0), batch)
    for name, a, b in zip(Losses._fields, right, wrong, strict=True):
        assert 0 < a < 0.4 * b, name
    assert right.total < 0.2 * wrong.total


def test_what_is_nan_costs_nothing_and_has_no_gradient(batch: Batch):
    scores = said(batch, -1.0)
    unknown = batch._replace(
        change=torch.full_like(batch.change, torch.nan), keywords=torch.full_like(batch.keywords, torch.nan)
    )
    change, keywords = scores.change.requires_grad_(), scores.keywords.requires_grad_()
    losses = score_losses(scores, unknown)
    assert losses.change == 0 and losses.keywords == 0
    assert torch.isfinite(losses.total)
    losses.total.backward()
    assert change.grad is not None and not change.grad.any()
    assert keywords.grad is not None and not keywords.grad.any()


def test_the_unknown_pair_alone_is_left_out(batch: Batch):
    scores = said(batch, 1.0)
    change, keywords, mask = (part.clone() for part in (scores.change, scores.keywords, scores.mask))
    change[3], keywords[3], mask[3] = 9.0, 9.0, 9.0
    other = score_losses(scores._replace(change=change, keywords=keywords, mask=mask), batch)
    base = score_losses(scores, batch)
    assert other.change == base.change and other.keywords == base.keywords and other.mask == base.mask
    change[2] = 9.0
    assert score_losses(scores._replace(change=change), batch).change > base.change + 1.0


def test_hidden_ground_is_not_asked(batch: Batch):
    scores, valid = said(batch, 1.0), batch.valid.clone()
    valid[1, :, :16] = 0.0
    mask = scores.mask.clone()
    mask[1, :, :4] = 9.0
    assert score_losses(scores._replace(mask=mask), batch).mask > 0.5
    assert score_losses(scores._replace(mask=mask), batch._replace(valid=valid)).mask < 0.05


def test_a_missed_keyword_costs_more_than_a_false_one(batch: Batch):
    scores = said(batch, 1.0)
    missed, false = scores.keywords.clone(), scores.keywords.clone()
    missed[0, 3], false[0, 4] = -6.0, 6.0
    base = score_losses(scores, batch).keywords
    gaps = [float(score_losses(scores._replace(keywords=each), batch).keywords - base) for each in (missed, false)]
    assert gaps[0] == pytest.approx(KEYWORD_POSITIVE_WEIGHT * gaps[1], rel=0.02)


def test_a_small_change_of_one_kind_weighs_as_much_as_a_large_one(batch: Batch):
    small, large = batch.classes.clone(), batch.classes.clone()
    small[1, 3, 3], large[1, 2:14, 2:14] = 7, 7
    losses = []
    for classes in (small, large):
        now = batch._replace(classes=classes)
        scores = said(now, 1.0)
        wrong = scores.classes.clone()
        # The second pair's kind is mistaken throughout.
        wrong[1] = 0.0
        losses.append(float(score_losses(scores._replace(classes=wrong), now).classes))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_batch_without_any_change_has_finite_losses(batch: Batch):
    calm = batch._replace(mask=torch.zeros_like(batch.mask), classes=torch.full_like(batch.classes, NO_CLASS))
    losses = score_losses(said(calm, 1.0), calm)
    assert losses.classes == 0 and torch.isfinite(losses.total)


def test_a_few_steps_on_one_batch_lower_every_loss(batch: Batch):
    torch.manual_seed(0)
    model = SmallCaptioner(SmallConfig(vocab=8)).train()
    optimizer = torch.optim.AdamW(model.encoder.parameters(), 2e-3)
    history = []
    for _ in range(16):
        losses = batch_losses(model, batch)
        history.append([float(loss.detach()) for loss in losses])
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
    for name, first, last in zip(Losses._fields, history[0], history[-1], strict=True):
        assert last < 0.9 * first, (name, history)


def test_lower_precision_gives_nearly_the_same_losses_in_float32(batch: Batch):
    torch.manual_seed(0)
    model = SmallCaptioner(SmallConfig(vocab=8)).train()
    with torch.no_grad():
        whole, half = (batch_losses(model, batch, kind) for kind in (torch.float32, torch.bfloat16))
    assert half.total.dtype == torch.float32
    assert float(half.total) == pytest.approx(float(whole.total), rel=0.1) and half.total != whole.total
