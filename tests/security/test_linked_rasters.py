"""What a raster names outside of its own folder is not followed unless the user allows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from range_server import RangeServer

from rsccli.errors import InputError
from rsccli.geo.kinds import MORE_DRIVERS
from rsccli.geo.linked import ALLOW, MAX_DEPTH
from rsccli.geo.raster import describe_raster

Make = Callable[..., Path]


def vrt(source: object, relative: int = 1, band: str = "", inside: str = "", whole: str = "") -> str:
    """A mosaic of one source, as gdalbuildvrt writes it, with room for more."""
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"{band}><ColorInterp>{colour}</ColorInterp><SimpleSource>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>{number}</SourceBand>'
        f"{inside}</SimpleSource></VRTRasterBand>"
        for number, colour in ((1, "Red"), (2, "Green"), (3, "Blue"))
    )
    return (
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>412000, 1, 0, 5411000, 0, -1</GeoTransform>{whole}{bands}</VRTDataset>"
    )


@pytest.fixture
def scene(raster_factory: Make) -> Path:
    return raster_factory("scene.tif", size=(64, 64))


def refused(path: Path, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        describe_raster(path)
    assert "--allow-linked" in str(error.value)


def test_a_vrt_of_its_own_folder_is_read(scene: Path) -> None:
    (scene.parent / "sub").mkdir()
    (scene.parent / "sub" / "part.tif").write_bytes(scene.read_bytes())
    for name in ("scene.tif", "sub/part.tif"):
        mosaic = scene.with_name("mosaic.vrt")
        mosaic.write_text(vrt(name))
        assert describe_raster(mosaic).bands == (1, 2, 3)
    # A mosaic of mosaics, and one with a declaration, as GDAL's tools write them.
    scene.with_name("outer.vrt").write_text('<?xml version="1.0"?>\n' + vrt("mosaic.vrt"))
    assert describe_raster(scene.with_name("outer.vrt")).width == 64


def test_what_gdal_writes_itself_is_read(scene: Path) -> None:
    import rasterio.shutil

    made = scene.with_name("made.vrt")
    rasterio.shutil.copy(scene, made, driver="VRT")
    assert describe_raster(made).bands == (1, 2, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (vrt("../other/secret.tif"), "outside of"),
        (vrt("{folder}/other/secret.tif", relative=0), "outside of"),
        (vrt("sub/../../other/secret.tif"), "outside of"),
        (vrt("/vsicurl/{url}/a.tif", relative=0), "a VRT that names"),
        (vrt("/vsizip/x.zip/a.tif", relative=0), "a VRT that names"),
        (vrt("{url}/a.tif", relative=0), "a VRT that names"),
        (vrt("vrt://../other/secret.tif"), "a VRT that names"),
        (vrt("NETCDF:x.nc:y"), "a VRT that names"),
        (vrt("scene.tif", relative=2), "a VRT that names"),
        (vrt("note.txt"), "no kind of raster"),
        (vrt("scene.tif", band=' subClass="VRTDerivedRasterBand"'), "vrtderivedrasterband"),
        (vrt("scene.tif", band=' SourceFilename="/etc/passwd"'), "sourcefilename"),
        (vrt("scene.tif", inside="<subClass>VRTRawRasterBand</subClass>"), "subclass"),
        (vrt("scene.tif", whole='<Metadata><MDI key="OVERVIEW_FILE">x</MDI></Metadata>'), "overview_file"),
        (vrt("scene.tif", whole="<GDALWarpOptions/>"), "gdalwarpoptions"),
        (vrt("..<!-- -->/scene.tif"), "comments"),
        (vrt("a&#x2F;../../other/secret.tif"), "by number"),
        ('<!DOCTYPE x [<!ENTITY y "z">]>' + vrt("&y;"), "DOCTYPE"),
        (vrt("<![CDATA[scene.tif]]>"), "CDATA"),
        (vrt("loop.vrt"), f"more than {MAX_DEPTH} deep"),
    ],
)
def test_a_vrt_that_leads_elsewhere_is_refused(scene: Path, listener, text: str, words: str) -> None:
    (scene.parent / "other").mkdir()
    (scene.parent / "other" / "secret.tif").write_bytes(scene.read_bytes())
    inner = scene.parent / "inner"
    inner.mkdir()
    for name in ("scene.tif", "loop.vrt"):
        (inner / name).write_bytes(scene.read_bytes())
    (inner / "note.txt").write_text("a note: = {}")
    path = inner / "loop.vrt"
    path.write_text(text.replace("{url}", listener.url).replace("{folder}", str(scene.parent)))
    refused(path, words)
    assert listener.asked() == []


def test_the_same_vrt_is_read_where_it_is_allowed(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scene.parent / "inner").mkdir()
    path = scene.parent / "inner" / "a.vrt"
    path.write_text(vrt("../scene.tif"))
    refused(path, "outside of")
    monkeypatch.setenv(ALLOW, "1")
    assert describe_raster(path).bands == (1, 2, 3)


def test_a_raw_band_makes_no_picture_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "raw.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><GeoTransform>0,1,0,0,0,-1</GeoTransform><VRTRasterBand '
        'dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename relativeToVRT="0">/etc/passwd'
        "</SourceFilename><PixelOffset>1</PixelOffset><LineOffset>8</LineOffset></VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(path) as dataset:  # GDAL itself would
        assert dataset.read(1).tobytes()[:5] == Path("/etc/passwd").read_bytes()[:5]
    refused(path, "vrtrawrasterband")


def test_a_tag_sends_nobody_to_a_server(scene: Path, listener) -> None:
    with rasterio.open(scene, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{listener.url}/a.tif")
    refused(scene, "its overviews are in")
    assert listener.asked() == []
    with rasterio.open(scene) as dataset:  # GDAL itself would ask
        assert dataset.overviews(1) == []
    assert listener.asked() != []


@pytest.mark.parametrize("side", [".msk", ".ovr", ".aux.xml"])
def test_files_beside_a_raster_lead_nowhere_either(scene: Path, listener, side: str) -> None:
    text = vrt(f"/vsicurl/{listener.url}/a.tif", relative=0)
    if side == ".aux.xml":
        text = (
            '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">'
            f"/vsicurl/{listener.url}/a.tif</MDI></Metadata></PAMDataset>"
        )
    Path(f"{scene}{side}").write_text(text)
    refused(scene, "its overviews are in" if side == ".aux.xml" else f"beside it is .*{side}, which is a VRT")
    assert listener.asked() == []


def test_a_server_may_not_hand_out_a_vrt_for_a_mask(scene: Path, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "scene.tif").write_bytes(scene.read_bytes())
    with RangeServer(bucket) as server:
        assert describe_raster(server.url("scene.tif")).mask == "none"
    (bucket / "masked.tif").write_bytes(scene.read_bytes())
    mask = vrt(scene, relative=0, whole='<Metadata><MDI key="INTERNAL_MASK_FLAGS_1">2</MDI></Metadata>')
    (bucket / "masked.tif.msk").write_text(mask)
    with RangeServer(bucket) as server, pytest.raises(InputError, match="which is a VRT, not a GeoTIFF"):
        describe_raster(server.url("masked.tif"))


def test_kinds_that_nobody_needs_are_not_opened(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rasterio.shutil

    envi = scene.with_name("scene.envi")
    rasterio.shutil.copy(scene, envi, driver="ENVI")
    with pytest.raises(InputError, match=rf"none of the kinds that are read.*{MORE_DRIVERS}"):
        describe_raster(envi)
    monkeypatch.setenv(MORE_DRIVERS, "ENVI")
    assert describe_raster(envi).width == 64
    # The kind is told by the content: a suffix makes no VRT of a text, and no GeoTIFF of a VRT.
    fake = scene.with_name("fake.tif")
    fake.write_text(vrt("../scene.tif"))
    refused(fake, "outside of")


def test_pipes_and_devices_are_no_rasters(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for path in (tmp_path / "pipe.tif", Path("/dev/zero")):
        with pytest.raises(InputError, match="a pipe or a device"):
            describe_raster(path)


def test_a_shortcut_of_gdal_is_a_path_like_any_other(scene: Path) -> None:
    for text in (f"vrt://{scene}?bands=1", vrt(scene, relative=0), f"GTIFF_DIR:1:{scene}"):
        with pytest.raises(InputError, match=r"no such file|File name too long"):
            describe_raster(text)


def test_the_command_line_says_how_to_allow_it(scene: Path) -> None:
    (scene.parent / "inner").mkdir()
    path = scene.parent / "inner" / "a.vrt"
    path.write_text(vrt("../scene.tif"))
    command = [sys.executable, "-m", "rsccli", "info", str(path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RSCCLI_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert re.search(r"a\.vrt: a VRT that names '\.\./scene\.tif'.*--allow-linked", done.stderr)
    done = subprocess.run([*command, "--allow-linked"], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_picture_that_is_read_whole_has_a_bound(raster_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import rsccli.geo.raster
    from rsccli.datasets.collection.images import read_colours

    path = raster_factory("large.tif", size=(64, 64))
    assert read_colours(path).shape == (3, 64, 64)
    monkeypatch.setattr(rsccli.geo.raster, "MAX_WHOLE_BYTES", 64 * 64 * 3 - 1)
    with pytest.raises(InputError, match="a picture that is read whole"):
        read_colours(path)
