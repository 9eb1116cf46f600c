from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tiny_bundle import manifest_of, write_manifest

from rsccli.errors import BundleError
from rsccli.models.bundle import REQUIRED, is_bundle, open_bundle, read_manifest


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_whole_bundle_opens(scripted: Path) -> None:
    bundle = open_bundle(scripted, "full")
    assert bundle.revision.startswith("0.0.1+") and len(bundle.digest) == 64
    assert bundle.path("encoder.onnx") == scripted / "encoder.onnx"
    assert is_bundle(scripted) and not is_bundle(scripted.parent)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_named(spoiled: Path, name: str) -> None:
    (spoiled / name).unlink()
    with pytest.raises(BundleError, match=rf"{name} is missing"):
        open_bundle(spoiled)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_flipped_byte_is_found(spoiled: Path, name: str) -> None:
    flip_byte(spoiled / name)
    with pytest.raises(BundleError, match=rf"{name} is not the file"):
        open_bundle(spoiled)
    # The cheap check sees sizes alone: that is what it is for.
    assert open_bundle(spoiled, "size").manifest.name == "tiny"


@pytest.mark.parametrize("name", REQUIRED)
def test_a_truncated_file_is_found_by_size(spoiled: Path, name: str) -> None:
    content = (spoiled / name).read_bytes()
    (spoiled / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match=rf"{name} has \d+ bytes where rsccli.json says {len(content)}"):
        open_bundle(spoiled, "size")


def test_a_manifest_without_a_graph_is_refused(spoiled: Path) -> None:
    (spoiled / "decoder.onnx").unlink()
    write_manifest(spoiled, manifest_of(spoiled))
    with pytest.raises(BundleError, match=r"does not list decoder\.onnx"):
        read_manifest(spoiled)


def test_a_folder_without_manifest_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no rsccli\.json"):
        open_bundle(tmp_path)
    with pytest.raises(BundleError, match="is no folder"):
        open_bundle(tmp_path / "nowhere")


def test_the_revision_follows_every_file_and_threshold(spoiled: Path) -> None:
    before = open_bundle(spoiled).revision
    manifest = manifest_of(spoiled)
    manifest["thresholds"]["changed"] = 0.61
    write_manifest(spoiled, manifest)
    assert open_bundle(spoiled).revision != before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads whatever it likes")
def test_an_unreadable_file_is_named(spoiled: Path) -> None:
    (spoiled / "embed.onnx").chmod(0)
    with pytest.raises(BundleError, match="permission"):
        open_bundle(spoiled)


def test_a_folder_in_place_of_a_file_is_named(spoiled: Path) -> None:
    (spoiled / "rsccli.json").unlink()
    (spoiled / "rsccli.json").mkdir()
    with pytest.raises(BundleError, match=r"rsccli\.json cannot be read"):
        open_bundle(spoiled)
