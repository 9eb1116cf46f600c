"""Phi-4-multimodal: export and parity of small random checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints_b import make_phi4_multimodal
from family_checks import Exported, check_example, check_parity, export_small

from rsccli.errors import ModelError
from rsccli.models.families.phi4_multimodal import LORA, Phi4Multimodal


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_small(make_phi4_multimodal, tmp_path_factory.mktemp("phi4_multimodal"))


@pytest.mark.parametrize("beams", [1, 4])
def test_the_bundle_says_what_generate_says(exported: Exported, beams: int) -> None:
    check_parity(exported, beams)


def test_the_example_pair_is_captioned(exported: Exported, tmp_path: Path) -> None:
    check_example(exported, tmp_path)


@pytest.mark.slow
def test_long_prompts_turn_by_other_angles(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        make_phi4_multimodal(folder, with_lora=True, image_token="<|endoftext10|>")
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "original_max_position_embeddings": 64}))

    made = export_small(make, tmp_path)
    check_parity(made)
    language = made.family.decoder(made.model).module
    assert not torch.equal(language.short, language.long)


@pytest.fixture
def adapted(tmp_path: Path) -> Path:
    return make_phi4_multimodal(tmp_path / "checkpoint", with_lora=True)


def _logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(20, 40)[None]).logits


def test_the_adapter_is_merged_as_peft_applies_it(adapted: Path) -> None:
    pytest.importorskip("peft")
    from transformers import Phi4MultimodalForCausalLM

    theirs = Phi4MultimodalForCausalLM.from_pretrained(adapted).eval()
    plain = _logits(theirs)
    theirs.load_adapter(adapted / LORA, adapter_name="vision")
    theirs.set_adapter("vision")
    merged = _logits(Phi4Multimodal().model(adapted, torch.float32))
    torch.testing.assert_close(merged, _logits(theirs), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(merged, plain, rtol=1e-1, atol=1e-1)


@pytest.mark.parametrize(("change", "word"), [({"use_dora": True}, "use_dora"), ({"r": None}, "cannot be read")])
def test_another_adapter_is_refused(adapted: Path, change: dict[str, object], word: str) -> None:
    path = adapted / LORA / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=word):
        Phi4Multimodal().model(adapted, torch.float32)


def test_an_adapter_of_another_model_is_refused(adapted: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = adapted / LORA / "adapter_model.safetensors"
    save_file({name.replace("layers.1", "layers.7"): each for name, each in load_file(path).items()}, path)
    with pytest.raises(ModelError, match="does not fit"):
        Phi4Multimodal().model(adapted, torch.float32)
