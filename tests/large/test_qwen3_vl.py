"""Qwen3-VL: export and parity of a small random checkpoint, and of one as wide as the published one."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints_a import make_qwen3_vl, random_weights
from family_checks import Exported, check_example, check_parity, export_small
from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

from rsccli.models.families.qwen2_vl import patch_positions
from rsccli.models.families.qwen3_vl import around


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_qwen3_vl, tmp_path_factory.mktemp("qwen3_vl"))


@pytest.fixture(scope="module")
def with_experts(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_with_experts, tmp_path_factory.mktemp("qwen3_vl_moe"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


def test_learned_positions_are_those_of_transformers(exported: Exported) -> None:
    visual = exported.model.model.visual
    table = visual.pos_embed.weight.detach().numpy()
    for rows, cols in ((2, 4), (6, 10), (8, 2), (34, 34)):
        corners, shares = around(rows, cols, patch_positions(rows, cols, 2), visual.num_grid_per_side)
        with torch.no_grad():
            theirs = visual.fast_pos_embed_interpolate(torch.tensor([[1, rows, cols]])).numpy()
        np.testing.assert_allclose((table[corners] * shares[:, :, None]).sum(0), theirs, atol=1e-6)


def make_with_experts(folder: Path) -> Path:
    """As the plain one, but five experts in each text layer, of which two are for a token."""
    make_qwen3_vl(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "qwen3_vl_moe", "architectures": ["Qwen3VLMoeForConditionalGeneration"]}
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = False
    experts = {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": True}
    config["text_config"] |= {"model_type": "qwen3_vl_moe_text", "decoder_sparse_step": 1, **experts}
    config["vision_config"]["model_type"] = "qwen3_vl_moe"
    model = Qwen3VLMoeForConditionalGeneration(Qwen3VLMoeConfig.from_dict(copy.deepcopy(config)))
    random_weights(model, 3, 1.0)
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            # Of three axes, of which the first counts experts: those weights came out too small.
            layer.mlp.experts.gate_up_proj *= 7
            layer.mlp.experts.down_proj *= 7
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("beams", [1, 4])
def test_experts(with_experts: Exported, beams: int) -> None:
    check_parity(with_experts, beams)
