"""The boot HTTP service on its port of a namespace of its own, and readers in another: http.client, sockets, curl."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from tests import netns
from tests.conformance.tftpbench import READER, READER6, SERVER, hosted, lan
from tests.services.bootfs.world import World
from tests.services.boothttp.conftest import Listener

PORT = 8090
OTHER = "10.7.0.10"
"""Another reader's address."""
LARGE, MARK = 10 * 10**9, 9 * 10**9
"""Octets of `large.iso`, which is a hole, but for four at MARK."""
SMALL = 5000
"""Octets of `small.bin`."""
SECONDS = 30.0


@dataclass
class Bench:
    """The service, the namespaces, and what it serves."""

    listener: Listener
    server: str
    reader: str
    root: Path

    def content(self, name: str) -> bytes:
        """What a file holds."""
        return (self.root / name).read_bytes()

    def connect(self, host: str = SERVER, own: str = "", port: int = PORT, buffer: int = 0) -> socket.socket:
        """A connection of a reader's; with `buffer` octets it takes few beyond what it reads."""

        def made() -> socket.socket:
            name, _, scope = host.partition("%")
            family = socket.AF_INET6 if ":" in name else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(SECONDS)
            if buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            if family == socket.AF_INET6:
                sock.connect((name, port, 0, socket.if_nametoindex(scope) if scope else 0))
            else:
                sock.bind((own or READER, 0))
                sock.connect((name, port))
            return sock

        return netns.call(self.reader, made)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        host: str = SERVER,
        own: str = "",
    ) -> tuple[int, Message, bytes]:
        """One request by http.client: status, fields, body."""
        connection = http.client.HTTPConnection(SERVER, PORT)
        connection.sock = self.connect(host, own)
        with contextlib.closing(connection):
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def raw(self, octets: bytes, host: str = SERVER) -> bytes:
        """All that comes back for some octets until the server closes the connection."""
        with self.connect(host) as sock:
            said = b""
            # It may close, with octets still to be read, while they are sent.
            with contextlib.suppress(ConnectionError):
                sock.sendall(octets)
                while more := sock.recv(1 << 16):
                    said += more
            return said

    def get(self, target: str, host: str = SERVER) -> bytes:
        """What comes back for a target written as it is here."""
        return self.raw(f"GET {target} HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n".encode(), host)

    def curl(self, *words: str) -> str:
        """curl among the readers. Raises AssertionError where it fails."""
        return netns.run(self.reader, ["curl", "-sS", "--fail", "--max-time", "60", *words]).stdout

    def counter(self, name: str) -> int:
        """One of the service's counters."""
        return self.listener.http.counters[name]


def _filled(root: Path) -> None:
    (root / "small.bin").write_bytes(random.Random(7).randbytes(SMALL))
    (root / "empty.bin").write_bytes(b"")
    for name in (".treeinfo", ".discinfo", "images/.keep", "EFI/BOOT/grubx64.efi", "a file (1)+ü.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"this is {name}\n".encode())
    with (root / "large.iso").open("wb") as out:
        out.truncate(LARGE)
        out.seek(MARK)
        out.write(b"mark")
    (root.parent / "beside.txt").write_bytes(b"not yours")
    (root / "out").symlink_to(root.parent / "beside.txt")


@contextlib.asynccontextmanager
async def serving(folder: Path, port: int = PORT) -> AsyncIterator[Listener]:
    """The service on all addresses."""
    listener = Listener(World(folder), "0.0.0.0", "::", port)
    _filled(listener.world.root)
    await listener.http.start()
    try:
        yield listener
    finally:
        await listener.http.stop()


@contextlib.contextmanager
def benched(folder: Path) -> Iterator[Bench]:
    """A running bench; `folder` takes the files."""
    with lan() as (server, reader), hosted(server, lambda: serving(folder)) as listener:
        netns.run(reader, ["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"])
        yield Bench(listener, server, reader, listener.world.root)


def link_local(ns: str, card: str = "eth0") -> str:
    """The link-local address of a namespace's card."""
    words = netns.run(ns, ["ip", "-6", "-o", "address", "show", "dev", card, "scope", "link"]).stdout.split()
    return words[words.index("inet6") + 1].partition("/")[0]


def resident() -> int:
    """Octets of memory this process, and so the service, holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


__all__ = [
    "LARGE",
    "MARK",
    "OTHER",
    "PORT",
    "READER6",
    "SMALL",
    "Bench",
    "benched",
    "link_local",
    "resident",
    "serving",
]
