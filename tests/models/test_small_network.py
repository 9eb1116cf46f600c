"""The network's parts do what they are said to do, whatever the weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rsccli.models.small.facts import KEYWORDS, PROMPT_TOKENS
from rsccli.models.small.network import (
    CLOUD_STRIDE,
    HAND_MAPS,
    MASK_STRIDE,
    ChangeEncoder,
    ScaleNorm,
    Scores,
    SmallCaptioner,
    SmallConfig,
    area_matrix,
    difference_maps,
    pool_grid,
)

CONFIG = SmallConfig(vocab=50)
SCENE = ("change", "vectors", "keywords", "scene", "looks", "domain")


@pytest.fixture(scope="module")
def model() -> SmallCaptioner:
    torch.manual_seed(0)
    made = SmallCaptioner(CONFIG).eval()
    made.encoder.domain_white.copy_(torch.eye(CONFIG.domain_width))
    return made


def blobs(seed: int, height: int = 128, width: int = 128) -> tuple[Tensor, Tensor]:
    """Two dates of smooth noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(2, 1, 3, height // 8, width // 8, generator=generator)
    pre, post = coarse.repeat_interleave(8, 3).repeat_interleave(8, 4)
    return pre, post


def see(model: SmallCaptioner, pre: Tensor, post: Tensor, valid: Tensor | None = None, gsd_m: float = 0.6) -> Scores:
    valid = torch.ones(pre.shape[0], 1, *pre.shape[2:]) if valid is None else valid
    with torch.no_grad():
        scores: Scores = model.encoder(pre, post, valid, torch.full((pre.shape[0],), gsd_m))
    return scores


def test_it_is_as_small_as_it_says(model: SmallCaptioner) -> None:
    assert sum(parameter.numel() for parameter in model.encoder.parameters()) < 12_000_000
    # Half precision in a bundle, single precision in its graphs: 40 MB in all.
    assert sum(parameter.numel() for parameter in model.parameters()) * 6 < 40e6


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 320), (256, 256)])
def test_outputs_have_the_shapes_of_the_contract(model: SmallCaptioner, height: int, width: int) -> None:
    scores = see(model, *torch.randn(2, 2, 3, height, width))
    with torch.no_grad():
        tokens = model.encoder.image_tokens(scores)
    assert tokens.shape == (2, CONFIG.image_tokens, CONFIG.width)
    assert scores.change.shape == scores.vectors.shape == (2,) and scores.keywords.shape == (2, len(KEYWORDS))
    assert scores.mask.shape == (2, 1, height // MASK_STRIDE, width // MASK_STRIDE)
    assert scores.classes.shape == (2, len(KEYWORDS), height // MASK_STRIDE, width // MASK_STRIDE)
    assert scores.cloud.shape == (2, 2, height // CLOUD_STRIDE, width // CLOUD_STRIDE)
    assert scores.domain.shape == (2, 2) and scores.looks.shape == (2, 2, CONFIG.domain_width)


@pytest.mark.parametrize("scale", [0, 1])
def test_each_resolution_has_statistics_of_its_own(scale: int) -> None:
    """What one scale sees in training must not move the other's averages."""
    torch.manual_seed(0)
    norm = ScaleNorm(3).train()
    norm.scale = scale
    norm(torch.randn(4, 3, 8, 8) * 5 + 2)
    used, other = norm.norms[scale], norm.norms[1 - scale]
    assert used.running_mean.abs().max() > 0.1 and other.running_mean.abs().max() == 0


def test_both_scales_use_their_own_statistics_of_shared_weights() -> None:
    torch.manual_seed(0)
    encoder = ChangeEncoder(CONFIG).train()
    encoder(*torch.randn(2, 2, 3, 64, 64), torch.ones(2, 1, 64, 64), torch.ones(2))
    norms = [module for name, module in encoder.named_modules() if isinstance(module, ScaleNorm)]
    both = [norm for norm in norms if all(int(each.num_batches_tracked) > 0 for each in norm.norms)]
    # All but the one where both scales come together.
    assert len(both) == len(norms) - 1 > 10


def test_the_half_scale_path_reaches_the_scores(model: SmallCaptioner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what half the resolution sees, mask, scores and keywords are others."""
    pre, post = blobs(3)
    both = see(model, pre, post)
    real = ChangeEncoder._scale

    def fine_alone(self: ChangeEncoder, scale: int, *dates: Tensor) -> object:
        part = real(self, scale, *dates)
        return part if scale == 0 else part._replace(p4=part.p4 * 0, scene=part.scene * 0)

    monkeypatch.setattr(ChangeEncoder, "_scale", fine_alone)
    alone = see(model, pre, post)
    for name in ("change", "keywords", "mask", "classes"):
        assert not torch.allclose(getattr(both, name), getattr(alone, name), atol=1e-5), name
    for name in ("vectors", "cloud", "domain"):
        assert torch.equal(getattr(both, name), getattr(alone, name)), name


def test_pixels_without_data_change_nothing(model: SmallCaptioner) -> None:
    """The host rule makes them 0 on both dates: more of them, as padding, must not move what is said of the rest."""
    pre, post = blobs(1)
    small = see(model, pre, post)
    wide = torch.zeros(2, 1, 3, 128, 256)
    wide[0, ..., :128], wide[1, ..., :128] = pre, post
    valid = torch.zeros(1, 1, 128, 256)
    valid[..., :128] = 1.0
    padded = see(model, *wide, valid)
    assert torch.allclose(small.vectors, padded.vectors, atol=1e-4)
    assert torch.allclose(small.looks[:, :, :6], padded.looks[:, :, :6], atol=1e-3)
    # Cells beside the padding see it; those a window's reach away do not.
    assert torch.allclose(small.mask[..., :8], padded.mask[..., :8], atol=0.3)
    assert (padded.mask[..., 32:] < -15.0).all()
    assert abs(float(small.change - padded.change)) < 0.25


def test_what_stands_in_pixels_without_data_cannot_matter(model: SmallCaptioner) -> None:
    """As the host gives them: 0 after normalisation, whatever the files held there."""
    pre, post = blobs(2)
    valid = torch.ones(1, 1, 128, 128)
    valid[..., 70:] = 0.0
    garbage = torch.randn(1, 3, 128, 128) * 50 * (1 - valid)
    plain = see(model, pre * valid, post * valid, valid)
    spoiled = see(model, (pre + garbage) * valid, (post - garbage) * valid, valid)
    for name in SCENE:
        assert torch.equal(getattr(plain, name), getattr(spoiled, name)), name
    assert (plain.mask[..., 18:] < plain.mask[..., :17].min()).all()


def test_a_tile_without_data_gives_finite_scores(model: SmallCaptioner) -> None:
    zeros = torch.zeros(1, 3, 64, 64)
    assert all(torch.isfinite(part).all() for part in see(model, zeros, zeros, torch.zeros(1, 1, 64, 64)))


def test_a_pair_is_seen_alike_in_any_batch(model: SmallCaptioner) -> None:
    pre, post = blobs(4)
    others = blobs(5)
    together = see(model, torch.cat([others[0], pre]), torch.cat([others[1], post]))
    alone = see(model, pre, post)
    for name in (*SCENE, "mask", "classes", "cloud"):
        assert torch.allclose(getattr(together, name)[1:], getattr(alone, name), atol=1e-4), name


def test_metres_per_pixel_matter_within_what_is_known(model: SmallCaptioner) -> None:
    pre, post = blobs(6)
    assert not torch.allclose(see(model, pre, post, gsd_m=0.6).keywords, see(model, pre, post, gsd_m=5.0).keywords)
    assert torch.equal(see(model, pre, post, gsd_m=50.0).keywords, see(model, pre, post, gsd_m=500.0).keywords)


def test_looks_are_of_each_date_alone(model: SmallCaptioner) -> None:
    pre, post = blobs(7)
    there, back, other = see(model, pre, post), see(model, post, pre), see(model, pre, pre)
    assert torch.allclose(there.domain[:, 0], back.domain[:, 1], atol=1e-5)
    assert torch.allclose(there.domain[:, 0], other.domain[:, 0], atol=1e-5)
    assert torch.allclose(there.cloud[:, :1], back.cloud[:, 1:], atol=1e-4)


def test_the_order_of_the_dates_matters(model: SmallCaptioner) -> None:
    pre, post = blobs(8)
    assert not torch.allclose(see(model, pre, post).keywords, see(model, post, pre).keywords, atol=1e-4)


def test_difference_maps_are_zero_between_equal_dates_and_forgive_a_gain() -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 3, 64, 64).repeat_interleave(2, 3)[..., :64]
    valid = torch.ones(1, 1, 64, 64)
    same = difference_maps(image, image, valid)
    brighter = difference_maps(image, image * 1.5 + 0.3, valid)
    assert same.shape == (1, HAND_MAPS, 16, 16)
    raw, matched = 0, 1
    assert same[:, matched].max() < 0.02
    assert brighter[:, matched].mean() < 0.1 * brighter[:, raw].mean()


@pytest.mark.parametrize(("shift", "maps_of"), [(4, (2, 3)), (8, (4, 5))])
def test_shift_tolerant_maps_forgive_a_shift_of_one_cell(shift: int, maps_of: tuple[int, int]) -> None:
    torch.manual_seed(0)
    cells = torch.randn(1, 3, 128 // shift, 128 // shift).repeat_interleave(shift, 2).repeat_interleave(shift, 3)
    maps = difference_maps(cells, torch.roll(cells, shift, 3), torch.ones(1, 1, 128, 128))[:, :, 4:-4, 4:-4]
    for index in maps_of:
        assert maps[:, index].mean() < 0.1 * maps[:, 1].mean()


@pytest.mark.parametrize("length", [2, 3, 5, 8, 16])
def test_area_matrix_averages_and_keeps_the_mean(length: int) -> None:
    matrix = area_matrix(4, torch.tensor(length))
    assert torch.allclose(matrix.sum(1), torch.ones(4))
    assert torch.allclose(matrix.mean(0), torch.full((length,), 1.0 / length))


def test_the_grid_reads_row_by_row() -> None:
    image = torch.zeros(1, 1, 8, 12)
    image[0, 0, 0:2, 9:12] = 1.0
    assert pool_grid(image, 4).flatten().nonzero().flatten().tolist() == [3]


def test_the_decoder_reads_image_prompt_and_words_in_order(model: SmallCaptioner) -> None:
    torch.manual_seed(0)
    tokens = torch.randn(1, CONFIG.image_tokens, CONFIG.width)
    ids = torch.randint(3, 50, (1, PROMPT_TOKENS + 6))
    later = ids.clone()
    later[0, -1] = (later[0, -1] + 1) % 50
    with torch.no_grad():
        logits, changed = model.sentence_logits(tokens, ids), model.sentence_logits(tokens, later)
        elsewhere = model.sentence_logits(tokens + 1.0, ids)
    assert logits.shape == (1, PROMPT_TOKENS + 6, CONFIG.vocab)
    # No word knows the words after it, every word knows the image.
    assert torch.allclose(logits[:, :-1], changed[:, :-1], atol=1e-5)
    assert not torch.allclose(logits[:, -1], changed[:, -1], atol=1e-4)
    assert not torch.allclose(logits, elsewhere, atol=1e-3)
