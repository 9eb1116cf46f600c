from __future__ import annotations

from pathlib import Path

import pytest

from rsccli.errors import UsageProblem
from rsccli.models import providers
from rsccli.models.devices import Device
from rsccli.models.providers import (
    cuda_provider_options,
    engine_folder,
    parse_provider_options,
    providers_of,
    tensorrt_provider_options,
)


def test_provider_options_are_parsed() -> None:
    assert parse_provider_options([]) == {}
    assert parse_provider_options(["gpu_mem_limit=8000000000", " use_tf32 = 1 ", "trt_profile_min_shapes=x:1x3=y"]) == {
        "gpu_mem_limit": "8000000000",
        "use_tf32": "1",
        "trt_profile_min_shapes": "x:1x3=y",
    }


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["gpu_mem_limit"], "is not of the form NAME=VALUE"),
        (["gpu_mem_limit="], "is not of the form NAME=VALUE"),
        (["=1"], "is not of the form NAME=VALUE"),
        ([""], "is not of the form NAME=VALUE"),
        (["gpu mem=1"], "is not of the form NAME=VALUE"),
        (["use_tf32=0", "use_tf32=1"], "'use_tf32' is given twice"),
        (["device_id=1"], "give --device cuda:INDEX"),
        (["user_compute_stream=140000"], "is an address inside the process"),
    ],
)
def test_provider_options_that_cannot_be(entries: list[str], message: str) -> None:
    with pytest.raises(UsageProblem, match=message) as caught:
        parse_provider_options(entries)
    assert caught.value.exit_code == 2


def test_provider_options_go_over_our_own_and_only_to_the_first_provider() -> None:
    ours = cuda_provider_options(1)
    (name, options), last = providers_of(Device("cuda", 1), {"use_tf32": "1", "prefer_nhwc": "1"})
    assert (name, last) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options == {**ours, "use_tf32": "1", "prefer_nhwc": "1"}
    first, second, last = providers_of(Device("tensorrt", 1), {"trt_fp16_enable": "False"}, "fp16")
    assert first == ("TensorrtExecutionProvider", {"device_id": "1", "trt_fp16_enable": "False"})
    assert second == ("CUDAExecutionProvider", ours)
    assert last == "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("dtype", "more"),
    [("fp32", {}), ("fp16", {"trt_fp16_enable": "True"}), ("bf16", {"trt_bf16_enable": "True"}), ("int8", {})],
)
def test_tensorrt_uses_no_less_than_the_bundle_holds(dtype: str, more: dict[str, str]) -> None:
    assert tensorrt_provider_options(2, dtype) == {"device_id": "2", **more}


def test_engines_are_kept_by_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's own name of an engine knows nothing of the weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = [tmp_path / name / "encoder.onnx" for name in ("old", "new", "same")]
    for path, manifest in zip(paths, ("1", "2", "1"), strict=True):
        path.parent.mkdir()
        path.write_bytes(b"graph")
        path.with_name("rsccli.json").write_text(manifest)
    old, new, same = (engine_folder(path) for path in paths)
    assert old == same != new
    assert old is not None and old.is_dir() and old.parent == tmp_path / "cache" / "rsccli" / "tensorrt"
    options = tensorrt_provider_options(0, "fp32", old)
    assert options["trt_engine_cache_enable"] == "True"
    assert options["trt_engine_cache_path"] == str(old)
    assert engine_folder(paths[0], str(tmp_path / "mine")) == tmp_path / "mine" / old.name
    paths[0].with_name("rsccli.json").unlink()
    assert engine_folder(paths[0]) not in (None, old)


def test_a_relative_cache_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert providers._cache_root() == tmp_path / ".cache" / "rsccli" / "tensorrt"


def test_no_folder_for_engines_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "encoder.onnx").write_bytes(b"graph")
    assert engine_folder(tmp_path / "encoder.onnx", str(tmp_path / "file")) is None
    assert engine_folder(tmp_path / "gone.onnx", str(tmp_path)) is None
    assert caplog.text.count("engines are built again at each start") == 2
