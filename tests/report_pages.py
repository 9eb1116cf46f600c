"""Report pages for tests, and a browser to open them in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_run import UTM, make_facts, make_features

from rsccli.geo.mercator import mercator_grid
from rsccli.output.features import Feature
from rsccli.output.report import ShownTiles, render_report
from rsccli.output.report.basemap import Basemap
from rsccli.output.report.pictures import MaskKind, Overview, Pictures, TilePictures
from rsccli.output.summary import summarise
from rsccli.types import Grid, RunFacts

#: Colours of the two dates, so that a screenshot tells which is seen.
PRE_RGB, POST_RGB = (200, 40, 40), (40, 60, 200)

#: What a captioner may say by accident or by malice; none of it may become markup, script or a formula.
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=\"window.hacked = 2\">",
    "</script><script>window.hacked = 3</script>",
    "</textarea></title></style>--><svg onload='window.hacked = 4'>",
    "<!--<script>",
    "]]> --> ${window.hacked = 5} {{ 7 * 7 }} {% raw %}",
    "\" onmouseover=\"window.hacked = 6\" x=\"",
    "'; window.hacked = 7; '",
    "javascript:window.hacked=8",
    "line\u2028separator\u2029paragraph\tand a tab",
    "a house 🏠, 房子, ಮನೆ, e\u0301",
    "\u202eright to left override\u202c and עברית and العربية",
    "=HYPERLINK(\"http://example.org\",\"click\")",
    "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", " =1+1",
    "long " * 1000,
    "&lt;b&gt; &amp;amp; &#60;",
)  # fmt: skip


def hostile_run() -> tuple[list[Feature], RunFacts]:
    """Tiles of every status; every hostile text is a caption, a keyword, a reason and in a file name."""
    facts = make_facts()
    facts = replace(
        facts,
        pre=replace(facts.pre, path=f"/data/{HOSTILE[1]}.tif", name=f"{HOSTILE[1]}.tif"),
        post=replace(facts.post, name=f"{HOSTILE[2]}.tif"),
        warnings=HOSTILE[:4],
        limits=HOSTILE[4:8],
    )
    features = make_features(48, facts)
    told = [
        replace(each, caption=text, keywords=(text[:60].replace(";", ","),), reason=text, status="changed")
        for each, text in zip(features, HOSTILE, strict=False)
    ]
    return told + features[len(told) :], facts


def flat_pictures(grid: Grid, tile_ids: list[str], mask: bool = False) -> Pictures:
    """Overviews and tiles of one colour for each date."""
    target = mercator_grid(grid, 300_000)
    assert target is not None
    shape = (target.height, target.width)

    def overview(rgb: tuple[int, int, int]) -> Overview:
        pixels = np.empty((4, *shape), np.uint8)
        pixels[:3] = np.array(rgb, np.uint8)[:, None, None]
        pixels[3] = 255
        return Overview(pixels, target.map_bounds)

    def tile(rgb: tuple[int, int, int]) -> np.ndarray:
        return np.broadcast_to(np.array(rgb, np.uint8)[:, None, None], (3, 64, 64)).copy()

    changed = np.zeros((64, 64), np.uint8)
    changed[:32] = 1
    pair = TilePictures(tile(PRE_RGB), tile(POST_RGB), changed if mask else None)
    spots = np.zeros((4, *shape), np.uint8)
    spots[:, : shape[0] // 4, : shape[1] // 4] = np.array([255, 0, 110, 255], np.uint8)[:, None, None]
    return Pictures(
        overview(PRE_RGB),
        overview(POST_RGB),
        Overview(spots, target.map_bounds) if mask else None,
        (MaskKind("building", (255, 0, 110)),) if mask else (),
        3 if mask else None,
        dict.fromkeys(tile_ids, pair),
        notes=() if mask else ("The masks are not shown.",),
    )


def page_bytes(
    features: list[Feature],
    facts: RunFacts | None,
    *,
    pictures: bool = True,
    mask: bool = False,
    basemap: Basemap | None = None,
) -> bytes:
    """A page as ``rsccli report`` writes it, its pictures made up."""
    shown = ShownTiles()
    summary = summarise(shown.of(features), facts)
    grid = facts.grid if facts else UTM
    made = flat_pictures(grid, [tile.tile_id for tile in summary.ranked], mask) if pictures else None
    return render_report("html", summary, facts, made, shown.strongest(), basemap)


def installed_chromium() -> str | None:
    """A browser that is installed, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def running_browser() -> Iterator[Any]:
    """A headless Chromium; the test skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = installed_chromium()
    if chromium is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page in the browser, and what it did.

    Attributes:
        page: of Playwright. requests: addresses that it asked for, its own and ``data:`` left out.
        troubles: errors and warnings in its console, dialogs.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).text_content()).replace("\u202f", " ").strip()

    def drawn(self) -> int:
        """Footprints on the map."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return int(self.page.locator("#map canvas").get_attribute("data-drawn"))

    def rows(self) -> list[str]:
        """Tile ids of the table's rows."""
        return list(self.page.eval_on_selector_all("#tiles-body tr", "rows => rows.map(row => row.dataset.tile)"))


@contextmanager
def opened_page(
    browser: Any, path: Path, *, anchor: str = "", online: bool = False, **context: Any
) -> Iterator[Opened]:
    """Open a page without a network, and note everything that it asks for and complains of."""
    made = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "offline": not online, **context})
    page = made.new_page()
    page.set_default_timeout(10_000)
    opened = Opened(page)
    own = path.as_uri()
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("data:", "blob:", own)) else opened.requests.append(request.url)
        ),
    )
    page.on(
        "console",
        lambda message: opened.troubles.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: opened.troubles.append(str(error)))
    page.on("dialog", lambda dialog: (opened.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(own + anchor)
    if context.get("java_script_enabled", True):
        page.locator("html[data-ready]").wait_for(state="attached")
    try:
        yield opened
    finally:
        made.close()
