"""The script that a user would write today: both images in memory, the same model, sums over overlapping tiles.

Stitches with the same weights as `rsccli detect` in floating point over the whole image, thresholds, labels, traces
polygons with rasterio and writes one GeoJSON. Both images must lie on one grid. No mask of the inputs, no shift
measured, nothing to go on from.

Usage: python tests/bench/naive_detect.py PRE POST OUT
"""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import rasterio
import rasterio.features
import shapely
from pyproj import Geod
from rasterio.warp import transform_geom

from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.types import MapBounds, PxWindow, Tile, TilePair

TILE, STRIDE, BATCH = 256, 192, 16
THRESHOLD, LEAST_PX = 0.5, 16


def tiles_of(pre: np.ndarray, post: np.ndarray, gsd_m: float) -> list[TilePair]:
    """Every tile, padded at the right and at the bottom."""
    _, height, width = pre.shape
    found = []
    for top in range(0, max(1, height - (TILE - STRIDE)), STRIDE):
        for left in range(0, max(1, width - (TILE - STRIDE)), STRIDE):
            rows, cols = min(TILE, height - top), min(TILE, width - left)
            images, valid = np.zeros((2, 3, TILE, TILE), np.uint8), np.zeros((TILE, TILE), bool)
            images[0, :, :rows, :cols] = pre[:, top : top + rows, left : left + cols]
            images[1, :, :rows, :cols] = post[:, top : top + rows, left : left + cols]
            valid[:rows, :cols] = True
            tile = Tile("t", top, left, PxWindow(left, top, TILE, TILE), MapBounds(0, 0, 1, 1))
            found.append(TilePair(tile, images[0], images[1], valid, gsd_m))
    return found


def main() -> None:
    """Run."""
    pre_path, post_path, out = sys.argv[1:4]
    with rasterio.open(pre_path) as file:
        pre, crs, transform = file.read((1, 2, 3)), file.crs, file.transform
    with rasterio.open(post_path) as file:
        post = file.read((1, 2, 3))
    captioner = load_captioner("rsccli-small", CaptionerOptions(device="cpu"))
    ramp = TILE - STRIDE
    profile = np.ones(TILE, np.float32)
    profile[:ramp] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
    profile[-ramp:] = profile[:ramp][::-1]
    window = np.outer(profile, profile)
    _, height, width = pre.shape
    names = captioner.class_names  # type: ignore[attr-defined]
    joint, weight = np.zeros((len(names), height, width), np.float32), np.zeros((height, width), np.float32)
    pairs = tiles_of(pre, post, abs(transform.a))
    for start in range(0, len(pairs), BATCH):
        batch = pairs[start : start + BATCH]
        for pair, found in zip(batch, captioner.detect(batch), strict=True):  # type: ignore[attr-defined]
            left, top = pair.tile.px_window[:2]
            rows, cols = min(TILE, height - top), min(TILE, width - left)
            if found.reason is not None:
                continue
            place = np.s_[top : top + rows, left : left + cols]
            joint[(slice(None), *place)] += (found.classes * found.probability * window)[:, :rows, :cols]
            weight[place] += window[:rows, :cols]
    probability = joint.sum(0) / np.maximum(weight, 1e-6)
    codes = np.where(probability >= THRESHOLD, joint.argmax(0) + 1, 0).astype(np.uint8)
    labels, kinds = np.zeros(codes.shape, np.int32), [0]
    for code in range(1, len(names) + 1):
        count, part = cv2.connectedComponents((codes == code).astype(np.uint8), connectivity=4)
        labels += np.where(part > 0, part + len(kinds) - 1, 0).astype(np.int32)
        kinds += [code] * (count - 1)
    pixels = np.bincount(labels.ravel(), minlength=len(kinds))
    means = np.bincount(labels.ravel(), probability.ravel(), len(kinds)) / np.maximum(pixels, 1)
    wanted = (pixels >= LEAST_PX)[labels] & (labels > 0)
    geod, features = Geod(ellps="WGS84"), []
    for geometry, label in rasterio.features.shapes(labels, mask=wanted, transform=transform):
        simple = shapely.simplify(shapely.geometry.shape(geometry), abs(transform.a))
        lonlat = transform_geom(crs, "EPSG:4326", shapely.geometry.mapping(simple))
        told = {
            "class": names[kinds[int(label)] - 1],
            "area_m2": abs(geod.geometry_area_perimeter(shapely.geometry.shape(lonlat))[0]),
            "mean_probability": float(means[int(label)]),
        }
        features.append({"type": "Feature", "geometry": lonlat, "properties": told})
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file)


if __name__ == "__main__":
    main()
