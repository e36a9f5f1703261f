"""A reader of boot HTTP that goes as slowly as a test wants: its kernel takes next to nothing ahead."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from tests import netns


@dataclass(slots=True)
class Download:
    """One GET whose header has been read; `size` is what the answer promised."""

    stream: socket.socket
    size: int
    content: bytes

    def take(self, count: int) -> bytes:
        """Read on until so many bytes of the content are there; all of them so far."""
        while len(self.content) < count:
            more = self.stream.recv(4096)
            assert more, f"the answer ended after {len(self.content)} bytes"
            self.content += more
        return self.content

    def drain(self) -> int:
        """Read to the end, however it comes; returns how much there was."""
        with contextlib.suppress(ConnectionError):
            while more := self.stream.recv(65536):
                self.content += more
        return len(self.content)


def begin(ns: str, server: str, path: str, *, source: str = "") -> Download:
    """Ask for PATH from a namespace (and from an address of it) and read no more than the header."""

    def connect() -> socket.socket:
        made = socket.socket()
        # Before connect: the window the peer is told follows it (tcp(7)).
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(20)
        made.bind((source, 0))
        made.connect((server, 8090))
        return made

    stream = netns.call(ns, connect)
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n".encode())
    told = b""
    while b"\r\n\r\n" not in told:
        more = stream.recv(512)
        assert more, f"no answer: {told!r}"
        told += more
    head, _, content = told.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].split()[1] == "200", lines[0]
    size = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
    return Download(stream, size, content)
