"""The manifest of a bundle, ``rsccli.json``: its fields as frozen values, parsed strictly.

Format ``rsccli-bundle/1``. A field that is missing, unknown, of the wrong type or out of range is refused
with the file and the field's path, because a guess here would change captions without a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsccli.errors import BundleError
from rsccli.models.fields import Fields

MANIFEST_NAME = "rsccli.json"
FORMAT = "rsccli-bundle/1"
DTYPES = ("fp32", "fp16", "bf16")


@dataclass(frozen=True)
class FileEntry:
    """One file of a bundle: its name in the folder, size in bytes and sha256 in lower-case hex."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class SourceSpec:
    """Where the weights come from: an id (a command or a model hub's id) and a revision."""

    id: str
    revision: str


@dataclass(frozen=True)
class InputSpec:
    """What the encoder takes.

    Attributes:
        bands: names of the three bands in order.
        min_side: least side of the padded input. max_side: longer tiles are area-resampled to it.
        multiple: both sides are padded to a multiple of this.
        mean: per band, of values scaled to 0-1. std: the same, above 0.
        gsd_m: (least, most) metres per pixel of the training data, or None.
        window: tiles longer than ``max_side`` are cut into windows of about this side instead of being
            resampled; None: they are resampled.
    """

    bands: tuple[str, ...]
    min_side: int
    max_side: int
    multiple: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    gsd_m: tuple[float, float] | None
    window: int | None = None


@dataclass(frozen=True)
class TokenSpec:
    """Special tokens, the number of image tokens, and the longest caption in tokens."""

    bos: int
    eos: int
    pad: int
    image_tokens: int
    max_new_tokens: int


