"""Many sockets behind one descriptor of the loop: a packet costs a call, not a turn of the loop."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable

_AT_ONCE = 64
"""Sockets heard before others of the loop get their turn."""


class Readers:
    """Calls back for sockets that can be read, as the loop itself does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._set = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._set, self._ready)

    def add_reader(self, sock: socket.socket, call: Callable[[], None]) -> None:
        """Call `call` whenever `sock` can be read, or holds an error."""
        self._calls[sock.fileno()] = call
        self._set.register(sock, select.EPOLLIN)

    def remove_reader(self, sock: socket.socket) -> None:
        """Call no more; before the socket is closed."""
        if self._calls.pop(sock.fileno(), None) is not None:
            self._set.unregister(sock)

    def close(self) -> None:
        """Forget all sockets."""
        self._loop.remove_reader(self._set)
        self._set.close()
        self._calls.clear()

    def _ready(self) -> None:
        for number, _ in self._set.poll(0, _AT_ONCE):
            # One that was called before it may have ended this one.
            call = self._calls.get(number)
            if call is not None:
                call()
