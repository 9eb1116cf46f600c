"""Pictures of development pairs with what the captioner says: six on a sheet. NAIP and prairie alone."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from card_bench import Bench, Section, look
from card_judged import spaced, span
from card_sets import Imagery, Item, chips, prairie

from rsccli.types import Bool, Caption

U8 = npt.NDArray[np.uint8]
SIDE, GAP, LINE, TITLE = 256, 6, 14, 18
ROOM, WRAP = 5, 108
ACROSS, ON_SHEET = 2, 6
CHANGED, QUIET, FIELDS = 18, 4, 2
MOST_BYTES = 245_000
OUTLINE = (255, 220, 0)


def chosen(imagery: Imagery) -> tuple[Item, ...]:
    """Eighteen development places labelled changed (the longest span of each), four unchanged, two prairie tiles."""
    labelled = chips(imagery.development)
    kept: list[Item] = []
    for seen, number in (("changed", CHANGED), ("unchanged", QUIET)):
        longest: dict[str, Item] = {}
        for item in labelled:
            if item.seen == seen and (item.place not in longest or span(item) > span(longest[item.place])):
                longest[item.place] = item
        taken = {item.place for item in kept}
        kept += spaced([item for place, item in longest.items() if place not in taken], number)
    return (*kept, *(replace(item, caption="(no label)") for item in spaced(prairie(imagery.folder), FIELDS)))


def outlined(image: U8, mask: Bool | None) -> U8:
    """An image (H, W, 3) with the outline of a mask."""
    drawn: U8 = image.copy()
    if mask is not None and mask.any():
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, edges, -1, OUTLINE, 1)
    return drawn


def _write(
    canvas: U8, text: str, at: tuple[int, int], colour: tuple[int, int, int] = (20, 20, 20), size: float = 0.36
) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def panel(item: Item, caption: Caption, lines: tuple[str, ...], room: int = ROOM) -> U8:
    """Both dates side by side, the outline on the later one, and room for so many lines of text below."""
    canvas = np.full((TITLE + SIDE + LINE * room + GAP, 2 * SIDE + GAP, 3), 255, np.uint8)
    score = "-" if caption.change_score is None else f"{caption.change_score:.2f}"
    _write(canvas, f"{item.name}   {caption.status} {score}", (2, 13), size=0.42)
    dates = [np.ascontiguousarray(np.moveaxis(date, 0, 2)) for date in (item.pre, item.post)]
    dates[1] = outlined(dates[1], caption.mask)
    for at, date in enumerate(dates):
        scale = SIDE / max(date.shape[:2])
        shown = date if scale == 1 else cv2.resize(date, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        left = at * (SIDE + GAP)
        canvas[TITLE : TITLE + shown.shape[0], left : left + shown.shape[1]] = shown
    row = TITLE + SIDE + 13
    for line in lines:
        for part in textwrap.wrap(_plain(line), WRAP)[:3]:
            _write(canvas, part, (2, row))
            row += LINE
    return canvas


def sheet(panels: list[U8], across: int = ACROSS) -> U8:
    """Panels in rows."""
    blank = np.full_like(panels[0], 255)
    full = panels + [blank] * (-len(panels) % across)
    gap = np.full((panels[0].shape[0], 2 * GAP, 3), 255, np.uint8)
    rows = []
    for start in range(0, len(full), across):
        parts: list[U8] = []
        for one in full[start : start + across]:
            parts += [one, gap]
        rows.append(np.hstack(parts[:-1]))
    return np.vstack(rows)


def save(image: U8, path: Path, most: int = MOST_BYTES) -> None:
    """As PNG, or as JPEG of the best quality that fits into so many bytes."""
    if path.suffix == ".png":
        cv2.imwrite(str(path), image[..., ::-1])
        return
    for quality in range(88, 20, -4):
        done, packed = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        if len(packed) <= most:
            break
    path.write_bytes(packed.tobytes())


def pictures(bench: Bench, folder: Path) -> Section:
    """Sheets beside the page, and the part of the page that shows them."""
    seen = look(bench.captioner(), chosen(bench.imagery))
    folder.mkdir(parents=True, exist_ok=True)
    panels = [panel(i, c, (c.text, f"Label: {i.caption}")) for i, c in zip(seen.items, seen.captions, strict=True)]
    shown = []
    for at, start in enumerate(range(0, len(panels), ON_SHEET), 1):
        name = f"pairs-{at}.jpg"
        save(sheet(panels[start : start + ON_SHEET]), folder / name)
        shown.append(
            f"![Development pairs {start + 1} to {start + len(panels[start : start + ON_SHEET])}]({folder.name}/{name})"
        )
    body = f"""{len(panels)} real pairs of development places, by rule and not by looks: {CHANGED} places labelled
changed, evenly spaced by name, with the longest span of years; {QUIET} labelled unchanged; {FIELDS} of six prairie
tiles. Each with the answer and the score, the outline of the mask in yellow on the later date, the caption, and a
person's label. Thresholds were set on these places, so the figures above are not from them. No Harvey pair is shown,
as the licence of its imagery is doubtful. Imagery: NAIP, USDA, public domain.

""" + "\n\n".join(shown)
    return Section("Pictures", body)
