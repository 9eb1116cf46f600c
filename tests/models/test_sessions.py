from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from rsccli.errors import BundleError, DeviceError, UsageProblem
from rsccli.models import devices, sessions
from rsccli.models.cores import usable_cores
from rsccli.models.devices import Device, gpu_count, resolve_device
from rsccli.models.sessions import open_session, open_sessions, session_options, why_unusable

gpu_wheel = pytest.mark.skipif(
    "TensorrtExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="this onnxruntime has no GPU providers",
)
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


@no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3", "tensorrt", "tensorrt:1"])
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
@gpu_wheel
def test_tensorrt_without_its_libraries_is_an_error_and_says_what_to_install(
    scripted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime itself would print a page and go on with the CPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DeviceError, match=r"cannot load the TensorRT libraries.*'tensorrt-cu13<11'"):
        open_session(scripted / "embed.onnx", Device("tensorrt"))
    assert capfd.readouterr() == ("", "")


@no_gpu
def test_a_gpu_that_is_not_there_is_not_usable() -> None:
    assert "--device cpu" in (why_unusable("cuda") or "")
    assert "--device cpu" in (why_unusable("tensorrt") or "")


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
    monkeypatch.setattr(devices, "gpu_count", lambda: 1)
    device, _opened = open_sessions([scripted / "embed.onnx"], "auto")
    assert device == Device("cpu")
    assert "going on with the CPU" in caplog.text
    assert capfd.readouterr().out == "", "stdout is for features"
    with pytest.raises(DeviceError):
        open_sessions([scripted / "embed.onnx"], "cuda")


def write_matmul(path: Path, element: int) -> Path:
    """y = x times a matrix of ones, in one type of float inside and float32 outside."""
    weights = onnx.helper.make_tensor("w", element, [4, 4], [1.0] * 16)
    nodes = [
        onnx.helper.make_node("Cast", ["x"], ["cast"], to=element),
        onnx.helper.make_node("MatMul", ["cast", "w"], ["product"]),
        onnx.helper.make_node("Cast", ["product"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "matmul", ends[:1], ends[1:], [weights])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), path)
    return path


def test_the_cpu_runs_fp16(tmp_path: Path) -> None:
    path = write_matmul(tmp_path / "fp16.onnx", onnx.TensorProto.FLOAT16)
    _device, (session,) = open_sessions([path], "cpu", 1, dtype="fp16")
    np.testing.assert_allclose(session.run(None, {"x": np.full((1, 4), 0.1, np.float32)})[0], 0.4, atol=1e-3)


def test_the_cpu_does_not_run_bf16(tmp_path: Path) -> None:
    """The reason of `check_dtype`: where this fails, ONNX Runtime has learned it."""
    path = write_matmul(tmp_path / "bf16.onnx", onnx.TensorProto.BFLOAT16)
    with pytest.raises(BundleError, match=r"needs an operator that CPUExecutionProvider does not have.*MatMul"):
        open_session(path, Device("cpu"), 1)
    with pytest.raises(DeviceError, match=r"holds bf16 weights.*give --device cuda, or export it as fp32") as caught:
        open_sessions([path], "cpu", dtype="bf16")
    assert str(tmp_path) in str(caught.value)


@no_gpu
def test_auto_does_not_end_in_a_cpu_that_cannot_run_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_matmul(tmp_path / "bf16.onnx", onnx.TensorProto.BFLOAT16)
    monkeypatch.setattr(devices, "gpu_count", lambda: 1)
    with pytest.raises(DeviceError, match="holds bf16 weights"):
        open_sessions([path], "auto", dtype="bf16")


def test_the_cpu_takes_no_provider_options(scripted: Path) -> None:
    """ONNX Runtime takes any name for the CPU and forgets it: said, where the user asked for the CPU."""
    path = str(scripted / "embed.onnx")
    lax = onnxruntime.InferenceSession(path, providers=[("CPUExecutionProvider", {"no_such_option": "1"})])
    assert lax.get_provider_options() == {"CPUExecutionProvider": {}}
    with pytest.raises(UsageProblem, match="the CPU provider takes none"):
        open_sessions([Path(path)], "cpu", provider_options={"gpu_mem_limit": "1"})
    with pytest.raises(UsageProblem, match="the CPU provider takes none"):
        open_session(Path(path), Device("cpu"), provider_options={"gpu_mem_limit": "1"})


@no_gpu
def test_auto_on_the_cpu_goes_on_without_provider_options(scripted: Path, caplog: pytest.LogCaptureFixture) -> None:
    device, _opened = open_sessions([scripted / "embed.onnx"], "auto", provider_options={"gpu_mem_limit": "1"})
    assert device == Device("cpu")
    assert "going on without them" in caplog.text


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
    assert session_options(Device("cpu"), 3).intra_op_num_threads == 3
    assert session_options(Device("cpu")).intra_op_num_threads == usable_cores()


