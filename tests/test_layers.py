"""A folder imports only from itself and from folders below it (docs/development.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rsccli"
# From the bottom up. What stands directly in rsccli/ (errors, types, version) is below every folder.
LAYERS = ("geo", "models", "output", "run", "search", "evaluation", "datasets", "training", "cli")
HEAVY = {"torch", "transformers", "optimum", "onnxruntime", "onnx", "onnxscript", "rasterio", "cv2", "xarray"}
# The caption path must not pay for torch: five seconds and hundreds of megabytes per job.
TRAINING_ONLY = {"torch", "transformers", "optimum"}
CAPTION_PATH = ("geo", "output", "run")

MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def layer_of(relative: str) -> str:
    """Folder of a module, ``root`` for what stands directly in the package."""
    return relative.split("/")[0] if "/" in relative else "root"


def imported_names(node: ast.AST, relative: str) -> Iterator[str]:
    """Dotted names that one import statement draws in, relative imports resolved."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level == 0:
            base = node.module or ""
        else:
            package = ["rsccli", *relative.split("/")[:-1]]
            package = package[: len(package) - node.level + 1]
            base = ".".join([*package, *([node.module] if node.module else [])])
        yield from (f"{base}.{alias.name}" for alias in node.names)


def parse(relative: str) -> ast.Module:
    return ast.parse((PACKAGE / relative).read_text(encoding="utf-8"), filename=relative)


def layer_violations(relative: str, tree: ast.Module) -> list[str]:
    """Imports of a module that reach above its own layer."""
    layer = layer_of(relative)
    if relative in ("__init__.py", "__main__.py"):
        return []  # the public names load lazily; __main__ is the command line's door
    rank = -1 if layer == "root" else LAYERS.index(layer)
    found = []
    for node in ast.walk(tree):
        for name in imported_names(node, relative):
            parts = name.split(".")
            if parts[0] != "rsccli" or len(parts) < 2 or parts[1] not in LAYERS:
                continue
            if LAYERS.index(parts[1]) > rank:
                found.append(f"{relative}:{getattr(node, 'lineno', '?')} imports {name}")
    return found


def top_level_imports(relative: str, tree: ast.Module) -> set[str]:
    """Top names of what a module imports when it is imported itself (TYPE_CHECKING blocks left out)."""
    names: set[str] = set()
    queue: list[ast.AST] = list(tree.body)
    while queue:
        node = queue.pop()
        names |= {name.split(".")[0] for name in imported_names(node, relative)}
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            queue.extend(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            queue.extend(ast.iter_child_nodes(node))
    return names


def test_every_folder_has_a_place_in_the_order() -> None:
    folders = {layer_of(relative) for relative in MODULES} - {"root"}
    assert folders <= set(LAYERS), f"no place in LAYERS for {sorted(folders - set(LAYERS))}"


@pytest.mark.parametrize("relative", MODULES)
def test_module_imports_only_from_below(relative: str) -> None:
    assert layer_violations(relative, parse(relative)) == []


@pytest.mark.parametrize("relative", [m for m in MODULES if layer_of(m) in ("cli", "root")])
def test_command_modules_import_nothing_heavy_at_the_top(relative: str) -> None:
    assert top_level_imports(relative, parse(relative)) & HEAVY == set()


@pytest.mark.parametrize("relative", [m for m in MODULES if layer_of(m) in CAPTION_PATH])
def test_caption_path_needs_no_torch_at_the_top(relative: str) -> None:
    assert top_level_imports(relative, parse(relative)) & TRAINING_ONLY == set()


def test_no_command_imports_click() -> None:
    # Typer 0.26 and later carry their own Click: another one's classes are not theirs.
    importers = [m for m in MODULES if {"click", "typer._click"} & top_level_imports(m, parse(m))]
    assert importers == []


@pytest.mark.parametrize(
    ("relative", "source", "violations"),
    [
        ("geo/raster.py", "from rsccli.types import Grid\nimport rasterio", 0),
        ("geo/raster.py", "from rsccli.run.loop import run", 1),
        ("geo/raster.py", "def f():\n    from rsccli.models import registry", 1),
        ("geo/raster.py", "from ..output import writers", 1),
        ("geo/raster.py", "from . import grid", 0),
        ("errors.py", "import rsccli.geo.grid", 1),
        ("run/loop.py", "from rsccli.geo.engine import Engine", 0),
    ],
)
def test_the_check_itself_sees_a_violation(relative: str, source: str, violations: int) -> None:
    assert len(layer_violations(relative, ast.parse(source))) == violations
