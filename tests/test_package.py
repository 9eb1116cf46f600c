"""What an installed rsccli has: commands, entry points, data files; and what its wheel carries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = "rsccli/models/bundled/rsccli-small"
BUNDLE_FILES = {"encoder.onnx", "embed.onnx", "decoder.onnx", "tokenizer.json", "rsccli.json"}
MAX_BUNDLE_BYTES = 40_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "rsccli", source / "rsccli", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(source)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("rsccli-*.whl")
    return built


def test_wheel_carries_the_bundle_and_the_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"{BUNDLE}/{name}" for name in BUNDLE_FILES} <= names
    assert "rsccli/py.typed" in names
    assert any(name.startswith("rsccli/output/assets/") for name in names)
    # Every file in the tree that is not code is shipped, or the package works only from a checkout.
    data = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "rsccli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert data - names == set()
    strangers = {name.split("/")[0] for name in names if not re.match(r"rsccli(-[^/]*\.dist-info)?/", name)}
    assert strangers == set()


def test_bundle_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        size = sum(info.file_size for info in archive.infolist() if info.filename.startswith(BUNDLE))
    assert 0 < size <= MAX_BUNDLE_BYTES


def test_wheel_names_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
        assert any(n.endswith("licenses/LICENSE") for n in archive.namelist())
    assert "License-Expression: MIT" in text


def test_console_script_runs() -> None:
    script = Path(sys.executable).with_name("rsccli")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"rsccli {distribution('rsccli').version}"


def test_built_in_captioner_is_an_entry_point_that_loads() -> None:
    found = {point.name: point for point in entry_points(group="rsccli.captioners")}
    assert callable(found["rsccli-small"].load())


def test_every_direct_dependency_is_pinned() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] not in "#"
    ]
    pins = {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}
    asked = [*project["dependencies"], *(r for rs in project["optional-dependencies"].values() for r in rs)]
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        if name == "rsccli" or (requirement.marker and not requirement.marker.evaluate()):
            continue
        assert name in pins, f"{name} has no line in constraints.txt"
        (pin,) = pins[name].specifier
        assert pin.operator == "==", f"{name} is not pinned exactly"
        assert requirement.specifier.contains(pin.version, prereleases=True), (
            f"{pins[name]} is outside of {requirement}"
        )
    assert str(pins["torch"].specifier) == "==2.13.0"


def test_onnxruntime_comes_once() -> None:
    # onnxruntime and onnxruntime-gpu share a folder: on every platform exactly one of them is asked for.
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    both = [r for r in map(Requirement, project["dependencies"]) if r.name.startswith("onnxruntime")]
    for platform, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")):
        chosen = [
            r.name
            for r in both
            if r.marker and r.marker.evaluate({"sys_platform": platform, "platform_machine": machine})
        ]
        assert len(chosen) == 1, (platform, machine, chosen)
