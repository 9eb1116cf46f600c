"""A bundle: three graphs, a tokenizer and a manifest in one folder, verified before anything is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from rsccli.errors import BundleError, OutputError
from rsccli.models.graphfile import check_graph, why_outside
from rsccli.models.manifest import MANIFEST_NAME, FileEntry, Head, Manifest, parse_manifest, parse_root

ENCODER = "encoder.onnx"
EMBED = "embed.onnx"
DECODER = "decoder.onnx"
TOKENIZER = "tokenizer.json"
REQUIRED = (ENCODER, EMBED, DECODER, TOKENIZER)

# Names of the tensors of every bundle's text graphs; the encoder's are its family's.
EMBED_NAMES = (("input_ids",), ("inputs_embeds",))
DECODER_INPUTS = ("inputs_embeds", "attention_mask", "position_ids")

# Hashing reads every byte: 40 MB cost 0.04 s, but 16 GB of a large model 12 s and more at every start.
ALWAYS_HASHED_BYTES = 256_000_000

Verify = Literal["size", "auto", "full"]
HeadT = TypeVar("HeadT", bound=Head, covariant=True)


def past_names(layers: int) -> tuple[list[str], list[str]]:
    """Names of the decoder's past inputs and present outputs, in the order of the contract."""
    parts = [f"{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    return [f"past_key_values.{part}" for part in parts], [f"present.{part}" for part in parts]


@dataclass(frozen=True)
class Bundle(Generic[HeadT]):
    """A bundle whose files are there.

    Attributes:
        folder: where it lies.
        manifest: what ``rsccli.json`` says.
        digest: sha256 of the manifest, which holds the sha256 of every file: it stands for the whole bundle.
    """

    folder: Path
    manifest: HeadT
    digest: str

    @property
    def revision(self) -> str:
        """Version and the first 12 digits of the digest: what a run records and a resumed run compares."""
        return f"{self.manifest.version}+{self.digest[:12]}"

    def path(self, name: str) -> Path:
        """Path of one of the bundle's files."""
        return self.folder / name


def is_bundle(folder: Path) -> bool:
    """Whether a folder has a manifest in it."""
    return (folder / MANIFEST_NAME).is_file()


def check_replaced(output: Path) -> None:
    """Refuse to replace what is no bundle: all of it would be removed.

    Raises:
        OutputError: a file, or a folder with other things in it.
    """
    if output.exists() and not is_bundle(output) and not (output.is_dir() and not any(output.iterdir())):
        raise OutputError(f"{output} is no bundle: --overwrite replaces bundles alone, name another folder with -o")


def read_family(folder: Path) -> str:
    """Name of the family that reads a bundle.

    Raises:
        BundleError: there is no manifest, or it does not hold.
    """
    return parse_root(manifest_text(folder), folder / MANIFEST_NAME).text("family")


def read_manifest_as(folder: Path, parse: Callable[[bytes, Path], HeadT]) -> tuple[HeadT, str]:
    """Read the manifest alone.

    Args:
        folder: the bundle. parse: of the family.

    Returns:
        The manifest and the sha256 of its bytes in hex.

    Raises:
        BundleError: there is none, or it does not hold.
    """
    text, path = manifest_text(folder), folder / MANIFEST_NAME
    manifest = parse(text, path)
    missing = [name for name in REQUIRED if name not in {entry.name for entry in manifest.files}]
    if missing:
        raise BundleError(f"{path}: field 'files' does not list {', '.join(missing)}: export the bundle again")
    return manifest, hashlib.sha256(text).hexdigest()


def open_bundle_as(folder: Path, parse: Callable[[bytes, Path], HeadT], verify: Verify = "auto") -> Bundle[HeadT]:
    """Read the manifest and check the files against it.

    Args:
        folder: the bundle. parse: of the family.
        verify: ``size`` compares sizes; ``full`` hashes as well; ``auto`` hashes bundles of up to 256 MB.

    Raises:
        BundleError: a file is missing, of the wrong size, unreadable or altered; names it.
    """
    manifest, digest = read_manifest_as(folder, parse)
    check_files(folder, manifest.files)
    if verify == "full" or (verify == "auto" and manifest.size_bytes <= ALWAYS_HASHED_BYTES):
        for entry in manifest.files:
            check_hash(folder, entry)
    return Bundle(folder, manifest, digest)


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """The same of a small captioner's bundle."""
    return read_manifest_as(folder, parse_manifest)


def open_bundle(folder: Path, verify: Verify = "auto") -> Bundle[Manifest]:
    """The same of a small captioner's bundle."""
    return open_bundle_as(folder, parse_manifest, verify)


def manifest_text(folder: Path) -> bytes:
    """The manifest as it stands; a BundleError where there is none."""
    path = folder / MANIFEST_NAME
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        what = f"has no {MANIFEST_NAME}" if folder.is_dir() else "is no folder"
        raise BundleError(f"{folder} {what}: give the folder that holds a bundle's {MANIFEST_NAME}") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error


def check_files(folder: Path, files: Sequence[FileEntry]) -> None:
    """Check all that costs no reading of weights: the files are there, whole, and none leads out of the folder.

    Raises:
        BundleError: names the file.
    """
    names = {entry.name for entry in files}
    for entry in files:
        check_size(folder, entry)
        if (why := why_outside(folder, entry.name)) is not None:
            raise BundleError(f"{folder / entry.name} is {why.removeprefix('which is ')}: nothing outside is read")
        if entry.name.endswith(".onnx"):
            check_graph(folder / entry.name, names)


def check_size(folder: Path, entry: FileEntry) -> None:
    """Raise a BundleError where a file is missing or of another size."""
    path = folder / entry.name
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing: the bundle is partial, copy or export it again") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    if size != entry.bytes:
        raise BundleError(
            f"{path} has {size} bytes where {MANIFEST_NAME} says {entry.bytes}: "
            "the bundle is damaged, copy or export it again"
        )


def check_hash(folder: Path, entry: FileEntry) -> None:
    """Raise a BundleError where a file holds other bytes than the manifest says."""
    path = folder / entry.name
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    if found != entry.sha256:
        raise BundleError(
            f"{path} is not the file that {MANIFEST_NAME} describes "
            f"(sha256 {found[:12]}..., expected {entry.sha256[:12]}...): copy or export the bundle again"
        )
