from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from rsccli.cli.env import _memory


def rsccli(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environ,
        timeout=120,
        check=False,
    )


def test_what_a_bug_report_needs() -> None:
    done = rsccli("env", "--json", SLURM_CPUS_PER_TASK="1", RSCCLI_DEVICE="cpu", AWS_SECRET_ACCESS_KEY="hush")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert list(document) == ["rsccli", "system", "rasters", "devices", "packages", "variables"]
    assert document["rsccli"]["version"] == version("rsccli")
    assert document["system"]["cores"] == 1
    assert document["rasters"]["GDAL"].startswith("3.") and "GTiff" in document["rasters"]["GDAL drivers"]
    assert document["devices"]["cpu"] == "usable"
    assert "CPUExecutionProvider" in document["devices"]["providers in this build"]
    for package in ("torch", "transformers", "optimum-onnx", "numpy"):
        assert document["packages"][package] == version(package)
    assert document["variables"]["RSCCLI_DEVICE"] == "cpu"
    assert "hush" not in done.stdout


def test_cuda_is_usable_or_says_why_not() -> None:
    devices = json.loads(rsccli("env", "--json").stdout)["devices"]
    if devices["cuda"] == "usable":
        assert devices["auto takes"] == "cuda:0"
    else:
        assert "cuda" in devices["cuda"].lower() and devices["auto takes"] == "cpu"


def test_as_text_it_has_the_same_sections() -> None:
    lines = rsccli("env").stdout.splitlines()
    sections = [line for line in lines if not line.startswith(" ")]
    assert sections == ["rsccli", "system", "rasters", "devices", "packages", "variables"]
    assert any(line.split()[0] == "GDAL" for line in lines)


def test_it_imports_no_torch() -> None:
    code = (
        "import sys\nfrom rsccli.cli.env import environment\nenvironment()\n"
        "print([n for n in ('torch', 'transformers', 'optimum', 'onnx') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("meminfo", "limit", "found"),
    [
        (
            "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n",
            "1073741824\n",
            {"memory MB": 2000, "memory available MB": 1000, "memory allowed MB": 1024},
        ),
        ("MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n", "max\n", {"memory MB": 2000, "memory available MB": 1000}),
        ("odd\n", "max\n", {}),
        (None, None, {}),
    ],
)
def test_memory(tmp_path: Path, meminfo: str | None, limit: str | None, found: dict[str, int]) -> None:
    for name, text in (("meminfo", meminfo), ("limit", limit)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert _memory(tmp_path / "meminfo", tmp_path / "limit") == found