@dataclass(frozen=True)
class DecoderSpec:
    """Shape of the decoder: layers, heads and width of a head of its past; model width; vocabulary.

    ``dtype`` is that of the past: ``fp32``, ``fp16`` or ``bf16``.
    """

    layers: int
    heads: int
    head_dim: int
    width: int
    vocab: int
    dtype: str = "fp32"

    @property
    def query_heads(self) -> int:
        """Heads of the attention itself; those of the past may be fewer and shared."""
        return max(self.heads, self.width // self.head_dim)


@dataclass(frozen=True)
class Calibration:
    """Logistic regression on a window.

    Its log-odds are scale * change_logit + vectors * change_vector + spot * mask_spot + size * octaves + bias.
    ``mask_spot`` is the log-odds of the strongest cells of the mask, ``octaves`` log2 of the window's side (the root of
    its pixels) over 128 px: the strongest spot is stronger where there is more ground to find one on. The log-odds of a
    keyword are keyword_scale * keyword_logit + keyword_spot * spot + keyword_size * octaves + keyword_bias, with one of
    each for every keyword (none: 1, 0, 0 and 0), where ``spot`` is the log-odds of the cells that most changed to it.
    """

    scale: float
    bias: float
    vectors: float = 0.0
    size: float = 0.0
    spot: float = 0.0
    keyword_scale: tuple[float, ...] = ()
    keyword_spot: tuple[float, ...] = ()
    keyword_size: tuple[float, ...] = ()
    keyword_bias: tuple[float, ...] = ()


@dataclass(frozen=True)
class Thresholds:
    """Where scores become words; all in 0-1.

    Attributes:
        changed: a tile with at least this score is changed.
        unchanged: a tile with at most this score is unchanged; between the two it is unsure.
        keywords: one for each keyword, on its probability.
        mask: on sigmoid(mask logit).
        domain: squared distance from the training data above which a tile is not judged; None: no such check.
    """

    changed: float
    unchanged: float
    keywords: tuple[float, ...]
    mask: float
    domain: float | None = None


@dataclass(frozen=True)
class Head:
    """What the manifest of every family says.

    Attributes:
        family: which runtime reads it. files: every file of the bundle but the manifest itself.
        parity: what the exporter compared with the source model, free in form.
        limits: what the model cannot do, sentences.
    """

    family: str
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
    decoder: DecoderSpec

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(entry.bytes for entry in self.files)


@dataclass(frozen=True)
class Manifest(Head):
    """Everything that ``rsccli.json`` of the small captioner says.

    Attributes:
        prompts: prompt template by regime.
        unchanged_text: the caption of tiles that the encoder calls unchanged, which then need no decoding;
            None: the decoder words these as well.
        words: who words the others by default, ``decoder`` or ``grammar`` (where the family has one).
    """

    input: InputSpec
    tokens: TokenSpec
    keywords: tuple[str, ...]
    calibration: Calibration
    thresholds: Thresholds
    prompts: Mapping[str, str]
    unchanged_text: str | None
    words: str


def parse_root(text: str | bytes, path: Path) -> Fields:
    """The manifest's outermost object.

    Raises:
        BundleError: no JSON, or another format.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON ({error}): export the bundle again") from error
    root = Fields(document, path)
    found = root.text("format")
    if found != FORMAT:
        raise BundleError(
            f"{path}: 'format' is {found!r} but this rsccli reads {FORMAT!r}: "
            "export the bundle again with this version, or install the rsccli that wrote it"
        )
    return root


def parse_head(root: Fields) -> dict[str, Any]:
    """The fields of `Head`, by name."""
    return {
        "family": root.text("family"),
        "name": root.text("name"),
        "version": root.text("version"),
        "source": source_of(root.child("source")),
        "files": files_of(root.child("files")),
        "dtype": root.text("dtype"),
        "opset": root.integer("opset", low=1),
        "licence": root.text("licence"),
        "training_data": root.text("training_data"),
        "parity": root.child("parity").raw(),
        "limits": root.texts("limits"),
        "decoder": _decoder(root.child("decoder")),
    }


def parse_manifest(text: str | bytes, path: Path) -> Manifest:
    """Parse the text of a small captioner's manifest.

    Args:
        text: JSON, UTF-8.
        path: where it came from, for messages.

    Raises:
        BundleError: no JSON, another format, or a field that is missing, unknown or wrong.
    """
    root = parse_root(text, path)
    keywords = root.texts("keywords", unique=True)
    manifest = Manifest(
        **parse_head(root),
        input=_input(root.child("input")),
        tokens=_tokens(root.child("tokens")),
        keywords=keywords,
        calibration=_calibration(root.child("calibration"), len(keywords)),
        thresholds=_thresholds(root.child("thresholds"), len(keywords)),
        prompts=root.child("prompts").mapping_of_texts(),
        unchanged_text=root.text("unchanged_text") if root.has("unchanged_text") else None,
        words=root.text("words") if root.has("words") else "decoder",
    )
    root.done()
    if manifest.words not in ("decoder", "grammar"):
        raise root.problem("words", f"must be 'decoder' or 'grammar', not {manifest.words!r}")
    for name in ("bos", "eos", "pad"):
        token = getattr(manifest.tokens, name)
        if token >= manifest.decoder.vocab:
            raise BundleError(
                f"{path}: 'tokens.{name}' is {token}, outside of 'decoder.vocab' {manifest.decoder.vocab}"
            )
    return manifest


def source_of(fields: Fields) -> SourceSpec:
    """Parse where the weights come from."""
    spec = SourceSpec(fields.text("id"), fields.text("revision"))
    fields.done()
    return spec


def files_of(fields: Fields) -> tuple[FileEntry, ...]:
    """Parse the files of a bundle."""
    entries = []
    for name in fields.names():
        # A name with a folder in it could point outside of the bundle.
        if name in ("", ".", "..", MANIFEST_NAME) or not name.isprintable() or "/" in name or "\\" in name:
            raise fields.problem(name, "is no plain file name")
        entry = fields.child(name)
        entries.append(FileEntry(name, entry.hex_digest("sha256"), entry.integer("bytes", low=0)))
        entry.done()
    return tuple(entries)


def _input(fields: Fields) -> InputSpec:
    bands = fields.texts("bands", length=3)
    gsd = fields.numbers("gsd_m", length=2, low=0.0) if fields.has("gsd_m") else None
    spec = InputSpec(
        bands=bands,
        min_side=fields.integer("min_side", low=1),
        max_side=fields.integer("max_side", low=1),
        multiple=fields.integer("multiple", low=1),
        mean=fields.numbers("mean", length=3),
        std=fields.numbers("std", length=3, above=0.0),
        gsd_m=None if gsd is None else (gsd[0], gsd[1]),
        window=fields.integer("window", low=1) if fields.has("window") else None,
    )
    fields.done()
    for side in ("min_side", "max_side"):
        if getattr(spec, side) % spec.multiple:
            raise fields.problem(side, f"is no multiple of 'multiple' ({spec.multiple})")
    if spec.min_side > spec.max_side:
        raise fields.problem("min_side", "is above 'max_side'")
    return spec


def _tokens(fields: Fields) -> TokenSpec:
    spec = TokenSpec(
        bos=fields.integer("bos", low=0),
        eos=fields.integer("eos", low=0),
        pad=fields.integer("pad", low=0),
        image_tokens=fields.integer("image_tokens", low=1),
        max_new_tokens=fields.integer("max_new_tokens", low=1),
    )
    fields.done()
    return spec


def _decoder(fields: Fields) -> DecoderSpec:
    spec = DecoderSpec(
        layers=fields.integer("layers", low=1),
        heads=fields.integer("heads", low=1),
        head_dim=fields.integer("head_dim", low=1),
        width=fields.integer("width", low=1),
        vocab=fields.integer("vocab", low=1),
        dtype=fields.text("dtype") if fields.has("dtype") else "fp32",
    )
    fields.done()
    if spec.dtype not in DTYPES:
        raise fields.problem("dtype", f"must be one of {', '.join(DTYPES)}, not {spec.dtype!r}")
    return spec


def _calibration(fields: Fields, keywords: int) -> Calibration:
    vectors = fields.number("vectors") if fields.has("vectors") else 0.0
    size = fields.number("size") if fields.has("size") else 0.0
    spot = fields.number("spot") if fields.has("spot") else 0.0
    each = [
        fields.numbers(name, length=keywords) if fields.has(name) else ()
        for name in ("keyword_scale", "keyword_spot", "keyword_size", "keyword_bias")
    ]
    spec = Calibration(fields.number("scale"), fields.number("bias"), vectors, size, spot, *each)
    fields.done()
    return spec


def _thresholds(fields: Fields, keywords: int) -> Thresholds:
    spec = Thresholds(
        changed=fields.number("changed", low=0.0, high=1.0),
        unchanged=fields.number("unchanged", low=0.0, high=1.0),
        keywords=fields.numbers("keywords", length=keywords, low=0.0, high=1.0),
        mask=fields.number("mask", low=0.0, high=1.0),
        domain=fields.number("domain", low=0.0) if fields.has("domain") else None,
    )
    fields.done()
    if spec.unchanged > spec.changed:
        raise fields.problem("unchanged", f"({spec.unchanged}) is above 'changed' ({spec.changed})")
    return spec
