"""Libraries of others that the page carries are byte for byte what their publishers gave out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_vendored_files_have_the_sums_that_are_written_down(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_vendor.py", "--check"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "leaflet 1.9.4" in done.stderr


def test_a_changed_byte_is_noticed(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "rsccli" / "output" / "assets"
    (copy / "leaflet").mkdir(parents=True)
    assets = root / "rsccli" / "output" / "assets"
    for name in ("vendored.json", "leaflet/LICENSE", "leaflet/leaflet.css", "leaflet/leaflet.js"):
        (copy / name).write_bytes((assets / name).read_bytes())
    (copy / "leaflet" / "leaflet.js").write_bytes((assets / "leaflet" / "leaflet.js").read_bytes() + b" ")
    (tmp_path / "docs").mkdir()
    script = tmp_path / "docs" / "make_vendor.py"
    script.write_bytes((root / "docs" / "make_vendor.py").read_bytes())
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "leaflet/dist/leaflet.js" in done.stderr


def test_each_script_and_style_of_ours_is_in_the_page(root: Path) -> None:
    from rsccli.output.report.assets import SCRIPTS, STYLES

    folder = root / "rsccli" / "output" / "assets" / "report"
    assert sorted(SCRIPTS) == sorted(path.stem for path in folder.glob("*.js"))
    assert sorted(STYLES) == sorted(path.stem for path in folder.glob("*.css"))
