"""A checkpoint that is not whole, or not what it says, is refused before or while it is loaded; never run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from checkpoints_a import make_llava
from command import run_cli
from safetensors.torch import load_file, save_file

from rsccli.errors import ModelError
from rsccli.models.large.checkpoint import end_tokens, find_checkpoint, load_processor, read_checkpoint
from rsccli.models.large.export import ExportJob, plan_export
from rsccli.models.large.families import family_names, family_of
from rsccli.models.large.revision import revision_of

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"


@pytest.fixture
def spoiled(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "tiny-vl"))


def shard(folder: Path) -> None:
    """Spread the weights over two files, as large checkpoints are published."""
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(weights)
    files = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    parts = names[::2], names[1::2]
    for file, part in zip(files, parts, strict=True):
        save_file({name: weights[name] for name in part}, folder / file, {"format": "pt"})
    where = {name: file for file, part in zip(files, parts, strict=True) for name in part}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))


def change_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        change(weights)
        save_file(weights, folder / WEIGHTS, {"format": "pt"})

    return damage


def write_head(head: object) -> Callable[[Path], object]:
    """A file of weights that is a head and nothing else."""
    text = json.dumps(head).encode()
    return lambda folder: (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text)


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def set_config(**fields: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text()) | fields
        (folder / CONFIG).write_text(json.dumps({name: value for name, value in config.items() if value is not None}))

    return damage


def lose_a_shard(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def cut_a_shard(folder: Path) -> None:
    shard(folder)
    path = folder / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def pickle_alone(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({}, folder / "pytorch_model.bin")


def test_a_whole_one_is_read_without_its_weights(checkpoint: Path) -> None:
    weights = load_file(checkpoint / WEIGHTS)
    found = read_checkpoint(checkpoint)
    assert found.folder == checkpoint and found.config["model_type"] == "qwen2_vl"
    assert found.parameters == sum(weight.numel() for weight in weights.values())
    assert found.stored_bytes == 4 * found.parameters
    assert family_of(found.config, str(checkpoint)).name == "qwen2-vl"


def test_one_in_several_files_is_the_same(checkpoint: Path, spoiled: Path) -> None:
    shard(spoiled)
    whole, parts = read_checkpoint(checkpoint), read_checkpoint(spoiled)
    assert (parts.parameters, parts.stored_bytes) == (whole.parameters, whole.stored_bytes)
    family = family_of(parts.config, "here")
    ours, theirs = (family.model(folder, torch.float32).state_dict() for folder in (spoiled, checkpoint))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_half_precision_is_counted_in_numbers(checkpoint: Path, spoiled: Path) -> None:
    weights = load_file(spoiled / WEIGHTS)
    save_file({name: value.bfloat16() for name, value in weights.items()}, spoiled / WEIGHTS, {"format": "pt"})
    whole, half = read_checkpoint(checkpoint), read_checkpoint(spoiled)
    assert half.parameters == whole.parameters and 2 * half.stored_bytes == whole.stored_bytes


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda folder: (folder / CONFIG).unlink(), [f"no {CONFIG}", "downloaded whole"]),
        (write(CONFIG, "{"), [CONFIG, "copy the checkpoint again"]),
        (write(CONFIG, b"\xff\xfe"), [CONFIG, "copy the checkpoint again"]),
        (write(CONFIG, "[]"), [CONFIG, "'model_type'"]),
        (set_config(model_type=None), [CONFIG, "'model_type'", "no checkpoint of transformers"]),
        (set_config(model_type="vilt"), ["'vilt'", *family_names(), "--backend torch"]),
        (set_config(model_type=7), ["model_type 7", "qwen2-vl"]),
        (lambda folder: (folder / WEIGHTS).unlink(), [WEIGHTS, INDEX, "were not downloaded"]),
        (pickle_alone, ["*.bin", "may run code", ".safetensors"]),
        (lose_a_shard, ["1 of 2", "model-00002-of-00002.safetensors", "copy the checkpoint again"]),
        (cut_a_shard, ["model-00002-of-00002.safetensors", "bytes", "copy the checkpoint again"]),
        (write(INDEX, "[]"), [INDEX, "copy the checkpoint again"]),
        (write(INDEX, "{"), [INDEX, "copy the checkpoint again"]),
        (write(INDEX, '{"weight_map": {}}'), [INDEX, "copy the checkpoint again"]),
        (write(INDEX, '{"weight_map": {"a": 3, "b": null}}'), ["2 of 2", "copy the checkpoint again"]),
        (write(WEIGHTS, b""), [WEIGHTS, "no whole safetensors", "copy the checkpoint again"]),
        (write(WEIGHTS, b"\x80\x02}q\x00."), [WEIGHTS, "no whole safetensors"]),
        (write(WEIGHTS, bytes(range(256)) * 99), [WEIGHTS, "no whole safetensors"]),
        # What stands in for a file that Git LFS has not fetched.
        (write(WEIGHTS, "version https://git-lfs.github.com/spec/v1\n"), [WEIGHTS, "no whole safetensors"]),
        (write_head([]), [WEIGHTS, "no whole safetensors"]),
        (write_head({"a": 3}), [WEIGHTS, "no whole safetensors"]),
        (write_head({"a": {"dtype": "F32"}}), [WEIGHTS, "no whole safetensors"]),
        (write_head({"a": {"dtype": "F32", "data_offsets": ["x", "y"]}}), [WEIGHTS, "no whole safetensors"]),
        (write_head({"a": {"dtype": "F32", "data_offsets": [0, 4]}}), [WEIGHTS, "bytes", "copy"]),
        (write_head({"a": {"dtype": "F8_E4M3", "data_offsets": [0, 0]}}), [WEIGHTS, "F8_E4M3", "bfloat16"]),
    ],
)  # fmt: skip
def test_refused_before_any_work(spoiled: Path, damage: Callable[[Path], object], parts: list[str]) -> None:
    damage(spoiled)
    output = spoiled.parent / "bundle"
    with pytest.raises(ModelError) as caught:
        plan_export(ExportJob(str(spoiled), output))
    assert caught.value.exit_code == 4 and str(spoiled) in str(caught.value)
    assert [part for part in parts if part not in str(caught.value)] == []
    assert not output.exists()


def test_every_cut_of_a_weight_file_is_found(spoiled: Path) -> None:
    content = (spoiled / WEIGHTS).read_bytes()
    for length in (0, 7, 8, 9, 1000, len(content) // 2, len(content) - 1):
        (spoiled / WEIGHTS).write_bytes(content[:length])
        with pytest.raises(ModelError, match=WEIGHTS):
            read_checkpoint(spoiled)
    (spoiled / WEIGHTS).write_bytes(content + b"\0")
    with pytest.raises(ModelError, match=f"{WEIGHTS} has {len(content) + 1} bytes"):
        read_checkpoint(spoiled)


NORM = "model.norm.weight"


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (change_weights(lambda weights: weights.pop(NORM)), ["weights are missing", "norm.weight"]),
        (change_weights(lambda weights: weights.update(extra=torch.zeros(3))), ["no place in it", "extra"]),
        (change_weights(lambda weights: weights.update({NORM: torch.zeros(3)})), ["another shape", "norm.weight"]),
        (set_config(num_hidden_layers=3), ["missing", "layers.2."]),
        (set_config(num_hidden_layers=1), ["no place in it", "layers.1."]),
        (set_config(intermediate_size=80), ["another shape", "mlp"]),
    ],
)
def test_weights_that_do_not_fit_are_named(spoiled: Path, damage: Callable[[Path], object], parts: list[str]) -> None:
    """Nothing is made up for a weight that is not there."""
    damage(spoiled)
    family = family_of(read_checkpoint(spoiled).config, "here")
    with pytest.raises(ModelError) as caught:
        family.model(spoiled, torch.float32)
    assert caught.value.exit_code == 4
    assert [part for part in [str(spoiled), "another architecture", *parts] if part not in str(caught.value)] == []


def test_a_configuration_with_the_weights_of_another_family(spoiled: Path, tmp_path: Path) -> None:
    other = make_llava(tmp_path / "llava")
    shutil.copy(other / WEIGHTS, spoiled / WEIGHTS)
    family = family_of(read_checkpoint(spoiled).config, "here")
    with pytest.raises(ModelError, match=r"Qwen2VLForConditionalGeneration.*another architecture"):
        family.model(spoiled, torch.float32)


def test_a_configuration_that_says_nothing_of_the_model(spoiled: Path) -> None:
    write(CONFIG, '{"model_type": "qwen2_vl", "vision_config": 3}')(spoiled)
    with pytest.raises(ModelError, match="cannot load it as Qwen2VLForConditionalGeneration"):
        family_of(read_checkpoint(spoiled).config, "here").model(spoiled, torch.float32)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
        write("tokenizer.json", "{"),
        write("tokenizer.json", "{}"),
        write("preprocessor_config.json", "{"),
    ],
)
def test_a_processor_that_is_not_whole_says_what_to_copy(spoiled: Path, damage: Callable[[Path], object]) -> None:
    damage(spoiled)
    with pytest.raises(ModelError) as caught:
        load_processor(spoiled)
    assert str(spoiled) in str(caught.value) and "copy the checkpoint's tokenizer files" in str(caught.value)


def test_no_code_of_a_checkpoint_is_run(spoiled: Path, tmp_path: Path) -> None:
    """Published checkpoints may bring Python files; here they are a way to find out whether they are run."""
    trap = tmp_path / "sprung"
    (spoiled / "modeling_trap.py").write_text(f"open({str(trap)!r}, 'w').close()\n")
    classes = {name: "modeling_trap.Trap" for name in ("AutoConfig", "AutoModel", "AutoProcessor", "AutoTokenizer")}
    set_config(auto_map=classes)(spoiled)
    for name in ("preprocessor_config.json", "tokenizer_config.json"):
        path = spoiled / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": classes}))
    family = family_of(read_checkpoint(spoiled).config, "here")
    family.processor(spoiled)
    family.model(spoiled, torch.float32)
    assert not trap.exists()


def test_a_hub_id_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    environ = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = run_cli("export-onnx", "Qwen/Qwen2-VL-2B-Instruct", "-o", output, **environ)
    assert done.returncode == 4 and done.stdout == ""
    assert "Traceback" not in done.stderr and not output.exists()
    for part in ("Qwen/Qwen2-VL-2B-Instruct is no folder here", "copy the checkpoint's folder there and give its path"):
        assert part in done.stderr


def test_a_hub_id_finds_the_copy_of_an_earlier_download(checkpoint: Path, tmp_path: Path) -> None:
    """And the commit is its revision."""
    commit = "0123456789abcdef" * 2 + "01234567"
    repository = tmp_path / "hub" / "models--someone--tiny-vl"
    shutil.copytree(checkpoint, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    code = (
        "from rsccli.models.large.checkpoint import find_checkpoint, read_checkpoint\n"
        "from rsccli.models.large.revision import revision_of\n"
        "folder = find_checkpoint('someone/tiny-vl')\n"
        "print(folder, revision_of(read_checkpoint(folder)))"
    )
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False)
    assert done.stdout.split() == [str(repository / "snapshots" / commit), commit], done.stderr


@pytest.mark.parametrize("name", ["no/such/folder", "./nowhere", "/nowhere/at/all", "nobody"])
def test_a_path_to_nothing_asks_no_hub(name: str) -> None:
    with pytest.raises(ModelError, match="is no folder: give the folder of a checkpoint, or a hub id"):
        find_checkpoint(name)


def test_a_file_in_place_of_a_folder_asks_no_hub(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkpoint.parent)
    with pytest.raises(ModelError, match="is no folder"):
        find_checkpoint(f"{checkpoint.name}/{WEIGHTS}")


def test_tokens_that_end_a_sentence() -> None:
    def ends(told: Any, tokenizers: int | None = 7) -> tuple[int, ...]:
        model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=told))
        return end_tokens(model, SimpleNamespace(eos_token_id=tokenizers))

    assert (ends([5, 3]), ends(4), ends(0), ends(None)) == ((3, 5), (4,), (0,), (7,))
    with pytest.raises(ModelError, match="eos_token_id"):
        ends(None, None)


def test_the_revision_follows_what_decides_the_words(checkpoint: Path, spoiled: Path) -> None:
    first = revision_of(read_checkpoint(checkpoint))
    assert len(first) == 64 and revision_of(read_checkpoint(spoiled)) == first
    (spoiled / "README.md").write_text("A card.")
    assert revision_of(read_checkpoint(spoiled)) == first
    seen = {first}
    for damage in (
        change_weights(lambda weights: weights[NORM].add_(1)),
        set_config(rms_norm_eps=1e-5),
        write("chat_template.jinja", "{{ 'ask' }}"),
        write("tokenizer.json", "{}"),
        write("preprocessor_config.json", "{}"),
        write("generation_config.json", "{}"),
    ):
        damage(spoiled)
        seen.add(revision_of(read_checkpoint(spoiled)))
    assert len(seen) == 7
