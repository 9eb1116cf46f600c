"""Images of a series are found, dated and put in order, or refused with a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rsccli.errors import InputError, UsageProblem
from rsccli.geo.raster import RasterOptions
from rsccli.run.series.images import find_images, is_series

OPTIONS = RasterOptions(bands=(1,))


@pytest.fixture
def image(raster_factory: Callable[..., Path]) -> Callable[[str], str]:
    return lambda name: str(raster_factory(name))


def item(
    name: str, assets: dict[str, dict[str, object]], when: str | None = "2020-07-01T10:00:00Z"
) -> dict[str, object]:
    return {"type": "Feature", "id": name, "properties": {"datetime": when}, "assets": assets, "links": []}


def collection(folder: Path, *items: dict[str, object]) -> str:
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    return str(path)


def test_what_is_a_series(tmp_path: Path) -> None:
    assert is_series([str(tmp_path)]) and is_series(["items.json"]) and is_series(["a", "b", "c"])
    assert not is_series(["a.tif"]) and not is_series(["a.tif", "b.tif"]) and not is_series([])


def test_images_come_in_the_order_of_their_dates(image: Callable[[str], str]) -> None:
    typed = [image(f"scene_{date}.tif") for date in ("2012-07-31", "20090818", "2010-06-29")]
    found = find_images(typed, OPTIONS)
    assert [each.label for each in found] == ["2009-08-18", "2010-06-29", "2012-07-31"]
    assert [each.info.datetime for each in found] == [each.moment.iso for each in found]


def test_months_and_years_in_names(image: Callable[[str], str]) -> None:
    typed = [image("a_202007.tif"), image("b_2020-06.tif"), image("1985.tif"), image("tile_2021_10.tif")]
    found = {each.info.name: each.label for each in find_images(typed, OPTIONS)}
    # 2021_10 is a year and a number, as NAIP chips are named.
    assert found == {
        "a_202007.tif": "2020-07",
        "b_2020-06.tif": "2020-06",
        "1985.tif": "1985",
        "tile_2021_10.tif": "2021",
    }


def test_a_folder_is_its_images(image: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("b_2010-01-01.tif", "a_2011-01-01.TIF", ".hidden_2012-01-01.tif"):
        image(name)
    (tmp_path / "notes_2013-01-01.txt").write_text("no image")
    (tmp_path / "b_2010-01-01.tif.ovr").write_text("beside")
    found = find_images([str(tmp_path)], OPTIONS)
    assert [each.info.name for each in found] == ["b_2010-01-01.tif", "a_2011-01-01.TIF"]


def test_undated_images_are_named_and_the_way_out_too(image: Callable[[str], str]) -> None:
    typed = [image("one.tif"), image("two_2020-01-01.tif"), image("three.tif")]
    with pytest.raises(InputError, match=r"(?s)2 of 3 images.*one\.tif: no date.*three\.tif.*--dates") as raised:
        find_images(typed, OPTIONS)
    assert "two_2020" not in str(raised.value)
    found = find_images(typed, OPTIONS, dates=["2021", "2020-05", "2020-05-07"])
    assert [each.label for each in found] == ["2020-05", "2020-05-07", "2021"]
    assert {each.dated_by for each in found} == {"--dates"}


@pytest.mark.parametrize(("dates", "said"), [(["2020"], "1 dates for 2 images"), (["2020", "May"], "'May'")])
def test_dates_must_fit(image: Callable[[str], str], dates: list[str], said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        find_images([image("a.tif"), image("b.tif")], OPTIONS, dates=dates)


def test_two_images_of_one_date_are_refused(image: Callable[[str], str]) -> None:
    with pytest.raises(InputError, match=r"same date \(2020-01-01\).*--dates"):
        find_images([image("a_2020-01-01.tif"), image("b_2020-01-01.tif"), image("c_2021-01-01.tif")], OPTIONS)
    found = find_images(
        [image("d.tif"), image("e.tif")], OPTIONS, dates=["2020-01-01T10:00:00Z", "2020-01-01T11:30:00Z"]
    )
    assert [each.label for each in found] == ["2020-01-01T100000", "2020-01-01T113000"]


def test_too_few_images_and_twice_the_same(image: Callable[[str], str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no images in it"):
        find_images([str(empty)], OPTIONS)
    one = image("a_2020-01-01.tif")
    with pytest.raises(InputError, match="two images or more"):
        find_images([str(tmp_path)], OPTIONS)
    with pytest.raises(InputError, match="named twice"):
        find_images([one, image("b_2021-01-01.tif"), one], OPTIONS)


def test_items_of_a_collection(image: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("x.tif", "y.tif"):
        image(name)
    typed = collection(
        tmp_path,
        item("late", {"thumbnail": {"href": "t.png"}, "visual": {"href": "x.tif"}}, "2021-07-01T10:00:00Z"),
        item("early", {"B04": {"href": "y.tif", "type": "image/tiff; application=geotiff"}}, "2020-07-01T10:00:00Z"),
    )
    found = find_images([typed], OPTIONS)
    assert [(each.info.name, each.label, each.dated_by) for each in found] == [
        ("y.tif", "2020-07-01", "STAC item early"),
        ("x.tif", "2021-07-01", "STAC item late"),
    ]


def test_a_range_of_dates_counts_from_its_start(image: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("x.tif", "y.tif"):
        image(name)
    composite = item("c", {"data": {"href": "x.tif"}}, None)
    composite["properties"] = {"datetime": None, "start_datetime": "2020-06-01T00:00:00Z"}
    found = find_images([collection(tmp_path, composite, item("d", {"data": {"href": "y.tif"}}))], OPTIONS)
    assert [each.label for each in found] == ["2020-06-01", "2020-07-01"]


@pytest.mark.parametrize(
    ("assets", "asked", "kind", "said"),
    [
        (
            {"red": {"href": "r.tif", "type": "image/tiff"}, "nir": {"href": "n.tif", "type": "image/tiff"}},
            None,
            InputError,
            "--asset KEY",
        ),
        ({"red": {"href": "r.tif"}}, "visual", UsageProblem, "no such asset"),
        ({}, None, InputError, "none"),
        ({"visual": {}}, None, InputError, "no href"),
    ],
)
def test_items_without_a_plain_image(tmp_path: Path, assets: dict, asked: str | None, kind: type, said: str) -> None:
    with pytest.raises(kind, match=said):
        find_images([collection(tmp_path, item("i", assets))], OPTIONS, asset=asked)


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "FeatureCollection", "features": [{"geometry": null}]}'])
def test_what_is_no_collection(tmp_path: Path, text: str) -> None:
    path = tmp_path / "items.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"items\.json: no"):
        find_images([str(path)], OPTIONS)


def test_addresses_of_assets(tmp_path: Path) -> None:
    from rsccli.run.series.stac import read_item_collection

    remote = item("r", {"visual": {"href": "./x.tif"}})
    remote["links"] = [{"rel": "self", "href": "https://host/catalogue/r.json"}]
    plain = [
        item(n, {"visual": {"href": h}}) for n, h in (("s", "s3://b/x.tif"), ("f", "file:///d/x.tif"), ("l", "x.tif"))
    ]
    found = read_item_collection(Path(collection(tmp_path, remote, *plain)), None)
    assert [each.href for each in found] == [
        "https://host/catalogue/x.tif",
        "s3://b/x.tif",
        "/d/x.tif",
        str(tmp_path / "x.tif"),
    ]
