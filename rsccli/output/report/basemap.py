"""A background map from the network, for those who ask for one: its address, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from rsccli.errors import UsageProblem

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")
_PLACE = re.compile(r"\{(z|x|y|-y|r)\}")


@dataclass(frozen=True)
class Basemap:
    """Tiles of a web map.

    Attributes:
        url: with {z}, {x} and {y} (or {-y}). origin: scheme and host, all that the page may ask.
        credit: who made it, as the page says it.
    """

    url: str
    origin: str
    credit: str


def parse_basemap(url: str | None) -> Basemap | None:
    """The background map of an address, or None without one.

    Raises:
        UsageProblem: it is no address of tiles on one host.
    """
    if url is None:
        return None
    example = "e.g. --basemap 'https://tile.openstreetmap.org/{z}/{x}/{y}.png'"
    parts = urlsplit(url)
    host = parts.netloc.lower()
    if parts.scheme not in ("https", "http"):
        raise UsageProblem(f"--basemap {url}: give the address of map tiles that begins with https://, {example}")
    if not _HOST.fullmatch(host):
        raise UsageProblem(f"--basemap {url}: name exactly one host, without {{s}} and without a password, {example}")
    rest = url[len(parts.scheme) + 3 + len(parts.netloc) :]
    if not all(part in rest for part in ("{z}", "{x}")) or not ("{y}" in rest or "{-y}" in rest):
        raise UsageProblem(f"--basemap {url}: it lacks {{z}}, {{x}} or {{y}}, the place of a tile, {example}")
    if unknown := re.findall(r"\{[^}]*\}?|\}", _PLACE.sub("", rest)):
        raise UsageProblem(f"--basemap {url}: {unknown[0]} is nothing that a page can fill in, {example}")
    if not url.isascii() or any(character in url for character in " \t\r\n\"'<>\\`"):
        raise UsageProblem(f"--basemap {url}: write special characters as %XX")
    credit = "© OpenStreetMap contributors" if host.endswith("openstreetmap.org") else host
    return Basemap(f"{parts.scheme}://{host}{rest}", f"{parts.scheme}://{host}", credit)
