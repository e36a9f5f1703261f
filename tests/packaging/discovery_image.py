"""For tests of the discovery system: its builder's modules, and the built image unpacked by cpio and zstd."""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DISCOVERY = ROOT / "packaging/discovery"
BUILD = DISCOVERY / "build"
CACHE = Path(os.environ.get("BOOTCART_CACHE_ROOT", "/var/cache/bootcart"))
LIB = DISCOVERY / "root/usr/lib/bootcart"


def module(name: str) -> ModuleType:
    """A module of the builder, which is a program of its own and no part of the package."""
    if str(DISCOVERY) not in sys.path:
        sys.path.insert(0, str(DISCOVERY))
    return importlib.import_module(f"discovery_image.{name}")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The image's content on disk, without its device nodes."""

    tree: Path
    manifest: dict[str, Any]

    @property
    def modules(self) -> Path:
        """The directory of the kernel's modules and their indexes."""
        return self.tree / "usr/lib/modules" / self.manifest["kernel"]

    @property
    def busybox(self) -> Path:
        return self.tree / "usr/bin/busybox"


@functools.cache
def built() -> Path:
    """DEST/discovery/amd64 of the shared cache, built where it is missing or outdated."""
    done = subprocess.run([str(BUILD), str(CACHE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return CACHE / "discovery/amd64"


def segments(initrd: bytes) -> tuple[bytes, bytes]:
    """The stored archive and the compressed one, which begins with zstd's magic number (RFC 8878 section 3.1.1)."""
    end = initrd.index(b"TRAILER!!!")
    start = initrd.index(b"\x28\xb5\x2f\xfd", end)
    assert initrd[end + 11 : start].strip(b"\0") == b""
    done = subprocess.run(["zstd", "-dcq"], input=initrd[start:], capture_output=True, check=True)
    return initrd[:start], done.stdout


@contextmanager
def unpacked() -> Iterator[Unpacked]:
    """Unpack the built image with cpio into a temporary directory."""
    folder = built()
    manifest = json.loads((folder / "manifest.json").read_text())
    with tempfile.TemporaryDirectory(prefix="bootcart-image-") as temporary:
        for archive in segments((folder / "initrd.img").read_bytes()):
            subprocess.run(
                ["cpio", "-idu", "--quiet", "--no-absolute-filenames", "-f", "dev/*"],
                cwd=temporary, input=archive, capture_output=True, check=True,
            )  # fmt: skip
        yield Unpacked(Path(temporary), manifest)
