"""The builder as a program: the same bytes twice, without privilege, interrupted and continued; words when it fails."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.packaging import discovery_image
from tests.packaging.discovery_image import ROOT

NOBODY = 65534
FILES = ("vmlinuz", "initrd.img", "manifest.json")


@dataclass(frozen=True, slots=True)
class Place:
    """A copy of the builder that anybody can read, and a destination that belongs to `user`."""

    build: Path
    dest: Path
    user: int | None
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def start(self, *flags: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.build), *flags, str(self.dest)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
            user=self.user, group=self.user, extra_groups=[] if self.user else None, process_group=0,
            env={**os.environ, "HOME": str(self.dest), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        )  # fmt: skip

    def run(self, *flags: str, **environment: str) -> tuple[int, str]:
        with self.start(*flags, **environment) as child:
            _, said = child.communicate(timeout=280)
        return child.returncode, said

    @property
    def out(self) -> Path:
        return self.dest / "discovery/amd64"

    def digests(self) -> dict[str, str]:
        return {name: hashlib.sha256((self.out / name).read_bytes()).hexdigest() for name in FILES}


@pytest.fixture
def place() -> Iterator[Place]:
    """The packages are those that the shared cache has: no test of this file needs the network."""
    discovery_image.built()
    user = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="bootcart-build-") as temporary:
        base = Path(temporary)
        base.chmod(0o755)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "packaging/discovery", base / "packaging/discovery", ignore=ignored)
        shutil.copy(ROOT / "packaging/debs", base / "packaging")
        shutil.copy(ROOT / "pyproject.toml", base)
        for path in (base / "packaging").rglob("*"):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        kept = base / "dest/debs/trixie-amd64"
        kept.mkdir(parents=True)
        shutil.copy(discovery_image.CACHE / "debs/trixie-amd64/packages.json", kept)
        listed = json.loads((kept / "packages.json").read_text())
        for deb in listed["debs"]:
            (kept / Path(deb["path"]).name).symlink_to(deb["path"])
            deb["path"] = str(kept / Path(deb["path"]).name)
        (kept / "packages.json").write_text(json.dumps(listed))
        if user is not None:
            for path in (base / "dest", *(base / "dest").rglob("*")):
                os.chown(path, user, user, follow_symlinks=False)
        yield Place(base / "packaging/discovery/build", base / "dest", user)


@pytest.mark.timeout(600)
def test_interrupted_build_is_completed_with_the_same_bytes(place: Place) -> None:
    """One build is interrupted near its end, the next completes it; a third place (the cache) has the same content."""
    with place.start() as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("[ 75%]"):
                os.killpg(child.pid, signal.SIGINT)
                break
        rest = child.stderr.read()
    assert child.returncode == 130, rest
    assert "interrupted; run this again" in rest
    assert not place.out.exists()

    code, said = place.run()
    assert code == 0, said
    assert [line for line in said.splitlines() if line.startswith("[100%]")], said
    assert {path.name for path in place.out.iterdir()} == set(FILES)
    manifest = json.loads((place.out / "manifest.json").read_text())
    elsewhere = json.loads((discovery_image.built() / "manifest.json").read_text())
    # Another release of the compressor may give other bytes from the same packages; nothing else may.
    assert manifest["compressor"] == elsewhere["compressor"], "delete the image in the cache: it is from another zstd"
    assert manifest == elsewhere
    digests = place.digests()
    assert {name: facts["sha256"] for name, facts in manifest["files"].items()} == {
        name: digests[name] for name in FILES[:2]
    }

    # Complete: another call has nothing to do, and what is damaged is seen.
    code, said = place.run(PATH="/nonexistent")
    assert (code, said.count("\n")) == (0, 1), said
    (place.out / "vmlinuz").write_bytes(b"not a kernel")
    code, said = place.run(PATH="/nonexistent")
    assert code == 1
    assert "this host has no dpkg-deb, zstd, apt-get" in said
    assert "apt-get install dpkg zstd apt" in said


def test_damaged_package_is_named(place: Place) -> None:
    """A package that is not what it was leads to the network; where there is none, the words say so."""
    kept = place.dest / "debs/trixie-amd64"
    deb = next(path for path in kept.glob("busybox-static_*.deb"))
    deb.unlink()
    deb.write_bytes(b"!<arch>\nshort")
    code, said = place.run("--mirror", "http://127.0.0.1:9/debian")
    assert code == 1
    assert "discovery: the packages could not be fetched" in said
    assert "Traceback" not in said


def test_destination_that_cannot_be_written(place: Place) -> None:
    blocked = place.dest / "file"
    blocked.write_text("in the way")
    code, said = Place(place.build, blocked, place.user).run()
    assert code == 1
    assert "choose a directory you may write to" in said
    assert "Traceback" not in said
