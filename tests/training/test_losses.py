"""Every loss falls when the network says what the batch says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rsccli.datasets.grammar import vocabulary
from rsccli.models.small.network import Scores, SmallCaptioner, SmallConfig
from rsccli.models.small.tokenizer import build_tokenizer
from rsccli.training.batches import Batch, GeneratedDataset
from rsccli.training.losses import MAP_SHARE, batch_losses, score_losses


@pytest.fixture(scope="module")
def batch(little_data: Path) -> Batch:
    tokenizer = build_tokenizer(vocabulary())
    return GeneratedDataset(little_data, 0, tokenizer.to_str(), 12)[0]


def _scores(batch: Batch, sign: float) -> Scores:
    keywords = torch.nan_to_num(batch.keywords) * 2 - 1
    return Scores(
        sign * 3 * (batch.change * 2 - 1),
        sign * 4 * keywords,
        sign * 6 * (batch.mask * 2 - 1),
        torch.zeros(1),
        sign * 4 * ((batch.maps > MAP_SHARE).float() * 2 - 1),
    )


def test_right_scores_cost_less_than_wrong_ones(batch: Batch):
    right, wrong = score_losses(_scores(batch, 1.0), batch), score_losses(_scores(batch, -1.0), batch)
    assert all(a < 0.4 * b for a, b in zip(right, wrong, strict=True))


def test_keywords_that_are_unknown_cost_nothing(batch: Batch):
    scores = _scores(batch, -1.0)
    unknown = batch._replace(keywords=torch.full_like(batch.keywords, torch.nan))
    assert score_losses(scores, unknown)[1] == 0


def test_a_few_steps_on_one_batch_lower_every_loss(batch: Batch):
    torch.manual_seed(0)
    model = SmallCaptioner(SmallConfig(vocab=build_tokenizer(vocabulary()).get_vocab_size())).train()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    history = []
    for _ in range(14):
        losses = batch_losses(model, batch)
        history.append([float(loss.detach()) for loss in losses])
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
    assert all(last < 0.9 * first for first, last in zip(history[0], history[-1], strict=True)), history


def test_told_sentences_do_not_teach_the_image_side(batch: Batch):
    model = SmallCaptioner(SmallConfig(vocab=build_tokenizer(vocabulary()).get_vocab_size())).train()
    batch_losses(model, batch._replace(told=torch.ones_like(batch.told))).sentence.backward()
    assert model.encoder.grid_head.weight.grad is None or model.encoder.grid_head.weight.grad.abs().max() == 0
    assert model.facts.present.grad is not None and model.facts.present.grad.abs().max() > 0
