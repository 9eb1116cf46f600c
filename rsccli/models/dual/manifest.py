"""The manifest of a dual encoder's bundle: the fields that every bundle has, and how pictures and texts go in.

Format ``rsccli-bundle/1``, family ``dual-encoder``. As in `rsccli.models.manifest` a field that is missing, unknown or
wrong is refused with its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rsccli.errors import BundleError
from rsccli.models.bundle import Verify, check_files, check_hash, is_bundle, manifest_text
from rsccli.models.fields import Fields
from rsccli.models.manifest import MANIFEST_NAME, FileEntry, SourceSpec, files_of, parse_root, source_of

FAMILY = "dual-encoder"
ARCHITECTURES = ("clip", "siglip")
#: The two graphs, with the names of their tensors, and the tokenizer.
IMAGE, TEXT, TOKENIZER = "image.onnx", "text.onnx", "tokenizer.json"
REQUIRED = (IMAGE, TEXT, TOKENIZER)
PIXELS, TOKENS, FEATURES = "pixel_values", "input_ids", "features"
#: How PIL resizes, by the names that manifests have.
RESAMPLINGS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")

Resize = Literal["shortest", "exact"]


@dataclass(frozen=True)
class PictureSpec:
    """How a picture becomes the image graph's input.

    Attributes:
        height, width: of the input, pixels.
        resize: ``exact`` to height and width whatever the shape was; ``shortest``: the shorter side to ``side``, then
            the middle is cut out. side: for ``shortest``, at least height and width.
        resample: name in `RESAMPLINGS`. scale: of uint8 values, usually 1/255. mean, std: per band, of scaled values.
    """

    height: int
    width: int
    resize: Resize
    side: int
    resample: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class TextSpec:
    """How a text becomes the text graph's input.

    Attributes:
        length: longest text, tokens, special ones included. pad: the token behind shorter texts.
        padded: whether every text is filled up to ``length``, as SigLIP was trained, or to the longest of a call.
    """

    length: int
    pad: int
    padded: bool


@dataclass(frozen=True)
class DualManifest:
    """Everything that ``rsccli.json`` of a dual encoder says.

    Attributes:
        architecture: ``clip`` or ``siglip``. width: of the vectors.
        logit_scale: the checkpoint's own factor of cosines, as a logarithm; logit_bias: SigLIP's, else None.
        name, version, source, files, dtype, opset, licence, training_data, parity, limits: see
            `rsccli.models.manifest.Head`.
    """

    name: str
    version: str
    source: SourceSpec
    files: tuple[FileEntry, ...]
    dtype: str
    opset: int
    licence: str
    training_data: str
    parity: Mapping[str, object]
    limits: tuple[str, ...]
    architecture: str
    width: int
    picture: PictureSpec
    text: TextSpec
    logit_scale: float
    logit_bias: float | None

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(entry.bytes for entry in self.files)


@dataclass(frozen=True)
class DualBundle:
    """A bundle whose files are there; ``digest`` is the sha256 of its manifest, which holds those of all files."""

    folder: Path
    manifest: DualManifest
    digest: str

    @property
    def revision(self) -> str:
        """Version and the first 12 digits of the digest."""
        return f"{self.manifest.version}+{self.digest[:12]}"

    def path(self, name: str) -> Path:
        """Path of one of the bundle's files."""
        return self.folder / name


def parse_dual(text: str | bytes, path: Path) -> DualManifest:
    """Parse the text of a manifest.

    Args:
        text: JSON, UTF-8. path: where it came from, for messages.

    Raises:
        BundleError: no JSON, another format or family, or a field that is missing, unknown or wrong.
    """
    root = parse_root(text, path)
    family = root.text("family")
    if family != FAMILY:
        raise BundleError(
            f"{path}: this is a bundle of the family {family!r}, a captioner: give the folder of a dual encoder, made "
            "by rsccli export-onnx from a CLIP or SigLIP checkpoint"
        )
    manifest = DualManifest(
        name=root.text("name"),
        version=root.text("version"),
        source=source_of(root.child("source")),
        files=files_of(root.child("files")),
        dtype=root.text("dtype"),
        opset=root.integer("opset", low=1),
        licence=root.text("licence"),
        training_data=root.text("training_data"),
        parity=root.child("parity").raw(),
        limits=root.texts("limits"),
        architecture=root.text("architecture"),
        width=root.integer("width", low=1),
        picture=_picture(root.child("picture")),
        text=_text(root.child("text")),
        logit_scale=root.number("logit_scale"),
        logit_bias=root.number("logit_bias") if root.has("logit_bias") else None,
    )
    root.done()
    if manifest.architecture not in ARCHITECTURES:
        raise root.problem("architecture", f"must be one of {', '.join(ARCHITECTURES)}, not {manifest.architecture!r}")
    missing = [name for name in REQUIRED if name not in {entry.name for entry in manifest.files}]
    if missing:
        raise BundleError(f"{path}: field 'files' does not list {', '.join(missing)}: export the bundle again")
    return manifest


def read_dual_bundle(folder: Path) -> DualBundle:
    """Read the manifest alone.

    Raises:
        BundleError: there is none, or it does not hold.
    """
    if (folder / "config.json").is_file() and not is_bundle(folder):
        raise BundleError(
            f"{folder} is a checkpoint, not a bundle: make one with rsccli export-onnx {folder} -o BUNDLE"
        )
    text = manifest_text(folder)
    return DualBundle(folder, parse_dual(text, folder / MANIFEST_NAME), hashlib.sha256(text).hexdigest())


def open_dual_bundle(folder: Path, verify: Verify = "auto") -> DualBundle:
    """Read the manifest and check the files against it, see `rsccli.models.bundle.open_bundle_as`.

    Raises:
        BundleError: a file is missing, of the wrong size, unreadable, altered, or leads out of the folder; names it.
    """
    from rsccli.models.bundle import ALWAYS_HASHED_BYTES

    bundle = read_dual_bundle(folder)
    hashed = verify == "full" or (verify == "auto" and bundle.manifest.size_bytes <= ALWAYS_HASHED_BYTES)
    check_files(folder, bundle.manifest.files)
    for entry in bundle.manifest.files if hashed else ():
        check_hash(folder, entry)
    return bundle


def _picture(fields: Fields) -> PictureSpec:
    resize = fields.text("resize")
    if resize not in ("shortest", "exact"):
        raise fields.problem("resize", f"must be 'shortest' or 'exact', not {resize!r}")
    spec = PictureSpec(
        height=fields.integer("height", low=1),
        width=fields.integer("width", low=1),
        resize="shortest" if resize == "shortest" else "exact",
        side=fields.integer("side", low=1),
        resample=fields.text("resample"),
        scale=fields.number("scale", low=0.0),
        mean=fields.numbers("mean", length=3),
        std=fields.numbers("std", length=3, above=0.0),
    )
    fields.done()
    if spec.resample not in RESAMPLINGS:
        raise fields.problem("resample", f"must be one of {', '.join(RESAMPLINGS)}, not {spec.resample!r}")
    if spec.resize == "shortest" and spec.side < max(spec.height, spec.width):
        raise fields.problem("side", f"must be at least {max(spec.height, spec.width)}, not {spec.side}")
    return spec


def _text(fields: Fields) -> TextSpec:
    spec = TextSpec(fields.integer("length", low=3), fields.integer("pad", low=0), fields.boolean("padded"))
    fields.done()
    return spec
