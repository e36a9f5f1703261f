"""The TCP socket machines connect to. Where a supervisor hands one over (sd_listen_fds(3)), it outlives the engine.

A network card's ROM that is refused its script gives up on the network and boots the disk. An engine that was killed
leaves this socket listening: who connects before the next one runs waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

NAME = "boot-http"
"""What the supervisor calls it in LISTEN_FDNAMES."""

Address = IPv4Address | IPv6Address

BACKLOG = 1024
"""Connections that may wait."""

_FIRST = 3  # SD_LISTEN_FDS_START
_UNBOUND = ("0.0.0.0", 0)  # noqa: S104 - what a socket that was never bound says of itself


def handed(environment: Mapping[str, str] = os.environ, first: int = _FIRST) -> socket.socket | None:
    """A duplicate of the socket that was handed to this very process; None where none was."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    if NAME not in names or environment.get("LISTEN_FDS") != str(len(names)):
        return None
    number = first + names.index(NAME)
    # No child of ours is to hold it.
    os.set_inheritable(number, False)
    return socket.socket(fileno=os.dup(number))


def listener(address: str, port: int, kept: Callable[[], socket.socket | None] = handed) -> socket.socket:
    """A socket that listens: the one that was handed over, unless it serves another address. Raises OSError.

    Who asks over IPv6 loads files alone, which is tried again: that socket ends with the engine.
    """
    if ":" in address:
        return _listener6(address, port)
    found = kept() if port else None
    if found is not None and found.getsockname() not in (_UNBOUND, (address, port)):
        # The settings have changed since: nobody is to connect there any more.
        silence(found)
        found.close()
        found = None
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM) if found is None else found
    try:
        if sock.getsockname() == _UNBOUND:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


class Door(Protocol):
    """What connections come through before they are the service's."""

    @property
    def name(self) -> str:
        """What the service is called with it."""
        ...

    @property
    def flag(self) -> str:
        """What chooses its port."""
        ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def listener(self, address: str, port: int) -> socket.socket:
        """A socket that listens. Raises OSError."""
        ...

    def factory(
        self, boot: Callable[[], asyncio.Protocol], accepts: Callable[[Address], bool]
    ) -> Callable[[], asyncio.Protocol]:
        """Protocols of new connections; `boot` makes those that the service is to have."""
        ...


class PlainDoor:
    """Nothing before them."""

    name = "http"
    flag = "--http-port"

    def __init__(self, keep: Callable[[socket.socket, str], None]) -> None:
        """`keep` gets the socket that listens and its name."""
        self._keep = keep

    async def open(self) -> None:
        """Nothing is prepared."""

    async def close(self) -> None:
        """Nothing is held."""

    def listener(self, address: str, port: int) -> socket.socket:
        sock = listener(address, port)
        if sock.family is socket.AF_INET:
            self._keep(sock, NAME)
        return sock

    def factory(
        self, boot: Callable[[], asyncio.Protocol], accepts: Callable[[Address], bool]
    ) -> Callable[[], asyncio.Protocol]:
        return boot


def _listener6(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def give_up(kept: Callable[[], socket.socket | None] = handed) -> None:
    """Nobody is to connect in this run: what the run before left listening would have machines wait for ever."""
    found = kept()
    if found is not None:
        silence(found)
        found.close()


def silence(sock: socket.socket | TransportSocket) -> None:
    """Listen no longer, whoever else holds a duplicate."""
    with contextlib.suppress(OSError):  # it was not listening
        sock.shutdown(socket.SHUT_RDWR)
