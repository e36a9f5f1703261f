"""Paths of the virtual tree, what a firmware asks for under them, and what it is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import unquote_to_bytes

from app.model.bootenv import BootEnv
from app.model.fields import normal_mac
from app.model.inert import hidden

PATH_MAX = 1024
NAME_MAX = 255
SCRIPT_FOLDER = "boot"
_MAC_LENGTH = len("52:54:00:00:00:07")
ANSWER_FOLDER = "answers"
REPORT_FOLDER = "reports"
AUTOEXEC = "autoexec.ipxe"

_DRIVE = re.compile(r"^[A-Za-z]:")
_SCRIPT = re.compile(rf"^{SCRIPT_FOLDER}/([0-9A-Fa-f:.-]{{12,17}})\.ipxe$")
_LOADER = re.compile(r"\.(?:efi|k?kpxe|pxe|lkrn|0)$")
_KERNEL = re.compile(r"^(?:vmlinuz|linux|bzimage)[^/]*$", re.IGNORECASE)
_INITRD = re.compile(r"^(?:initrd|initramfs)[^/]*$", re.IGNORECASE)
# What loaders look for on the off chance: shim's revocation lists, newer iPXE's own script, PXELINUX's walk and GRUB's,
# GRUB's lists of modules, U-Boot's scripts and device trees; a Raspberry Pi's ROM everything under its serial number
# first, then what few models have.
_HOPEFUL = re.compile(
    r"^(?:(?:.*/)?(?:autoexec\.ipxe|revocations_?\w*\.efi|shim_certificate_?\w*\.efi|pxelinux\.cfg(?:/.*)?)"
    r"|boot\.scr(?:\.uimg)?|dtb(?:/.*)?"
    r"|(?:.*/)?(?:grub\.cfg-[0-9A-Fa-f-]+|(?:command|crypto|fs|terminal)\.lst)"
    r"|[0-9a-f]{8}/.*|(?:bootsig|dt-blob|vl805)\.(?:bin|sig)|pieeprom\.(?:sig|upd)|recover4?\w*\.elf|autoboot\.txt)$"
)


Address = IPv4Address | IPv6Address


class Role(StrEnum):
    """What a file is for the machine that asks for it."""

    LOADER = "loader"
    SCRIPT = "script"
    KERNEL = "kernel"
    INITRD = "initrd"
    ANSWER = "answer"
    FILE = "file"


class BadPathError(ValueError):
    """A path that names nothing in any tree; the text says why."""


@dataclass(frozen=True, slots=True)
class FileRequest:
    """Somebody asks for a file: `path` is normalised, `local` the address of ours that was asked."""

    path: str
    peer: Address
    local: Address
    port: int = 0
    protocol: str = "http"
    query: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Served:
    """What is given: bytes in memory or a file. `facts` go into the events about it."""

    path: str
    role: Role
    body: bytes | None = None
    file: Path | None = None
    content_type: str = "application/octet-stream"
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Refusal:
    """The path exists but not for this peer, which is told it does not exist; `why` is for the operator."""

    path: str
    why: str


Answer = Served | Refusal | None
"""What resolving gives; None: nothing has that path."""


def normalise(raw: bytes | str, *, percent: bool = False) -> str:
    """`raw` as a relative path with single slashes, safe to join to a root.

    `percent` decodes %XX once, as HTTP does; TFTP names are taken literally. Backslashes are slashes, as Windows'
    loaders write them; empty and `.` segments vanish, as shim's `//grubx64.efi` needs. Raises BadPathError for `..`,
    control, bidi and other hidden characters, drive letters, and what is not UTF-8 or too long.
    """
    octets = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape")
    if percent:
        octets = unquote_to_bytes(octets)
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPathError("the path is not UTF-8") from None
    if len(octets) > PATH_MAX:
        raise BadPathError(f"the path is longer than {PATH_MAX} bytes")
    if any(hidden(char) for char in text):
        raise BadPathError("the path has a control character")
    segments = [segment for segment in text.replace("\\", "/").split("/") if segment not in ("", ".")]
    if ".." in segments:
        raise BadPathError("the path climbs with ..")
    if segments and _DRIVE.match(segments[0]):
        raise BadPathError("the path names a drive")
    if any(len(segment.encode()) > NAME_MAX for segment in segments):
        raise BadPathError(f"a name in the path is longer than {NAME_MAX} bytes")
    return "/".join(segments)


def script_path(mac: str) -> str:
    """Where a machine's own boot script is; without an Ethernet address (InfiniBand) it is found by who asks."""
    return f"{SCRIPT_FOLDER}/{mac.replace(':', '-')}.ipxe" if len(mac) == _MAC_LENGTH else AUTOEXEC


def script_mac(path: str) -> str | None:
    """The MAC address a script path is for; None when it is no script path."""
    found = _SCRIPT.match(path)
    if found is None:
        return None
    try:
        return normal_mac(found[1])
    except ValueError:
        return None


def answer_path(token: str, name: str) -> str:
    """Where an installer finds an answer file of its own: the token is the key, so events never show this path."""
    return f"{ANSWER_FOLDER}/{token}/{name}"


def report_path(token: str, step: str) -> str:
    """What an installer asks for to tell how it goes."""
    return f"{REPORT_FOLDER}/{token}/{step}"


def secret_path(path: str) -> tuple[str, str, str] | None:
    """Folder, token and name of a path below those of `answer_path` and `report_path`; None for any other.

    Whatever lies there: installers make paths of their own out of one that they were given.
    """
    folder, _, rest = path.partition("/")
    token, _, name = rest.partition("/")
    return (folder, token, name) if token and folder in (ANSWER_FOLDER, REPORT_FOLDER) else None


def role_of(path: str, environments: Iterable[BootEnv] = ()) -> Role:
    """What a file is: as a boot environment lists it, else as its name says."""
    for environment in environments:
        for files in environment.architectures.values():
            if path == files.kernel or path in files.kernels.values():
                return Role.KERNEL
            if path in files.initrds:
                return Role.INITRD
    name = path.rpartition("/")[2]
    for pattern, role in ((_KERNEL, Role.KERNEL), (_INITRD, Role.INITRD)):
        if pattern.match(name):
            return role
    if _LOADER.search(name):
        return Role.LOADER
    return Role.SCRIPT if name.endswith(".ipxe") else Role.FILE


def hopeful(path: str) -> bool:
    """Loaders ask for this on the off chance; that it is missing is no news."""
    return _HOPEFUL.match(path) is not None
