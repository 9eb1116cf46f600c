"""Captioners by name: built-ins and installed packages alike, bundle folders, and Python objects.

A name is looked up in this order:

1. names given to `register` in this process;
2. entry points of the group ``rsccli.captioners`` (built-ins register through it as well);
3. a folder with a bundle: its manifest's family is the name of the entry point that reads it, or of a family of
   large models (`rsccli.models.large.families`);
4. ``module:attribute`` or ``path/to/file.py:attribute``, for a captioner that is not installed as a package.

Importing this module imports no model library; neither does describing a captioner.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from rsccli.errors import ModelError
from rsccli.models.bundle import is_bundle, read_family
from rsccli.models.captioner import Captioner, CaptionerFactory, CaptionerInfo, CaptionerOptions, FitsMemory
from rsccli.models.large.captioner import LargeFactory
from rsccli.models.large.families import family_names, find_family
from rsccli.models.manifest import MANIFEST_NAME

GROUP = "rsccli.captioners"
DEFAULT_CAPTIONER = "rsccli-small"

# What goes wrong while another package's module runs for the first time.
_IMPORT_ERRORS = (ImportError, AttributeError, SyntaxError, NameError, TypeError, ValueError, OSError, RuntimeError)

MakeFactory = Callable[..., CaptionerFactory]
_registered: dict[str, MakeFactory] = {}


@dataclass(frozen=True)
class ListedCaptioner:
    """One line of the table of captioners.

    Attributes:
        name: what to give as a model.
        package: distribution that brought it, or None where it was registered in this process.
        info: what it is, or None where it cannot be used.
        problem: why it cannot be used, or None.
    """

    name: str
    package: str | None
    info: CaptionerInfo | None
    problem: str | None


def register(name: str, make_factory: MakeFactory) -> None:
    """Make a captioner known in this process, before any installed one of that name.

    Args:
        name: what to give as a model.
        make_factory: called without arguments, or with a bundle's folder; returns a `CaptionerFactory`.
    """
    _registered[name] = make_factory


def unregister(name: str) -> None:
    """Forget a captioner that was made known with `register`."""
    _registered.pop(name, None)


def captioner_names() -> tuple[str, ...]:
    """Every name that can be given, sorted."""
    return tuple(sorted({*_registered, *(point.name for point in entry_points(group=GROUP))}))


def load_captioner(name_or_path: str | Path = DEFAULT_CAPTIONER, options: CaptionerOptions | None = None) -> Captioner:
    """Load a captioner.

    Args:
        name_or_path: a name, a bundle's folder, ``module:attribute`` or ``file.py:attribute``.
        options: how it is to run; None for the defaults.

    Raises:
        ModelError: an unknown name, a damaged bundle, a device that cannot be had.
    """
    options = options or CaptionerOptions()
    return _factory(name_or_path, options).open(options)


def describe_captioner(
    name_or_path: str | Path = DEFAULT_CAPTIONER, options: CaptionerOptions | None = None
) -> CaptionerInfo:
    """Describe a captioner without loading it: fast, and imports no onnxruntime.

    Raises:
        ModelError: an unknown name or a manifest that does not hold.
    """
    options = options or CaptionerOptions()
    return _factory(name_or_path, options).describe(options)


def fitting_batch_size(name_or_path: str | Path, options: CaptionerOptions, tile_px: int) -> int | None:
    """Tiles at once that fit into the device's memory, or None where the captioner does not say.

    Args:
        tile_px: side of a tile.
    """
    factory = _factory(name_or_path, options)
    return factory.fitting_batch_size(options, tile_px) if isinstance(factory, FitsMemory) else None


def list_captioners() -> list[ListedCaptioner]:
    """Describe every captioner that has a name; one that cannot be used is listed with the reason."""
    listed = []
    for name in captioner_names():
        point = None if name in _registered else _entry_point(name)
        package = point.dist.name if point is not None and point.dist is not None else None
        try:
            listed.append(ListedCaptioner(name, package, describe_captioner(name), None))
        except ModelError as error:
            listed.append(ListedCaptioner(name, package, None, str(error)))
    return listed


def _factory(name_or_path: str | Path, options: CaptionerOptions) -> CaptionerFactory:
    if options.backend == "onnx":
        return find_factory(name_or_path)
    from rsccli.models.large.checkpoint import find_checkpoint
    from rsccli.models.large.torch_backend import TorchFactory

    return TorchFactory(find_checkpoint(str(name_or_path)))


def find_factory(name_or_path: str | Path) -> CaptionerFactory:
    """Find what makes a captioner.

    Raises:
        ModelError: nothing of that name; lists the names and says how to give a folder.
    """
    name = str(name_or_path)
    if isinstance(name_or_path, str):
        make = _named(name)
        if make is not None:
            return _make(make, name)
    folder = Path(name_or_path)
    if is_bundle(folder):
        return _family_factory(folder)
    if ":" in name and not folder.exists():
        return _make(_from_reference(name), name)
    if (folder / "config.json").is_file():
        raise ModelError(
            f"{name} is a checkpoint, not a bundle: export it (rsccli export-onnx {name} -o BUNDLE) and give "
            "-m BUNDLE, or run it slowly as it is with --backend torch"
        )
    if folder.is_dir():
        raise ModelError(f"{name} holds no {MANIFEST_NAME}: give the folder that 'rsccli train' or an export wrote")
    raise ModelError(
        f"no captioner is named {name!r} and no folder is there: known are {', '.join(captioner_names())}; "
        f"for a bundle give the folder that holds its {MANIFEST_NAME} (rsccli caption -m path/to/bundle ...)"
    )


def _family_factory(folder: Path) -> CaptionerFactory:
    family = read_family(folder)
    make = _named(family)
    if make is None and find_family(family) is not None:
        make = LargeFactory
    if make is None and family == "dual-encoder":
        raise ModelError(
            f"{folder} is a dual encoder, which captions nothing: give it to rsccli index --model, or to "
            "rsccli evaluate retrieval --model"
        )
    if make is None:
        raise ModelError(
            f"{folder / MANIFEST_NAME}: nothing installed reads the family {family!r}: "
            f"install the package that does; known are {', '.join((*captioner_names(), *family_names()))}"
        )
    return _make(make, family, folder)


def _entry_point(name: str) -> EntryPoint | None:
    found = tuple(entry_points(group=GROUP, name=name))
    return found[0] if found else None


def _named(name: str) -> MakeFactory | None:
    if name in _registered:
        return _registered[name]
    point = _entry_point(name)
    if point is None:
        return None
    try:
        make: MakeFactory = point.load()
    except _IMPORT_ERRORS as error:
        package = point.dist.name if point.dist is not None else point.value
        raise ModelError(f"captioner {name!r} of {package} cannot be imported ({error}): install it again") from error
    return make


def _make(make: MakeFactory, name: str, *folder: Path) -> CaptionerFactory:
    if not callable(make):
        raise ModelError(
            f"captioner {name!r} is a {type(make).__name__}: name a class or function that makes a factory"
        )
    factory = make(*folder)
    if not isinstance(factory, CaptionerFactory):
        raise ModelError(f"captioner {name!r} makes a {type(factory).__name__}, which lacks describe() or open()")
    return factory


def _from_reference(reference: str) -> MakeFactory:
    """Import ``module:attribute`` or ``path/to/file.py:attribute``."""
    where, _, attribute = reference.rpartition(":")
    try:
        module = _module_of_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
        make: MakeFactory = getattr(module, attribute)
    except _IMPORT_ERRORS as error:
        raise ModelError(
            f"captioner {reference!r} cannot be imported ({error}): "
            "give package.module:Factory of something importable, or path/to/file.py:Factory"
        ) from error
    return make


def _module_of_file(path: Path) -> ModuleType:
    name = f"rsccli_captioner_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while the file runs.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
