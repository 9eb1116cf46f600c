"""What a raster may pull in beside itself: sources of a VRT, masks, overviews, addresses in its tags.

GDAL follows such names on its own: a VRT reads any file of the machine as pixels (``/etc/passwd`` as a raw band), and
one tag in a plain GeoTIFF (``OVERVIEW_FILE``) makes it ask a server. So what a file names is looked at before GDAL is
let at it: files in its own folder are followed, all else is refused unless the user allows it (`ALLOW`).
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from rsccli.errors import InputError
from rsccli.geo.identity import is_remote, local_path
from rsccli.geo.kinds import VRT, kind_of

#: Environment variable that lifts these refusals; ``--allow-linked`` sets it.
ALLOW = "RSCCLI_ALLOW_LINKED"
#: A VRT is read as a whole: mosaics of some 30,000 files are that long.
MAX_VRT_BYTES = 32 * 2**20
#: VRTs may be made of VRTs, so many levels deep.
MAX_DEPTH = 4
_SIDE = (".msk", ".ovr", ".MSK", ".OVR", ".msk.ovr", ".ovr.msk", ".msk.msk", ".ovr.ovr")
#: Elements of a mosaic as gdalbuildvrt and gdal_translate write it. Warped, derived, raw and processed bands have
#: others, which name files in many ways.
_PLAIN = frozenset(
    """vrtdataset srs geotransform gcplist gcp metadata mdi maskband overviewlist vrtrasterband description unittype
    offset scale categorynames category colortable entry colorinterp nodatavalue hidenodatavalue histograms histitem
    histmin histmax bucketcount includeoutofrange approximate histcounts overview sourcefilename sourceband
    simplesource complexsource averagedsource nodatafrommasksource sourceproperties srcrect dstrect nodata scaleoffset
    scaleratio lut colortablecomponent usemaskband exponent srcmin srcmax dstmin dstmax clamp masklut
    maskvaluethreshold remappedvalue""".split()
)
#: GDAL takes an attribute for an element of that name: a source may be named in either.
_ATTRIBUTES = frozenset(
    """rasterxsize rasterysize datatype band blockxsize blockysize subclass relativetovrt shared domain key xoff yoff
    xsize ysize c1 c2 c3 c4 resampling dataaxistosrsaxismapping coordinateepoch projection id pixel line x y z info
    resolution""".split()
)
_WORDS = re.compile(rb"[\w\s.,-]*")
_CLASSES = ("", "vrtsourcedrasterband", "vrtdataset")
#: Where our parser and GDAL's might read different names, nothing is believed.
_FORBIDDEN = ("<!", "<?", "&#", "\0")


def linked_allowed() -> bool:
    """Whether the user trusts what inputs name."""
    return os.environ.get(ALLOW, "").strip().lower() in ("1", "true", "yes", "on")


def _refused(path: str, why: str) -> InputError:
    return InputError(
        f"{path}: {why}. An input may name files in its own folder only. If you trust it: --allow-linked (or {ALLOW}=1)"
    )


def check_linked(path: str, driver: str) -> None:
    """Refuse a raster that would pull in what lies outside of its folder; opens no source of it for pixels.

    Args:
        path: as typed. driver: that will open it.

    Raises:
        InputError: names the file and what it refers to.
    """
    local = local_path(path)
    if linked_allowed():
        return
    if local is None:
        if driver == VRT:
            raise _refused(path, "a VRT that cannot be looked into before it is opened")
        return
    state = os.stat(local)
    _checked(os.path.abspath(local), state.st_size, state.st_mtime_ns, driver, 0)


def check_tags(path: str, dataset: rasterio.DatasetReader) -> None:
    """Refuse a raster, already open, whose tags send GDAL elsewhere for its overviews.

    Raises:
        InputError: see above.
    """
    if linked_allowed():
        return
    named = _tag(dataset.tags(ns="OVERVIEWS"))
    if named is not None:
        raise _refused(path, f"its tags say that its overviews are in {named}")


def check_remote_sides(path: str, has_mask: bool, has_overviews: bool) -> None:
    """Refuse a remote raster whose mask or overviews beside it are no plain GeoTIFF: a server may send anything.

    GDAL has asked for them before and remembers what is not there, so this costs no further request then.

    Raises:
        InputError: see above.
    """
    if linked_allowed() or not is_remote(path) or "?" in path:
        return
    for suffix in (suffix for suffix, there in ((".msk", has_mask), (".ovr", has_overviews)) if there):
        try:
            with rasterio.open(path + suffix, sharing=False) as beside:
                driver = beside.driver
        except (RasterioError, CPLE_BaseError):
            continue  # not there: it is in the file itself
        if driver != "GTiff":
            raise _refused(path, f"beside it is {path}{suffix}, which is a {driver}, not a GeoTIFF")


def check_recorded(path: str) -> None:
    """Refuse an address that an output names as the input of its run: whoever made the output chose it.

    Raises:
        InputError: it is remote or virtual.
    """
    if local_path(path) is None and not linked_allowed():
        raise InputError(
            f"{path}: this address stands in the output as an input of its run. If you trust the output, allow rsccli "
            f"to ask there: {ALLOW}=1"
        )


@lru_cache(maxsize=65536)
def _checked(path: str, size: int, mtime_ns: int, driver: str, depth: int) -> None:
    """The check of one local file; remembered as long as the file is the same."""
    if driver == VRT:
        _check_vrt(path, size, depth)
    if depth:
        # GDAL will open it by itself; what the user named is looked at when it is open (`check_tags`).
        _check_closed(path, path, driver)
    for beside in _sides(path):
        kind = kind_of(beside)
        if kind is None and _WORDS.fullmatch(Path(beside).read_bytes()[:1024]):
            continue  # empty, or a note: no driver takes it for a raster
        if kind is None or kind == VRT:
            raise _refused(path, f"beside it is {beside}, which is {'a VRT' if kind else 'no raster'}")
        _check_closed(path, beside, kind)
    if driver == "HFA":
        _check_files(path)


def _sides(path: str) -> Iterator[str]:
    """Files that GDAL takes for a mask or overviews by their names."""
    stem = os.path.splitext(path)[0]
    for name in dict.fromkeys([*(path + side for side in _SIDE), *(stem + side for side in _SIDE[:4])]):
        if os.path.lexists(name):
            yield name
    for name in dict.fromkeys([f"{stem}.aux", f"{path}.aux", f"{stem}.AUX", f"{path}.AUX"]):
        # Of these GDAL takes those of ERDAS Imagine alone.
        if os.path.isfile(name) and kind_of(name) in ("HFA", VRT):
            yield name


def _check_closed(path: str, other: str, driver: str) -> None:
    """The tags of a file that GDAL would open by itself."""
    try:
        with rasterio.open(other, sharing=False, driver=driver) as dataset:
            named = _tag(dataset.tags(ns="OVERVIEWS"))
    except (RasterioError, CPLE_BaseError):
        return  # damaged: GDAL will say so where it matters
    if named is not None:
        raise _refused(path, f"the tags of {other} say that its overviews are in {named}")


def _tag(tags: Mapping[str, str]) -> str | None:
    return next((value for name, value in tags.items() if name.upper() == "OVERVIEW_FILE"), None)


def _check_files(path: str) -> None:
    """ERDAS Imagine keeps names of further files within; GDAL lists them."""
    folder = os.path.dirname(os.path.realpath(path))
    try:
        with rasterio.open(path, sharing=False, driver="HFA") as dataset:
            files = list(dataset.files)
    except (RasterioError, CPLE_BaseError):
        return
    for name in files:
        if os.path.dirname(os.path.realpath(name)) != folder:
            raise _refused(path, f"it names {name}")


def _check_vrt(path: str, size: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _refused(path, f"VRTs within VRTs, more than {MAX_DEPTH} deep")
    # GDAL takes names relative to where the file really lies.
    folder = os.path.dirname(os.path.realpath(path))
    # A source may stand there once for each band and tile.
    for source, driver in dict.fromkeys(_sources(path, size, folder)):
        state = os.stat(source)
        _checked(source, state.st_size, state.st_mtime_ns, driver, depth + 1)


def _sources(path: str, size: int, folder: str) -> Iterator[tuple[str, str]]:
    """Files that a VRT names, each within its folder, with their drivers."""
    for element in _plain_root(path, size).iter():
        name = element.tag.lower()
        told = {key.lower(): value.strip().lower() for key, value in element.attrib.items()}
        odd = [name] if name not in _PLAIN else sorted(set(told) - _ATTRIBUTES)
        odd += [value for key, value in told.items() if key == "subclass" and value not in _CLASSES]
        odd += [value for value in told.values() if value in ("overview_file", "overviews", "geolocation")]
        if odd:
            raise _refused(path, f"a VRT with {odd[0][:60]!r}: of VRTs only plain mosaics are looked into")
        if name != "sourcefilename":
            continue
        text, relative = (element.text or "").strip(), told.get("relativetovrt", "0")
        # Anything with a colon may be an address, and "<" begins a VRT in the place of a name.
        if not text or ":" in text or text.startswith(("<", "/vsi")) or len(element) or relative not in ("0", "1"):
            raise _refused(path, f"a VRT that names {text[:120]!r}")
        where = os.path.realpath(os.path.join(folder if relative == "1" else os.getcwd(), text))
        if not where.startswith(folder.rstrip("/") + "/"):
            raise _refused(path, f"a VRT that names {text[:120]!r}, which lies outside of {folder}")
        try:
            driver = kind_of(where)
        except InputError as error:
            raise InputError(f"{path}: a source of this VRT cannot be read: {error}") from error.__cause__
        if driver is None:
            raise _refused(path, f"a VRT that names {text[:120]!r}, which is no kind of raster that is read")
        yield where, driver


def _plain_root(path: str, size: int) -> ET.Element:
    if size > MAX_VRT_BYTES:
        raise _refused(path, f"a VRT of {size / 2**20:.0f} MB, more than {MAX_VRT_BYTES // 2**20}")
    try:
        # Decoded here, whatever the file says of itself: GDAL does not look at that either.
        text = Path(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: a VRT that cannot be read: {error}") from error
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    if any(mark in text for mark in _FORBIDDEN):
        raise _refused(path, "a VRT with comments, a DOCTYPE, CDATA or characters by number")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: a VRT that is no XML: {error}") from error
    return root
