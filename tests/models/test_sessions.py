from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from rsccli.errors import BundleError, DeviceError
from rsccli.models import sessions
from rsccli.models.sessions import Device, gpu_count, open_session, open_sessions, resolve_device, why_unusable

no_gpu = pytest.mark.skipif(gpu_count() > 0, reason="there is a GPU here")
with_gpu = pytest.mark.skipif(why_unusable("cuda") is not None, reason="no GPU that ONNX Runtime can use here")


def test_the_probe_is_the_graph_that_its_comment_says() -> None:
    model = onnx.load_from_string(sessions._PROBE_GRAPH)
    onnx.checker.check_model(model, full_check=True)
    assert [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node] == [
        ("Identity", ["x"], ["y"])
    ]


def test_cpu_is_usable() -> None:
    assert resolve_device("cpu") == Device("cpu")
    assert why_unusable("cpu") is None


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu:0", "cuda:1 "])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="give auto, cpu, cuda or cuda:INDEX"):
        resolve_device(name)


@no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_without_a_gpu_is_an_error_and_never_the_cpu(name: str, scripted: Path) -> None:
    with pytest.raises(DeviceError, match="--device cpu") as caught:
        open_sessions([scripted / "embed.onnx"], name)
    assert caught.value.exit_code == 4


@no_gpu
def test_a_session_that_falls_back_is_an_error(scripted: Path) -> None:
    """Past the check for a GPU, ONNX Runtime itself falls back to the CPU with a log line: that must not pass."""
    with pytest.raises(DeviceError, match=r"would run embed.onnx on CPUExecutionProvider|cannot be set up"):
        open_session(scripted / "embed.onnx", Device("cuda"))


@no_gpu
def test_auto_without_a_gpu_is_the_cpu(scripted: Path) -> None:
    device, opened = open_sessions([scripted / "embed.onnx", scripted / "decoder.onnx"], "auto")
    assert device == Device("cpu")
    assert [session.get_providers()[0] for session in opened] == ["CPUExecutionProvider"] * 2


@no_gpu
def test_auto_goes_on_with_the_cpu_where_the_gpu_is_not_usable(
    scripted: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A driver with a GPU, but no CUDA libraries: the sessions are real, only the driver's answer is made up."""
    monkeypatch.setattr(sessions, "gpu_count", lambda: 1)
    device, _opened = open_sessions([scripted / "embed.onnx"], "auto")
    assert device == Device("cpu")
    assert "going on with the CPU" in caplog.text
    assert capfd.readouterr().out == "", "stdout is for features"
    with pytest.raises(DeviceError):
        open_sessions([scripted / "embed.onnx"], "cuda")


def test_an_index_beyond_the_gpus_says_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA provider")
    monkeypatch.setattr(sessions, "gpu_count", lambda: 2)
    assert resolve_device("cuda:1") == Device("cuda", 1)
    with pytest.raises(DeviceError, match="there are 2 GPUs, cuda:0 to cuda:1"):
        resolve_device("cuda:2")


@with_gpu
def test_cuda_runs_on_cuda(scripted: Path) -> None:
    session = open_session(scripted / "embed.onnx", Device("cuda"))
    assert session.get_providers()[0] == "CUDAExecutionProvider"


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x08"])
def test_what_is_no_graph_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"encoder\.onnx is no graph"):
        open_session(path, Device("cpu"))


def test_a_truncated_graph_is_named(spoiled: Path) -> None:
    path = spoiled / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BundleError, match=r"encoder\.onnx is no graph"):
        open_session(path, Device("cpu"))


def test_a_vanished_graph_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"gone\.onnx"):
        open_session(tmp_path / "gone.onnx", Device("cpu"))


def test_threads_are_taken_and_default_to_the_usable_cores() -> None:
    assert sessions.session_options(Device("cpu"), 3).intra_op_num_threads == 3
    assert sessions.session_options(Device("cpu")).intra_op_num_threads == sessions.usable_cores()


def test_sessions_print_nothing(scripted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    session = open_session(scripted / "embed.onnx", Device("cpu"), 1)
    session.run(None, {"input_ids": np.array([[1]])})
    assert capfd.readouterr() == ("", "")
