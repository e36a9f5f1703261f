"""Reads what an ELF file needs, of any architecture, without running its loader (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = b"\x7fELF"
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5

MACHINES = {"amd64": 62, "arm64": 183}
"""e_machine of each architecture we build for."""


@dataclass(frozen=True, slots=True)
class Needs:
    """`interpreter` is a path or empty; `libraries` are sonames."""

    machine: int
    interpreter: str
    libraries: tuple[str, ...]


def is_elf(data: bytes) -> bool:
    """Whether this is a 64-bit little-endian ELF file, the only kind Debian's amd64 and arm64 have."""
    return data[:4] == _MAGIC and data[4:6] == b"\x02\x01"


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(type, file offset, virtual address, size in the file) of each program header."""
    (start,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    for index in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, start + index * size)
        yield kind, offset, address, length


def needs(data: bytes) -> Needs:
    """The program interpreter and the shared libraries. Raises ValueError where `data` is not such an ELF file."""
    if not is_elf(data):
        raise ValueError("not a 64-bit little-endian ELF file")
    (machine,) = struct.unpack_from("<H", data, 0x12)
    segments = list(_segments(data))
    interpreter, names, strings = "", [], 0
    for kind, offset, _, length in segments:
        if kind == _PT_INTERP:
            interpreter = _text(data, offset)
        elif kind == _PT_DYNAMIC:
            for tag, value in struct.iter_unpack("<QQ", data[offset : offset + length - length % 16]):
                if tag == _DT_NULL:
                    break
                if tag == _DT_NEEDED:
                    names.append(value)
                elif tag == _DT_STRTAB:
                    strings = value
    table = next((o + strings - a for k, o, a, n in segments if k == _PT_LOAD and a <= strings < a + n), 0)
    return Needs(machine, interpreter, tuple(_text(data, table + name) for name in names))


def section(data: bytes, wanted: str) -> bytes:
    """The content of a named section, empty where there is none. Raises ValueError where `data` is not ELF."""
    if not is_elf(data):
        raise ValueError("not a 64-bit little-endian ELF file")
    (start,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, start + index * size) for index in range(count)]
    if not headers:
        return b""
    names = headers[names_index][4]
    for name, _, _, _, offset, length in headers:
        if _text(data, names + name) == wanted:
            return data[offset : offset + length]
    return b""
