"""Getting a file, or a part of it, onto the wire: from memory, or by sendfile in pieces with a deadline each."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sys
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from aiohttp import web

from app.netboot.bootpath import Answer, Served
from app.services.boothttp.ranges import Part, Piece, etag, http_date

PIECE_MIN, PIECE = 256 << 10, 4 << 20
"""Octets given to sendfile at a time: few at first, more where they go fast."""
TURN = 1 << 20
"""After larger pieces that a connection took at once, others get their turn: a reader may be as fast as this host."""
RECORDS = 64 << 10
"""Octets encrypted at a time: four records, between which others have their turn."""
PIECE_SECONDS = 60.0
"""How long one piece may take."""
TAIL = 256 << 10
"""What may be on its way at once to a loader: iPXE's largest window (ipxe/tcp.h, TCP_MAX_WINDOW_SIZE)."""
SILENT_SECONDS = 1.0
"""A peer that has all but TAIL octets acknowledged and is silent for this long has what it wanted."""
_TCP_CLOSE = 7  # tcp_states.h; the first octet of struct tcp_info


@dataclass(frozen=True, slots=True)
class Opened:
    """What the tree gave, opened; `why` where the file cannot be read."""

    answer: Answer
    mac: str
    file: BinaryIO | None = None
    size: int = 0
    modified_ns: int = 0
    why: str = ""
    like: tuple[str, ...] = ()
    """What is there, for a file that is not."""


@dataclass(slots=True)
class Progress:
    """How much of a part was sent."""

    sent: int = 0
    silent: float = 0.0
    """Seconds waited at the end for an acknowledgement that did not come."""


def opened(answer: Answer, mac: str, like: tuple[str, ...] = ()) -> Opened:
    """Open what the tree gave; blocks."""
    if not isinstance(answer, Served):
        return Opened(answer, mac, like=like)
    if answer.body is not None:
        return Opened(answer, mac, size=len(answer.body))
    if answer.file is None:
        return Opened(answer, mac, why="the tree gave nothing")
    try:
        descriptor = os.open(answer.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        return Opened(answer, mac, why=f"the file cannot be read: {error.strerror}")
    file = os.fdopen(descriptor, "rb", buffering=0)
    status = os.fstat(descriptor)
    return Opened(answer, mac, file, status.st_size, status.st_mtime_ns)


async def deliver(
    request: web.BaseRequest,
    response: web.StreamResponse,
    served: Served,
    found: Opened,
    part: Part,
    moved: Progress,
) -> None:
    """Send the part, counting in `moved`. Raises ConnectionError, TimeoutError."""
    if served.body is not None:
        async with asyncio.timeout(PIECE_SECONDS):
            await response.write(served.body)
        moved.sent = part.count
        return
    for piece in part.pieces:
        if piece.head:
            async with asyncio.timeout(PIECE_SECONDS):
                await response.write(piece.head)
            moved.sent += len(piece.head)
        await _span(request, response, found, piece, moved)


async def _span(
    request: web.BaseRequest, response: web.StreamResponse, found: Opened, piece: Piece, moved: Progress
) -> None:
    loop, at, end = asyncio.get_running_loop(), piece.start, piece.start + piece.count
    step = PIECE_MIN
    while at < end:
        transport = request.transport
        if transport is None or transport.is_closing() or found.file is None:
            raise ConnectionResetError("the peer is gone")
        wanted, began = min(step, end - at), time.monotonic()
        count = _at_once(transport, found.file, at, wanted)
        at_once = bool(count)
        if not at_once:
            async with asyncio.timeout(PIECE_SECONDS):
                if transport.get_extra_info("sslcontext") is None:
                    count = await loop.sendfile(transport, found.file, at, wanted)
                else:
                    count = await _encrypted(response, found.file, at, min(wanted, PIECE_MIN))
        at += count
        moved.sent += count
        if count < wanted and at >= os.fstat(found.file.fileno()).st_size:
            raise ConnectionAbortedError("the file became shorter while it was sent")
        if at_once and step > TURN:
            await asyncio.sleep(0)
        step = paced(step, time.monotonic() - began)


async def _encrypted(response: web.StreamResponse, file: BinaryIO, at: int, wanted: int) -> int:
    """Send so many octets through TLS, for which the kernel has no sendfile; how many there were."""
    octets = await asyncio.get_running_loop().run_in_executor(None, os.pread, file.fileno(), wanted, at)
    # asyncio would go on encrypting for a peer that has gone.
    for start in range(0, len(octets), RECORDS):
        await response.write(octets[start : start + RECORDS])
    return len(octets)


def _at_once(transport: asyncio.WriteTransport, file: BinaryIO, at: int, wanted: int) -> int:
    """What the connection takes without waiting: how much that was. Raises ConnectionError."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None or transport.get_write_buffer_size():
        return 0
    try:
        return os.sendfile(sock.fileno(), file.fileno(), at, wanted)
    except (BlockingIOError, InterruptedError):
        return 0


def paced(step: int, seconds: float) -> int:
    """The size of the piece that follows one that took so long: on a slow line a large one would run out of time."""
    if seconds < PIECE_SECONDS / 8:
        return min(step * 2, PIECE)
    return max(step // 2, PIECE_MIN) if seconds > PIECE_SECONDS / 4 else step


@contextmanager
def watching(request: web.BaseRequest) -> Generator[socket.socket]:
    """A second handle on the connection's socket, which outlives the transport's: peers close as soon as they have all.

    Raises ConnectionError where the connection is gone already.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the peer is gone")
    own = transport.get_extra_info("socket")
    with socket.fromfd(own.fileno(), own.family, socket.SOCK_STREAM) as sock:
        yield sock


async def acknowledged(sock: socket.socket, moved: Progress) -> None:
    """Wait until the peer's kernel has taken all that was sent, so that "sent" means that it arrived.

    A boot loader that starts what it has just read never acknowledges the last segments; silence over so little is
    taken for that. Takes off `moved` what did not arrive. Raises ConnectionError, TimeoutError.
    """
    pause, last, since = 0.002, -1, time.monotonic()
    async with asyncio.timeout(PIECE_SECONDS):
        while left := int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder):
            if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
                moved.sent = max(0, moved.sent - left)
                raise ConnectionResetError("the peer broke the connection")
            if left != last:
                last, since = left, time.monotonic()
            elif left <= TAIL and (waited := time.monotonic() - since) >= SILENT_SECONDS:
                moved.silent = waited
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)


def headers(served: Served, found: Opened, part: Part) -> dict[str, str]:
    headers = {"Server": "bootcart", "Content-Type": served.content_type}
    if served.body is not None:
        return {**headers, "Cache-Control": "no-store"}
    headers |= {
        "Accept-Ranges": "bytes",
        "ETag": etag(found.modified_ns, found.size),
        "Last-Modified": http_date(found.modified_ns),
    }
    if part.boundary:
        headers["Content-Type"] = f"multipart/byteranges; boundary={part.boundary}"
    elif part.status == 206:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.count - 1}/{found.size}"
    elif part.status == 416:
        headers["Content-Range"] = f"bytes */{found.size}"
    return headers
