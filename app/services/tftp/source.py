"""Where a transfer's octets come from: memory for what is small, the file itself for what is not."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from app.netboot.bootpath import Served
from app.netboot.wire.tftp import netascii

WHOLE_MAX = 4 << 20
"""Files up to this size are read once and shared by all transfers of them, without a descriptor each."""
CACHE_MAX = 64 << 20
NETASCII_MAX = 16 << 20


class Source(Protocol):
    """Octets of a known size; `read` may block and is called from a worker thread unless `ready`."""

    size: int
    ready: bool

    def read(self, offset: int, count: int) -> bytes | memoryview: ...

    def close(self) -> None: ...


class MemorySource:
    """Octets in memory."""

    ready = True

    def __init__(self, octets: bytes) -> None:
        self._view = memoryview(octets)
        self.size = len(octets)

    def read(self, offset: int, count: int) -> memoryview:
        return self._view[offset : offset + count]

    def close(self) -> None:
        """Nothing is held."""


class FileSource:
    """An open file."""

    ready = False

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, offset)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SourceCache:
    """Opens what the tree gives; keeps small files, the newest 64 MiB of them. Used from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int, int, int], bytes] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def open(self, served: Served, *, as_netascii: bool) -> Source:
        """A source for what the tree served. Raises OSError where the file cannot be read."""
        if served.body is not None:
            return MemorySource(netascii(served.body) if as_netascii else served.body)
        if served.file is None:
            raise FileNotFoundError(served.path)
        if as_netascii:
            return MemorySource(netascii(self._text(served.file)))
        descriptor = os.open(served.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if status.st_size > WHOLE_MAX:
                return FileSource(descriptor, status.st_size)
            octets = self._whole(descriptor, status)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return MemorySource(octets)

    def at_hand(self, served: Served) -> Source | None:
        """A source for what was served a moment ago, and is in memory still; None: `open` it."""
        if served.file is None:
            return None
        try:
            status = os.stat(served.file)
        except OSError:
            return None
        with self._lock:
            octets = self._kept.get((status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size))
        return MemorySource(octets) if octets is not None else None

    def _text(self, file: Path) -> bytes:
        if file.stat().st_size > NETASCII_MAX:
            raise OSError(f"{file.name} is too large to be sent as text")
        return file.read_bytes()

    def _whole(self, descriptor: int, status: os.stat_result) -> bytes:
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with os.fdopen(os.dup(descriptor), "rb") as file:
            octets = file.read()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = octets
                self._total += len(octets)
            while self._total > CACHE_MAX:
                self._total -= len(self._kept.popitem(last=False)[1])
        return octets
