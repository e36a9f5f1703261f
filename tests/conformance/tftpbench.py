"""The TFTP service on port 69 of a namespace of its own, and readers in another: tftpy, and sockets where it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tftpy

from tests import netns
from tests.services.tftp.peer import Peer, Service, serving

T = TypeVar("T")
SERVER, SECOND, READER = "10.7.0.1", "10.7.0.2", "10.7.0.9"
SERVER6, READER6 = "fd00:7::1", "fd00:7::9"
PORT = 69
SIZES = {
    "s513.bin": 513,
    "s512.bin": 512,
    "s1024.bin": 1024,
    "empty.bin": 0,
    "loader.efi": 996_864,
    "seventy.bin": 70_000,
    "boot/x64/wds.bin": 2000,
}


@dataclass
class Bench:
    """The service, the namespace readers live in, and what it serves."""

    service: Service
    server: str
    reader: str
    root: Path

    def content(self, name: str) -> bytes:
        """What a file holds."""
        return (self.root / name).read_bytes()

    def peer(self, server: str = SERVER, own: str = "") -> Peer:
        """A reader made of one socket, which belongs to the readers' namespace."""
        own = own or (READER6 if ":" in server else READER)
        return netns.call(self.reader, lambda: Peer(PORT, server, own))

    async def tftpy(
        self, name: str, out: Path, options: Mapping[str, int] | None = None, server: str = SERVER
    ) -> bytes:
        """A file as tftpy fetches it. Raises what tftpy raises."""
        client = tftpy.TftpClient(server, PORT, dict(options or {}))

        def fetch() -> bytes:
            client.download(name, str(out))
            return out.read_bytes()

        return await asyncio.to_thread(netns.call, self.reader, fetch)

    async def handled(self, peer: Peer) -> list[bytes]:
        """What the transfer has sent a reader by the time it has read all the reader said to it.

        The mark is the answer a stranger gets to a packet sent after those: a socket is read in order.
        """
        assert peer.tid is not None
        with self.peer() as stranger:
            stranger.tid = peer.tid
            stranger.say(b"\0\4\xff\xff")
            assert struct.unpack_from("!HH", await stranger.hear()) == (5, 5)
        return drained(peer)

    async def over(self, peer: Peer) -> None:
        """Wait until the port a transfer came from is closed; nothing can come from there any more."""
        tid = peer.tid
        assert tid is not None

        def closed() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(1)
                sock.connect(tid)
                sock.send(b"\0\4\xff\xff")  # answered ERROR 5 as long as somebody is there
                try:
                    sock.recv(100)
                except ConnectionRefusedError:
                    return True
                except TimeoutError:
                    return False
                return False

        def wait() -> None:
            netns.until(closed, timeout=40, what="the transfer's port is closed")

        await asyncio.to_thread(netns.call, self.reader, wait)


def drained(peer: Peer) -> list[bytes]:
    """What waits on a reader's socket."""
    found: list[bytes] = []
    while True:
        try:
            found.append(peer.sock.recv(70000))
        except BlockingIOError:
            return found


def block(packet: bytes) -> tuple[int, int]:
    """Opcode and number of a packet."""
    op, number = struct.unpack_from("!HH", packet)
    return op, number


def _filled(folder: Path) -> Path:
    root, noise = folder / "root", random.Random(7)
    (root / "boot/x64").mkdir(parents=True)
    for name, size in SIZES.items():
        (root / name).write_bytes(noise.randbytes(size))
    (root / "text.txt").write_bytes(b"one\ntwo\rthree\n")
    (folder / "beside.txt").write_bytes(b"not yours")
    (root / "out").symlink_to(folder / "beside.txt")
    return root


@contextlib.contextmanager
def lan() -> Iterator[tuple[str, str]]:
    """Two namespaces on one wire, both with IPv6; the server has two addresses of each kind."""
    with netns.namespace("server") as server, netns.namespace("reader") as reader:
        for ns in (server, reader):
            # Addresses are of use at once: nobody else is on this wire.
            netns.run(ns, ["sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"])
        # The kernel tells of a closed port at once, however often it is asked.
        netns.run(server, ["sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"])
        netns.link(server, "eth0", reader, "eth0", address=f"{SERVER}/24", peer_address=f"{READER}/24")
        for ns, address in ((server, f"{SECOND}/24"), (server, f"{SERVER6}/64"), (reader, f"{READER6}/64")):
            netns.run(ns, ["ip", "address", "add", address, "dev", "eth0"])
        yield server, reader


@contextlib.contextmanager
def benched(folder: Path) -> Iterator[Bench]:
    """A running bench; `folder` takes the files. The service has a thread and a loop of its own, in its namespace."""
    root = _filled(folder)
    with lan() as (server, reader), hosted(server, lambda: serving(root, "0.0.0.0", "::", PORT)) as service:
        yield Bench(service, server, reader, root)


@contextlib.contextmanager
def hosted(ns: str, start: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """A service that runs in a namespace, in a thread and a loop of its own."""
    ready: Future[T] = Future()
    ends: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        end = asyncio.Event()
        async with start() as service:
            ends.set_result((asyncio.get_running_loop(), end))
            ready.set_result(service)
            await end.wait()

    def work() -> None:
        try:
            netns.call(ns, lambda: asyncio.run(main()))
        except BaseException as error:
            ready.set_exception(error)

    thread = threading.Thread(target=work, name="server under test")
    thread.start()
    try:
        yield ready.result(60)
    finally:
        if ends.done():
            loop, end = ends.result()
            loop.call_soon_threadsafe(end.set)
        thread.join(60)


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))
