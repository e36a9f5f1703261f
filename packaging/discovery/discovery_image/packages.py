"""Brings the .deb files through `packaging/debs` and reads them without unpacking to disk."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from discovery_image import contents, cpio
from discovery_image.errors import BuildError, say

DEBS = Path(__file__).resolve().parents[2] / "debs"


@dataclass(frozen=True, slots=True)
class Deb:
    """A downloaded package file."""

    name: str
    version: str
    arch: str
    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where packages come from and where they are kept; empty `mirror` and `state` mean the defaults of `debs`."""

    arch: str
    suite: str
    mirror: str
    state: str
    folder: Path


def check_host() -> None:
    """Raises BuildError naming every program this host lacks."""
    wanted = {"dpkg-deb": "dpkg", "zstd": "zstd", "apt-get": "apt"}
    missing = {program: package for program, package in wanted.items() if shutil.which(program) is None}
    if missing:
        raise BuildError(f"this host has no {', '.join(missing)}", "apt-get install " + " ".join(missing.values()))


def _debs(source: Source, names: Iterable[str], with_depends: bool) -> list[Deb]:
    argv = [sys.executable, str(DEBS), "--suite", source.suite, "--arch", source.arch, "--dest", str(source.folder)]
    for flag, value in (("--mirror", source.mirror), ("--state", source.state)):
        argv += [flag, value] if value else []
    argv += ["--with-depends"] if with_depends else []
    done = subprocess.run([*argv, *names], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BuildError("the packages could not be fetched", "see the lines above; run this again, it continues")
    return [Deb(*line.split("\t")) for line in done.stdout.splitlines()]


def _library() -> Any:
    """`packaging/debs` as a module: its command line knows the component `main` alone, firmware lies in another."""
    loader = importlib.machinery.SourceFileLoader("bootcart_debs", str(DEBS))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    if spec is None:
        raise BuildError(f"{DEBS} cannot be loaded", "the checkout is incomplete; clone it again")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _firmware(source: Source) -> tuple[list[Deb], list[str]]:
    """The firmware packages this mirror offers, and a warning for each it does not."""
    debs = _library()
    state = Path(source.state) if source.state else Path(debs.default_state())
    keyrings = [*debs.KEYRINGS, *(state / "keyring/root" / known.relative_to("/") for known in debs.KEYRINGS)]
    keyring = next((path for path in keyrings if path.is_file()), debs.KEYRINGS[0])
    found: list[Deb] = []
    reason = "no mirror"
    for mirror in [source.mirror] if source.mirror else [m for m in (debs.host_mirror(), debs.DEFAULT_MIRROR) if m]:
        apt = debs.PrivateApt(state / "firmware", mirror, source.suite, source.arch, keyring)
        apt.prepare()
        listed = apt.state / "sources.list"
        listed.write_text(listed.read_text().replace(" main\n", " main non-free-firmware\n"))
        try:
            say(14, f"Fetching firmware packages from {mirror}")
            apt.update()
        except debs.DownloadError as error:
            reason = str(error)
            continue
        warnings: list[str] = []
        for name in contents.FIRMWARE_PACKAGES:
            try:
                path = debs.place(apt.fetch([name], False)[0], source.folder)
            except debs.DownloadError as error:
                warnings.append(f"{name}: {error}")
                continue
            found.append(_describe(path))
        return found, warnings
    return [], [f"{name}: {reason}" for name in contents.FIRMWARE_PACKAGES]


def _describe(path: Path) -> Deb:
    shown = subprocess.run(
        ["dpkg-deb", "--show", "--showformat", "${Package}\t${Version}\t${Architecture}", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    name, version, arch = shown.stdout.split("\t")
    return Deb(name, version, arch, _sha256(path), str(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _fetch(source: Source) -> tuple[list[Deb], list[str]]:
    meta = contents.KERNEL[source.arch]
    say(2, f"Fetching the kernel package of {source.suite} ({source.arch})")
    (kernel,) = _debs(source, [meta], False)
    depends = subprocess.run(["dpkg-deb", "-f", kernel.path, "Depends"], capture_output=True, text=True, check=True)
    image = depends.stdout.split(",")[0].split()[0]
    found = _debs(source, [image], False)
    say(10, "Fetching programs and their libraries")
    found += _debs(source, contents.PACKAGES, True)
    firmware, warnings = _firmware(source)
    return sorted([*found, *firmware], key=lambda deb: deb.name), warnings


def fetch(source: Source, refresh: bool) -> tuple[list[Deb], list[str]]:
    """The packages, kernel and firmware included, and warnings about absent ones.

    What an earlier call brought and is still whole is used without asking the network, unless `refresh`.
    Raises BuildError.
    """
    source.folder.mkdir(parents=True, exist_ok=True)
    listing = source.folder / "packages.json"
    asked = [contents.KERNEL[source.arch], *contents.PACKAGES, *contents.FIRMWARE_PACKAGES, source.mirror]
    if not refresh:
        try:
            listed = json.loads(listing.read_text())
            debs = [Deb(**item) for item in listed["debs"]]
            if listed["asked"] == asked and all(_sha256(Path(deb.path)) == deb.sha256 for deb in debs):
                say(20, "All packages are here from an earlier call")
                return debs, list(listed["warnings"])
        except (OSError, ValueError, KeyError, TypeError):
            listing.unlink(missing_ok=True)
    debs, warnings = _fetch(source)
    partial = listing.with_suffix(".new")
    partial.write_text(json.dumps({"asked": asked, "debs": [asdict(deb) for deb in debs], "warnings": warnings}))
    partial.replace(listing)
    for path in source.folder.glob("*.deb"):
        if str(path) not in {deb.path for deb in debs}:
            path.unlink()
    return debs, warnings


def read(path: str, keep: Callable[[str], bool]) -> dict[str, cpio.Entry]:
    """Files and symbolic links of a package by path without leading slash, /bin, /sbin and /lib* below usr/.

    Raises BuildError where the package is damaged.
    """
    found: dict[str, cpio.Entry] = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|", bufsize=1 << 20) as archive:
                for member in archive:
                    name = merged(member.name.removeprefix("./"))
                    if not keep(name):
                        continue
                    if member.isfile():
                        handle = archive.extractfile(member) or io.BytesIO()
                        found[name] = cpio.file(handle.read(), 0o755 if member.mode & 0o111 else 0o644)
                    elif member.issym():
                        found[name] = cpio.link(member.linkname)
                    elif member.islnk():
                        found[name] = found[merged(member.linkname.removeprefix("./"))]
        except (tarfile.TarError, KeyError, EOFError) as error:
            raise BuildError(f"{path} does not unpack: {error}", "delete it and run this again") from error
    if process.returncode:
        raise BuildError(f"{path} does not unpack", "delete it and run this again")
    return found


def merged(name: str) -> str:
    """Debian 12's packages still have files in /bin, /sbin and /lib, which are links to below /usr everywhere."""
    first = name.partition("/")[0]
    return f"usr/{name}" if first in ("bin", "sbin", "lib", "lib32", "lib64") else name
