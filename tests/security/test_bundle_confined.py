"""A bundle is data: nothing in it is run, and nothing outside of its folder is read."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from tiny_bundle import write_tiny_bundle
from tiny_dual import write_tiny_dual

from rsccli.errors import BundleError, ModelError
from rsccli.models.bundle import DECODER, ENCODER, open_bundle
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.dual.manifest import open_dual_bundle
from rsccli.models.graphfile import check_graph, outside_of
from rsccli.models.registry import load_captioner

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "whole")


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


def listed_again(bundle: Path) -> None:
    """A stranger who changes a bundle changes its manifest, too."""
    import hashlib

    manifest = json.loads((bundle / "rsccli.json").read_text())
    for name in manifest["files"]:
        content = (bundle / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (bundle / "rsccli.json").write_text(json.dumps(manifest))


def with_outside_weights(path: Path, location: str) -> None:
    """The first weight of a graph in another file."""
    graph = onnx.load(path)
    weight = graph.graph.initializer[0]
    size = len(onnx.numpy_helper.to_array(weight).tobytes())
    for field in ("raw_data", "float_data", "int64_data", "int32_data"):
        weight.ClearField(field)
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(size))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(graph.SerializeToString())


@pytest.mark.parametrize("name", ["../secret.bin", "/etc/passwd", "a/b.onnx", "..\\secret", "..", "", "a\nb", "a\x00b"])
def test_names_in_a_manifest_are_files_of_its_folder(bundle: Path, name: str) -> None:
    (bundle.parent / "secret.bin").write_bytes(b"x")
    manifest = json.loads((bundle / "rsccli.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    (bundle / "rsccli.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="is no plain file name"):
        open_bundle(bundle)


def test_a_link_out_of_the_folder_is_not_followed(bundle: Path) -> None:
    outside = bundle.parent / "encoder-elsewhere.onnx"
    (bundle / ENCODER).rename(outside)
    (bundle / ENCODER).symlink_to(outside)
    with pytest.raises(BundleError, match=r"encoder\.onnx is a link to a file outside of the folder.*cp -rL"):
        open_bundle(bundle)
    (bundle / ENCODER).unlink()
    shutil.copy(outside, bundle / "encoder-real")
    (bundle / ENCODER).symlink_to("encoder-real")
    open_bundle(bundle)  # within the folder a link is as good as the file


def test_a_changed_file_is_noticed(bundle: Path) -> None:
    content = bytearray((bundle / DECODER).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / DECODER).write_bytes(content)
    with pytest.raises(BundleError, match="is not the file that"):
        load_captioner(bundle, CaptionerOptions(device="cpu"))


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "sub/weights.bin", ".", "weights.bin"])
def test_weights_outside_of_the_folder_are_not_read(bundle: Path, location: str) -> None:
    (bundle.parent / "secret.bin").write_bytes(bytes(4096))
    with_outside_weights(bundle / ENCODER, location)
    listed_again(bundle)
    words = "the manifest does not list" if location == "weights.bin" else "no plain file name of its own folder"
    with pytest.raises(BundleError, match=words):
        load_captioner(bundle, CaptionerOptions(device="cpu"))


def test_weights_that_are_a_link_are_not_read(bundle: Path) -> None:
    (bundle / "weights.bin").symlink_to("/etc/passwd")
    with_outside_weights(bundle / ENCODER, "weights.bin")
    with pytest.raises(BundleError, match="a link to a file outside"):
        check_graph(bundle / ENCODER)


def test_weights_are_found_wherever_they_hide(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    def outside(name: str) -> onnx.TensorProto:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", f"../{name}"
        return tensor

    body = helper.make_graph([helper.make_node("Constant", [], ["c"], value=outside("in-a-body"))], "b", [], [])
    values = onnx.SparseTensorProto(values=outside("sparse"), indices=outside("indices"), dims=[1])
    graph = helper.make_graph(
        [helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body)], "g", [], [], [outside("plain")]
    )
    graph.sparse_initializer.append(values)
    model = helper.make_model(graph)
    function = model.functions.add()
    function.node.append(helper.make_node("Constant", [], ["c"], value=outside("in-a-function")))
    path = tmp_path / "g.onnx"
    path.write_bytes(model.SerializeToString())
    wanted = {"in-a-body", "sparse", "indices", "plain", "in-a-function"}
    assert outside_of(path).files == {f"../{name}" for name in wanted}


def test_an_engine_of_another_program_is_not_run(bundle: Path) -> None:
    graph = onnx.load(bundle / ENCODER)
    node = graph.graph.node.add()
    node.op_type, node.domain = "EPContext", "com.microsoft"
    (bundle / ENCODER).write_bytes(graph.SerializeToString())
    listed_again(bundle)
    with pytest.raises(BundleError, match="EPContext"):
        load_captioner(bundle, CaptionerOptions(device="cpu"))


def test_a_dual_encoder_is_held_to_the_same(tmp_path: Path) -> None:
    bundle = write_tiny_dual(tmp_path / "dual")
    open_dual_bundle(bundle)
    (bundle / "text.onnx").rename(tmp_path / "text.onnx")
    (bundle / "text.onnx").symlink_to(tmp_path / "text.onnx")
    with pytest.raises(BundleError, match="a link to a file outside"):
        open_dual_bundle(bundle)


# ---- checkpoints ----


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """A checkpoint with code of its own, which leaves a mark where it is run."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Trap:\n    pass\n"
    (folder / "trap.py").write_text(code)
    classes = {
        name: "trap.Trap" for name in ("AutoConfig", "AutoModel", "AutoModelForImageTextToText", "AutoTokenizer")
    }
    (folder / "config.json").write_text(json.dumps({"model_type": "trap", "auto_map": classes}))
    tokenizer = {"tokenizer_class": "Trap", "auto_map": {"AutoTokenizer": ["trap.Trap", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    processor = {"processor_class": "Trap", "image_processor_type": "Trap"}
    processor["auto_map"] = {"AutoProcessor": "trap.Trap", "AutoImageProcessor": "trap.Trap"}  # type: ignore[assignment]
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    yield folder
    assert not (tmp_path / "ran").exists()


def test_code_of_a_checkpoint_is_not_run(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from rsccli.evaluation.metrics.states import load as load_states
    from rsccli.models.large.checkpoint import load_processor
    from rsccli.models.large.images import load_image_processor
    from rsccli.models.large.torch_backend import _any_model

    # Without an answer of ours transformers would ask the user, and run the code on "y".
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    for load in (
        lambda: load_processor(trap),
        lambda: _any_model(trap, torch.float32),
        lambda: load_image_processor(trap),
        lambda: load_states(trap, "cpu"),
    ):
        with pytest.raises(ModelError):
            load()


class _Mark:
    """Pickled, it writes a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def test_pickled_weights_run_nothing(tmp_path: Path, bundle: Path) -> None:
    import torch

    from rsccli.models.dual.openclip import load_state
    from rsccli.models.small.export import WEIGHTS
    from rsccli.models.small.reexport import checkpoint_of

    mark = tmp_path / "ran"
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": _Mark(str(mark))}, path)
    with pytest.raises(ModelError, match="cannot be read as weights"):
        load_state(path)
    torch.save({"config": _Mark(str(mark))}, bundle / WEIGHTS)
    manifest = json.loads((bundle / "rsccli.json").read_text())
    manifest["files"][WEIGHTS] = {"sha256": "", "bytes": 0}
    (bundle / "rsccli.json").write_text(json.dumps(manifest))
    listed_again(bundle)
    with pytest.raises(BundleError, match="not a checkpoint"):
        checkpoint_of(bundle)
    assert not mark.exists()


def test_parts_of_a_sentence_model_are_its_own(tmp_path: Path) -> None:
    from rsccli.evaluation.metrics.sentences import load

    (tmp_path / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "subprocess.Popen"}]')
    with pytest.raises(ModelError, match=r"names 'subprocess\.Popen'"):
        load(tmp_path, "cpu")


def test_weights_of_a_checkpoint_lie_in_its_folder(tmp_path: Path) -> None:
    from rsccli.models.large.checkpoint import read_checkpoint

    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../other.safetensors"}}')
    with pytest.raises(ModelError, match="no file of its own folder"):
        read_checkpoint(tmp_path)


# ---- the source itself ----


def _calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Every call in the package: file and line, the call, and the name that is called."""
    for path in sorted((ROOT / "rsccli").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not re.search(r"load|pretrained|pickle|eval|exec|system|shell|trust|register_custom", text):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node, ast.unparse(node.func)


def _given(call: ast.Call, name: str) -> object:
    found = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    return found.value if isinstance(found, ast.Constant) else None


def test_no_call_of_ours_trusts_a_file() -> None:
    wrong, seen = [], set()
    for where, call, name in _calls():
        last = name.rsplit(".", 1)[-1]
        if name in ("torch.load", "np.load", "numpy.load"):
            seen.add(name)
            safe = (
                _given(call, "weights_only") is True if name == "torch.load" else _given(call, "allow_pickle") is False
            )
            wrong += [] if safe else [f"{where}: {name}"]
        if last == "from_pretrained" and name.split(".")[-2].startswith("Auto"):
            seen.add("auto")
            wrong += [] if _given(call, "trust_remote_code") is False else [f"{where}: {name}"]
        # Processes of ours send each other batches; no file is unpickled.
        if name in ("pickle.load", "joblib.load", "pickle.loads") and "training/batches.py" not in where:
            wrong.append(f"{where}: {name}")
        if name in ("eval", "exec", "os.system") or last in ("register_custom_ops_library", "yaml.load"):
            wrong.append(f"{where}: {name}")
        if _given(call, "shell") is True or _given(call, "trust_remote_code") is True:
            wrong.append(f"{where}: {name}")
    assert wrong == []
    assert seen == {"torch.load", "np.load", "auto"}


def test_hashes_of_all_bundles_of_the_package_hold() -> None:
    for folder in (ROOT / "rsccli" / "models" / "bundled").iterdir():
        if (folder / "rsccli.json").is_file():
            open_bundle(folder, "full")
    assert sys.version_info >= (3, 11)
