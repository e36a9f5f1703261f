"""Fetching boot loaders: whole or not at all, completed by the next run, refused in words."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
CLOSED = "http://127.0.0.1:9/debian"
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


def module(name: str) -> ModuleType:
    """A script of `packaging/` as a module."""
    sys.dont_write_bytecode, kept = True, sys.dont_write_bytecode
    try:
        loader = SourceFileLoader(f"packaging_{name}", str(PACKAGING / name))
        spec = spec_from_loader(loader.name, loader)
        assert spec is not None
        made = module_from_spec(spec)
        # Dataclasses and typing look the module up by name.
        sys.modules[loader.name] = made
        loader.exec_module(made)
    finally:
        sys.dont_write_bytecode = kept
    return made


LOADERS, DEBS = module("loaders"), module("debs")


class Shop:
    """`loaders` beside a stand-in for `debs` that hands out a package made here, and counts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dest = folder, folder / "dest"
        self.bin = folder / "bin"
        self.bin.mkdir()
        shutil.copy(PACKAGING / "loaders", self.bin)
        self.count = folder / "count"
        self.package("1.0")

    def package(self, version: str, *, without: str = "") -> None:
        tree = self.folder / f"tree-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: ipxe\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
        )
        for source in LOADERS.FILES.values():
            if without and source.endswith(without):
                continue
            file = tree / source
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{source} {version}")
        # What each package holds is its own affair: here all of it is in one.
        deb = self.folder / f"ipxe_{version}.deb"
        subprocess.run(["dpkg-deb", "--build", "-Znone", str(tree), str(deb)], check=True, capture_output=True)
        debs = self.bin / "debs"
        debs.write_text(
            "import sys\n"
            "wanted = sys.argv[sys.argv.index('--dest') + 2 :]\n"
            f"for name in wanted: print(name, '{version}', 'all', '0', {str(deb)!r}, sep='\\t')\n"
            f"if 'ipxe' in wanted: open({str(self.count)!r}, 'a').write('x')\n"
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, str(self.bin / "loaders"), str(self.dest), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    @property
    def fetched(self) -> int:
        return len(self.count.read_text()) if self.count.exists() else 0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@needs_dpkg
def test_loaders_and_their_manifest(shop: Shop) -> None:
    done = shop.run()
    assert done.returncode == 0, done.stderr
    folder = shop.dest / "loaders"
    manifest = json.loads((folder / "manifest.json").read_text())
    wanted = {f"{name}:{arch}" for arch, packages in LOADERS.PACKAGES.items() for name in packages}
    assert manifest["packages"] == dict.fromkeys(wanted, "1.0")
    assert set(manifest["files"]) == set(LOADERS.FILES)
    for name, said in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (said["size"], said["sha256"])
    assert (folder / "ipxe.efi").read_text() == "usr/lib/ipxe/ipxe-amd64.efi 1.0"
    assert sorted(os.listdir(shop.dest)) == ["loaders"]


@needs_dpkg
def test_a_whole_set_is_left_alone_unless_a_newer_one_is_asked_for(shop: Shop) -> None:
    shop.run()
    shop.package("2.0")
    assert shop.run().returncode == 0
    assert shop.fetched == 1
    assert shop.run("--refresh").returncode == 0
    assert json.loads((shop.dest / "loaders/manifest.json").read_text())["packages"]["ipxe:amd64"] == "2.0"
    assert (shop.dest / "loaders/ipxe.pxe").read_text().endswith("2.0")


@needs_dpkg
@pytest.mark.parametrize("harm", ["no manifest", "no loader", "changed loader", "garbled manifest", "left over"])
def test_an_interrupted_run_is_completed_by_the_next(shop: Shop, harm: str) -> None:
    shop.run()
    folder = shop.dest / "loaders"
    if harm == "no manifest":
        (folder / "manifest.json").unlink()
    elif harm == "no loader":
        (folder / "undionly.kpxe").unlink()
    elif harm == "changed loader":
        (folder / "ipxe.efi").write_text("half")
    elif harm == "garbled manifest":
        (folder / "manifest.json").write_text('{"files": [')
    else:
        (shop.dest / ".loaders.abc").mkdir()
        (folder / "manifest.json").unlink()
    done = shop.run()
    assert done.returncode == 0, done.stderr
    assert shop.fetched == 2
    assert LOADERS.complete(folder)
    assert sorted(os.listdir(shop.dest)) == ["loaders"]


@needs_dpkg
def test_a_package_without_a_loader_is_refused_and_nothing_is_lost(shop: Shop) -> None:
    shop.run()
    shop.package("2.0", without="snponly.efi")
    done = shop.run("--refresh")
    assert done.returncode == 1
    assert "do not contain usr/lib/ipxe/snponly.efi" in done.stderr
    assert LOADERS.complete(shop.dest / "loaders")


@needs_dpkg
def test_what_debs_could_not_fetch_is_told(shop: Shop) -> None:
    (shop.bin / "debs").write_text("import sys\nprint('debs: no network', file=sys.stderr)\nsys.exit(1)\n")
    done = shop.run()
    assert done.returncode == 1
    assert "debs: no network" in done.stderr
    assert "grub-efi-amd64-signed for amd64 could not be fetched\n         see the lines above" in done.stderr
    assert not (shop.dest / "loaders").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    argv = [sys.executable, str(PACKAGING / "loaders"), str(tmp_path / "file")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "choose a directory you may write to" in done.stderr


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_debs_says_what_failed_and_what_to_do(tmp_path: Path) -> None:
    argv = [sys.executable, str(PACKAGING / "debs"), "--mirror", CLOSED, "--dest", str(tmp_path), "--state"]
    done = subprocess.run(
        [*argv, str(tmp_path / "state"), "ipxe"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "debs: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("output", "message", "hint"),
    [
        ("E: Unable to locate package nosuch", "Unable to locate package nosuch", "package's name"),
        ("W: GPG error: NO_PUBKEY 0E98404D386FA1D9", "NO_PUBKEY", "debian-archive-keyring"),
        ("Err:1 http://x Could not resolve 'x'", "Could not resolve", "name service"),
        ("E: You don't have enough free space", "free space", "disk space"),
        ("E: Release file is not valid yet", "not valid yet", "clock"),
        ("", "said nothing", "run this again"),
    ],
)
def test_apts_words_get_a_remedy(output: str, message: str, hint: str) -> None:
    error = DEBS.explain(output)
    assert message in str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Inst libc6 (2.41-12 Debian:13.1/stable [arm64]) []", ("libc6", "2.41-12", "arm64")),
        ("Inst kmod:arm64 [34-1] (34.2-2 Debian:13.1/stable [arm64])", ("kmod", "34.2-2", "arm64")),
        ("Inst debconf (1.5.91 Debian:13.1/stable [all])", ("debconf", "1.5.91", "all")),
        ("Conf debconf (1.5.91 Debian:13.1/stable [all])", None),
    ],
)
def test_planned_packages(line: str, found: tuple[str, str, str] | None) -> None:
    match = DEBS.PLANNED.match(line)
    assert (match and (match["name"], match["version"], match["arch"])) == found


@pytest.mark.full
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_the_real_packages_arrive(tmp_path: Path) -> None:
    argv = [sys.executable, str(PACKAGING / "loaders"), str(tmp_path), "--state", str(tmp_path / "state")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    for name in LOADERS.FILES:
        if name.endswith(".efi"):
            assert (tmp_path / "loaders" / name).read_bytes().startswith(b"MZ"), name
    told = json.loads((tmp_path / "loaders/manifest.json").read_text())["packages"]
    assert set(told) == {f"{name}:{arch}" for arch, packages in LOADERS.PACKAGES.items() for name in packages}
