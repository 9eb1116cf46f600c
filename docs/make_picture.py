"""Draw docs/picture.svg, the README's picture, from a real run on the example pair.

Left the image before; right the image after with the tiles, coloured by what the captioner says of them; below the
strongest changes with their captions, word for word.

Usage: python docs/make_picture.py   (or: make picture)
"""

from __future__ import annotations

import base64
import html
import json
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import cv2
import numpy as np
import rasterio

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
PRE, POST = EXAMPLES / "prairie_2012-07-31.tif", EXAMPLES / "prairie_2014-07-20.tif"
COLOURS = {"changed": "#e8590c", "unchanged": "#2b8a3e", "unsure": "#f2c037"}
PANEL, GAP, CHIP, CARDS = 600, 20, 140, 4
WIDTH = 2 * PANEL + 3 * GAP


def run() -> dict:
    """What ``rsccli caption`` writes for the pair."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.geojson"
        start = "import sys; sys.argv[0] = 'rsccli'; from rsccli.cli.main import main; main()"
        names = [str(path.relative_to(HERE.parent)) for path in (PRE, POST)]
        command = [sys.executable, "-c", start, "caption", *names, "-o", str(out), "--no-report"]
        subprocess.run(command, check=True, cwd=HERE.parent)
        return json.loads(out.read_text(encoding="utf-8"))


def read(path: Path) -> np.ndarray:
    """RGB image (row, column, band)."""
    with rasterio.open(path) as src:
        return src.read([1, 2, 3]).transpose(1, 2, 0)


def embed(image: np.ndarray, width: int) -> str:
    """A JPEG of a given width as a data address."""
    height = round(image.shape[0] * width / image.shape[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def text(x: float, y: float, words: str, size: int = 15, extra: str = "") -> str:
    """One line of text."""
    return f'<text x="{x}" y="{y}" font-size="{size}" {extra}>{html.escape(words)}</text>'


def card(feature: dict, pre: np.ndarray, post: np.ndarray, size: int, x: float, y: float) -> str:
    """Both dates of one tile and its caption."""
    facts = feature["properties"]
    row, col = facts["tile_row"] * size, facts["tile_col"] * size
    parts = []
    for i, image in enumerate((pre, post)):
        chip = np.full((size, size, 3), 235, np.uint8)
        inner = image[row : row + size, col : col + size]
        chip[: inner.shape[0], : inner.shape[1]] = inner
        parts.append(
            f'<image x="{x + i * (CHIP + 4)}" y="{y}" width="{CHIP}" height="{CHIP}" href="{embed(chip, CHIP * 2)}"/>'
        )
    colour = COLOURS.get(facts["status"], "#868e96")
    label = facts["status"] + (f" {facts['change_score']:.2f}" if facts["change_score"] is not None else "")
    parts.append(f'<rect x="{x}" y="{y + CHIP + 8}" width="9" height="9" fill="{colour}"/>')
    parts.append(text(x + 14, y + CHIP + 17, f"{label} · {feature['id']}", 12, 'fill="#666"'))
    for i, line in enumerate(textwrap.wrap(facts["caption"] or "", 38)[:3]):
        parts.append(text(x, y + CHIP + 36 + 18 * i, line, 14))
    return "".join(parts)


def draw(collection: dict) -> str:
    """The whole picture as SVG."""
    pre, post = read(PRE), read(POST)
    size, features = collection["rsccli"]["tile_size"], collection["features"]
    scale = PANEL / pre.shape[1]
    height = pre.shape[0] * scale
    top, right = 34, PANEL + 2 * GAP
    parts = [
        text(GAP, 24, f"before, {collection['rsccli']['pre']['datetime']}"),
        text(right, 24, f"after, {collection['rsccli']['post']['datetime']}, with what rsccli says of each tile"),
        f'<image x="{GAP}" y="{top}" width="{PANEL}" height="{height:.0f}" href="{embed(pre, PANEL)}"/>',
        f'<image x="{right}" y="{top}" width="{PANEL}" height="{height:.0f}" href="{embed(post, PANEL)}"/>',
    ]
    for feature in features:
        facts = feature["properties"]
        x, y = facts["tile_col"] * size * scale, facts["tile_row"] * size * scale
        w, h = min(size * scale, PANEL - x) - 3, min(size * scale, height - y) - 3
        colour = COLOURS.get(facts["status"], "#868e96")
        parts.append(
            f'<rect x="{right + x + 1.5:.1f}" y="{top + y + 1.5:.1f}" width="{w:.1f}" height="{h:.1f}" '
            f'fill="none" stroke="{colour}" stroke-width="3"/>'
        )
    legend = right
    for status, colour in COLOURS.items():
        count = sum(f["properties"]["status"] == status for f in features)
        y = top + height + 8
        parts.append(f'<rect x="{legend}" y="{y:.0f}" width="11" height="11" fill="{colour}"/>')
        parts.append(text(legend + 16, y + 10, f"{status}: {count}", 13, 'fill="#444"'))
        legend += 130
    ranked = sorted(features, key=lambda f: -(f["properties"]["change_score"] or 0))
    cards_top = top + height + 40
    for i, feature in enumerate(ranked[:CARDS]):
        parts.append(card(feature, pre, post, size, GAP + i * (PANEL + GAP) / 2, cards_top))
    total = cards_top + CHIP + 100
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total:.0f}" width="{WIDTH}" '
        f'height="{total:.0f}" '
        f'font-family="system-ui, sans-serif" fill="#111"><rect width="100%" height="100%" fill="#fff"/>'
        + "\n".join(parts)
        + "</svg>\n"
    )


if __name__ == "__main__":
    (HERE / "picture.svg").write_text(draw(run()), encoding="utf-8")
