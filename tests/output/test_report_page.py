"""The report page in a real browser: it fetches nothing, swipes, filters, sorts, and shows hostile text as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_run import FIJI, UTM, make_facts, make_features
from report_pages import HOSTILE, POST_RGB, PRE_RGB, hostile_run, opened_page, page_bytes, running_browser

from rsccli.output.report.basemap import parse_basemap


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    facts = make_facts()
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_bytes(page_bytes(make_features(48, facts), facts, mask=True))
    return path


@pytest.fixture(scope="module")
def hostile_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "page.html"
    path.write_bytes(page_bytes(*hostile_run()))
    return path


def seen(opened: Any, across: float, down: float = 0.5) -> np.ndarray:
    """Mean colour, red, green, blue, of a small square of the map; places are shares of its frame."""
    shot = cv2.imdecode(np.frombuffer(opened.page.locator(".map-frame").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    height, width = shot.shape[:2]
    x, y = int(across * width), int(down * height)
    return shot[y - 3 : y + 3, x - 3 : x + 3, ::-1].reshape(-1, 3).mean(axis=0)


def is_colour(found: np.ndarray, rgb: tuple[int, int, int]) -> bool:
    return bool(np.abs(found - np.array(rgb)).max() < 40)


def only_images(opened: Any) -> None:
    """No outlines and no mask over the two colours."""
    opened.page.locator("#show-tiles").uncheck()
    opened.page.locator("#show-mask").uncheck()


def drag(opened: Any, share: float) -> None:
    frame = opened.page.locator(".map-frame").bounding_box()
    grip = opened.page.locator("#swipe").bounding_box()
    opened.page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 3)
    opened.page.mouse.down()
    opened.page.mouse.move(frame["x"] + frame["width"] * share, frame["y"] + 60, steps=5)
    opened.page.mouse.up()


def test_page_asks_for_nothing_and_complains_of_nothing(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        opened.page.locator("#map").click(position={"x": 200, "y": 200})
        opened.page.locator("#map-colours label").nth(1).click()
        opened.page.mouse.wheel(0, 5000)
        opened.page.wait_for_timeout(200)
        assert opened.requests == []
        assert opened.troubles == []
        assert opened.page.evaluate("L.version") == "1.9.4"


def test_policy_of_the_page_is_in_force(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        # What scripts of others would try: all of it is refused.
        tried = opened.page.evaluate(
            """async () => {
                const script = document.createElement("script");
                script.textContent = "window.hacked = 1";
                document.head.append(script);
                const image = new Image();
                const loaded = await new Promise((done) => {
                    image.onload = () => done(true);
                    image.onerror = () => done(false);
                    image.src = "https://example.org/x.png";
                });
                const fetched = await fetch("https://example.org/").then(() => true, () => false);
                return [window.hacked, loaded, fetched];
            }"""
        )
        assert tried == [None, False, False]
        assert any("Content Security Policy" in trouble for trouble in opened.troubles)


def test_swipe_moves_the_border_between_the_dates(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        only_images(opened)
        assert is_colour(seen(opened, 0.40), PRE_RGB) and is_colour(seen(opened, 0.60), POST_RGB)
        drag(opened, 0.30)
        assert opened.page.locator("#swipe").get_attribute("aria-valuenow") == "30"
        assert is_colour(seen(opened, 0.27), PRE_RGB) and is_colour(seen(opened, 0.40), POST_RGB)
        drag(opened, 0.70)
        assert is_colour(seen(opened, 0.60), PRE_RGB) and is_colour(seen(opened, 0.74), POST_RGB)


def test_swipe_stays_where_it_is_while_the_map_moves(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        only_images(opened)
        opened.page.evaluate("document.querySelector('.leaflet-control-zoom-in').click()")
        opened.page.wait_for_timeout(500)
        opened.page.locator("#map").focus()
        opened.page.keyboard.press("ArrowRight")
        opened.page.wait_for_timeout(500)
        assert is_colour(seen(opened, 0.45), PRE_RGB) and is_colour(seen(opened, 0.55), POST_RGB)


def test_swipe_by_keys_and_by_choice(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        only_images(opened)
        handle = opened.page.locator("#swipe")
        handle.focus()
        for key, value in (("ArrowLeft", "48"), ("PageUp", "58"), ("Home", "0"), ("End", "100")):
            opened.page.keyboard.press(key)
            assert handle.get_attribute("aria-valuenow") == value
        assert "before" in str(handle.get_attribute("aria-valuetext"))
        assert is_colour(seen(opened, 0.70), PRE_RGB)
        opened.page.get_by_role("radio", name="After").check(force=True)
        assert is_colour(seen(opened, 0.30), POST_RGB) and not handle.is_visible()
        opened.page.get_by_role("radio", name="Before").check(force=True)
        assert is_colour(seen(opened, 0.70), PRE_RGB)


def test_swipe_by_touch(browser: Any, page_file: Path) -> None:
    phone = {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True}
    with opened_page(browser, page_file, **phone) as opened:
        opened.page.locator(".map-frame").scroll_into_view_if_needed()
        frame = opened.page.locator(".map-frame").bounding_box()
        session = opened.page.context.new_cdp_session(opened.page)
        y = frame["y"] + frame["height"] / 3
        places = [frame["x"] + frame["width"] * share for share in (0.5, 0.4, 0.25)]
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": places[0], "y": y}]})
        for x in places[1:]:
            session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        opened.page.wait_for_timeout(100)
        assert abs(int(opened.page.locator("#swipe").get_attribute("aria-valuenow")) - 25) <= 1


def test_filters_leave_the_same_tiles_everywhere(browser: Any, page_file: Path) -> None:
    features = make_features(48, make_facts())
    with opened_page(browser, page_file) as opened:
        page = opened.page

        def check(wanted: list[str]) -> None:
            page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert opened.text("#count").startswith(f"{len(wanted)} of 48")
            assert opened.drawn() == len(wanted)
            assert sorted(opened.rows()) == sorted(wanted)
            cards = page.locator(".card:visible")
            shown = {cards.nth(i).get_attribute("data-tile") for i in range(cards.count())}
            assert shown <= set(wanted)

        check([f.id for f in features])
        page.locator("#filter-text").fill("tile 12 NOTHING")
        check([f.id for f in features if f.caption and "tile 12." in f.caption])
        page.locator("#filter-text").fill("r00003c00002")
        check(["r00003c00002"])
        page.locator("#filter-reset").click()
        check([f.id for f in features])
        page.locator("#filter-word").select_option(label="house (7)")
        check([f.id for f in features if "house" in f.keywords])
        page.locator("#filter-reset").click()
        page.locator("#filter-status input[value=unsure]").uncheck(force=True)
        page.locator("#filter-status input[value=nodata]").uncheck(force=True)
        check([f.id for f in features if f.status not in ("unsure", "nodata")])
        page.locator("#filter-reset").click()
        page.locator("#score-low").fill("0.5")
        check([f.id for f in features if f.change_score is not None and f.change_score >= 0.5])
        page.locator("#score-high").fill("0.8")
        check([f.id for f in features if f.change_score is not None and 0.5 <= f.change_score <= 0.8])
        page.locator("#filter-reset").click()
        page.locator("#filter-area").fill("1000")
        check([f.id for f in features if (f.changed_area_m2 or 0) >= 1000])
        page.locator("#filter-text").fill("no such words")
        check([])
        assert "no tile passes" in opened.text("#page-says")


def test_only_what_the_map_shows(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        opened.page.locator("#filter-view").check()
        assert opened.drawn() == 48
        for _ in range(3):
            opened.page.evaluate("document.querySelector('.leaflet-control-zoom-in').click()")
            opened.page.wait_for_timeout(400)
        left = len(opened.rows())
        assert 0 < left < 48
        assert opened.text("#count") == f"{left} of 48 tiles"


def test_table_sorts_both_ways_and_leaves_the_unknown_at_the_end(browser: Any, page_file: Path) -> None:
    features = {f.id: f for f in make_features(48, make_facts())}
    with opened_page(browser, page_file) as opened:

        def column(key: str) -> list[Any]:
            return [getattr(features[tile], key) for tile in opened.rows()]

        def click(title: str) -> None:
            opened.page.locator("#tiles-head button", has_text=title).first.click()

        click("Score")
        scores = column("change_score")
        known = [s for s in scores if s is not None]
        assert known == sorted(known, reverse=True) and scores[len(known) :] == [None] * (48 - len(known))
        assert opened.page.locator("#tiles-head [data-key=score]").get_attribute("aria-sort") == "descending"
        click("Score")
        scores = column("change_score")
        assert scores[: len(known)] == sorted(known) and scores[len(known) :] == [None] * (48 - len(known))
        click("Tile")
        assert opened.rows() == sorted(features)
        click("Caption")
        captions = [c for c in column("caption") if c is not None]
        numbers = [int(c.split()[-1].strip(".")) for c in captions if c.startswith("Nothing new in tile")]
        assert numbers == sorted(numbers), "tile 9 before tile 10"


def test_downloaded_rows_are_those_of_the_table(browser: Any, hostile_file: Path) -> None:
    features, _ = hostile_run()
    with opened_page(browser, hostile_file, accept_downloads=True) as opened:
        opened.page.locator("#filter-status input[value=unchanged]").uncheck(force=True)
        opened.page.locator("#tiles-head button", has_text="Tile").first.click()
        with opened.page.expect_download() as waiting:
            opened.page.locator("#download").click()
        content = Path(waiting.value.path()).read_bytes()
        assert waiting.value.suggested_filename == "tiles.csv"
        assert opened.troubles == []
    assert content.startswith(b"\xef\xbb\xbf"), "spreadsheets take it for UTF-8"
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    wanted = sorted(f.id for f in features if f.status != "unchanged")
    assert [row["id"] for row in rows] == wanted
    by_id = {f.id: f for f in features}
    for row in rows:
        feature = by_id[row["id"]]
        assert row["status"] == feature.status
        assert (float(row["change_score"]) if row["change_score"] else None) == feature.change_score
        west, south, east, north = feature.bbox
        assert abs(float(row["lon"]) - (west + east) / 2) < 1e-5 and abs(float(row["lat"]) - (south + north) / 2) < 1e-5
        for cell, text in ((row["caption"], feature.caption or ""), (row["reason"], feature.reason or "")):
            assert cell == text or (cell == f"'{text}" and text.strip()[0] in "=+-@")
        assert row["caption"].lstrip()[:1] not in ("=", "+", "-", "@"), "no spreadsheet runs it"
    assert any(row["caption"].startswith("'=HYPERLINK") for row in rows)


def test_hostile_texts_are_shown_as_texts(browser: Any, hostile_file: Path) -> None:
    features, facts = hostile_run()
    with opened_page(browser, hostile_file) as opened:
        for feature in features[: len(HOSTILE)]:
            opened.page.evaluate("id => Rsccli.selection.choose(Rsccli.tiles.numberOf(id), 'test')", feature.id)
            assert opened.page.locator("#panel-body .says").text_content() == feature.caption
            assert opened.page.locator("#panel-body .words span").first.text_content() == feature.keywords[0]
        opened.page.locator("#filter-word").select_option(index=3)
        opened.page.locator("#tiles-head button", has_text="Caption").first.click()
        shown = opened.page.locator("main").text_content()
        assert facts.pre.path in shown and all(text in shown for text in facts.warnings + facts.limits)
        assert opened.page.evaluate("window.hacked") is None
        assert opened.page.evaluate("document.querySelectorAll('main script, main iframe, main object').length") == 0
        handlers = (
            "[...document.querySelectorAll('*')].filter(e => (e.onerror || e.onload) && !e.closest('#map')).length"
        )
        assert opened.page.evaluate(handlers) == 0
        assert opened.requests == [] and opened.troubles == []


def test_choosing_a_tile_links_map_table_and_address(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file, anchor="#r00002c00003") as opened:
        assert "r00002c00003" in opened.text("#panel-title")
        assert opened.page.locator("#tiles-body tr[aria-current]").get_attribute("data-tile") == "r00002c00003"
        opened.page.locator("#map").click(position={"x": 300, "y": 250})
        chosen = opened.page.evaluate("location.hash").lstrip("#")
        assert chosen and chosen in opened.text("#panel-title")
        assert opened.page.locator("#tiles-body tr[aria-current]").get_attribute("data-tile") == chosen
        caption = next(f.caption for f in make_features(48, make_facts()) if f.id == chosen)
        assert opened.page.locator("#panel-body .says").text_content() == (caption or "(no caption)")
        opened.page.locator("#panel-body button", has_text="Close").click()
        assert opened.page.evaluate("location.hash") == "" and "Choose a tile" in opened.text("#panel-title")


def test_sentences_lead_to_their_tiles(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        link = opened.page.locator(".scene a").first
        tile = str(link.text_content())
        link.click()
        assert tile in opened.text("#panel-title")
        opened.page.locator("#areas summary").click()
        area = opened.page.locator("#areas li").first
        members = str(area.get_attribute("data-tiles")).split()
        area.get_by_role("button").click()
        opened.page.wait_for_timeout(300)
        assert opened.page.evaluate("Rsccli.selection.chosen()") == -1
        in_view = opened.page.evaluate(
            """ids => ids.every((id) => { const [l, b, r, t] = Rsccli.tiles.box(Rsccli.tiles.numberOf(id));
               const low = L.Projection.SphericalMercator.unproject(L.point(l, b));
               return Rsccli.map.shows(low); })""",
            members,
        )
        assert in_view


def test_panel_shows_both_dates_of_any_tile(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        no_card = opened.page.evaluate(
            "[...Array(48).keys()].map(Rsccli.tiles.id).find(id => !document.querySelector(`[data-tile='${id}'].card`))"
        )
        opened.page.evaluate("id => Rsccli.selection.choose(Rsccli.tiles.numberOf(id), 'test')", no_card)
        opened.page.wait_for_timeout(200)
        middles = opened.page.eval_on_selector_all(
            "#panel-body canvas", "all => all.map(c => [...c.getContext('2d').getImageData(160, 160, 1, 1).data])"
        )
        assert len(middles) == 2
        assert is_colour(np.array(middles[0][:3]), PRE_RGB) and is_colour(np.array(middles[1][:3]), POST_RGB)


def test_gallery_shows_before_after_and_mask(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        card = opened.page.locator(".card").first
        assert card.locator("img").count() == 3
        card.scroll_into_view_if_needed()
        card.evaluate("card => Promise.all([...card.querySelectorAll('img')].map(image => image.decode()))")
        shots = [card.locator("img").nth(i).screenshot() for i in range(3)]
        images = [cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] for shot in shots]
        assert is_colour(images[0][20, 20].astype(float), PRE_RGB)
        assert is_colour(images[1][20, 20].astype(float), POST_RGB)
        upper, lower = images[2][20, 20].astype(int), images[2][-20, 20].astype(int)
        assert upper[0] - upper[1] > 80, "the changed half is in colour"
        assert abs(lower[0] - lower[1]) < 10, "the other half is grey"
        card.get_by_role("button").click()
        assert str(card.get_attribute("data-tile")) in opened.text("#panel-title")


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_page_fits_any_screen(browser: Any, hostile_file: Path, width: int) -> None:
    with opened_page(browser, hostile_file, viewport={"width": width, "height": 800}) as opened:
        opened.page.locator("#tiles-body button").first.click()
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        map_box = opened.page.locator("#map").bounding_box()
        assert map_box["width"] > 0.55 * width and map_box["height"] < 800 * 0.9
        more = opened.page.locator("#more-filters")
        assert more.is_visible() is (width == 375)
        if width == 375:
            assert not opened.page.locator("#filter-word").is_visible()
            more.click()
            assert opened.page.locator("#filter-word").is_visible()
            assert more.get_attribute("aria-expanded") == "true"


def test_everything_that_can_be_used_has_a_name(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        opened.page.locator("#tiles-body button").first.click()
        nameless = opened.page.evaluate(
            """() => [...document.querySelectorAll(
                    "button, input, select, a[href], [role=slider], canvas[role=img], img")]
                .filter((e) => e.offsetParent !== null)
                .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length
                    || e.alt || e.getAttribute("aria-labelledby") || (e.tagName === "IMG" && e.closest("#map"))))
                .map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == []
        assert opened.page.locator("[role=status]").count() >= 2
        ids = opened.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))


