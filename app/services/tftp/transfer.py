"""One transfer: a socket and port of its own (RFC 1350 section 4), driven by its loop, never waiting for another."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.netboot.blocks import Course
from app.netboot.wire import tftp
from app.services.tftp.sockets import Address, hear_errors
from app.services.tftp.source import Source

GIVE_UP = 28.0
"""Seconds without progress after which a reader is taken for gone."""
RESEND = (1.0, 2.0, 3.0, 4.0, 5.0)
"""Seconds before the first, second, … retransmission, where the reader asked for no timeout; the last repeats."""
OURS = 0.25
"""Seconds a timer may be late before that tells more of this host than of the reader."""
CHUNK = 1 << 20
"""Octets read from a file at a time, away from the loop."""
ANSWER_MAX = 64
"""Packets taken from one socket before the others get their turn."""

BURST_MAX = 64
"""Blocks of a window given to the kernel at once (linux/udp.h, UDP_MAX_SEGMENTS)."""
_BURST_OCTETS = 65_000  # what one datagram may carry, which the kernel cuts into blocks
_UDP_SEGMENT = 103  # linux/udp.h
_SEGMENT = struct.Struct("=H")
# What a kernel says that cannot cut datagrams, or not for this way: blocks that have to be fragments, say.
_UNCUT = frozenset({errno.EINVAL, errno.EMSGSIZE, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
_MSG_ERRQUEUE = 0x2000
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err, linux/errqueue.h


class End(StrEnum):
    """How a transfer ended."""

    SENT = "sent"
    ABORTED = "aborted"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(slots=True)
class Report:
    """What there is to say of a transfer that ended."""

    end: End
    bytes: int = 0
    code: int = 0
    text: bytes = b""
    why: str = ""
    probe: bool = False
    resent: int = 0


class Watching(Protocol):
    """Calls back for sockets that can be read."""

    def add_reader(self, sock: socket.socket, call: Callable[[], None], /) -> object: ...

    def remove_reader(self, sock: socket.socket, /) -> object: ...


class Transfer:
    """Sends one source to one reader and calls `done` once with a report."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        peer: Address,
        source: Source,
        terms: tftp.Terms,
        *,
        pool: Executor,
        done: Callable[[Transfer, Report], None],
        readers: Watching | None = None,
    ) -> None:
        """`readers` watches the socket; the loop does where there is none."""
        self.peer = peer
        self.source = source
        self.terms = terms
        self.started = loop.time()
        self.heard = self.started
        self._loop = loop
        self._readers: Watching = readers or loop
        self._sock = sock
        self._pool = pool
        self._done = done
        self.opening = tftp.oack(terms.accepted) if terms.accepted else b""
        self._agreed = not self.opening  # a reader without options acknowledges nothing before DATA 1
        self._blocks = source.size // terms.blksize + 1  # RFC 1350 section 6: a short block, maybe empty, ends it
        self._acked = 0
        self._sent = 0
        self._rewound = -1
        self._tries = 0
        self._resent = 0
        self._chunk: bytes | memoryview = b""
        self._chunk_at = 0
        self._loading = False
        self._due = 0.0
        self._pause = float(terms.timeout) or RESEND[0]
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False
        self._over = False
        # How many blocks go in one call; one where the kernel will not cut them.
        self._burst = max(1, min(terms.windowsize, BURST_MAX, _BURST_OCTETS // (terms.blksize + tftp.HEADER)))

    def start(self) -> None:
        """Send the first packet and listen."""
        self._sock.setblocking(False)
        hear_errors(self._sock)
        self._readers.add_reader(self._sock, self._readable)
        self.repeat()
        self._arm()

    @property
    def fresh(self) -> bool:
        """The reader has not answered yet: another request of its is a repeated one."""
        return self._acked == 0 and not (self._agreed and self.opening)

    @property
    def moving(self) -> bool:
        """The reader has acknowledged something new within the time after which it would be sent again."""
        return self._loop.time() - self.heard < RESEND[0]

    @property
    def course(self) -> Course:
        """How it goes, or went."""
        return Course(self.terms.blksize, self.source.size, self._agreed, self._acked, self._tries, self._refused)

    def repeat(self) -> None:
        """Send again what the reader has not acknowledged."""
        if self._agreed:
            self._sent = self._acked
            self._fill()
        else:
            self._send(self.opening)

    def drop(self, why: str) -> None:
        """End it from our side without a word to the reader."""
        self._finish(Report(End.DROPPED, self._bytes(), why=why, resent=self._resent))

    def _readable(self) -> None:
        # A reader acknowledges a block, or a window, and waits: asking for a second packet would cost as much as the
        # first.
        for _ in range(ANSWER_MAX if self._refused else 1):
            if self._over:
                return
            try:
                packet, sender = self._sock.recvfrom(2048)
            except BlockingIOError:
                if self._refused:
                    self._gone("closed its port")
                return
            except OSError as error:
                self._icmp(error)
                continue
            if sender != self.peer:
                # RFC 1350 section 4: tell the stranger, leave the transfer alone. An ERROR is never answered.
                if packet[:2] != b"\0\5":
                    self._send(tftp.error(tftp.Code.UNKNOWN_TID, "unknown transfer ID"), sender)
                continue
            self._packet(packet)
        if self._refused:
            self._loop.call_soon(self._readable)

    def _packet(self, packet: bytes) -> None:
        if len(packet) == tftp.HEADER and packet[:2] == b"\0\4":
            self._acknowledged(packet[2] << 8 | packet[3])  # the hot path
            return
        try:
            message = tftp.decode(packet)
        except tftp.TftpError:
            return
        if isinstance(message, tftp.Error):
            report = Report(End.ABORTED, self._bytes(), message.code, message.text, resent=self._resent)
            # Firmware asks for the size first and aborts the moment it has it (RFC 2347 section 5 and PXE ROMs).
            report.probe = self._acked == 0 and "tsize" in self.terms.accepted and message.code in (0, 8)
            self._finish(report)
        elif isinstance(message, tftp.Ack):
            self._acknowledged(message.block)

    def _acknowledged(self, number: int) -> None:
        if not self._agreed:
            if number == 0:
                self._agreed = True
                self._progress()
                self._fill()
            return
        ahead = (number - self._acked) & 0xFFFF
        if ahead == 0:
            # Lock-step: a repeated ACK is never answered (RFC 1123 4.2.3.1). In a window it says that the first block
            # was lost (RFC 7440 section 4), once; after that the timer decides.
            if self.terms.windowsize > 1 and self._sent > self._acked and self._rewound != self._acked:
                self._rewound = self._acked
                self._resent += 1
                self.repeat()
            return
        if ahead > self._sent - self._acked:
            return
        self._acked += ahead
        self._progress()
        if self._acked == self._blocks:
            self._finish(Report(End.SENT, self.source.size, resent=self._resent))
            return
        # An ACK in mid-window means that what follows it was lost: go on right behind it (RFC 7440 section 4).
        self._sent = self._acked
        self._fill()

    def _fill(self) -> None:
        """Send the window, as far as its octets are at hand; a chunk that is not comes by worker thread."""
        last = min(self._acked + self.terms.windowsize, self._blocks)
        size = self.terms.blksize
        while self._sent < last and not self._over:
            offset = self._sent * size
            blocks = self._at_hand(offset, min(last - self._sent, self._burst))
            payload = self._octets(offset, min(blocks * size, self.source.size - offset))
            if payload is None:
                return
            if blocks > 1:
                if not self._send_blocks(payload, blocks):
                    return
                continue
            self._sent += 1
            if not self._send(tftp.data(self._sent, payload)):
                return

    def _at_hand(self, offset: int, most: int) -> int:
        """How many blocks from here on can be sent together: at least one, whose octets may have to be fetched."""
        if most == 1 or self.source.ready:
            return most
        end = self._chunk_at + len(self._chunk)
        whole = (end - offset) // self.terms.blksize
        return max(1, min(most, whole + 1 if end >= self.source.size else whole))

    def _send_blocks(self, payload: bytes | memoryview, blocks: int) -> bool:
        """Send blocks in one call, which the kernel cuts (udp(7), UDP_SEGMENT): calls are what a window costs."""
        size = self.terms.blksize
        view = memoryview(payload)
        pieces: list[bytes | memoryview] = []
        for number in range(blocks):
            pieces += (tftp.data(self._sent + number + 1, b""), view[number * size : (number + 1) * size])
        cut = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT.pack(size + tftp.HEADER))]
        try:
            self._sock.sendmsg(pieces, cut, 0, self.peer)
        except BlockingIOError:
            pass  # as good as lost on the wire; the timer repeats it
        except OSError as error:
            if error.errno in _UNCUT:
                self._burst = 1
                return True
            self._icmp(error)
        self._sent += blocks
        return not self._refused

    def _octets(self, offset: int, count: int) -> bytes | memoryview | None:
        if self.source.ready or not count:
            return self.source.read(offset, count)
        begin = offset - self._chunk_at
        if begin >= 0 and begin + count <= len(self._chunk):
            return self._chunk[begin : begin + count]
        if not self._loading:
            self._loading = True
            wanted = max(CHUNK, self.terms.blksize)
            future = self._loop.run_in_executor(self._pool, self.source.read, offset, wanted)
            future.add_done_callback(lambda ready: self._loaded(offset, wanted, ready))
        return None

    def _loaded(self, offset: int, wanted: int, ready: asyncio.Future[bytes | memoryview]) -> None:
        self._loading = False
        if self._over:
            self.source.close()
            return
        try:
            chunk = ready.result()
        except OSError as error:
            self._fail(f"the file cannot be read: {error.strerror}")
            return
        if len(chunk) < min(wanted, self.source.size - offset):
            self._fail("the file became shorter while it was sent")
            return
        self._chunk, self._chunk_at = chunk, offset
        self._fill()

    def _send(self, packet: bytes, to: Address | None = None) -> bool:
        if self._refused:
            return False
        try:
            self._sock.sendto(packet, to or self.peer)
        except BlockingIOError:
            pass  # as good as lost on the wire; the timer repeats it
        except OSError as error:
            self._icmp(error)
        return not self._refused

    def _icmp(self, error: OSError) -> None:
        """An ICMP error came back: only "port unreachable" from the reader itself ends a transfer, for links flap.

        What the reader sent before it closed its port may still wait to be read, its last ACK among it. The queue of
        errors must be emptied, or the socket stays readable for ever.
        """
        refused = False
        try:
            while True:
                _, ancillary, _, sender = self._sock.recvmsg(1, 512, _MSG_ERRQUEUE)
                numbers = [_EXTENDED_ERROR.unpack_from(content)[0] for _, _, content in ancillary]
                refused = refused or (sender[:2] == self.peer[:2] and errno.ECONNREFUSED in numbers)
        except BlockingIOError:
            refused = refused and error.errno == errno.ECONNREFUSED
        if refused and not self._refused:
            self._refused = True
            self._loop.call_soon(self._readable)

    def _progress(self) -> None:
        now = self.heard = self._loop.time()
        self._tries = 0
        self._due = now + self._pause
        if self._timer is None or self._due < self._timer.when():
            self._arm()

    def _arm(self) -> None:
        """Put off the retransmission; one timer serves the whole transfer, so an ACK costs no heap operation."""
        pause = float(self.terms.timeout) or RESEND[min(self._tries, len(RESEND) - 1)]
        self._due = min(self._loop.time() + pause, self.heard + GIVE_UP)
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._late)
        elif self._due < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._late)

    def _late(self) -> None:
        self._timer = None
        now = self._loop.time()
        if now < self._due:
            self._timer = self._loop.call_at(self._due, self._late)
            return
        if now - self.heard >= GIVE_UP:
            self._gone("never answered" if self.fresh else "stopped answering")
            return
        if now - self._due > OURS:
            # It is us who are late: what the reader sent may wait to be read.
            self._due = now + OURS
            self._timer = self._loop.call_at(self._due, self._late)
            return
        self._tries += 1
        self._resent += 1
        if not self._acked:
            # A filter, or a card that cannot cut, drops what comes together where single blocks would pass.
            self._burst = 1
        self.repeat()
        if not self._over:
            self._arm()

    def _gone(self, what: str) -> None:
        self._finish(Report(End.FAILED, self._bytes(), why=f"the machine {what}", resent=self._resent))

    def _fail(self, why: str) -> None:
        self._send(tftp.error(tftp.Code.UNDEFINED, why))
        self._finish(Report(End.FAILED, self._bytes(), why=why, resent=self._resent))

    def _bytes(self) -> int:
        return min(self._acked * self.terms.blksize, self.source.size)

    def _finish(self, report: Report) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._readers.remove_reader(self._sock)
        self._sock.close()
        if not self._loading:  # a worker thread still reads from it; it is closed when that returns
            self.source.close()
        self._done(self, report)
