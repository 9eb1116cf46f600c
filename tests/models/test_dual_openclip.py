"""OpenCLIP weights as transformers' CLIP, against an implementation of OpenAI's layout that shares no code with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from dual_checkpoints import SIDE, OpenClip, make_open_clip

from rsccli.errors import ModelError
from rsccli.models.dual.checkpoint import find_dual
from rsccli.models.dual.loading import LoadedDual, load_dual
from rsccli.models.dual.openclip import activation_of, config_of, converted, load_state

IDS = torch.tensor([[49406, 1518, 2000, 49407, 0, 0], [49406, 320, 49407, 49407, 49407, 49407]])


def load(path: Path, activation: str | None = None) -> LoadedDual:
    source = find_dual(str(path))
    assert source is not None and source.layout == "open_clip"
    return load_dual(source, activation=activation)


def differences(loaded: LoadedDual, model: OpenClip) -> tuple[float, float]:
    pixels = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        seen = loaded.model.get_image_features(pixel_values=pixels) - model.encode_image(pixels)
        read = loaded.model.get_text_features(input_ids=IDS) - model.encode_text(IDS)
    return float(seen.abs().max()), float(read.abs().max())


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_features_are_those_of_the_original(tmp_path: Path, activation: str) -> None:
    path, model = make_open_clip(tmp_path / "weights.pt", activation)
    assert max(differences(load(path, activation), model)) < 1e-5
    other = {"gelu": "quick_gelu", "quick_gelu": "gelu"}[activation]
    # The wrong activation loads without a word, and is wrong: that is why it must be known.
    assert min(differences(load(path, other), model)) > 1e-3


@pytest.mark.parametrize(("name", "prefix"), [("w.pt", "module."), ("w.safetensors", ""), ("w.bin", "")])
def test_every_way_to_keep_weights_is_read(tmp_path: Path, name: str, prefix: str) -> None:
    path, model = make_open_clip(tmp_path / name, "gelu", prefix)
    assert max(differences(load(path, "gelu"), model)) < 1e-5


def test_a_folder_of_the_hub_names_its_activation_and_its_colours(tmp_path: Path) -> None:
    path, model = make_open_clip(tmp_path / "hub" / "open_clip_model.safetensors", "quick_gelu")
    settings = {
        "model_cfg": {"embed_dim": 32, "vision_cfg": {}, "text_cfg": {}, "quick_gelu": True},
        "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bilinear"},
    }
    (path.parent / "open_clip_config.json").write_text(json.dumps(settings))
    loaded = load(path.parent)
    assert max(differences(loaded, model)) < 1e-5
    assert (loaded.picture.mean, loaded.picture.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (loaded.picture.resample, loaded.picture.resize) == ("bilinear", "shortest")


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("RemoteCLIP-ViT-B-32.pt", "gelu"),
        ("RemoteCLIP-ViT-L-14.pt", "gelu"),
        ("RS5M_ViT-B-32.pt", "quick_gelu"),
        ("RS5M_ViT-B-32_RET-2.pt", "quick_gelu"),
        ("RS5M_ViT-H-14.pt", "gelu"),
    ],
)
def test_weights_of_remote_sensing_are_known_by_their_names(tmp_path: Path, name: str, activation: str) -> None:
    (tmp_path / name).write_bytes(b"")
    source = find_dual(str(tmp_path / name))
    assert source is not None and activation_of(source, None) == activation
    assert activation_of(source, "quick_gelu") == "quick_gelu", "what is asked for comes first"


def test_nobody_guesses_an_activation(tmp_path: Path) -> None:
    path, _ = make_open_clip(tmp_path / "mine.pt")
    with pytest.raises(ModelError, match="--activation quick_gelu"):
        load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"visual.attnpool.positional_embedding": torch.zeros(1), "visual.conv1.weight": None}, "a ResNet"),
        ({"visual.conv1.weight": None}, "no vision transformer"),
        ({"visual.transformer.resblocks.0.ls_1.gamma": torch.zeros(128)}, "ls_1.gamma"),
        ({"ln_final.weight": None}, "final_layer_norm.weight"),
        ({"ln_final.weight": torch.zeros(3)}, "shape"),
        ({"positional_embedding": None}, "layout of OpenCLIP"),
        ({"visual.positional_embedding": torch.zeros(12, 128)}, "no square"),
    ],
)
def test_another_architecture_is_refused(tmp_path: Path, change: dict[str, torch.Tensor | None], said: str) -> None:
    path, _ = make_open_clip(tmp_path / "weights.pt")
    state = {**load_state(path), **change}
    kept = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(ModelError, match=said):
        converted(kept, config_of(kept, "gelu", "here"), 49407, "here")


class Harm:
    """What a hostile pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.write_text, (Path("harm.txt"), "done")


@pytest.mark.parametrize("content", [b"", b"no pickle at all"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.pt cannot be read"):
        load(tmp_path / "weights.pt", "gelu")


def test_no_code_of_a_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"visual.conv1.weight": Harm()}, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="cannot be read"):
        load(tmp_path / "weights.pt", "gelu")
    assert not (tmp_path / "harm.txt").exists()


def test_a_vocabulary_of_its_own_needs_a_tokenizer(tmp_path: Path) -> None:
    path, _ = make_open_clip(tmp_path / "weights.pt", "gelu")
    state = load_state(path)
    state["token_embedding.weight"] = state["token_embedding.weight"][:1000]
    torch.save(state, path)
    with pytest.raises(ModelError, match="--tokenizer"):
        load(path, "gelu")
