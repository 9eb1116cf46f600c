from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from captioners import BrightnessFactory
from tile_pairs import grey_pair
from tiny_bundle import manifest_of, write_manifest

from rsccli.errors import BundleError, ModelError
from rsccli.models import registry
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.small.captioner import BUNDLED

HERE = Path(__file__).resolve().parent
CAPTIONERS_PY = HERE.parent / "captioners.py"


@pytest.fixture
def registered() -> Iterator[str]:
    registry.register("bright", BrightnessFactory)
    yield "bright"
    registry.unregister("bright")


def run_python(code: str, **environ: str) -> str:
    """Run code in a fresh process and give its stdout back."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=os.environ | environ,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_built_in_captioner_comes_through_the_entry_point_group() -> None:
    assert "rsccli-small" in registry.captioner_names()
    assert registry.DEFAULT_CAPTIONER in registry.captioner_names()


def test_an_unknown_name_lists_the_names_and_the_way_to_a_folder() -> None:
    with pytest.raises(ModelError) as caught:
        registry.load_captioner("nope")
    assert "'nope'" in str(caught.value) and "rsccli-small" in str(caught.value)
    assert "-m path/to/bundle" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_name_that_was_registered(registered: str) -> None:
    assert registered in registry.captioner_names()
    captioner = registry.load_captioner(registered)
    assert captioner.caption([grey_pair(40)])[0].status == "changed"
    assert {each.name: each for each in registry.list_captioners()}[registered].package is None


def test_a_forgotten_name_is_unknown() -> None:
    registry.register("short-lived", BrightnessFactory)
    registry.unregister("short-lived")
    with pytest.raises(ModelError):
        registry.describe_captioner("short-lived")


@pytest.mark.parametrize("as_type", [str, Path])
def test_a_folder(scripted: Path, as_type: type) -> None:
    info = registry.describe_captioner(as_type(scripted))
    assert (info.name, info.provider, info.family) == ("tiny", None, "rsccli-small")
    captioner = registry.load_captioner(as_type(scripted), CaptionerOptions(device="cpu", threads=1))
    assert captioner.info.provider == "CPUExecutionProvider"
    assert captioner.info.revision == info.revision
    captioner.close()


def test_a_folder_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no rsccli\.json"):
        registry.load_captioner(tmp_path)
    with pytest.raises(ModelError, match="no captioner is named"):
        registry.load_captioner(tmp_path / "nowhere")


def test_a_family_that_nothing_reads(spoiled: Path) -> None:
    manifest = manifest_of(spoiled)
    manifest["family"] = "giant"
    write_manifest(spoiled, manifest)
    with pytest.raises(ModelError, match="nothing installed reads the family 'giant'"):
        registry.describe_captioner(spoiled)


def test_a_damaged_folder_is_refused_at_load(spoiled: Path) -> None:
    (spoiled / "embed.onnx").unlink()
    registry.describe_captioner(spoiled)  # the manifest alone is whole
    with pytest.raises(BundleError, match=r"embed\.onnx is missing"):
        registry.load_captioner(spoiled)


def test_a_python_file_and_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.describe_captioner(f"{CAPTIONERS_PY}:BrightnessFactory").name == "brightness"
    assert registry.describe_captioner("captioners:BrightnessFactory").name == "brightness"


@pytest.mark.parametrize(
    "reference",
    ["captioners:Nope", "no_such_module:Factory", "no/such/file.py:Factory", ":Factory", "captioners:", "a..b:c"],
)
def test_a_reference_that_leads_nowhere(reference: str) -> None:
    with pytest.raises(ModelError, match=r"path/to/file\.py:Factory"):
        registry.load_captioner(reference)


@pytest.mark.parametrize(("reference", "say"), [("captioners:CHANGED", "is a float"), ("pathlib:Path", "lacks")])
def test_a_reference_to_something_else(reference: str, say: str) -> None:
    with pytest.raises(ModelError, match=say):
        registry.load_captioner(reference)


def test_the_whole_list_describes_the_built_in() -> None:
    listed = {each.name: each for each in registry.list_captioners()}
    small = listed["rsccli-small"]
    assert small.package == "rsccli"
    if BUNDLED.is_dir():
        assert small.problem is None and small.info is not None
        assert small.info.name == "rsccli-small" and 0 < small.info.size_mb <= 40


PLUGIN = """
from rsccli.models.captioner import CaptionerInfo
class Factory:
    def describe(self, options):
        return CaptionerInfo("plugged", "7", "plugged", "MIT", "nothing")
    def open(self, options):
        raise AssertionError
"""


def test_another_package_brings_a_captioner(tmp_path: Path) -> None:
    """A package that is really installed as far as Python can tell, with a good and a broken entry point."""
    (tmp_path / "plug.py").write_text(PLUGIN)
    info = tmp_path / "plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    (tmp_path / "odd_plug.py").write_text("this is no Python")
    points = "[rsccli.captioners]\nplugged = plug:Factory\nbroken = plug.gone:Factory\nbroken2 = odd_plug:Factory\n"
    (info / "entry_points.txt").write_text(points)
    code = """
        from rsccli.models.registry import describe_captioner, list_captioners
        print(describe_captioner("plugged").revision)
        for each in list_captioners():
            print(each.name, each.package, each.problem)
    """
    out = run_python(code, PYTHONPATH=str(tmp_path)).splitlines()
    assert out[0] == "7"
    assert "plugged plug None" in out
    broken = [line for line in out if line.startswith("broken")]
    assert len(broken) == 2 and all("plug" in line and "install it again" in line for line in broken)


HEAVY = ("torch", "transformers", "optimum", "onnxruntime", "onnx", "rasterio", "cv2")


def test_describing_imports_no_model_library(scripted: Path) -> None:
    code = f"""
        import sys
        from rsccli.models.registry import describe_captioner, list_captioners
        list_captioners(); describe_captioner({str(scripted)!r})
        print([name for name in {HEAVY} if name in sys.modules])
    """
    assert run_python(code) == "[]"


def test_captioning_with_the_lean_decoder_imports_no_torch(scripted: Path) -> None:
    code = f"""
        import sys
        sys.path.insert(0, {str(HERE.parent)!r})
        from tile_pairs import grey_pair
        from rsccli.models.registry import load_captioner
        print(load_captioner({str(scripted)!r}).caption([grey_pair(40)])[0].text)
        print([name for name in ("torch", "transformers", "optimum", "onnx", "rasterio") if name in sys.modules])
    """
    assert run_python(code).splitlines() == ["The scene is greener now.", "[]"]
