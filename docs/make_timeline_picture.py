"""Take docs/timeline.png, the picture of a timeline, from a real run on the prairie series in ../shared/data.

Usage: python docs/make_timeline_picture.py   (or: make timeline-picture). Needs Chromium and playwright; says so and
leaves the picture as it is where the imagery is missing.
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
SERIES = ROOT.parent / "shared" / "data" / "prairie"
WIDTH, MOST_BYTES = 1100, 300_000
START = "import sys; sys.argv[0] = 'rsccli'; from rsccli.cli.main import main; main()"


def main() -> None:
    """Caption the series as docs/time-series.md says, open its timeline, and take the picture of its beginning."""
    if not SERIES.is_dir():
        print(f"docs/timeline.png is left as it is: {SERIES} is not here", file=sys.stderr)
        return
    chromium = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if chromium is None:
        sys.exit("no Chromium is on the PATH: apt install chromium")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "series"
        command = ["caption", SERIES.name, "-o", str(out), "--bands", "1,2,3", "--tile-size", "128", "-q"]
        subprocess.run([sys.executable, "-c", START, *command], check=True, cwd=SERIES.parent)
        shot = Path(folder) / "page.png"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": 800})
            page.goto((out / "timeline.html").as_uri())
            # What follows are long lists.
            end = page.evaluate("document.getElementById('kinds').closest('section').getBoundingClientRect().bottom")
            whole = {"x": 0, "y": 0, "width": WIDTH, "height": round(end) + 20}
            page.screenshot(path=str(shot), full_page=True, clip=whole)
            browser.close()
        picture = Image.open(shot).convert("RGB")
        for colours in (256, 192, 128, 96, 64):
            # Dithering would cost more bytes than it is worth.
            few = picture.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
            few.save(HERE / "timeline.png", optimize=True)
            if (HERE / "timeline.png").stat().st_size <= MOST_BYTES:
                return
    sys.exit(f"docs/timeline.png is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
