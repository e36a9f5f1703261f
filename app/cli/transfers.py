"""`bootcart files upload` and `download`: of any size, with how far they are, going on where they broke off."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import stat
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from app.cli.outputs import Output, Progress, shown
from app.client.protocol import Files
from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError, TimedOutError, UnreachableError
from app.model.file import File, Upload
from app.model.query import Query
from app.model.sizes import decimal

PIECE = 64 << 20
"""Bytes sent with one request."""
_BLOCK = 1 << 20
RESTART_SECONDS = 30.0
"""How long an engine that goes away amid an upload may take to come back."""
_TELL_SECONDS = 1.0
_LINE_SECONDS = 10.0


class Meter:
    """How far a transfer is: told after a second, then on a terminal as it goes, elsewhere now and then."""

    def __init__(self, output: Output, what: str, size: int) -> None:
        self._progress = Progress(output)
        self._what = what
        self._size = size
        self._pause = _TELL_SECONDS if output.errors.isatty() else _LINE_SECONDS
        self._told = time.monotonic() + _TELL_SECONDS - self._pause

    def at(self, count: int) -> None:
        """So many bytes are through."""
        now = time.monotonic()
        if now - self._told >= self._pause:
            self._told = now
            part = f" ({100 * count // self._size} %)" if self._size else ""
            self._progress.show(f"{self._what}: {decimal(count)} of {decimal(self._size)}{part}")

    def say(self, words: str) -> None:
        """Something else happened on the way."""
        self._progress.show(f"{self._what}: {words}")

    def end(self) -> None:
        """Leave the line."""
        self._progress.end()


@dataclass(slots=True)
class _Sender:
    """One file on its way; `hashed` bytes of it are in `digest`."""

    door: Files
    file: BinaryIO
    size: int
    meter: Meter
    hashed: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def _hash(self, end: int) -> None:
        self.file.seek(self.hashed)
        while self.hashed < end:
            octets = self.file.read(min(_BLOCK, end - self.hashed))
            if not octets:
                raise ConflictError(f"{self.file.name} became shorter meanwhile", hint="upload it once it is complete")
            self.digest.update(octets)
            self.hashed += len(octets)

    async def _parts(self, start: int, end: int) -> AsyncIterator[bytes]:
        descriptor = self.file.fileno()
        while start < end:
            octets = await asyncio.to_thread(os.pread, descriptor, min(_BLOCK, end - start), start)
            if not octets:
                return
            yield octets
            start += len(octets)
            self.meter.at(start)

    async def run(self, key: str, offset: int) -> None:
        """Send all from `offset` on. Raises BootcartError."""
        met = time.monotonic()
        while True:
            end = min(self.size, offset + PIECE)
            await asyncio.to_thread(self._hash, end)
            checksum = self.digest.hexdigest() if end == self.size else ""
            try:
                offset = await self.door.send(key, offset, self._parts(offset, end), sha256=checksum)
                met = time.monotonic()
                if offset >= self.size:
                    return
            except (UnreachableError, TimedOutError):
                self.meter.say("the engine went away; waiting for it")
                offset = await self._back(key, met)

    async def _back(self, key: str, met: float) -> int:
        """How far the upload is, once the engine answers again."""
        while True:
            try:
                return await self.door.offset(key)
            except UnreachableError:
                if time.monotonic() - met > RESTART_SECONDS:
                    raise
                await asyncio.sleep(0.5)


async def upload(door: Files, given: argparse.Namespace, output: Output) -> list[File]:
    """Upload a file, or all files of a directory; what they became."""
    return [await _upload_one(door, source, name, given, output) for source, name in _sources(given)]


def _sources(given: argparse.Namespace) -> list[tuple[Path, str]]:
    """What is to be uploaded, and under which names."""
    if given.file == "-":
        raise InvalidError("what is uploaded must have a length", hint="write it to a file first", field="file")
    source, name = Path(given.file), str(given.name or "").strip("/")
    if not source.is_dir():
        return [(source, name or source.name)]
    if given.sha256:
        raise InvalidError("one checksum cannot be that of many files", hint="leave --sha256 out", field="sha256")
    prefix = name or source.resolve().name
    inside = sorted(path for path in source.rglob("*") if path.is_file())
    return [(path, f"{prefix}/{path.relative_to(source).as_posix()}") for path in inside]


def _opened(source: Path) -> BinaryIO:
    """A plain file. Raises NotFoundError, InvalidError, BootcartError."""
    try:
        file = source.open("rb")
    except FileNotFoundError:
        raise NotFoundError(f"no file {source}", hint="check its path") from None
    except OSError as error:
        raise BootcartError(f"cannot read {source}: {error.strerror}", hint="check its path and its mode") from error
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise InvalidError(f"{source} is no plain file", hint="name a file or a directory", field="file")


async def _upload_one(door: Files, source: Path, name: str, given: argparse.Namespace, output: Output) -> File:
    with _opened(source) as file:
        size = os.fstat(file.fileno()).st_size
        key, offset = await _begun(door, name, size, given)
        meter = Meter(output, shown(name), size)
        try:
            if size:
                await _Sender(door, file, size, meter).run(key, offset)
        finally:
            meter.end()
    return await door.show(name)


async def _begun(door: Files, name: str, size: int, given: argparse.Namespace) -> tuple[str, int]:
    """Key and offset of the upload to go on with: one that broke off before, or a new one."""
    found: list[Upload] = [one for one in (await door.unfinished(Query())).items if one.name == name]
    if found and (given.restart or (found[0].size == size and not found[0].sending)):
        if not given.restart:
            return found[0].id, found[0].offset
        await door.abandon(found[0].id)
    return await door.begin(name, size, sha256=given.sha256 or "", replace=bool(given.replace)), 0


async def download(door: Files, given: argparse.Namespace, output: Output) -> str:
    """Write a file's content to a file, or to standard output; where it is."""
    told = await door.show(given.key)
    if given.to == "-":
        async for part in door.download(told.name):
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return ""
    target = _target(told.name, given)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    digest, count, meter = hashlib.sha256(), 0, Meter(output, shown(told.name), told.size)
    try:
        with draft.open("wb") as file:
            async for part in door.download(told.name):
                file.write(part)
                digest.update(part)
                count += len(part)
                meter.at(count)
        if count != told.size or told.sha256 not in ("", digest.hexdigest()):
            raise BootcartError(f"what came of {told.name} is not what was uploaded", hint="download it again")
        draft.replace(target)
    except OSError as error:
        raise BootcartError(f"cannot write {target}: {error.strerror}", hint="check its directory") from error
    finally:
        meter.end()
        draft.unlink(missing_ok=True)
    return str(target)


def _target(name: str, given: argparse.Namespace) -> Path:
    """Where a download goes. Raises ConflictError where something is."""
    last = name.rpartition("/")[2]
    target = Path(given.to or last)
    if target.is_dir():
        target /= last
    if target.exists() and not given.replace:
        raise ConflictError(f"{target} exists already", hint="give --replace to write over it", field="to")
    return target


def write_out(content: bytes, to: str, *, replace: bool) -> str:
    """Write to a file, or to standard output for `-`; where it is."""
    if to == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return ""
    target = Path(to)
    try:
        with target.open("wb" if replace else "xb") as file:
            file.write(content)
    except FileExistsError:
        raise ConflictError(f"{target} exists already", hint="give --replace to write over it", field="to") from None
    except OSError as error:
        raise BootcartError(f"cannot write {target}: {error.strerror}", hint="check its directory") from error
    return to
