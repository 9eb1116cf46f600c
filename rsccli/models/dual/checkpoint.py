"""Which folder or file is a dual encoder's checkpoint, told without loading a weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rsccli.errors import ModelError
from rsccli.models.large.checkpoint import CONFIG, INDEX, WEIGHTS, find_checkpoint, read_checkpoint

Layout = Literal["clip", "siglip", "open_clip"]

#: Names of OpenCLIP's weights in a folder, the first one that is there.
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
OPEN_CLIP_CONFIG = "open_clip_config.json"
PICKLED = "pytorch_model.bin"
_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


@dataclass(frozen=True)
class DualSource:
    """A dual encoder's checkpoint whose files are there.

    Attributes:
        layout: ``clip`` or ``siglip`` of transformers, or OpenCLIP's. folder: with settings and tokenizer.
        weights: the files. settings: ``config.json``, or of OpenCLIP ``open_clip_config.json`` (empty without one).
        stored_bytes: of the weights.
    """

    layout: Layout
    folder: Path
    weights: tuple[Path, ...]
    settings: Mapping[str, Any]
    stored_bytes: int

    @property
    def name(self) -> str:
        """What a person would call it."""
        return self.weights[0].name if self.layout == "open_clip" else self.folder.name

    def revision(self) -> str:
        """The commit that a hub's copy is named after, or the sha256 of weights and settings."""
        name = self.folder.name
        if len(name) == 40 and all(each in "0123456789abcdef" for each in name):
            return name
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode())
        for path in self.weights:
            with path.open("rb") as stream:
                digest.update(path.name.encode() + b"\0" + hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()


def find_dual(model: str, revision: str | None = None) -> DualSource | None:
    """The dual encoder at a path or id, or None where it is something else.

    Args:
        model: a folder, a file of OpenCLIP weights, or an id on the model hub. revision: of the latter.

    Raises:
        ModelError: it is one, but a file is missing or damaged, or its kind cannot be exported.
    """
    path = Path(model)
    if path.is_file() and path.suffix.lower() in _SUFFIXES:
        return _open_clip(path)
    if not path.is_dir():
        if path.exists() or model.count("/") != 1:
            return None
        path = find_checkpoint(model, revision)
    return _in_folder(path)


def _in_folder(folder: Path) -> DualSource | None:
    config = _settings(folder / CONFIG)
    kind = config.get("model_type")
    if kind == "siglip2":
        raise ModelError(
            f"{folder}: model_type 'siglip2' reads pictures of any shape as patches (NaFlex), which is not exported: "
            "use a checkpoint of SigLIP 2 with a fixed size (its model_type is 'siglip')"
        )
    if kind in ("clip", "siglip"):
        return _transformers(folder, "clip" if kind == "clip" else "siglip", config)
    for name in OPEN_CLIP_WEIGHTS:
        if (folder / name).is_file():
            return _open_clip(folder / name)
    lone = [*folder.glob("*.pt"), *folder.glob("*.pth")]
    return _open_clip(lone[0]) if not config and len(lone) == 1 else None


def _transformers(folder: Path, layout: Layout, config: Mapping[str, Any]) -> DualSource:
    if (folder / WEIGHTS).is_file() or (folder / INDEX).is_file():
        read_checkpoint(folder)  # refuses what is missing or cut off
        names = [path for path in sorted(folder.glob("model*.safetensors")) if path.is_file()]
    elif (folder / PICKLED).is_file():
        # Loaded with weights_only: a pickle that would run code is refused.
        names = [folder / PICKLED]
    else:
        raise ModelError(f"{folder} holds no {WEIGHTS} and no {PICKLED}: the weights were not downloaded")
    return DualSource(layout, folder, tuple(names), config, sum(path.stat().st_size for path in names))


def _open_clip(path: Path) -> DualSource:
    settings = _settings(path.parent / OPEN_CLIP_CONFIG)
    return DualSource("open_clip", path.parent, (path,), settings, path.stat().st_size)


def _settings(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): copy the checkpoint again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} is no JSON object: copy the checkpoint again")
    return found
