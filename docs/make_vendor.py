"""Fetch the libraries of other people that the report page carries, again, and check every byte.

rsccli/output/assets/vendored.json names the npm package, its version, the integrity of its archive (as the registry
states it) and the SHA-256 of each file that is kept. A wrong sum is an error, and nothing is written.

Usage: python docs/make_vendor.py [--check]   (or: make vendor). Needs npm; --check compares what is there, without it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "rsccli" / "output" / "assets"


def main() -> None:
    """Fetch or check every library of vendored.json."""
    parser = argparse.ArgumentParser(description="Fetch vendored libraries again, or check them.")
    parser.add_argument("--check", action="store_true", help="compare the files that are there; fetch nothing")
    check = parser.parse_args().check
    for folder, told in json.loads((ASSETS / "vendored.json").read_text(encoding="utf-8")).items():
        target = ASSETS / folder
        if check:
            files = {name: (target / Path(name).name).read_bytes() for name in told["files"]}
        else:
            files = fetch(f"{told['package']}@{told['version']}", told["integrity"], list(told["files"]))
        for name, digest in told["files"].items():
            found = hashlib.sha256(files[name]).hexdigest()
            if found != digest:
                sys.exit(f"{folder}/{name}: SHA-256 is {found}, vendored.json says {digest}: nothing was written")
        if not check:
            target.mkdir(exist_ok=True)
            for name, content in files.items():
                (target / Path(name).name).write_bytes(content)
        print(f"{folder} {told['version']}: {len(files)} files as vendored.json says", file=sys.stderr)


def fetch(package: str, integrity: str, names: list[str]) -> dict[str, bytes]:
    """Files of an npm package by their name in it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, package]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        kind, _, wanted = integrity.partition("-")
        found = base64.b64encode(hashlib.new(kind, archive.read_bytes()).digest()).decode()
        if found != wanted:
            sys.exit(f"{package}: {kind} of the archive is {found}, not {wanted}: nothing was written")
        with tarfile.open(archive) as packed:
            members = {name: packed.extractfile(f"package/{name}") for name in names}
            return {name: member.read() for name, member in members.items() if member is not None}


if __name__ == "__main__":
    main()
