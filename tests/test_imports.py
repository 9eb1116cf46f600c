"""``rsccli --help`` and ``import rsccli`` stay light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "optimum", "onnxruntime", "onnx", "rasterio", "cv2", "xarray", "pyarrow")

# Runs the real entry point, then tells what it had to import.
PROBE = """
import json, sys
sys.argv = ["rsccli", *{arguments!r}]
try:
    from rsccli.cli.main import main
    main()
except SystemExit as stop:
    code = stop.code or 0
else:
    code = 0
print("\\n" + json.dumps({{"code": code, "modules": sorted({{m.split(".")[0] for m in sys.modules}})}}))
"""


def probe(*arguments: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["code"], set(told["modules"])


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("caption", "--help"), ("models", "--help"), ("evaluate", "--help")]
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code, modules = probe(*arguments)
    assert code == 0
    assert modules & set(HEAVY) == set()
    assert "typer" in modules  # the probe does see imports


def test_the_package_itself_is_light() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import rsccli, sys; rsccli.__version__; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert {name.split(".")[0] for name in done.stdout.split()} & {*HEAVY, "numpy", "typer"} == set()
