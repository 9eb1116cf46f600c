from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_bundle import write_tiny_bundle

from rsccli.models.small.captioner import BUNDLED

TESTS = Path(__file__).resolve().parents[1]
needs_bundled = pytest.mark.skipif(not (BUNDLED / "rsccli.json").is_file(), reason="the bundle is not in this checkout")


def rsccli(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environ,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@needs_bundled
def test_the_table_names_the_built_in_captioners() -> None:
    done = rsccli("models")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["NAME", "REVISION", "SIZE", "METRES/PIXEL", "LICENCE", "PACKAGE"]
    built_in = {row.split()[0]: row for row in rows if row.startswith("rsccli-small")}
    assert set(built_in) == {"rsccli-small", "rsccli-small-int8"}
    assert all(row.split()[-1] == "rsccli" and "0.1.0+" in row for row in built_in.values())


@needs_bundled
def test_the_table_as_json() -> None:
    done = rsccli("models", "--json")
    document = json.loads(done.stdout)
    listed = {each["name"]: each for each in document["captioners"]}
    small = listed["rsccli-small"]
    assert small["problem"] is None and small["package"] == "rsccli"
    assert small["info"]["family"] == "rsccli-small" and small["info"]["provider"] is None
    assert json.loads(rsccli("models", RSCCLI_JSON="1").stdout) == document
    families = {each["name"]: each for each in document["families"]}
    assert {"qwen2.5-vl", "llava", "internvl", "pixtral", "blip-2", "idefics"} <= set(families)
    assert all(each["problem"] is None and each["published"] and each["pairing"] for each in families.values())
    assert "BiliSakura/RSCCM" in {each["id"] for each in families["qwen2.5-vl"]["published"]}


@needs_bundled
def test_the_bundle_in_the_package_is_whole_and_small() -> None:
    done = rsccli("models", "rsccli-small", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["bundle"]["verified"] is True
    assert sum(each["bytes"] for each in document["bundle"]["manifest"]["files"]) <= 40_000_000
    assert document["info"]["limits"] and document["info"]["training_data"]


def test_details_of_a_folder(bundle: Path) -> None:
    done = rsccli("models", bundle)
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("tiny", "rsccli-small", "MIT", "0.3 to 10", "knows nothing but brightness", "three tables"):
        assert part in done.stdout
    for name in ("encoder.onnx", "embed.onnx", "decoder.onnx", "tokenizer.json"):
        assert f"{name}, {(bundle / name).stat().st_size} bytes, sha256 as in the manifest" in done.stdout


def test_a_damaged_folder_is_an_error_with_the_files_name(bundle: Path, tmp_path: Path) -> None:
    spoiled = Path(shutil.copytree(bundle, tmp_path / "spoiled"))
    content = bytearray((spoiled / "decoder.onnx").read_bytes())
    content[-1] ^= 255
    (spoiled / "decoder.onnx").write_bytes(content)
    done = rsccli("models", spoiled)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("rsccli: ") and "decoder.onnx is not the file" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_name_lists_the_known_ones() -> None:
    done = rsccli("models", "nope")
    assert (done.returncode, done.stdout) == (4, "")
    assert "'nope'" in done.stderr and "rsccli-small" in done.stderr and "rsccli.json" in done.stderr


def test_a_captioner_from_a_python_file() -> None:
    done = rsccli("models", f"{TESTS / 'captioners.py'}:BrightnessFactory", "--json")
    document = json.loads(done.stdout)
    assert document["info"]["name"] == "brightness" and document["bundle"] is None


def test_listing_imports_no_model_library() -> None:
    code = (
        "import sys; sys.argv = ['rsccli', 'models']\n"
        "from rsccli.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([n for n in ('torch', 'transformers', 'optimum', 'onnxruntime', 'rasterio') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_shows_how() -> None:
    done = rsccli("models", "--help")
    assert "rsccli models path/to/bundle --json\n" in done.stdout
