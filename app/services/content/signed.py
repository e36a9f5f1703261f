"""iPXE's signed release, which an operator brings: checked against the sum that is told, put in place by processor."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from app.errors import BootcartError, InvalidError, UnavailableError
from app.netboot.loaders import IPXE_CHAIN, SIGNED_IPXE, signed_loader
from app.services.content.packages import MANIFEST

ARCHIVE_MAX = 512 << 20
"""Bytes; a release is some 30 MB."""
FILE_MAX = 32 << 20
_PIECE = 1 << 20
_PATIENCE = 60.0
_SUM = re.compile(r"[0-9a-f]{64}")
# Where a release has what Secure Boot takes, and the architecture type that says which shim that is.
_FOLDERS = {"x86_64-sb": ("amd64", 7), "arm64-sb": ("arm64", 11)}
_MEMBER = re.compile(rf"^(?:.*/)?({'|'.join(_FOLDERS)})/([A-Za-z0-9._-]{{1,60}}\.efi)$")
IPXE = "ipxe.efi"

Say = Callable[[str], None]


def bring(artefacts: Path, source: str, sha256: str, say: Say) -> None:
    """Put iPXE's signed release, a tar archive at a URL or in a file, where the virtual tree finds it.

    Nothing changes unless its SHA-256 is the one that is told. Raises BootcartError; may be called again.
    """
    wanted = sha256.strip().lower()
    if not _SUM.fullmatch(wanted):
        raise InvalidError("--sha256 is not a SHA-256", hint="64 hexadecimal digits, from where you trust them")
    folder = artefacts / SIGNED_IPXE
    try:
        artefacts.mkdir(parents=True, exist_ok=True)
        for left in artefacts.glob(f".{SIGNED_IPXE}.*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=artefacts, prefix=f".{SIGNED_IPXE}.") as made:
            archive = Path(made) / "archive"
            found = _copy(source, archive)
            if found != wanted:
                what = f"{source} has the SHA-256 {found}, not the one that was told; nothing was changed"
                raise BootcartError(what, hint="compare both with what iPXE publishes")
            for name, facts in _unpacked(source, archive, Path(made)).items():
                _place(Path(made) / name, folder / name, {"source": source, "sha256": wanted, "files": facts})
                say(f"signed iPXE ({name}): {', '.join(facts)} in {folder / name}")
    except OSError as error:
        what = f"{error.filename or folder}: {error.strerror or error}"
        raise BootcartError(what, hint="free space, or choose a directory you may write to") from error


def _copy(source: str, target: Path) -> str:
    """What `source` holds, in `target`; its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with _opened(source) as stream, target.open("wb") as file:
        while piece := _read(stream, source):
            size += len(piece)
            if size > ARCHIVE_MAX:
                raise BootcartError(f"{source} is larger than {ARCHIVE_MAX >> 20} MiB", hint="this is no iPXE release")
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _opened(source: str) -> IO[bytes]:
    if not source.startswith(("http://", "https://")):
        return Path(source).open("rb")
    try:
        stream: IO[bytes] = urllib.request.urlopen(source, timeout=_PATIENCE)  # noqa: S310 - only these two schemes
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise _lost(source, error) from error
    return stream


def _read(stream: IO[bytes], source: str) -> bytes:
    try:
        return stream.read(_PIECE)
    except OSError as error:
        raise _lost(source, error) from error


def _lost(source: str, error: Exception) -> UnavailableError:
    why = str(getattr(error, "reason", "") or error)
    return UnavailableError(
        f"{source} could not be fetched: {why}", hint="try again, or fetch it elsewhere and copy it"
    )


def _unpacked(source: str, archive: Path, work: Path) -> dict[str, dict[str, dict[str, object]]]:
    """Shim and iPXE of each processor, in `work` under its name; size and SHA-256 of each file."""
    found: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                named = _MEMBER.match(member.name)
                part = opened.extractfile(member) if named is not None and member.size <= FILE_MAX else None
                if named is not None and part is not None:
                    found.setdefault(named[1], {})[named[2]] = part.read(FILE_MAX)
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise BootcartError(f"{source} is no whole tar archive", hint="fetch it again") from error
    placed: dict[str, dict[str, dict[str, object]]] = {}
    for folder, files in found.items():
        name, arch = _FOLDERS[folder]
        shims = sorted((file for file in files if "shim" in file), key=lambda file: (not file.startswith("ipxe"), file))
        if not shims or IPXE not in files:
            raise BootcartError(f"{folder} of the archive has no shim and {IPXE}", hint="take iPXE's own release")
        shim = signed_loader(arch, IPXE_CHAIN).rpartition("/")[2]
        (work / name).mkdir()
        placed[name] = {}
        for file, octets in ((shim, files[shims[0]]), (IPXE, files[IPXE])):
            if not octets.startswith(b"MZ"):
                raise BootcartError(f"{folder}/{file} is no UEFI program", hint="take iPXE's own release")
            (work / name / file).write_bytes(octets)
            (work / name / file).chmod(0o644)
            placed[name][file] = {"size": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}
    if not placed:
        raise BootcartError(
            f"the archive has no folder {' or '.join(_FOLDERS)}", hint="take the release that has signed builds"
        )
    return placed


def _place(made: Path, folder: Path, manifest: dict[str, object]) -> None:
    """The files of one processor, each whole, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for file in sorted(made.iterdir()):
        os.replace(file, folder / file.name)
    text = made / MANIFEST
    text.write_text(json.dumps(manifest, indent=2) + "\n")
    text.chmod(0o644)
    os.replace(text, folder / MANIFEST)
