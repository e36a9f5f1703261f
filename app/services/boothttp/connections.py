"""Connections of the boot listener: how many, for how long, and what happens to those that speak no HTTP."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

IDLE_SECONDS = 30.0
"""From the connection, or from the last answer, to a whole request head."""
STUCK_SECONDS = 30
"""How long a peer may take nothing of what is sent to it (tcp(7), TCP_USER_TIMEOUT)."""
LINGER_SECONDS = 2.0
"""How long the rest of a body that nobody wants is read, so that the answer is not lost in a reset (RFC 9112 9.6)."""
PER_SOURCE = 64
"""Connections one address may have."""
HEADER_MAX = 8190
_MORE = (b"content-length", b"transfer-encoding", b"upgrade", b"expect")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Ends:
    """A connection over IPv4: its ends, and both as the kernel names them."""

    peer: IPv4Address
    local: IPv4Address
    names: tuple[tuple[str, int], tuple[str, int]]


Answer = Callable[[bytes, Ends], bytes | None]
"""The whole answer to a whole request that came over a connection; None: it goes the usual way."""


def end(name: Sequence[Any]) -> Address:
    """One end of a connection, as the kernel names it; a link-local address keeps its interface's index."""
    host, _, *more = name
    return ip_address(f"{host}%{more[1]}" if more and more[1] else host)


class Gate:
    """Admits connections, and counts them."""

    def __init__(self, accepts: Callable[[Address], bool], counters: dict[str, int]) -> None:
        """`accepts` is asked for the local address a connection was made to."""
        self.counters = counters
        self._accepts = accepts
        self._per_source: Counter[str] = Counter()
        # Half of what the process may open is left to the others.
        self._most = max(64, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)

    def enter(self, peer: str, local: Address) -> bool:
        """A connection came; False: it is not wanted."""
        crowded = self._per_source[peer] >= PER_SOURCE or self._per_source.total() >= self._most
        if crowded or not self._accepts(local):
            self.counters["dropped"] += 1
            return False
        self._per_source[peer] += 1
        self.counters["connections"] = self._per_source.total()
        return True

    def leave(self, peer: str) -> None:
        """An admitted connection is gone."""
        self._per_source[peer] -= 1
        if not self._per_source[peer]:
            del self._per_source[peer]
        self.counters["connections"] = self._per_source.total()


class _Connection(RequestHandler):
    """aiohttp's connection behind the gate, and without a traceback for what a peer sends."""

    __slots__ = ("_ends", "_gate", "_inside", "_quick", "_whole")

    def __init__(self, server: web.Server, gate: Gate, quick: Answer | None, **extra: Any) -> None:
        super().__init__(server, **extra)
        self._gate = gate
        self._inside = ""
        self._quick = quick
        self._ends: Ends | None = None
        # The parser stands between two requests.
        self._whole = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        # A peer that is gone already has no name.
        if not peer or not local or not self._gate.enter(str(peer[0]), end(local)):
            cast("asyncio.Transport", transport).abort()
            return
        self._inside = str(peer[0])
        if len(peer) == len(local) == 2 and transport.get_extra_info("sslcontext") is None:  # IPv6 has four parts
            self._ends = Ends(IPv4Address(peer[0]), IPv4Address(local[0]), (peer, local))
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_SECONDS * 1000)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._inside:
            self._gate.leave(self._inside)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        quick, transport = self._quick, self.transport
        if quick is not None and self._ends is not None and self._whole and transport is not None:
            waits = self._waiter is not None and not self._waiter.done() and not self._messages
            if waits and not self._close and not self._force_close and not transport.get_write_buffer_size():
                answer = quick(data, self._ends)
                if answer is not None:
                    transport.write(answer)
                    self._next_keepalive_close_time = self._loop.time() + IDLE_SECONDS
                    return
        # What follows a request in parts, or one with a body, may belong to it.
        lower = data[: HEADER_MAX + 1].lower()
        self._whole = (
            self._whole
            and len(data) <= HEADER_MAX
            and data.find(b"\r\n\r\n") == len(data) - 4
            and not any(word in lower for word in _MORE)
        )
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        self._gate.counters["malformed"] += 1
        response = web.Response(status=status, text="this is no HTTP request that can be answered\n")
        response.force_close()
        return response


class BootServer(web.Server):
    """A protocol factory for `loop.create_server`."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Any], gate: Gate, body_max: int, quick: Answer | None = None
    ) -> None:
        """`quick` is asked first for the answer to what arrives while a connection waits for a request."""

        def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            loop = asyncio.get_running_loop()
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=body_max)

        super().__init__(
            handler,
            request_factory=request,
            access_log=None,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=HEADER_MAX,
            max_field_size=HEADER_MAX,
            auto_decompress=False,
        )
        self._gate = gate
        self._quick = quick

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._gate, self._quick, loop=self._loop, **self._kwargs)