def test_page_can_be_used_by_keys_alone(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.className") == "skip"
        for _ in range(200):
            opened.page.keyboard.press("Tab")
            if opened.page.evaluate("document.activeElement.closest('#tiles-body') !== null"):
                break
        row = opened.page.evaluate("document.activeElement.closest('tr').dataset.tile")
        opened.page.keyboard.press("Enter")
        assert row in opened.text("#panel-title")
        assert opened.page.evaluate("document.activeElement.closest('tr').dataset.tile") == row, "focus stays"


def test_dark_page_is_dark(browser: Any, page_file: Path) -> None:
    ground = {}
    for scheme in ("light", "dark"):
        with opened_page(browser, page_file, color_scheme=scheme) as opened:
            value = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
            ground[scheme] = int(value.split("(")[1].split(",")[0])
            assert opened.troubles == []
    assert ground["light"] > 240 and ground["dark"] < 40


def test_page_prints(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file) as opened:
        opened.page.emulate_media(media="print")
        assert not opened.page.locator("#filters").is_visible() and not opened.page.locator("#map").is_visible()
        assert opened.page.locator("#still figure").count() == 2 and opened.page.locator("#still svg").is_visible()
        assert opened.page.locator("#tiles-body tr").first.is_visible()
        assert opened.page.pdf().startswith(b"%PDF-")


def test_page_without_scripts_still_tells(browser: Any, page_file: Path) -> None:
    with opened_page(browser, page_file, java_script_enabled=False) as opened:
        assert opened.page.locator("#still img").first.is_visible()
        assert not opened.page.locator("#map").is_visible() and not opened.page.locator("#filters").is_visible()
        assert opened.page.locator(".finder noscript p").is_visible()
        assert opened.page.locator(".card").first.is_visible()


def test_a_background_map_is_asked_from_its_host_alone(browser: Any, tmp_path: Path) -> None:
    facts = make_facts()
    basemap = parse_basemap("https://tiles.example.org/{z}/{x}/{y}.png?key=abc")
    path = tmp_path / "page.html"
    path.write_bytes(page_bytes(make_features(48, facts), facts, basemap=basemap))
    done, png = cv2.imencode(".png", np.full((256, 256, 3), 180, np.uint8))
    assert done
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(body=png.tobytes(), content_type="image/png")

    made.route("**/*", lambda route: answer(route) if route.request.url.startswith("http") else route.continue_())
    page = made.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.locator(".leaflet-tile-loaded").first.wait_for()
    refused = page.evaluate(
        """new Promise((done) => { const image = new Image(); image.onload = () => done(false);
           image.onerror = () => done(true); image.src = "https://other.example.org/1/1/1.png"; })"""
    )
    made.close()
    assert asked and all(url.startswith("https://tiles.example.org/") and url.endswith("?key=abc") for url in asked)
    assert refused and len(troubles) == 1 and "other.example.org" in troubles[0]


def test_tiles_over_the_antimeridian_lie_together(browser: Any, tmp_path: Path) -> None:
    facts = make_facts(FIJI)
    path = tmp_path / "page.html"
    path.write_bytes(page_bytes(make_features(48, facts), facts))
    with opened_page(browser, path) as opened:
        assert opened.drawn() == 48
        assert opened.page.evaluate("Rsccli.data.map.bounds[2] - Rsccli.data.map.bounds[0]") < 50_000
        longitudes = opened.page.evaluate("[...Array(48).keys()].map(i => Rsccli.tiles.lonlat(i)[0])")
        assert min(longitudes) < -179.5 and max(longitudes) > 179.5
        assert opened.troubles == []


def test_near_a_pole_there_is_a_table_and_no_map(browser: Any, tmp_path: Path) -> None:
    facts = make_facts(replace(UTM, crs="EPSG:3413", transform=UTM.transform @ UTM.transform.scale(0.5)))
    polar = replace(facts.grid, transform=type(UTM.transform)(10, 0, -5000, 0, -10, 5000))
    facts = replace(facts, grid=polar)
    path = tmp_path / "page.html"
    path.write_bytes(page_bytes(make_features(12, facts), facts, pictures=False))
    with opened_page(browser, path) as opened:
        assert opened.page.locator("#map").count() == 0
        assert "near to a pole" in opened.text(".finder")
        opened.page.locator("#tiles-body button").first.click()
        assert opened.text("#panel-title").startswith("r")
        assert opened.troubles == []


def test_a_run_without_pictures_has_its_outlines(browser: Any, tmp_path: Path) -> None:
    facts = make_facts()
    for given in (facts, None):
        path = tmp_path / "page.html"
        path.write_bytes(page_bytes(make_features(48, facts), given, pictures=False))
        with opened_page(browser, path) as opened:
            assert opened.drawn() == 48
            assert not opened.page.locator("#swipe").is_visible()
            opened.page.locator("#tiles-body button").first.click()
            assert opened.requests == [] and opened.troubles == []
