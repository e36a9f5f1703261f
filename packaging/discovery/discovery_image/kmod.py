"""Kernel modules: what each says of itself, and the indexes that busybox modprobe and our cold plug read."""

from __future__ import annotations

import lzma
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from discovery_image import elf
from discovery_image.errors import BuildError

SIGNATURE_MARK = b"~Module signature appended~\n"
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Module:
    """One module; `path` is below the release's directory; names are written with `_`."""

    name: str
    path: str
    signed: bool
    depends: tuple[str, ...]
    before: tuple[str, ...]
    aliases: tuple[str, ...]
    firmware: tuple[str, ...]


def name_of(path: str) -> str:
    """`kernel/drivers/hid/hid-generic.ko.xz` is `hid_generic`."""
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def _plain(path: str, data: bytes) -> bytes:
    if path.endswith(".ko"):
        return data
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
    raise BuildError(f"{path}: modules compressed this way are not known here", "build from Debian 12 or 13")


def _soft(values: Iterable[str]) -> tuple[str, ...]:
    """The "pre:" side of soft dependencies: modules that should be there first."""
    found: list[str] = []
    for value in values:
        side = ""
        for word in value.split():
            if word in ("pre:", "post:"):
                side = word
            elif side == "pre:":
                found.append(word.replace("-", "_"))
    return tuple(found)


def read(path: str, data: bytes) -> Module:
    """A module as shipped (compressed or not); reads its .modinfo section (kernel include/linux/moduleparam.h)."""
    plain = _plain(path, data)
    facts: dict[str, list[str]] = {}
    for part in elf.section(plain, ".modinfo").split(b"\0"):
        key, _, value = part.decode(errors="replace").partition("=")
        if value:
            facts.setdefault(key, []).append(value)
    depends = [word.replace("-", "_") for value in facts.get("depends", []) for word in value.split(",")]
    return Module(
        name=name_of(path),
        path=path,
        signed=plain.endswith(SIGNATURE_MARK),
        depends=tuple(depends),
        before=_soft(facts.get("softdep", [])),
        aliases=tuple(facts.get("alias", [])),
        firmware=tuple(dict.fromkeys(facts.get("firmware", []))),
    )


def _provider(modules: Mapping[str, Module], alias: str) -> str:
    """The generic implementation of an algorithm a soft dependency names (`crc32c`), empty where none is kept."""
    return next((name for name in sorted(modules) if alias in modules[name].aliases and name.endswith("_generic")), "")


def needed_by(modules: Mapping[str, Module], name: str) -> list[str]:
    """Everything that must be loaded before `name`, deepest last (the order of modules.dep)."""
    order: list[str] = []
    visiting: set[str] = set()

    def visit(current: str) -> None:
        if current in visiting:
            return
        visiting.add(current)
        for other in (*modules[current].depends, *modules[current].before):
            found = other if other in modules else _provider(modules, other)
            if found:
                visit(found)
        order.append(current)

    visit(name)
    return order[-2::-1]


def dep_index(modules: Mapping[str, Module]) -> str:
    """modules.dep: each module's file and the files it needs."""
    lines: list[str] = []
    for module in sorted(modules.values(), key=lambda module: module.path):
        files = [modules[name].path for name in needed_by(modules, module.name)]
        lines.append(" ".join([f"{module.path}:", *files]))
    return "\n".join(lines) + "\n"


def alias_index(ordered: Iterable[Module]) -> str:
    """modules.alias, in the order the kernel links drivers, for modprobe when the kernel itself asks."""
    return "".join(f"alias {alias} {module.name}\n" for module in ordered for alias in module.aliases)


def device_maps(ordered: Iterable[Module], group: Mapping[str, str]) -> dict[str, str]:
    """One table per bus for the cold plug: literal prefix, whole glob, module, group; tab separated.

    A device's modalias needs to be compared only with the globs whose literal prefix it starts with; the first line
    lists the lengths of the prefixes that occur.
    """
    lines: dict[str, list[str]] = {}
    lengths: dict[str, set[int]] = {}
    for module in ordered:
        for alias in module.aliases:
            bus, colon, _ = alias.partition(":")
            if not colon or not re.fullmatch(r"[a-z0-9_]+", bus):
                continue
            prefix = _WILD.split(alias)[0]
            lengths.setdefault(bus, set()).add(len(prefix))
            lines.setdefault(bus, []).append("\t".join((prefix, alias, module.name, group[module.name])))
    return {
        bus: " ".join(str(n) for n in sorted(lengths[bus])) + "\n" + "\n".join(found) + "\n"
        for bus, found in lines.items()
    }
