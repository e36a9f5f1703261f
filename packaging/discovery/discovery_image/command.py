"""The command line: builds what is missing or outdated under DEST/discovery/ARCH, each file whole or not at all."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from discovery_image import contents, image, packages
from discovery_image.errors import BuildError, complain, say
from discovery_image.packages import Source

PROJECT = Path(__file__).resolve().parents[3]
FILES = ("vmlinuz", "initrd.img")
DEFAULT_SUITE = "trixie"

ARGUMENTS = {
    "amd64": "console=ttyS0,115200 console=tty0 quiet loglevel=3 panic=60",
    "arm64": "console=tty0 quiet loglevel=3 panic=60",
}
"""Kernel arguments the image likes, beside bootcart.url, bootcart.token and bootcart.mac."""


def source_digest() -> str:
    """A digest of everything of ours that the image depends on."""
    total = hashlib.sha256()
    here = Path(__file__).resolve().parent
    for folder in (here, image.ROOT):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                total.update(f"{path.relative_to(folder)} {path.stat().st_mode & 0o100} ".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def release_name(source: str) -> str:
    """What the agent calls itself: the product's version and eight digits of its source."""
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    return f"{version}+{source[:8]}"


def _facts(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def complete(folder: Path, inputs: dict[str, Any]) -> bool:
    """Whether the image in `folder` is whole and was built from `inputs` (those keys of its manifest)."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        same = all(manifest[key] == value for key, value in inputs.items())
        return same and all(_facts((folder / name).read_bytes()) == manifest["files"][name] for name in FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One build at a time in a destination; the next waits."""
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(0, "Waiting for another build to finish")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def put(folder: Path, built: image.Image, manifest: dict[str, Any]) -> None:
    """Write the three files; the manifest goes first and comes back last, so that a half-done set is seen as such."""
    folder.mkdir(exist_ok=True)
    for left in folder.parent.glob(".new.*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new.") as temporary:
        text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
        for name, data in zip((*FILES, "manifest.json"), (built.vmlinuz, built.initrd, text.encode()), strict=True):
            path = Path(temporary) / name
            path.write_bytes(data)
            path.chmod(0o644)
        (folder / "manifest.json").unlink(missing_ok=True)
        for name in (*FILES, "manifest.json"):
            os.replace(Path(temporary) / name, folder / name)


def make(options: argparse.Namespace) -> None:
    """Bring DEST/discovery/ARCH up to date. Raises BuildError."""
    base = options.dest.absolute() / "discovery"
    folder = base / options.arch
    source = source_digest()
    wanted = {"source": source, "suite": options.suite}
    if complete(folder, wanted) and not options.refresh:
        say(100, f"The discovery system is in {folder}")
        return
    packages.check_host()
    base.mkdir(parents=True, exist_ok=True)
    with locked(base):
        if complete(folder, wanted) and not options.refresh:
            say(100, f"The discovery system is in {folder}")
            return
        kept = options.dest.absolute() / "debs" / f"{options.suite}-{options.arch}"
        where = Source(options.arch, options.suite, options.mirror.rstrip("/"), options.state, kept)
        debs, warnings = packages.fetch(where, options.refresh)
        release = release_name(source)
        built = image.build(options.arch, debs, release)
        zstd = subprocess.run(["zstd", "--version"], capture_output=True, text=True, check=False).stdout.strip()
        manifest = {
            **wanted,
            "architecture": options.arch,
            "release": release,
            "kernel": built.release,
            "arguments": ARGUMENTS[options.arch],
            "files": {"vmlinuz": _facts(built.vmlinuz), "initrd.img": _facts(built.initrd)},
            "packages": {deb.name: {"version": deb.version, "sha256": deb.sha256} for deb in debs},
            # Another version of the compressor gives other bytes from the same packages.
            "compressor": zstd,
            "modules": built.modules,
            "firmware": built.firmware,
            "missing_firmware": built.missing_firmware,
            "warnings": [*warnings, *built.warnings],
        }
        for warning in manifest["warnings"]:
            say(95, f"warning: {warning}")
        put(folder, built, manifest)
    size = (len(built.vmlinuz) + len(built.initrd)) / 1e6
    say(100, f"The discovery system {release} (Linux {built.release}, {size:.0f} MB) is in {folder}")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="discovery", description="Build the discovery system: kernel and initramfs, from Debian packages."
    )
    parser.add_argument("dest", metavar="DEST", type=Path, help="for example /var/cache/bootcart")
    parser.add_argument("--arch", choices=sorted(contents.KERNEL), default="amd64")
    parser.add_argument("--mirror", default="", help="base URL of a Debian mirror (default: as packaging/debs)")
    parser.add_argument("--suite", default=DEFAULT_SUITE, help="Debian release (default: %(default)s)")
    parser.add_argument(
        "--state", default="", help="where package lists are kept between runs (default: as packaging/debs)"
    )
    parser.add_argument("--refresh", action="store_true", help="ask the mirror for newer packages and build anew")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Exit code 0, or 1 with what failed and what to do."""
    try:
        make(parse(argv))
    except BuildError as error:
        complain(f"discovery: {error}" + (f"\n           {error.hint}" if error.hint else ""))
        return 1
    except OSError as error:
        what = f"{error.filename or ''}: {error.strerror}"
        complain(f"discovery: {what}\n           free space, or choose a directory you may write to")
        return 1
    except KeyboardInterrupt:
        complain("discovery: interrupted; run this again, it continues where it stopped")
        return 130
    return 0