def test_sessions_print_nothing(scripted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    session = open_session(scripted / "embed.onnx", Device("cpu"), 1)
    session.run(None, {"input_ids": np.array([[1]])})
    assert capfd.readouterr() == ("", "")


# ONNX Runtime's real GPU providers, over libraries in which nearly every function does nothing and says that it worked:
# what they answer to options and to a full GPU is their own. What they compute is not looked at: that needs a GPU.
STAND_INS = {
    "cudaGetDeviceCount": "int NAME(int *n) { *n = 1; return 0; }",
    "cudaGetDevice": "int NAME(int *n) { *n = 0; return 0; }",
    "cudaGetDeviceProperties": "int NAME(void *p, int d) { memset(p, 0, 1008); return 0; }",
    "cudaDeviceGetAttribute": "int NAME(int *v, int a, int d) { *v = 8; return 0; }",
    "cudaDriverGetVersion": "int NAME(int *v) { *v = 13000; return 0; }",
    "cudaRuntimeGetVersion": "int NAME(int *v) { *v = 13000; return 0; }",
    "cudaMalloc": 'int NAME(void **p, size_t n) { *p = getenv("FULL") ? 0 : malloc(n); return *p ? 0 : 2; }',
    "cudaHostAlloc": "int NAME(void **p, size_t n, unsigned f) { *p = malloc(n); return 0; }",
    "cudaFree": "int NAME(void *p) { free(p); return 0; }",
    "cudaFreeHost": "int NAME(void *p) { free(p); return 0; }",
    "cudaGetErrorString": 'const char *NAME(int e) { return e == 2 ? "out of memory" : "another"; }',
    "cudaGetErrorName": 'const char *NAME(int e) { return "a name"; }',
    "cudaMemcpyAsync": "int NAME(void *d, void *s, size_t n, int k, void *st) { memcpy(d, s, n); return 0; }",
    "cudaMemcpy": "int NAME(void *d, void *s, size_t n, int k) { memcpy(d, s, n); return 0; }",
    "cudaStreamCreateWithFlags": "int NAME(void **s, unsigned f) { *s = (void *)16; return 0; }",
    "cudaEventCreateWithFlags": "int NAME(void **s, unsigned f) { *s = (void *)16; return 0; }",
    "cublasCreate_v2": "int NAME(void **h) { *h = (void *)16; return 0; }",
    "cublasLtCreate": "int NAME(void **h) { *h = (void *)16; return 0; }",
    "cudnnCreate": "int NAME(void **h) { *h = (void *)16; return 0; }",
    "__cudaRegisterFatBinary": "void **NAME(void *x) { static void *h[8]; return h; }",
    "getInferLibVersion": "int NAME(void) { return 101600; }",
    "getPluginRegistry": """
        static long nothing(void) { return 0; }
        static void *table[64];
        static struct { void **table; long pad[8]; } object = {table};
        void *NAME(void) { for (int i = 0; i < 64; i++) table[i] = (void *)nothing; return &object; }""",
}

ATTEMPTS = """
import json, os, sys
from pathlib import Path
from rsccli.models.devices import Device
from rsccli.models.sessions import open_session, open_sessions

path, told = Path(sys.argv[1]), {}

def attempt(name, device, **options):
    try:
        session = open_session(path, device, 1, options)
        mine = session.get_provider_options()[device.provider]
        told[name] = [session.get_providers()[0], {key: mine[key] for key in options}]
    except Exception as error:
        told[name] = [type(error).__name__, str(error)]

cuda, tensorrt = Device("cuda"), Device("tensorrt")
attempt("plain", cuda)
attempt("good", cuda, gpu_mem_limit="8000000000", cudnn_conv_algo_search="EXHAUSTIVE")
attempt("unknown", cuda, gpu_mem_limits="1")
attempt("bad value", cuda, cudnn_conv_algo_search="BEST")
attempt("no such gpu", Device("cuda", 5))
attempt("tensorrt unknown", tensorrt, trt_fp61_enable="True")
attempt("tensorrt bad value", tensorrt, trt_fp16_enable="1")
attempt("tensorrt bad number", tensorrt, trt_max_workspace_size="much")
try:
    open_sessions([path], "auto", 1, {"gpu_mem_limits": "1"})
except Exception as error:
    told["auto unknown"] = [type(error).__name__, str(error)]
attempt("limited", cuda, gpu_mem_limit="1")
os.environ["FULL"] = "1"
attempt("full", cuda)
print("told", json.dumps(told))
"""


@pytest.fixture(scope="module")
def gpu_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """What our sessions say on a GPU of stand-ins: [class of error or provider, message or options] of each attempt."""
    compiler, lister = shutil.which("cc") or shutil.which("gcc"), shutil.which("nm")
    folder = Path(onnxruntime.__file__).parent / "capi"
    providers = [folder / f"libonnxruntime_providers_{name}.so" for name in ("cuda", "tensorrt")]
    if not (compiler and lister and all(path.is_file() for path in providers)):
        pytest.skip("needs a C compiler, nm and the GPU wheel on Linux")
    made = tmp_path_factory.mktemp("libraries")
    libraries: defaultdict[str, set[str]] = defaultdict(set, {"libcurand.so.10": set(), "libcuda.so.1": set()})
    for provider in providers:
        listed = subprocess.run([lister, "-D", "-u", provider], capture_output=True, text=True, check=True).stdout
        for symbol in (line.split()[-1] for line in listed.splitlines()):
            name, _, version = symbol.partition("@")
            if version.startswith(("libcu", "libnv")):
                libraries[version].add(name)
            elif name.startswith(("createInfer", "getInfer", "getPlugin")):
                libraries["libnvinfer.so.10"].add(name)
            elif name.startswith("createNvOnnx"):
                libraries["libnvonnxparser.so.10"].add(name)
            elif name.startswith("cu"):
                libraries["libcuda.so.1"].add(name)
    libraries["libcuda.so.1"] |= {"cuInit", "cuDeviceGetCount"}
    known = STAND_INS | {"cuDeviceGetCount": STAND_INS["cudaGetDeviceCount"]}
    for library, names in libraries.items():
        source, versions = made / "source.c", made / "versions"
        functions = [known.get(name, "int NAME(void) { return 0; }").replace("NAME", name) for name in sorted(names)]
        source.write_text("\n".join(["#include <stdlib.h>", "#include <string.h>", *functions]))
        versions.write_text(f"{library} {{ global: *; }};")
        command = [compiler, "-shared", "-fPIC", "-w", "-fno-builtin", "-o", made / library, source]
        subprocess.run([*command, f"-Wl,-soname,{library}", f"-Wl,--version-script={versions}"], check=True, timeout=60)
    path = write_matmul(made / "matmul.onnx", onnx.TensorProto.FLOAT)
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, path],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LD_LIBRARY_PATH": str(made), "XDG_CACHE_HOME": str(made), "CUDA_VISIBLE_DEVICES": "0"},
    )
    before, _, answers = done.stdout.rpartition("told ")
    told: dict[str, list[object]] = json.loads(answers) if done.returncode == 0 else {}
    if told.get("plain") != ["CUDAExecutionProvider", {}]:
        pytest.skip(f"this onnxruntime does not run over stand-ins: {done.returncode} {done.stderr[-300:]}")
    assert (before, done.stderr) == ("", ""), "ONNX Runtime's own pages are kept away"
    return told


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        ("unknown", "UsageProblem", "gpu_mem_limits=1: CUDAExecutionProvider has no option of this name"),
        ("auto unknown", "UsageProblem", "gpu_mem_limits=1: CUDAExecutionProvider has no option of this name"),
        ("bad value", "UsageProblem", "cudnn_conv_algo_search=BEST: CUDAExecutionProvider refuses it"),
        ("no such gpu", "DeviceError", "matmul.onnx cannot be set up on cuda:5"),
        ("tensorrt unknown", "UsageProblem", "trt_fp61_enable=True: TensorrtExecutionProvider has no option of this"),
        ("tensorrt bad value", "UsageProblem", "trt_fp16_enable=1: TensorrtExecutionProvider refuses it"),
        ("tensorrt bad number", "UsageProblem", "refuses a value in trt_max_workspace_size=much"),
        (
            "full",
            "OutOfMemoryError",
            "does not fit into the memory of cuda:0: end other programs, or give --device cpu",
        ),
        (
            "limited",
            "OutOfMemoryError",
            "does not fit into the memory of cuda:0: end other programs, or raise gpu_mem_",
        ),
    ],
)
def test_what_a_gpu_provider_refuses_is_said(
    gpu_answers: dict[str, list[object]], attempt: str, error: str, message: str
) -> None:
    got, text = gpu_answers[attempt]
    assert (got, message in str(text)) == (error, True), text


def test_provider_options_reach_the_gpu_provider(gpu_answers: dict[str, list[object]]) -> None:
    options = {"gpu_mem_limit": "8000000000", "cudnn_conv_algo_search": "EXHAUSTIVE"}
    assert gpu_answers["good"] == ["CUDAExecutionProvider", options]
