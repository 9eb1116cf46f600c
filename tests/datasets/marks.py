"""One place of the little data alone, with marks that a test can find again by their colours."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rsccli.datasets.backgrounds import Background, Box, Label, Mark, Sources, main_marks
from rsccli.types import Bool

MARK: Box = (88.0, 88.0, 168.0, 168.0)
# Turned or flipped, these two lie elsewhere.
WIDE: Box = (20.0, 36.0, 100.0, 76.0)
HIGH: Box = (150.0, 120.0, 190.0, 220.0)
# Nothing else in the little data has these.
COLOURS = ((255, 0, 255), (0, 255, 255), (255, 255, 0))


def label_of(*marks: Mark) -> Label:
    main = [mark for mark in marks if mark.main]
    keywords = tuple(dict.fromkeys(mark.keyword for mark in main))
    return Label("changed" if main else "minor", keywords, tuple(mark.box for mark in main), "Text.", marks)


def painted(sources: Sources, label: Label) -> Sources:
    """The first place with a label, and the boxes of the label painted into the later date."""
    first, second = sources.places[0].chips
    image = second.image.copy()
    boxes = label.boxes if label.marks is None else [mark.box for mark in label.marks]
    for box, colour in zip(boxes, COLOURS, strict=False):
        left, top, right, bottom = (round(value) for value in box)
        image[top:bottom, left:right] = colour
    place = replace(sources.places[0], chips=(first, replace(second, image=image)))
    labels = {f"{place.name}:{first.year}-{second.year}": label}
    return replace(sources, places=(place,), prairie=(), labels=labels, marked=main_marks((place,), labels))


def shown(back: Background, number: int = 0) -> Bool:
    """Where the later date shows a mark's colour."""
    return np.asarray((np.abs(back.post - np.array(COLOURS[number])) < 60).all(2))


def wider(mask: Bool, pixels: int = 1) -> Bool:
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8))
    return np.asarray(grown > 0)
