"""Images of a STAC item collection: a GeoJSON FeatureCollection of items (STAC API 1.0, STAC 1.0 and 1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlparse

import orjson

from rsccli.errors import InputError, UsageProblem

#: Assets that are taken by themselves, the first that an item has: one file that shows red, green and blue.
VISUAL = ("visual", "image", "data", "analytic", "true-color", "tci", "ortho", "asset")
_RASTER = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2", "application/x-geotiff")
_NOT_IMAGES = frozenset(("thumbnail", "overview", "metadata"))


@dataclass(frozen=True)
class StacImage:
    """One item: where its image is, and its date as the item has it (None where it has none)."""

    item: str
    href: str
    datetime: str | None


def is_collection_file(path: str) -> bool:
    """Whether a path may be an item collection: JSON by its name."""
    return path.lower().endswith((".json", ".geojson"))


def read_item_collection(path: Path, asset: str | None) -> list[StacImage]:
    """The images of an item collection, in its order.

    Args:
        asset: key of the asset to take; None for the first of ``VISUAL``, or the only image that an item has.

    Raises:
        InputError: no such file, no item collection, an item without a usable asset.
        UsageProblem: an item has no asset of that key.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}); give a STAC item collection, images, or a folder") from error
    items = content.get("features") if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and "assets" in item for item in items):
        raise InputError(
            f"{path}: no STAC item collection (a FeatureCollection whose features have assets): save what a STAC "
            "search returns, or give images or a folder"
        )
    return [_image(item, path, asset) for item in items]


def _image(item: Mapping[str, Any], path: Path, asset: str | None) -> StacImage:
    name = str(item.get("id", "?"))
    given = item["assets"] if isinstance(item["assets"], Mapping) else {}
    assets = {str(key): value for key, value in given.items() if isinstance(value, Mapping)}
    key = _key(assets, f"{path}: item {name}", asset)
    href = assets[key].get("href")
    if not isinstance(href, str) or not href:
        raise InputError(f"{path}: item {name}: its asset {key!r} has no href")
    if href.startswith(("/vsi", "<")):
        # A collection is a list of files and addresses. These are orders for GDAL.
        raise InputError(f"{path}: item {name}: the href {href[:80]!r} is neither a file nor an address")
    properties = item.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    when = properties.get("datetime") or properties.get("start_datetime")
    return StacImage(name, _resolved(href, item, path), str(when) if when else None)


def _key(assets: Mapping[str, Mapping[str, Any]], where: str, asked: str | None) -> str:
    listing = ", ".join(assets) or "none"
    if asked is not None:
        if asked not in assets:
            raise UsageProblem(f"--asset {asked}: {where} has no such asset (it has {listing})")
        return asked
    for key in VISUAL:
        found = next((name for name in assets if name.lower() == key), None)
        if found is not None and not _NOT_IMAGES & _roles(assets[found]):
            return found
    images = [
        name
        for name, asset in assets.items()
        if str(asset.get("type", "")).lower().startswith(_RASTER) and not _NOT_IMAGES & _roles(asset)
    ]
    if len(images) == 1:
        return images[0]
    raise InputError(f"{where}: which of its assets is the image ({listing})? Name one with --asset KEY")


def _resolved(href: str, item: Mapping[str, Any], path: Path) -> str:
    """An absolute address, or a path relative to the item's own address, else to the file."""
    if _scheme(href) or href.startswith("/"):
        return href.removeprefix("file://")
    links = item.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") == "self":
            base = str(link.get("href", ""))
            if _scheme(base) in ("http", "https", "s3"):
                return urljoin(base, href)
    return str(path.parent / href)


def _scheme(address: str) -> str:
    try:
        return urlparse(address).scheme
    except ValueError:  # brackets that are no address of IPv6
        return ""


def _roles(asset: Mapping[str, Any]) -> set[str]:
    roles = asset.get("roles")
    return {role for role in roles if isinstance(role, str)} if isinstance(roles, list) else set()
