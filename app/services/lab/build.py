"""What may be asked for in `--machines`: machine kinds and how one is built; no IO."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidError

DEFAULT_MEMORY = 512
"""MiB: the least with which UEFI, loader, kernel and the unpacked discovery system fit with room to spare."""
DEFAULT_DISK = 64
"""MiB."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of machine: its processor, its firmware and how that fetches its first file."""

    words: str
    architecture: str = "amd64"
    uefi: bool = True
    http: bool = False


KINDS: dict[str, Kind] = {
    "bios": Kind("BIOS with iPXE in the network card's ROM", uefi=False),
    "uefi": Kind("UEFI x64, PXE over IPv4"),
    "uefi-http": Kind("UEFI x64, HTTP boot", http=True),
    "arm64": Kind("UEFI arm64, PXE over IPv4", architecture="arm64"),
    "arm64-http": Kind("UEFI arm64, HTTP boot", architecture="arm64", http=True),
}
"""What `--machines` may name."""


@dataclass(frozen=True, slots=True)
class Build:
    """One machine as it is asked for; `memory` and `disk_size` in MiB."""

    kind: str
    memory: int = DEFAULT_MEMORY
    disks: int = 1
    disk_size: int = DEFAULT_DISK
    nics: int = 1
    boot: str = "network"
    """What its firmware tries first: `network` or `disk`."""
    secureboot: bool = False
    ip: int = 4
    """The protocol its firmware boots over."""

    @property
    def sort(self) -> Kind:
        """Its kind in full."""
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class Option:
    """One `name=value` of the grammar; `read` gives fields of Build, or None where the value is none of these."""

    name: str
    form: str
    words: str
    read: Callable[[str], dict[str, Any] | None]


def _whole(field: str, least: int, most: int) -> Callable[[str], dict[str, Any] | None]:
    def read(text: str) -> dict[str, Any] | None:
        return {field: int(text)} if re.fullmatch(r"[0-9]{1,6}", text) and least <= int(text) <= most else None

    return read


def _disks(text: str) -> dict[str, Any] | None:
    found = re.fullmatch(r"([0-8])(?:x([1-9][0-9]{0,5})([MG]))?", text)
    if found is None:
        return None
    count, size, unit = found.groups()
    mebibytes = int(size) * (1024 if unit == "G" else 1) if size else DEFAULT_DISK
    return {"disks": int(count), "disk_size": mebibytes} if 8 <= mebibytes <= 4 << 20 else None


def _one_of(field: str, values: dict[str, Any]) -> Callable[[str], dict[str, Any] | None]:
    return lambda text: {field: values[text]} if text in values else None


OPTIONS: dict[str, Option] = {
    option.name: option
    for option in (
        Option("memory", "MIB", "128 to 65536", _whole("memory", 128, 65536)),
        Option("disks", "COUNT[xSIZE]", "0 to 8, each of 8M to 4096G, for example 2x20G; the first boots", _disks),
        Option("nics", "COUNT", "1 to 8, all on the lab's segment", _whole("nics", 1, 8)),
        Option(
            "boot",
            "ORDER",
            "network or disk: what comes first",
            _one_of("boot", {"network": "network", "disk": "disk"}),
        ),
        Option(
            "secureboot",
            "on|off",
            "UEFI only: Microsoft's keys are enrolled",
            _one_of("secureboot", {"on": True, "off": False}),
        ),
        Option("ip", "4|6", "UEFI only: what it boots over", _one_of("ip", {"4": 4, "6": 6})),
    )
}
"""What may follow a kind, each after a colon."""


def _refuse(text: str, why: str, hint: str) -> InvalidError:
    return InvalidError(f"--machines {text}: {why}", hint=hint, field="machines")


def read(text: str, memory: int = DEFAULT_MEMORY) -> Build:
    """One machine of `--machines`, for example `uefi:memory=1024:disks=2x20G`; `memory` where it names none.

    Raises InvalidError.
    """
    kind, *parts = (part.strip() for part in text.split(":"))
    if kind not in KINDS:
        raise _refuse(text, f"no machine kind {kind!r}", "one of " + ", ".join(KINDS))
    fields = OPTIONS["memory"].read(str(memory))
    if fields is None:
        raise InvalidError(f"a machine cannot have {memory} MiB of memory", hint="128 to 65536", field="memory")
    named: set[str] = set()
    for part in parts:
        name, equals, value = part.partition("=")
        option = OPTIONS.get(name)
        if option is None or not equals:
            known = ", ".join(f"{option.name}={option.form}" for option in OPTIONS.values())
            raise _refuse(text, f"{part!r} is no option of a machine", f"there are: {known}")
        if name in named:
            raise _refuse(text, f"{name} is given twice", "give it once")
        named.add(name)
        found = option.read(value)
        if found is None:
            raise _refuse(text, f"{name} cannot be {value!r}", f"{name}={option.form}: {option.words}")
        fields |= found
    build = Build(kind, **fields)
    if build.secureboot and not build.sort.uefi:
        raise _refuse(text, f"{kind} has no Secure Boot", "leave it out, or use a UEFI machine")
    if build.ip == 6 and not build.sort.uefi:
        raise _refuse(text, f"{kind} boots over IPv4 alone", "leave it out, or use a UEFI machine")
    if build.boot == "disk" and not build.disks:
        raise _refuse(text, "it has no disk to boot first", "leave out boot=disk, or disks=0")
    return build


def write(build: Build) -> str:
    """The inverse of `read`."""
    words = [build.kind, f"memory={build.memory}", f"disks={build.disks}x{build.disk_size}M", f"nics={build.nics}"]
    words += [f"boot={build.boot}", "secureboot=on" if build.secureboot else "secureboot=off"]
    words += [f"ip={build.ip}"]
    return ":".join(words)
