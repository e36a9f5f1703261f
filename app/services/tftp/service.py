"""The TFTP service: takes requests, opens what the tree gives, runs the transfers, tells what happened."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from typing import Any

from app.clock import Clock
from app.errors import BootcartError
from app.model.event import EventDraft, Level
from app.netboot.blocks import Blocks
from app.netboot.bootpath import BadPathError, FileRequest, Refusal, Role, Served, hopeful, normalise
from app.netboot.token import masked
from app.netboot.wire import tftp
from app.netboot.words import plain
from app.services.listening import has_ipv6
from app.services.tftp.asked import Asked, Opened, Queued, Running
from app.services.tftp.queue import Queue
from app.services.tftp.readers import Readers
from app.services.tftp.sockets import Address, Arrived, blksize_max, listen, place, receive, sending
from app.services.tftp.source import Source, SourceCache
from app.services.tftp.tap import Tap, begun, end, ended, no_tap
from app.services.tftp.telling import shown, told_of
from app.services.tftp.transfer import End, Report, Transfer
from app.services.tftp.tree import Tree

log = logging.getLogger(__name__)

PER_SOURCE = 128
"""Transfers one address may have; the one that was silent for longest gives way to a new one."""
ALIVE, LOOK_EVERY = 5.0, 0.25
"""Seconds after which a reader that was not heard may be dead, and between looks for one where there is no room."""
TRANSFERS_MAX = 4000
WAITING_MAX = 512
WINDOW_MAX = 64
TIMEOUT_MAX = 8
"""The longest retransmission time agreed to; with a longer one too few repeats fit before a reader is given up."""
REQUESTS_AT_ONCE = 64
TELL_PER_SECOND = 20  # events about misses and refusals: firmware that probes hundreds must not push out the others


class TftpService:
    """Serves the tree over TFTP on one UDP port, in the loop it is started in."""

    name = "tftp"

    def __init__(
        self,
        tree: Tree,
        emit: Callable[[EventDraft], None],
        clock: Clock,
        *,
        address: str = "0.0.0.0",  # noqa: S104 - machines reach it by whichever network they are on
        address6: str = "::",
        port: int = 69,
        interfaces: Collection[str] = (),
    ) -> None:
        """`interfaces`: answer what arrives on these alone; empty: on all. `port` 0 takes a free one (tests).

        `address6` empty: IPv4 alone, as on a host without IPv6.
        """
        self.port = port
        self.listening: tuple[str, ...] = ()
        self.tap: Tap = no_tap
        self.counters: dict[str, int] = dict.fromkeys(
            ("requests", "sent", "bytes", "aborted", "probes", "failed", "missing", "refused", "malformed", "dropped",
             "resent", "running"), 0
        )  # fmt: skip
        self._tree = tree
        self._emit = emit
        self._clock = clock
        self._addresses = (address, address6)
        self._interfaces = frozenset(interfaces)
        self._cache = SourceCache()
        self._running: dict[Address, Running] = {}
        self._per_source: Counter[str] = Counter()
        self._waiting: set[Address] = set()
        self._blocks = Blocks()
        self._most = TRANSFERS_MAX
        self._full_until = 0.0
        self._queue: Queue[Queued] = Queue(self._time)
        self._told = (0, 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socks: list[socket.socket] = []
        self._pool: ThreadPoolExecutor | None = None
        self._readers: Readers | None = None

    def _time(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    async def start(self) -> None:
        """Listen. Raises ConflictError where the port is taken, ForbiddenError without the right to it."""
        address, address6 = self._addresses
        socks = [listen(address, self.port)]
        self.port = socks[0].getsockname()[1]
        if address6 and has_ipv6():
            try:
                socks.append(listen(address6, self.port))
            except BootcartError:
                socks[0].close()
                raise
        # A transfer holds a socket and maybe a file; half of what the process may open is left to the others.
        self._most = min(TRANSFERS_MAX, max(32, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._socks, self._loop = socks, asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="tftp")
        self._readers = Readers(self._loop)
        for sock in socks:
            self._loop.add_reader(sock, self._readable, sock)
        self.listening = tuple(place(sock) for sock in socks)

    async def stop(self) -> None:
        """Close everything; running transfers end."""
        if not self._socks or self._loop is None:
            return
        for sock in self._socks:
            self._loop.remove_reader(sock)
            sock.close()
        self._socks = []
        for running in list(self._running.values()):
            running.transfer.drop("the TFTP service stops")
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        if self._readers is not None:
            self._readers.close()
            self._readers = None
        self.listening = ()

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(REQUESTS_AT_ONCE):
            try:
                arrived = receive(sock)
            except OSError:  # nothing more, or an ICMP error about an earlier reply: neither is about a request
                return
            # Broadcast requests stay unanswered (RFC 1123 4.2.3.5).
            if arrived.local and self._serves(arrived.index):
                self._packet(arrived)

    def _serves(self, index: int) -> bool:
        if not self._interfaces:
            return True
        try:
            return socket.if_indextoname(index) in self._interfaces
        except OSError:
            return False

    def _packet(self, arrived: Arrived) -> None:
        packet, peer = arrived.packet, arrived.peer
        if peer[1] == 0 or self._tree.holding():
            return
        self.tap("tftp", True, packet, end(peer), (arrived.local, self.port))
        try:
            request = tftp.decode(packet)
        except tftp.TftpError as error:
            self.counters["malformed"] += 1
            # Only what looks like a request is worth a word; anything else may be an echo of our own.
            if packet[:2] in (b"\0\1", b"\0\2"):
                self._reply(arrived, tftp.error(tftp.Code.ILLEGAL, str(error)))
            return
        if not isinstance(request, tftp.Request):
            self.counters["malformed"] += 1
            return
        self.counters["requests"] += 1
        known = self._running.get(peer)
        if known is not None and known.asked.request == request:
            if known.transfer.fresh:
                known.transfer.repeat()  # our first packet was lost or is under way; a second transfer would confuse
                return
            if known.transfer.moving:
                return  # the network brings a copy late; who begins anew asks again
        if peer in self._waiting or self._queue.again(peer, lambda waits: waits.asked.request == request):
            return
        self._request(request, arrived)

    def _request(self, request: tftp.Request, arrived: Arrived) -> None:
        asked = Asked(request, arrived, shown(request.filename))
        if request.op is tftp.Op.WRQ:
            self._refuse(asked, "files are read here, never written", tftp.Code.ACCESS)
        elif request.mode not in ("octet", "netascii"):
            self._refuse(asked, f"unknown transfer mode {plain(request.mode)}", tftp.Code.UNDEFINED)
        elif len(self._waiting) >= WAITING_MAX:
            self.counters["dropped"] += 1  # the machine asks again
        else:
            try:
                path = normalise(request.filename)
            except BadPathError as error:
                self._refuse(asked, str(error), tftp.Code.ACCESS)
                return
            self._open(Asked(request, arrived, path))

    def _open(self, asked: Asked) -> None:
        assert self._loop is not None  # noqa: S101 - only called while started
        assert self._pool is not None  # noqa: S101
        at_hand = self._tree.file_at_hand(asked.path, ip_address(asked.peer[0]))
        source = self._cache.at_hand(at_hand[0]) if at_hand is not None and asked.request.mode == "octet" else None
        if at_hand is not None and source is not None:
            self._transfer(asked, at_hand[0], source, at_hand[1])
            return
        self._waiting.add(asked.peer)
        future = self._loop.run_in_executor(self._pool, self._resolve, asked)
        future.add_done_callback(lambda ready: self._opened(asked, ready))

    def _resolve(self, asked: Asked) -> Opened:
        """In a worker thread: what the tree gives, opened."""
        peer = ip_address(asked.peer[0])
        mac = self._tree.mac_of(peer)
        if isinstance(peer, IPv4Address):
            asks = FileRequest(asked.path, peer, IPv4Address(asked.arrived.local), asked.peer[1], "tftp")
            answer = self._tree.resolve(asks)
        else:
            answer = self._tree.shared(asked.path)
        # The tree may just have learned who this is.
        mac = mac or self._tree.mac_of(peer)
        if not isinstance(answer, Served):
            like = () if answer is not None or hopeful(asked.path) else self._tree.like(asked.path)
            return Opened(answer, None, mac, like=like)
        try:
            return Opened(answer, self._cache.open(answer, as_netascii=asked.request.mode == "netascii"), mac)
        except OSError as error:
            return Opened(answer, None, mac, f"the file cannot be read: {error.strerror or error}")

    def _opened(self, asked: Asked, ready: asyncio.Future[Opened]) -> None:
        self._waiting.discard(asked.peer)
        if ready.cancelled():
            return
        fault = ready.exception()
        if fault is not None:
            said = "the file cannot be made"
            log.error("%s for %s", said, asked.peer[0], exc_info=fault)
            self._refuse(asked, f"{said}: {plain(str(fault))}", tftp.Code.UNDEFINED, say=said)
            return
        opened = ready.result()
        if not self._socks:  # stopped meanwhile
            if opened.source is not None:
                opened.source.close()
        elif isinstance(opened.answer, Refusal):
            # The reader learns no more than that there is nothing for it; what it asked for may hold a token.
            asked = replace(asked, path=opened.answer.path)
            self._refuse(asked, opened.answer.why, tftp.Code.NOT_FOUND, mac=opened.mac, say="file not found")
        elif opened.answer is None:
            self.counters["missing"] += 1
            self._reply(asked.arrived, tftp.error(tftp.Code.NOT_FOUND, "file not found"))
            path = masked(asked.path)
            words = f"asked for {path or 'a file without a name'} by TFTP, which is not there"
            level = Level.DEBUG if hopeful(asked.path) else Level.INFO
            facts = {"file": path, "asked": shown(asked.request.filename)[:120], "like": opened.like}
            self._tell("tftp.missing", words, asked, facts, mac=opened.mac, level=level, limited=True)
        elif opened.source is None:
            self._refuse(asked, opened.why, tftp.Code.UNDEFINED, mac=opened.mac)
        else:
            self._transfer(asked, opened.answer, opened.source, opened.mac)

    def _transfer(self, asked: Asked, served: Served, source: Source, mac: str) -> None:
        assert self._loop is not None  # noqa: S101 - only called while started
        assert self._pool is not None  # noqa: S101
        before = self._running.get(asked.peer)
        if before is not None:
            before.transfer.drop("the machine asked for something else from the same port")
        if not self._room(asked.peer[0]):
            # What is in memory holds nothing while it waits.
            if not source.ready or not self._queue.add(asked.peer, Queued(asked, served, source, mac)):
                source.close()
                self.counters["dropped"] += 1  # the machine asks again
            return
        try:
            sock = sending(asked.arrived.local, asked.arrived.index)
        except OSError as error:
            source.close()
            self.counters["dropped"] += 1
            self._tell("tftp.refused", f"no socket for {served.path}: {error.strerror}", asked,
                       {"file": served.path, "why": error.strerror or ""}, mac=mac, limited=True)  # fmt: skip
            return
        self._look_back(asked, served, mac)
        blksize = blksize_max(asked.request.options.get("blksize", ""), asked.arrived)
        blksize = self._blocks.limit(mac or asked.peer[0], blksize)
        terms = tftp.negotiate(
            asked.request.options, source.size, blksize_max=blksize, windowsize_max=WINDOW_MAX, timeout_max=TIMEOUT_MAX
        )
        transfer = Transfer(
            self._loop, sock, asked.peer, source, terms, pool=self._pool, done=self._ended, readers=self._readers
        )
        our = end(sock.getsockname())
        self._running[asked.peer] = Running(transfer, asked, served, mac, our)
        self._per_source[asked.peer[0]] += 1
        facts = {"file": served.path, "size": source.size, "blksize": terms.blksize, "role": served.role.value}
        self._tell("tftp.started", f"fetches {served.path} by TFTP", asked, {**facts, **served.facts}, mac=mac)
        begun(self.tap, transfer, our)
        transfer.start()

    def _look_back(self, asked: Asked, served: Served, mac: str) -> None:
        """The machine asks again for what it was being sent, from another port: that tells how it went."""
        host = asked.peer[0]
        for peer, running in self._running.items() if self._per_source[host] else ():
            if peer[0] == host and running.served.path == served.path:
                self._learn(running, mac)

    def _learn(self, running: Running, mac: str) -> None:
        """Remember smaller blocks for a machine, where those of this transfer did not arrive."""
        most = self._blocks.learn(mac or running.asked.peer[0], running.transfer.course)
        if not most:
            return
        was = running.transfer.terms.blksize
        words = f"gets blocks of at most {most} bytes from now on: none of {was} arrived, the way to it loses them"
        facts = {"file": running.served.path, "blksize": most, "was": was}
        self._tell("tftp.lowered", words, running.asked, facts, mac=mac, level=Level.WARNING)

    def _room(self, source: str) -> bool:
        """There is room for a newcomer, for which the stalest of its own address gives way.

        Of others only one that is dead does: where all are alive, who was served for a while would begin anew.
        """
        if self._per_source[source] >= PER_SOURCE:
            stalest = _stalest(running for peer, running in self._running.items() if peer[0] == source)
        elif len(self._running) < self._most:
            return True
        elif self._time() < self._full_until:
            return False
        else:
            stalest = _stalest(self._running.values())
            if self._time() - stalest.heard < ALIVE:
                self._full_until = self._time() + LOOK_EVERY
                return False
        stalest.drop("too many transfers at once; this one was silent for longest")
        return True

    def _next(self) -> None:
        """A transfer is over: one that waits begins."""
        if self._socks and len(self._running) < self._most and (waited := self._queue.take()) is not None:
            self._transfer(waited.asked, waited.served, waited.source, waited.mac)

    def _ended(self, transfer: Transfer, report: Report) -> None:
        assert self._loop is not None  # noqa: S101 - a transfer has a loop
        running = self._running.pop(transfer.peer)
        if len(self._queue):
            self._loop.call_soon(self._next)
        ended(self.tap, transfer, report, running.our)
        source = transfer.peer[0]
        self._per_source[source] -= 1
        if not self._per_source[source]:
            del self._per_source[source]
        self.counters["resent"] += report.resent
        self._learn(running, running.mac)
        if report.end is End.SENT:
            self.counters["bytes"] += report.bytes
        told = told_of(running.served, transfer, report, round(self._loop.time() - transfer.started, 3))
        self.counters[told.counter] += 1
        self._tell(told.kind, told.words, running.asked, told.facts, mac=running.mac, level=told.level)

    def _refuse(self, asked: Asked, why: str, code: tftp.Code, *, mac: str = "", say: str = "") -> None:
        self.counters["refused"] += 1
        self._reply(asked.arrived, tftp.error(code, say or why))
        words = f"was refused {asked.path} by TFTP: {why}"
        facts = {"file": asked.path, "why": why, "role": Role.FILE.value}
        self._tell("tftp.refused", words, asked, facts, mac=mac, level=Level.WARNING, limited=True)

    def _reply(self, arrived: Arrived, packet: bytes) -> None:
        """One packet from a port of its own: a refusal is a transfer of one packet (RFC 1350 section 4)."""
        try:
            with sending(arrived.local, arrived.index) as sock:
                sock.sendto(packet, arrived.peer)
                self.tap("tftp", False, packet, end(arrived.peer), end(sock.getsockname()))
        except OSError:
            self.counters["dropped"] += 1

    def _tell(
        self,
        kind: str,
        words: str,
        asked: Asked,
        data: Mapping[str, Any],
        *,
        mac: str = "",
        level: Level = Level.INFO,
        limited: bool = False,
    ) -> None:
        now = self._clock.now()
        if limited:
            second, count = self._told
            self._told = (int(now), count + 1 if second == int(now) else 1)
            if self._told[1] > TELL_PER_SECOND:
                return
        self.counters["running"] = len(self._running)
        address = asked.peer[0]
        mac = mac or self._tree.mac_of(ip_address(address))
        who = mac or address
        draft = EventDraft(
            time=now, kind=kind, message=f"{who} {words}", level=level, mac=mac, address=address, data=dict(data)
        )
        self._emit(draft)


def _stalest(crowd: Iterable[Running]) -> Transfer:
    return min((running.transfer for running in crowd), key=lambda transfer: transfer.heard)
