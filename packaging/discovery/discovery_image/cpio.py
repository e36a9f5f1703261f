"""Writes initramfs archives: cpio's "newc" format (Linux, driver-api/early-userspace/buffer-format.rst)."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass

# All archives claim one moment: the same content gives the same bytes.
MTIME = 1_600_000_000
TRAILER = "TRAILER!!!"
ALIGN = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory, symbolic link (`data` is its target) or device; `mode` includes the type bits."""

    mode: int
    data: bytes = b""
    rdev: tuple[int, int] = (0, 0)


def file(data: bytes, mode: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(stat.S_IFREG | mode, data)


def directory(mode: int = 0o755) -> Entry:
    """A directory."""
    return Entry(stat.S_IFDIR | mode)


def link(target: str) -> Entry:
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def is_link(entry: Entry) -> bool:
    """Whether the entry is a symbolic link."""
    return stat.S_ISLNK(entry.mode)


def device(major: int, minor: int, mode: int = 0o600) -> Entry:
    """A character device."""
    return Entry(stat.S_IFCHR | mode, rdev=(major, minor))


def _padding(size: int) -> bytes:
    return b"\0" * (-size % ALIGN)


def _record(name: str, entry: Entry, inode: int) -> bytes:
    raw = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    fields = (inode, entry.mode, 0, 0, links, MTIME, len(entry.data), 0, 0, *entry.rdev, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + raw
    return head + _padding(len(head)) + entry.data + _padding(len(entry.data))


def with_parents(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries and every directory above them, which the kernel does not make by itself."""
    whole = dict(entries)
    for name in entries:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            whole.setdefault("/".join(parts[:depth]), directory())
    return whole


def archive(entries: Mapping[str, Entry], first_inode: int = 1) -> bytes:
    """One archive: entries by path without leading slash, sorted, owner 0:0, fixed times and inode numbers.

    Two archives that the kernel unpacks one after the other need inode numbers that do not meet: give the second a
    `first_inode` past the first's.
    """
    records = [_record(name, entry, first_inode + index) for index, (name, entry) in enumerate(sorted(entries.items()))]
    trailer = _record(TRAILER, Entry(0), 0)
    return b"".join([*records, trailer])
