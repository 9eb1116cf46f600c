"""A checkpoint in a local folder: found, checked before anything is loaded, and loaded whole or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsccli.errors import ModelError

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, TypeError)
_SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
#: Weights that a module makes again from nothing: their absence loses nothing.
_REMADE = ("inv_freq", "position_ids")


@dataclass(frozen=True)
class Checkpoint:
    """A folder whose files are there.

    Attributes:
        folder: where it lies. config: its ``config.json``. parameters: numbers in its weights.
        stored_bytes: of its weights as they are stored.
    """

    folder: Path
    config: Mapping[str, Any]
    parameters: int
    stored_bytes: int


def find_checkpoint(model: str, revision: str | None = None) -> Path:
    """Folder of a checkpoint: the one that is named, or a model hub's copy.

    Args:
        model: a folder, or the id of a checkpoint on the Hugging Face hub. revision: of the latter.

    Raises:
        ModelError: there is no such folder, and the hub cannot be reached or has no such checkpoint.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    if folder.exists() or folder.is_absolute() or model.startswith(".") or model.count("/") != 1:
        raise ModelError(f"{model} is no folder: give the folder of a checkpoint, or a hub id like owner/name")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "LICENSE*"]
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=wanted))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{model} is no folder here and cannot be had from the model hub ({reason}): on a node without network "
            "copy the checkpoint's folder there and give its path"
        ) from error


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read the configuration and the heads of the weight files; no weight is loaded.

    Raises:
        ModelError: a file is missing, cut off or no safetensors; names it.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no {CONFIG}: give the folder of a checkpoint downloaded whole") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): copy the checkpoint again") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise ModelError(f"{path} names no 'model_type': this is no checkpoint of transformers")
    parameters = stored = 0
    for file in _weight_files(folder):
        count, size = _weights_in(file)
        parameters, stored = parameters + count, stored + size
    return Checkpoint(folder, config, parameters, stored)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.is_file():
        try:
            names = sorted({str(each) for each in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise ModelError(f"{index} cannot be read ({error}): copy the checkpoint again") from error
        if not names:
            raise ModelError(f"{index} lists no weights: copy the checkpoint again")
        away = [name for name in names if "/" in name or "\\" in name or "\0" in name or name in (".", "..")]
        if away:
            raise ModelError(f"{index} names {away[0]!r}, which is no file of its own folder: copy it again")
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ModelError(
                f"{folder}: {len(missing)} of {len(names)} weight files are missing, the first is {missing[0]}: "
                "the download was cut off, copy the checkpoint again"
            )
        return [folder / name for name in names]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if list(folder.glob("*.bin")):
        raise ModelError(
            f"{folder} holds pickled weights (*.bin), which may run code when they are loaded: use a copy with "
            ".safetensors, or convert it with transformers' save_pretrained on a machine of your own"
        )
    raise ModelError(f"{folder} holds no {WEIGHTS} and no {INDEX}: the weights were not downloaded")


def _weights_in(path: Path) -> tuple[int, int]:
    """Numbers and bytes in a safetensors file, from its head; its length must agree."""
    damaged = f"{path} is no whole safetensors file: copy the checkpoint again"
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            size = path.stat().st_size
            if not 2 <= length <= min(size - 8, 100_000_000):
                raise ModelError(damaged)
            head = json.loads(stream.read(length))
        tensors = [value for name, value in head.items() if name != "__metadata__"]
        odd = sorted({str(value["dtype"]) for value in tensors} - set(_SIZES))
        if odd:
            raise ModelError(
                f"{path} holds weights of type {', '.join(odd)}, which are not read: "
                "use the copy of the checkpoint in bfloat16 or float32"
            )
        end = max((value["data_offsets"][1] for value in tensors), default=0)
        if 8 + length + end != size:
            raise ModelError(
                f"{path} has {size} bytes where its head says {8 + length + end}: copy the checkpoint again"
            )
        count = sum(
            (value["data_offsets"][1] - value["data_offsets"][0]) // _SIZES[value["dtype"]] for value in tensors
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ModelError(damaged) from error
    return count, end


def load_whole(model_class: str, folder: Path, dtype: torch.dtype, attention: str | None = "sdpa") -> Any:  # noqa: ANN401 - transformers is not typed
    """Load a model and insist that every weight came from the checkpoint.

    Args:
        model_class: name in transformers. folder: the checkpoint. dtype: of the weights.
        attention: how it is computed; None: each part as it can.

    Raises:
        ModelError: transformers cannot load it; or weights are missing, left over, or of another shape.
    """
    import transformers

    kind = getattr(transformers, model_class)
    try:
        with quiet_transformers():
            # Without ignore_mismatched_sizes the error does not say which weight it is; it is one below.
            model, report = kind.from_pretrained(
                folder,
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                attn_implementation=attention,
                ignore_mismatched_sizes=True,
            )
    except _LOAD_ERRORS as error:
        raise ModelError(f"{folder}: transformers cannot load it as {model_class}: {_first_line(error)}") from error
    missing = sorted(name for name in report["missing_keys"] if not name.endswith(_REMADE))
    unexpected = sorted(name for name in report["unexpected_keys"] if not name.endswith(_REMADE))
    shapes = sorted(each if isinstance(each, str) else str(each[0]) for each in report["mismatched_keys"])
    for names, what in ((missing, "are missing"), (shapes, "have another shape"), (unexpected, "have no place in it")):
        if names:
            raise ModelError(
                f"{folder}: {len(names)} weights {what} for {model_class}, the first is {names[0]}: "
                "this is another architecture, or a part of a checkpoint"
            )
    return model.eval()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Transformers warns of what is an error here a moment later, or of options that are as they should be."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def load_processor(folder: Path, name: str | None = None) -> Any:  # noqa: ANN401 - transformers is not typed
    """The processor of a checkpoint; without its video part where torchvision is not there.

    Args:
        folder: the checkpoint. name: its class, where that does not follow from ``model_type``.

    Raises:
        ModelError: its files are missing or damaged.
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = getattr(transformers, name or PROCESSOR_MAPPING_NAMES.get(config.model_type, "AutoProcessor"))
        parts = getattr(kind, "attributes", [])
        if "video_processor" in parts and not transformers.utils.is_torchvision_available():
            # Video processors cannot even be made without torchvision; pictures need none of it.
            kind = type(kind.__name__, (kind,), {"attributes": [part for part in parts if part != "video_processor"]})
        with quiet_transformers():
            return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the bare class is what tokenizers raises for a file that it cannot read
        raise ModelError(
            f"{folder}: its processor cannot be loaded ({_first_line(error)}): copy the checkpoint's tokenizer files, "
            "preprocessor_config.json and chat template beside its config.json"
        ) from error


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:  # noqa: ANN401 - transformers is not typed
    """Tokens that end what the model says, as ``generate()`` would take them.

    Raises:
        ModelError: none is named anywhere.
    """
    told = getattr(model.generation_config, "eos_token_id", None)
    ids = told if isinstance(told, list) else [told] if told is not None else [tokenizer.eos_token_id]
    found = tuple(sorted({int(token) for token in ids if token is not None}))
    if not found:
        raise ModelError("the checkpoint names no token that ends a sentence (eos_token_id)")
    return found


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
