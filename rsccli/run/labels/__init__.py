"""Damage labels of buildings: how many of each level a tile holds, and where their outlines run.

Any vector file that pyogrio reads with one polygon per building and a column that names its level, a label file of xBD
(Gupta et al. 2019) itself, or outlines in pixels of an image. A building is counted in the tile that holds its
centroid, or, as RSCC does, in every tile that it touches.
"""

from __future__ import annotations

from rsccli.run.labels.buildings import LEAST_SHARED_PX2, Shapes
from rsccli.run.labels.pixels import pixel_labels
from rsccli.run.labels.placed import read_labels
from rsccli.run.labels.tile_labels import Labels, Rule, TileLabels

__all__ = ["LEAST_SHARED_PX2", "Labels", "Rule", "Shapes", "TileLabels", "pixel_labels", "read_labels"]
