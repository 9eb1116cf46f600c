"""Styles, scripts and templates of the page, as they lie in the package."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

#: In the order in which they must stand: later ones use what earlier ones define.
SCRIPTS = (
    "base",
    "words",
    "tiles",
    "filters",
    "selection",
    "colours",
    "footprints",
    "swipe",
    "map",
    "panel",
    "gallery",
    "areas",
    "csv",
    "table",
    "start",
)
STYLES = (
    "base",
    "figures",
    "scene",
    "filters",
    "map",
    "panel",
    "gallery",
    "charts",
    "table",
    "facts",
    "narrow",
    "print",
)

_ADDRESS = re.compile(r"^[^\n{}]*url\([^)]*\)[^\n]*\n", re.MULTILINE)
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


@lru_cache
def page_script() -> str:
    """All scripts of ours as one."""
    return "\n".join(read_asset(f"report/{name}.js") for name in SCRIPTS)


@lru_cache
def page_style() -> str:
    """All styles as one, Leaflet's first."""
    return "\n".join([leaflet_style(), *(read_asset(f"report/{name}.css") for name in STYLES)])


@lru_cache
def leaflet_script() -> str:
    """Leaflet, its licence before it; without the address of its source map, which a browser might fetch."""
    licence = read_asset("leaflet/LICENSE").replace("*/", "* /")
    return f"/*\n{licence}*/\n{_SOURCE_MAP.sub('', read_asset('leaflet/leaflet.js'))}"


@lru_cache
def leaflet_style() -> str:
    """Leaflet's styles without its pictures (a marker, a button): the page uses neither, and may fetch nothing."""
    return _ADDRESS.sub("", read_asset("leaflet/leaflet.css"))


def read_asset(name: str) -> str:
    """Text of one file of ``rsccli/output/assets``."""
    return (files("rsccli.output") / "assets" / name).read_text(encoding="utf-8")
