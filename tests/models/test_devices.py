from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from rsccli.errors import DeviceError
from rsccli.models import devices
from rsccli.models.devices import Device, check_dtype, cuda_devices, gpu_count, resolve_device, worker_devices

gpu_wheel = pytest.mark.skipif(
    "TensorrtExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="this onnxruntime has no GPU providers",
)
no_gpu = pytest.mark.skipif(gpu_count() > 0, reason="there is a GPU here")


UNKNOWN = ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu:0", "cuda:1 ", "tensorrt:", "trt", "cuda:\u0661"]


@pytest.mark.parametrize("name", [*UNKNOWN, "cuda:all", "cuda:0,1"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="give auto, cpu, cuda or cuda:INDEX, or tensorrt or tensorrt:INDEX"):
        resolve_device(name)


def test_what_a_device_says_of_itself() -> None:
    cpu, cuda, tensorrt = Device("cpu"), Device("cuda", 1), Device("tensorrt", 2)
    assert [str(each) for each in (cpu, cuda, tensorrt)] == ["cpu", "cuda:1", "tensorrt:2"]
    assert [each.memory for each in (cpu, cuda, tensorrt)] == ["cpu", "cuda", "cuda"]
    assert [each.provider for each in (cpu, cuda, tensorrt)] == [
        "CPUExecutionProvider",
        "CUDAExecutionProvider",
        "TensorrtExecutionProvider",
    ]


@pytest.mark.parametrize(("name", "provider"), [("cuda", "CUDA"), ("tensorrt", "TensorRT")])
def test_a_wheel_without_the_provider_is_named(monkeypatch: pytest.MonkeyPatch, name: str, provider: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=f"has no {provider} provider: install onnxruntime-gpu"):
        resolve_device(name)
    assert resolve_device("auto") == Device("cpu")


@gpu_wheel
def test_an_environment_that_hides_gpus_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    with pytest.raises(DeviceError, match=r"finds no GPU here \(CUDA_VISIBLE_DEVICES is ''\)"):
        resolve_device("cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setattr(devices, "gpu_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"there is 1 GPU, cuda:0 \(CUDA_VISIBLE_DEVICES is '3'\)"):
        resolve_device("cuda:3")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with pytest.raises(DeviceError, match=r"there is 1 GPU, tensorrt:0$"):
        resolve_device("tensorrt:1")


def test_an_index_beyond_the_gpus_says_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA provider")
    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    assert resolve_device("cuda:1") == Device("cuda", 1)
    with pytest.raises(DeviceError, match="there are 2 GPUs, cuda:0 to cuda:1"):
        resolve_device("cuda:2")


def test_the_gpus_are_those_that_the_driver_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    assert cuda_devices() == (Device("cuda", 0), Device("cuda", 1))
    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    assert cuda_devices() == ()


@gpu_wheel
@pytest.mark.parametrize(
    ("asked", "workers"),
    [
        ("auto", ("auto",)),
        ("cpu", ("cpu",)),
        ("cuda", ("cuda:0",)),
        ("cuda:1", ("cuda:1",)),
        ("cuda:2,0", ("cuda:2", "cuda:0")),
        ("cuda:all", ("cuda:0", "cuda:1", "cuda:2")),
        ("tensorrt", ("tensorrt:0",)),
        ("tensorrt:all", ("tensorrt:0", "tensorrt:1", "tensorrt:2")),
    ],
)
def test_one_worker_for_each_gpu(monkeypatch: pytest.MonkeyPatch, asked: str, workers: tuple[str, ...]) -> None:
    monkeypatch.setattr(devices, "gpu_count", lambda: 3)
    assert worker_devices(asked) == workers


@gpu_wheel
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("cuda:3", "there are 3 GPUs, cuda:0 to cuda:2"),
        ("cuda:0,3", "there are 3 GPUs, cuda:0 to cuda:2"),
        ("cuda:1,1", "names a GPU twice"),
        ("cuda:0,", "is unknown: give auto"),
        ("cpu:all", "is unknown: give auto"),
        ("cuda:all,1", "is unknown: give auto"),
        *((name, "is unknown: give auto") for name in UNKNOWN),
    ],
)
def test_workers_that_cannot_be(monkeypatch: pytest.MonkeyPatch, asked: str, message: str) -> None:
    monkeypatch.setattr(devices, "gpu_count", lambda: 3)
    with pytest.raises(DeviceError, match=message):
        worker_devices(asked)


@no_gpu
@pytest.mark.parametrize("asked", ["cuda", "cuda:all", "cuda:0,1", "tensorrt:all"])
def test_no_workers_without_a_gpu(asked: str) -> None:
    with pytest.raises(DeviceError, match="--device cpu"):
        worker_devices(asked)
    assert worker_devices("cpu") == ("cpu",)


@pytest.mark.parametrize(
    ("device", "dtype"),
    [(Device("cpu"), "fp32"), (Device("cpu"), "fp16"), (Device("cuda"), "bf16"), (Device("tensorrt"), "bf16")],
)
def test_dtypes_that_run(device: Device, dtype: str) -> None:
    check_dtype(device, dtype, Path("bundle"))
