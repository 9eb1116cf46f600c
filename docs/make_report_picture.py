"""Take docs/report.png, the picture of the report page, from a real run on the example pair.

Usage: python docs/make_report_picture.py   (or: make report-picture). Needs Chromium and playwright.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAIR = ("examples/prairie_2012-07-31.tif", "examples/prairie_2014-07-20.tif")
WIDTH, HEIGHT, MOST_BYTES = 1280, 1130, 300_000
START = "import sys; sys.argv[0] = 'rsccli'; from rsccli.cli.main import main; main()"


def main() -> None:
    """Caption the pair, open its page, choose the strongest change, and take the picture."""
    chromium = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if chromium is None:
        sys.exit("no Chromium is on the PATH: apt install chromium")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.geojson"
        for command in (["caption", *PAIR, "-o", str(out), "-q"], ["report", str(out)]):
            subprocess.run([sys.executable, "-c", START, *command], check=True, cwd=ROOT)
        shot = Path(folder) / "page.png"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(out.with_name("out.report.html").as_uri())
            page.locator("html[data-ready]").wait_for(state="attached")
            page.locator("#tiles-body button").first.click()
            page.evaluate("window.scrollTo(0, 0)")
            page.mouse.move(0, 0)
            page.wait_for_timeout(1000)
            page.screenshot(path=str(shot))
            browser.close()
        picture = Image.open(shot).convert("RGB")
        for colours in (256, 192, 128, 96, 64):
            # Dithering would cost more bytes than it is worth.
            few = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            few.save(HERE / "report.png", optimize=True)
            if (HERE / "report.png").stat().st_size <= MOST_BYTES:
                return
    sys.exit(f"docs/report.png is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
