"""Take docs/qgis.png: what QGIS shows when it opens the GeoPackages of the example pair, nothing set by hand.

Usage: python docs/make_qgis_picture.py   (or: make qgis-picture). Needs QGIS and xvfb, e.g. Debian's qgis,
python3-qgis, xvfb and xauth; says so and leaves the picture as it is where they are missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAIR = ("examples/prairie_2012-07-31.tif", "examples/prairie_2014-07-20.tif")
MOST_BYTES = 450_000
START = "import sys; sys.argv[0] = 'rsccli'; from rsccli.cli.main import main; main()"


def run_for(command: list[str], environment: dict[str, str], seconds: float) -> str:
    """What a command and its children say; all of them end when the time is over."""
    started = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        return started.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        return started.communicate()[0]


def main() -> None:
    """Caption and detect, open all in QGIS, keep the picture of its window."""
    missing = [name for name in ("qgis", "xvfb-run", "xauth") if shutil.which(name) is None]
    if missing:
        print(
            f"docs/qgis.png is left as it is; not on the PATH: {', '.join(missing)} "
            "(apt install --no-install-recommends qgis python3-qgis xvfb xauth)",
            file=sys.stderr,
        )
        return
    # Not in the system's folder for temporary files: QGIS would mark the layers as temporary.
    (ROOT / "out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="qgis-", dir=ROOT / "out") as name:
        folder = Path(name)
        shutil.copy(ROOT / PAIR[1], folder / "post.tif")
        for command in (["caption", *PAIR, "-o", str(folder / "out.gpkg"), "--no-report"],
                        ["detect", *PAIR, "-o", str(folder / "changes.gpkg")]):  # fmt: skip
            subprocess.run([sys.executable, "-c", START, *command, "--quiet"], check=True, cwd=ROOT)
        # QGIS takes the first Python of the PATH: it must be its own, not that of our environment.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        kept["PATH"] = os.pathsep.join([str(Path(shutil.which("qgis") or "").parent), kept["PATH"]])
        kept |= {"RSCCLI_QGIS_FOLDER": name, "XDG_RUNTIME_DIR": name, "LC_ALL": "C.UTF-8"}
        qgis = ["qgis", "--nologo", "--noversioncheck", "--noplugins", "--profiles-path", str(folder / "profile")]
        command = ["xvfb-run", "-a", "-s", "-screen 0 1280x860x24", *qgis, "--code", str(HERE / "qgis_window.py")]
        said = run_for(command, kept, 120)
        if not (folder / "window.png").exists():
            sys.exit(f"QGIS took no picture:\n{said[-2000:]}")
        picture = Image.open(folder / "window.png").convert("RGB")
    for colours in (256, 192, 128, 96, 64):
        # Dithering would cost more bytes than it is worth.
        few = picture.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
        few.save(HERE / "qgis.png", optimize=True)
        if (HERE / "qgis.png").stat().st_size <= MOST_BYTES:
            return
    sys.exit(f"docs/qgis.png is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
