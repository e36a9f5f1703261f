"""Debian packages that a long test takes files from: fetched, checked and unpacked, never installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = Path(__file__).resolve().parents[2] / "packaging/debs"


def unpacked(folder: Path, package: str, suite: str = "trixie") -> Path:
    """The tree of a package, in a new folder."""
    argv = [sys.executable, str(_PROGRAM), "--suite", suite, "--dest", str(folder), package]
    fetched = subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)
    assert fetched.returncode == 0, fetched.stderr
    deb = fetched.stdout.strip().split("\t")[4]
    subprocess.run(["dpkg", "-x", deb, str(folder / "tree")], check=True, capture_output=True)
    return folder / "tree"
