"""The report page: its size, how long it takes to make, and how soon a browser can use it.

Synthetic runs: made-up tiles, captions and pictures. The pictures are noise, which no codec makes small, so that both
overviews reach their budget; the captions are all different.

    python tests/bench/bench_report.py [--tiles 100 10000 20000] [--repeat 5] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from affine import Affine
from chromium_pipe import Chromium, Page
from common import machine, note, say, spread, table
from made_run import make_facts, make_results
from report_pages import installed_chromium

from rsccli.geo.mercator import mercator_bounds, mercator_grid
from rsccli.output.features import Feature, build_features
from rsccli.output.report import ShownTiles, render_report
from rsccli.output.report.pictures import Detail, MaskKind, Overview, Pictures, TilePictures
from rsccli.output.summary import Summary, summarise
from rsccli.run.overviews import MAX_PX
from rsccli.run.pictures import DETAILS
from rsccli.types import Grid, RunFacts

NAMES = "a house, a road, trees, a pond, a car park, a field, a roof, a warehouse, a pool, a tennis court".split(", ")


#: When the browser has painted twice after the scripts have run, a click is answered.
PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
SEARCH = """(() => { const field = document.getElementById("filter-text"); field.value = "pond north";
    field.dispatchEvent(new Event("input", { bubbles: true })); })()"""
SORT = "document.querySelector('#tiles-head [data-key=caption] button').click()"
ZOOM = "document.querySelector('.leaflet-control-zoom-in').click()"


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=[100, 10_000, 20_000, 100_000])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder for the pages")
    options = parser.parse_args()
    chromium = installed_chromium()
    if chromium is None:
        raise SystemExit("no Chromium is installed: apt install chromium")
    say(f"{machine()}")
    say()
    say(
        "Synthetic runs. Milliseconds, median (range). Processor time of the page's main thread and of its whole "
        "process does not depend on what else the machine does; time by the clock does."
    )
    say()
    head = (
        "tiles",
        "tiles in the page",
        "MB",
        "made, CPU s",
        "open: thread",
        "open: process",
        "open: clock",
        "search: thread",
        "sort: thread",
        "zoom: thread",
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder, Chromium(chromium) as browser:
        measure(browser, blank(Path(folder)))  # the first page of a browser pays for its start
        for count in options.tiles:
            note(f"{count} tiles")
            made = make_page(count)
            path = (options.keep or Path(folder)) / f"report-{count}.html"
            path.write_bytes(made.content)
            times = [measure(browser, path) for _ in range(options.repeat)]
            rows.append(
                [
                    f"{count:,}",
                    f"{made.shown:,}",
                    f"{len(made.content) / 1e6:.1f}",
                    f"{made.seconds:.1f}",
                    *(spread([getattr(each, name) for each in times]) for name in Times.__dataclass_fields__),
                ]
            )
    say(table(head, rows))


def blank(folder: Path) -> Path:
    """The page of a run of four tiles."""
    path = folder / "blank.html"
    path.write_bytes(make_page(4).content)
    return path


@dataclass(frozen=True)
class Made:
    """A page, how many tiles it holds, and the processor time of its rendering."""

    content: bytes
    shown: int
    seconds: float


@dataclass(frozen=True)
class Times:
    """Milliseconds: until the page answers, by three clocks; of a search, a sort, a zoom on the main thread."""

    open_thread: float
    open_process: float
    open_clock: float
    search: float
    sort: float
    zoom: float


def make_page(count: int) -> Made:
    """Render the page of a synthetic run."""
    side = int(np.ceil(np.sqrt(count)))
    grid = Grid("EPSG:32611", Affine(0.6, 0, 390000.0, 0, -0.6, 3740000.0), side * 256, side * 256)
    facts = make_facts(grid, tiles=count)
    shown = ShownTiles()
    summary = summarise(shown.of(features_of(count, facts)), facts)
    pictures = noise(grid, summary, shown)
    start = time.process_time()
    content = render_report("html", summary, facts, pictures, shown.strongest())
    seconds = time.process_time() - start
    return Made(content, shown_in(content), seconds)


def shown_in(content: bytes) -> int:
    """Tiles of a page's block of data."""
    import orjson

    start = content.index(b'id="data">') + len(b'id="data">')
    return len(orjson.loads(content[start : content.index(b"</script>", start)])["tiles"]["id"])


def features_of(count: int, facts: RunFacts) -> list[Feature]:
    """Tiles of which a fifth changed, each with words of its own."""
    words = np.random.default_rng(0)
    statuses = words.choice(["changed", "unchanged", "unsure", "nodata"], count, p=[0.2, 0.6, 0.15, 0.05])
    features = build_features(make_results(count, facts, lambda i: str(statuses[i])), facts)
    made = []
    for i, feature in enumerate(features):
        first, second = NAMES[i % 10], NAMES[i // 10 % 10]
        text = f"{first} and {second} have appeared in the {('north', 'south')[i % 2]} of tile {i}, beside {first}."
        area = float(words.integers(10, 20_000)) if feature.status == "changed" else feature.changed_area_m2
        kinds = (first, second) if feature.status == "changed" else ()
        made.append(replace(feature, caption=text, keywords=kinds, changed_area_m2=area))
    return made


def noise(grid: Grid, summary: Summary, shown: ShownTiles) -> Pictures:
    """Pictures of every kind, as large as they may become."""
    random = np.random.default_rng(0)
    target, bounds = mercator_grid(grid, MAX_PX), mercator_bounds(grid)
    assert target is not None and bounds is not None

    def overview(side: tuple[int, int]) -> Overview:
        pixels = random.integers(0, 255, (4, *side), np.uint8)
        pixels[3] = 255
        return Overview(pixels, bounds)

    def tile() -> TilePictures:
        pre, post = (random.integers(0, 255, (3, 256, 256), np.uint8) for _ in range(2))
        return TilePictures(pre, post, (random.random((256, 256)) < 0.1).astype(np.uint8))

    size = target.height, target.width
    mask = np.zeros((4, *size), np.uint8)
    mask[:, random.random(size) < 0.02] = np.array([[255], [0], [110], [255]], np.uint8)
    return Pictures(
        overview(size),
        overview(size),
        Overview(mask, bounds),
        (MaskKind("building", (255, 0, 110)),),
        None,
        {each.tile_id: tile() for each in summary.ranked},
        {each.id: Detail(overview((256, 256)), overview((256, 256))) for each in shown.strongest()[:DETAILS]},
    )


def measure(browser: Chromium, path: Path) -> Times:
    """Open the page once and use it."""
    page = Page(browser)
    page.open(path)
    while not page.run("document.documentElement.dataset.ready || ''"):
        time.sleep(0.05)
    clock = page.run(PAINTED)
    thread, process = page.spent()
    spent = []
    for act in (ZOOM, SORT, SEARCH):
        before, _ = page.spent()
        page.run(act)
        page.run(PAINTED)
        spent.append(page.spent()[0] - before)
    page.close()
    return Times(thread, process, clock, spent[2], spent[1], spent[0])


if __name__ == "__main__":
    main()
