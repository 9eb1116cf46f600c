"""rsccli: georeferenced change captions from pairs of GeoTIFFs.

Public names load on first use, so that ``import rsccli`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("rsccli")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

_LAZY = {
    "open_pair": "rsccli.geo.stack",
    "load_captioner": "rsccli.models.registry",
    "caption_pair": "rsccli.run.caption",
}
__all__ = ["__version__", "caption_pair", "load_captioner", "open_pair"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the public name is
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'rsccli' has no attribute {name!r}")
