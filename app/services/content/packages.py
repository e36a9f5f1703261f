"""Files of boot environments that Debian packages bring: fetched, checked, put in place, listed in a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import app
from app.errors import BootcartError, UnavailableError
from app.model.bootenv import BootEnv, PackageFiles, packaged_folder

MANIFEST = "manifest.json"
_PIECE = 1 << 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The packages of one boot environment for one architecture."""

    bootenv: str
    architecture: str
    packages: tuple[PackageFiles, ...]

    @property
    def folder(self) -> str:
        """Where the files go, below the artefacts."""
        return packaged_folder(self.bootenv, self.architecture)


def downloader() -> Path:
    """The program that downloads Debian packages; it comes with a checkout, not with a wheel."""
    return Path(app.__file__).resolve().parents[1] / "packaging/debs"


def wanted(bootenv: BootEnv, architectures: Sequence[str] = ()) -> list[Wanted]:
    """What packages bring for a boot environment; `architectures`: only for these."""
    return [
        Wanted(bootenv.name, arch, files.packages)
        for arch, files in bootenv.architectures.items()
        if files.packages and (not architectures or arch in architectures)
    ]


def complete(artefacts: Path, one: Wanted) -> bool:
    """Every file is there and is what the manifest, which names the same packages, says. Reads all of them."""
    folder = artefacts / one.folder
    try:
        told = cast("dict[str, Any]", json.loads((folder / MANIFEST).read_bytes()))
        sources = {name: (p.package, p.suite, path) for p in one.packages for name, path in p.files.items()}
        listed = {
            name: (facts["package"], facts["suite"], facts["source"])
            for name, facts in cast("dict[str, Any]", told["files"]).items()
        }
        return listed == sources and all(_sha256(folder / name) == told["files"][name]["sha256"] for name in sources)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def fetch(artefacts: Path, one: Wanted, say: Say, mirror: str = "") -> None:
    """Bring the files, each whole or not at all, the manifest last. Raises BootcartError; may be called again."""
    folder = artefacts / one.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(".fetch.*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch.") as made:
            work = Path(made)
            listed: dict[str, dict[str, Any]] = {}
            for package in one.packages:
                version, digest, deb = _download(package, one.architecture, artefacts, work, mirror)
                say(f"{package.package} {version}: {', '.join(package.files)}")
                for name, facts in _extract(deb, package, work).items():
                    about = {"package": package.package, "version": version, "package_sha256": digest}
                    listed[name] = {**about, "suite": package.suite, **facts}
                deb.unlink()
            (folder / MANIFEST).unlink(missing_ok=True)
            for name in listed:
                os.replace(work / name, folder / name)
            text = json.dumps({"bootenv": one.bootenv, "architecture": one.architecture, "files": listed}, indent=2)
            (work / MANIFEST).write_text(text + "\n")
            (work / MANIFEST).chmod(0o644)
            os.replace(work / MANIFEST, folder / MANIFEST)
    except OSError as error:
        what = f"{error.filename or folder}: {error.strerror}"
        raise BootcartError(what, hint="free space, or choose a directory you may write to") from error


def _download(
    package: PackageFiles, architecture: str, artefacts: Path, work: Path, mirror: str
) -> tuple[str, str, Path]:
    """The package's version, SHA-256 and file; its signature chain is checked by apt."""
    program = downloader()
    if not program.is_file():
        raise UnavailableError(
            "this installation has no packaging/debs, which downloads Debian packages",
            hint=f"fetch with a checkout and copy the folder {artefacts / 'bootenvs'} here",
        )
    argv = [sys.executable, str(program), "--suite", package.suite, "--arch", architecture, "--dest", str(work)]
    argv += ["--state", str(artefacts / "apt"), *(["--mirror", mirror] if mirror else []), package.package]
    # What it says of its progress goes to our own standard error.
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    fields = done.stdout.strip().split("\t")
    if done.returncode or len(fields) != 5:
        raise UnavailableError(f"{package.package} could not be fetched", hint="see the lines above, then try again")
    return fields[1], fields[3], Path(fields[4])


def _extract(deb: Path, package: PackageFiles, work: Path) -> dict[str, dict[str, Any]]:
    """The wanted files out of a package, in `work` under their own names; size, SHA-256 and source of each."""
    names = {path: name for name, path in package.files.items()}
    try:
        found = _unpacked(deb, names, work)
    except (tarfile.TarError, EOFError) as error:
        what = f"{package.package} ({deb.name}) does not unpack: {error}"
        raise BootcartError(what, hint="try again; another --mirror may have a whole one") from error
    absent = [path for path, name in names.items() if name not in found]
    if absent:
        what = f"{package.package} ({deb.name}) does not contain {', '.join(absent)}"
        raise BootcartError(what, hint="mend the paths in its bootenv.yaml")
    return found


def _unpacked(deb: Path, names: Mapping[str, str], work: Path) -> dict[str, dict[str, Any]]:
    """The files of `names` (path in the package to name), as far as they are there. Raises tarfile.TarError."""
    found: dict[str, dict[str, Any]] = {}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|", bufsize=_PIECE) as archive,
    ):
        for member in archive:
            path = member.name.removeprefix("./")
            # A link would name another file of the package; a boot environment names that one itself.
            source = archive.extractfile(member) if path in names and member.isreg() else None
            if source is None:
                continue
            digest = hashlib.sha256()
            with (work / names[path]).open("wb") as target:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    target.write(piece)
            (work / names[path]).chmod(0o644)
            found[names[path]] = {"source": path, "size": member.size, "sha256": digest.hexdigest()}
    if process.returncode:
        raise tarfile.ReadError(f"dpkg-deb ended with exit code {process.returncode}")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
