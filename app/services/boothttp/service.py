"""The boot HTTP service: one listener for machines, with the virtual tree and the agent's API behind it."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from app.clock import Clock
from app.errors import BootcartError
from app.model.event import EventDraft, Level
from app.netboot.bootpath import (
    REPORT_FOLDER,
    Answer,
    BadPathError,
    FileRequest,
    Refusal,
    Role,
    Served,
    hopeful,
    normalise,
    secret_path,
)
from app.netboot.timeline import transfer_words
from app.netboot.token import TokenRefusedError, masked
from app.netboot.words import plain
from app.services.boothttp.agent import BODY_MAX, PREFIX, AgentApi, Registrar, World, refused
from app.services.boothttp.connections import Address, BootServer, Ends, Gate, end
from app.services.boothttp.delivery import Opened, Progress, acknowledged, deliver, headers, opened, watching
from app.services.boothttp.listener import BACKLOG, Door, PlainDoor, silence
from app.services.boothttp.quick import Hand, Quick
from app.services.boothttp.ranges import Part, choose
from app.services.boothttp.repeats import Repeats, Said
from app.services.boothttp.reports import Installs, ReportApi
from app.services.boothttp.tap import Conversation, Tap, kept_not, no_tap
from app.services.listening import cannot_listen, has_ipv6

TELL_PER_SECOND = 20
_HOST = re.compile(r"[\w.~!$&'()*+,;=%:\[\]-]*", re.ASCII)  # RFC 9112 section 3.2, RFC 3986 section 3.2.2
_TOLD_AT_START = (Role.LOADER, Role.KERNEL, Role.INITRD)


class Tree(World, Hand, Protocol):
    """The virtual tree, as this service needs it; `resolve` is called from worker threads."""

    def resolve(self, request: FileRequest) -> Answer: ...

    def file_at_hand(self, path: str, peer: Address) -> tuple[Served, str] | None:
        """What `resolve` would give, and to which MAC, where that takes no waiting; else None."""
        ...

    def mac_of(self, address: IPv4Address | IPv6Address) -> str: ...

    def like(self, path: str) -> tuple[str, ...]:
        """Paths that are there and look like this one, the closest first."""
        ...

    def holding(self) -> bool: ...


class BootHttpService:
    """Serves machines on one TCP port, in the loop it is started in."""

    def __init__(
        self,
        tree: Tree,
        registrar: Registrar,
        emit: Callable[[EventDraft], None],
        clock: Clock,
        *,
        token_key: bytes,
        address: str = "0.0.0.0",  # noqa: S104 - machines reach it by whichever network they are on
        address6: str = "::",
        port: int = 8090,
        accepts: Callable[[Address], bool] = lambda local: True,
        installs: Installs | None = None,
        keep: Callable[[socket.socket, str], None] = lambda sock, name: None,
        door: Door | None = None,
    ) -> None:
        """`accepts` is asked whether connections to a local address are wanted. `port` 0 takes a free one (tests).

        `address6` empty: IPv4 alone, as on a host without IPv6.

        `keep` gets the socket that listens and its name, for whoever holds it beyond this process.

        `door`: what connections come through, where that is not plain TCP.
        """
        self.port = port
        self._door: Door = door or PlainDoor(keep)
        self.name = self._door.name
        self._spoken = self.name.upper()
        self.listening: tuple[str, ...] = ()
        self.tap: Tap = no_tap
        names = ("requests", "sent", "bytes", "aborted", "missing", "refused", "malformed", "dropped", "connections")
        self.counters: dict[str, int] = dict.fromkeys(names, 0)
        self._tree = tree
        self._emit = emit
        self._clock = clock
        self._addresses = (address, address6)
        self._accepts = accepts
        self._agent = AgentApi(registrar, tree, token_key, clock)
        self._reports = ReportApi(installs, tree, token_key, clock) if installs is not None else None
        self._told = (0, 0)
        self._repeats = Repeats(self._say)
        self._servers: list[asyncio.Server] = []
        self._boot: BootServer | None = None
        self._pool: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Listen. Raises ConflictError where the port is taken, ForbiddenError without the right to it."""
        quick = Quick(self._tree, self._given)
        boot = BootServer(self._heard, Gate(self._accepts, self.counters), BODY_MAX, quick.answer)
        address, address6 = self._addresses
        await self._door.open()
        await self._listen(boot, address)
        if address6 and has_ipv6():
            try:
                await self._listen(boot, address6)
            except BootcartError:
                self._silence()
                raise
        self._boot = boot
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="boothttp")
        shown = (address, f"[{address6}]")[: len(self._servers)]
        self.listening = tuple(f"tcp {host}:{self.port}" for host in shown)

    async def _listen(self, boot: BootServer, address: str) -> None:
        try:
            sock = self._door.listener(address, self.port)
            factory = self._door.factory(boot, self._accepts)
            server = await asyncio.get_running_loop().create_server(factory, sock=sock, backlog=BACKLOG)
        except OSError as error:
            raise cannot_listen(error, "TCP", address, self.port, self._door.flag) from error
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    def _silence(self) -> None:
        for server in self._servers:
            for sock in server.sockets:
                silence(sock)
            server.close()
        self._servers = []

    async def stop(self) -> None:
        """Close everything; downloads that run are cut off."""
        if self._boot is None or self._pool is None:
            return
        self._silence()
        await self._door.close()
        await self._boot.shutdown(1.0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._boot = None
        self._repeats.flush()
        self.listening = ()

    async def _heard(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer, and tell who records of it."""
        self.counters["requests"] += 1
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the peer is gone")
        told = Conversation(self.tap, transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
        told.asked(request)
        response = await self._handle(request, transport)
        told.answered(request, response)
        return response

    async def _handle(self, request: web.BaseRequest, transport: asyncio.Transport) -> web.StreamResponse:
        peer = ip_address(transport.get_extra_info("peername")[0])
        local = end(transport.get_extra_info("sockname"))
        if not _HOST.fullmatch(request.headers.get("Host", "")):
            self.counters["malformed"] += 1
            return _plain(400, "Host names no host")
        target = _target(request)
        raw, _, query = target.partition("?")
        try:
            path = normalise(raw, percent=True)
            words = _query(query)
        except (BadPathError, ValueError) as error:
            return self._refuse(plain(masked(raw)), peer, "", str(error), 404)
        if path.startswith(PREFIX):
            if isinstance(peer, IPv6Address):
                return self._refuse(path, peer, "", "the agent's interface takes IPv4", 404)
            try:
                return await self._agent.answer(request, path, peer)
            except TokenRefusedError as error:
                why = f"{error} ({error.why})"
                self._refuse(path, peer, self._tree.mac_of(peer), why, error.status, reason=error.why.value)
                return refused(error)
        secret = secret_path(path)
        if secret is not None and secret[0] == REPORT_FOLDER and self._reports is not None and request.method == "GET":
            _, token, step = secret
            try:
                return await self._reports.answer(token, step, words, peer)
            except TokenRefusedError as error:
                why, shown = f"{error} ({error.why})", f"{REPORT_FOLDER}/{plain(step, 40)}"
                return self._refuse(shown, peer, self._tree.mac_of(peer), why, 404, reason=error.why.value)
        return await self._file(request, path, peer, FileRequest(path, peer, local, query=words))

    async def _file(self, request: web.BaseRequest, path: str, peer: Address, asked: FileRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return _plain(405, "files are read here, never written", {"Allow": "GET, HEAD"})
        if self._tree.holding():
            return _plain(503, "Bootcart is on hold", {"Retry-After": "10"})
        found = self._at_hand(path, peer)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, self._open, path, peer, asked)
        answer = found.answer
        if answer is None:
            self.counters["missing"] += 1
            shown = masked(path)
            words = f"asked for {shown or 'the top'} by {self._spoken}, which is not there"
            level = Level.DEBUG if hopeful(path) else Level.INFO
            facts = {"path": shown, "like": found.like}
            self._tell("http.missing", words, peer, found.mac, facts, level, limited=True)
            return _plain(404, "not found")
        if isinstance(answer, Refusal):
            # The path as the tree shows it: what was asked may hold a token.
            return self._refuse(answer.path, peer, found.mac, answer.why, 404)
        if answer.body is None and found.file is None:
            return self._refuse(path, peer, found.mac, found.why, 500)
        try:
            return await self._send(request, peer, answer, found)
        finally:
            if found.file is not None:
                found.file.close()

    def _at_hand(self, path: str, peer: Address) -> Opened | None:
        """One of our own files that was just given to another machine, opened; None where that takes waiting."""
        at_hand = self._tree.file_at_hand(path, peer)
        found = opened(*at_hand) if at_hand is not None else None
        return found if found is not None and found.file is not None else None

    def _open(self, path: str, peer: Address, asked: FileRequest) -> Opened:
        """In a worker thread: what the tree gives, opened."""
        mac = self._tree.mac_of(peer)
        answer = self._tree.resolve(asked)
        # The tree may just have learned who this is.
        mac = mac or self._tree.mac_of(peer)
        like = self._tree.like(path) if answer is None and not hopeful(path) else ()
        return opened(answer, mac, like)

    async def _send(self, request: web.BaseRequest, peer: Address, served: Served, found: Opened) -> web.StreamResponse:
        memory = served.body is not None
        part = Part(200, 0, found.size)
        only_head = request.method == "HEAD"
        if not memory:
            kind = served.content_type
            part = choose(request.headers, found.size, found.modified_ns, kind, head=only_head)
        response = web.StreamResponse(status=part.status, headers=headers(served, found, part))
        if part.status != 304:
            response.content_length = part.count
        facts: dict[str, Any] = {"path": served.path, "role": served.role.value, **served.facts}
        if served.role in _TOLD_AT_START and not only_head and part.count:
            words = f"fetches {served.path} by {self._spoken}"
            self._tell("http.started", words, peer, found.mac, {**facts, "size": part.count})
        began = time.monotonic()
        moved = Progress()
        try:
            await self._transmit(request, response, served, found, part, moved)
        except (ConnectionError, TimeoutError, asyncio.CancelledError) as error:
            self.counters["aborted"] += 1
            words = f"broke off {served.path} after {moved.sent} of {part.count} bytes"
            facts |= {"bytes": moved.sent, "size": part.count}
            self._tell("http.aborted", words, peer, found.mac, facts, Level.WARNING)
            if request.transport is not None:
                request.transport.abort()
            if isinstance(error, asyncio.CancelledError):
                raise
            return response  # there is nobody to raise it to
        self._sent(request, peer, served, found, part, round(time.monotonic() - began - moved.silent, 3))
        return response

    async def _transmit(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        served: Served,
        found: Opened,
        part: Part,
        moved: Progress,
    ) -> None:
        """Send head and part; return when a file's octets have arrived. Raises ConnectionError, TimeoutError."""
        if request.method == "HEAD" or not part.count or found.file is None:
            await response.prepare(request)
            if request.method != "HEAD" and part.count:
                await deliver(request, response, served, found, part, moved)
            await response.write_eof()
            return
        with watching(request) as sock:
            await response.prepare(request)
            await deliver(request, response, served, found, part, moved)
            await response.write_eof()
            await acknowledged(sock, moved)

    def _sent(
        self,
        request: web.BaseRequest,
        peer: Address,
        served: Served,
        found: Opened,
        part: Part,
        seconds: float,
    ) -> None:
        count = 0 if request.method == "HEAD" else part.count
        self.counters["sent"] += 1
        self.counters["bytes"] += count
        if request.method == "HEAD" or part.status in (304, 412, 416):
            # The file itself has not moved: it must not look like a hop of the boot.
            what = {200: "how large", 304: "whether it has the newest of"}.get(part.status, "about")
            words = f"asked {what} {served.path}{' is' if part.status == 200 else ''}"
            facts: dict[str, Any] = {"path": served.path, "bytes": count, "seconds": seconds, "status": part.status}
            self._tell("http.sent", words, peer, found.mac, {**facts, "role": "file"}, Level.DEBUG)
            return
        self._tell_sent(peer, served, found.mac, part, seconds)

    def _given(self, served: Served, mac: str, ends: Ends, asked: bytes, head: bytes) -> None:
        """A script that was at hand was given."""
        count = len(served.body or b"")
        self.tap("http", True, asked, *ends.names)
        self.tap("http", False, head, *ends.names, skipped=count, note=kept_not(count))
        self.counters["requests"] += 1
        self.counters["sent"] += 1
        self.counters["bytes"] += count
        self._tell_sent(ends.peer, served, mac, Part(200, 0, count), 0.0)

    def _tell_sent(self, peer: Address, served: Served, mac: str, part: Part, seconds: float) -> None:
        def said() -> Said:
            words = f"{transfer_words(served.path, part.count, seconds)} by {self._spoken}"
            facts = {"path": served.path, "bytes": part.count, "seconds": seconds, "status": part.status}
            facts |= {"role": served.role.value, **served.facts}
            level = Level.DEBUG if part.status == 206 and served.role is Role.FILE else Level.INFO
            return Said("http.sent", words, peer, mac, facts, level)

        self._repeats.happened(peer, served.path, part.status, said)

    def _say(self, said: Said) -> None:
        self._tell(said.kind, said.words, said.peer, said.mac, said.facts, said.level)

    def _refuse(self, path: str, peer: Address, mac: str, why: str, status: int, *, reason: str = "") -> web.Response:
        self.counters["refused"] += 1
        words = f"was refused {path} by {self._spoken}: {why}"
        facts = {"path": path, "why": why, "status": status, "role": Role.FILE.value, "reason": reason}
        self._tell("http.refused", words, peer, mac, facts, Level.WARNING, limited=True)
        # The peer learns no more than that there is nothing for it.
        return _plain(404, "not found") if status == 404 else _plain(status, why)

    def _tell(
        self,
        kind: str,
        words: str,
        peer: Address,
        mac: str,
        data: Mapping[str, Any],
        level: Level = Level.INFO,
        *,
        limited: bool = False,
    ) -> None:
        now = self._clock.now()
        if limited:
            second, count = self._told
            self._told = (int(now), count + 1 if second == int(now) else 1)
            if self._told[1] > TELL_PER_SECOND:
                return
        mac = mac or self._tree.mac_of(peer)
        message = f"{mac or peer} {words}"
        draft = EventDraft(
            time=now, kind=kind, message=message, level=level, mac=mac, address=str(peer), data=dict(data)
        )
        self._emit(draft)


def _target(request: web.BaseRequest) -> str:
    """The request target as it was sent, without the scheme and host of the absolute form (RFC 9112 section 3.2)."""
    scheme, found, rest = request.raw_path.partition("://")
    if found and scheme in ("http", "https"):
        return "/" + rest.partition("/")[2]
    return request.raw_path


def _query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))


def _plain(status: int, words: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=words + "\n", headers={"Server": "bootcart", **(headers or {})})
