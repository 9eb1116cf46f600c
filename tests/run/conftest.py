"""A pair of rasters, a command that captions it, and the bytes that an undisturbed run writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
SIZE = (4400, 2304)  # three superblocks across, two down, with tiles of 256


@dataclass(frozen=True)
class Cli:
    """Runs ``rsccli caption`` on the pair in another process."""

    pre: Path
    post: Path

    def arguments(self, output: Path | str, *options: str) -> list[str]:
        """The command line."""
        command = [sys.executable, "-m", "rsccli", "caption", str(self.pre), str(self.post), "-o", str(output)]
        return [*command, "-m", BRIGHTNESS, *options]

    def start(self, output: Path | str, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start it and come back at once."""
        return subprocess.Popen(
            self.arguments(output, *options),
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, output: Path | str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        process = self.start(output, *options, **environment)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def write_image(path: Path, seed: int, changes: Sequence[tuple[int, int, int]] = ()) -> None:
    """Smooth random ground, generated; ``changes`` are (column, row, grey levels) of squares of 200 px."""
    width, height = SIZE
    ground = np.random.default_rng(7).integers(40, 180, (3, height // 16, width // 16)).astype(np.uint8)
    image = np.repeat(np.repeat(ground, 16, axis=1), 16, axis=2).astype(np.int16)
    image += np.random.default_rng(seed).integers(-3, 4, image.shape, np.int16)
    for col, row, level in changes:
        image[:, row : row + 200, col : col + 200] += level
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=3,
        dtype="uint8",
        crs="EPSG:32633",
        transform=from_origin(400000, 5200000, 0.5, 0.5),
        tiled=True,
        compress="deflate",
        photometric="rgb",
    ) as ds:
        ds.write(np.clip(image, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = tmp_path_factory.mktemp("pair")
    write_image(folder / "pre_2020-01-01.tif", 1)
    write_image(folder / "post_2021-01-01.tif", 2, [(0, 0, 60), (1000, 700, -50), (3000, 1800, 70)])
    return Cli(folder / "pre_2020-01-01.tif", folder / "post_2021-01-01.tif")


@pytest.fixture(scope="session")
def undisturbed(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what a run that nobody disturbed wrote."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = cli.run(folder / "out.geojson")
    assert done.returncode == 0, done.stderr
    return folder
