"""A TFTP reader made of sockets and struct alone, and a tree of plain files for the service to serve."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from app.clock import SystemClock
from app.model.event import EventDraft
from app.netboot.bootpath import Answer, FileRequest, Refusal, Served, role_of
from app.services.bootfs.roots import beneath
from app.services.tftp import TftpService

MAC = "52:54:00:00:00:07"


class Folder:
    """A tree that is one directory; what begins with `secret` is refused."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.held = False
        self.asked: list[FileRequest] = []
        self.near: set[str] = set()
        """Paths that are at hand."""

    def resolve(self, request: FileRequest) -> Answer:
        self.asked.append(request)
        if request.path.startswith("broken"):
            raise RuntimeError("the tree fell over")
        if request.path.startswith("secret"):
            return Refusal(request.path.partition(".")[0], "it is another machine's")
        if request.path == "memory.ipxe":
            return Served(request.path, role_of(request.path), body=b"#!ipxe\necho one\r\n", facts={"bootenv": "x"})
        file = beneath(self.root, request.path)
        return None if file is None else Served(request.path, role_of(request.path), file=file)

    def file_at_hand(self, path: str, peer: IPv4Address | IPv6Address) -> tuple[Served, str] | None:
        file = beneath(self.root, path) if path in self.near else None
        return None if file is None else (Served(path, role_of(path), file=file), MAC)

    def shared(self, path: str) -> Answer:
        file = beneath(self.root, path)
        return None if file is None else Served(path, role_of(path), file=file)

    def mac_of(self, address: IPv4Address | IPv6Address) -> str:
        return MAC if address in (IPv4Address("127.0.0.1"), IPv6Address("::1")) else ""

    def like(self, path: str) -> tuple[str, ...]:
        return ("ipxe.efi",) if path.endswith(".EFI") else ()

    def holding(self) -> bool:
        return self.held


class Service:
    """A running service with what it told."""

    def __init__(self, folder: Folder, address: str = "127.0.0.1", address6: str = "", port: int = 0) -> None:
        self.folder = folder
        self.events: list[EventDraft] = []
        self.tftp = TftpService(
            folder, self.events.append, SystemClock(), address=address, address6=address6, port=port
        )

    @property
    def port(self) -> int:
        return self.tftp.port

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def idle(self, seconds: float = 10) -> None:
        """No request waits to be opened."""
        async with asyncio.timeout(seconds):
            while self.tftp._waiting:
                await asyncio.sleep(0.01)

    async def told(self, kind: str, seconds: float = 10) -> EventDraft:
        """The first event of a kind, when it comes."""
        async with asyncio.timeout(seconds):
            while True:
                for event in self.events:
                    if event.kind == kind:
                        return event
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(root: Path, address: str = "127.0.0.1", address6: str = "", port: int = 0) -> AsyncIterator[Service]:
    service = Service(Folder(root), address, address6, port)
    await service.tftp.start()
    try:
        yield service
    finally:
        await service.tftp.stop()


def request(op: int, name: bytes, mode: bytes = b"octet", options: Mapping[str, str] | None = None) -> bytes:
    words = b"".join(f"{key}\0{value}\0".encode() for key, value in (options or {}).items())
    return struct.pack("!H", op) + name + b"\0" + mode + b"\0" + words


def _place(address: str, port: int) -> tuple[Any, ...]:
    """A socket address; a link-local one carries its interface behind a percent sign."""
    flags = socket.AI_NUMERICHOST
    return socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=flags)[0][4]


class Peer:
    """One UDP port that reads files; `answer` is what the server said last."""

    def __init__(self, port: int, address: str = "127.0.0.1", own: str = "127.0.0.1") -> None:
        self.server = _place(address, port)
        self.tid: tuple[Any, ...] | None = None
        self.options: dict[str, str] = {}
        self.error: tuple[int, bytes] | None = None
        self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind(_place(own, 0))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, packet: bytes) -> None:
        self.sock.sendto(packet, self.server)

    def say(self, packet: bytes) -> None:
        assert self.tid is not None
        self.sock.sendto(packet, self.tid)

    def ack(self, block: int) -> None:
        self.say(struct.pack("!HH", 4, block & 0xFFFF))

    async def hear(self, seconds: float = 20) -> bytes:
        """The next packet of the transfer; its port must stay the same."""
        async with asyncio.timeout(seconds):
            packet, sender = await asyncio.get_running_loop().sock_recvfrom(self.sock, 70000)
        assert self.tid in (None, sender)
        self.tid = sender
        return packet

    async def silent(self, seconds: float = 0.3) -> bool:
        try:
            await self.hear(seconds)
        except TimeoutError:
            return True
        return False

    async def read(self, name: bytes, options: Mapping[str, str] | None = None, mode: bytes = b"octet") -> bytes | None:
        """Fetch a file the plain way: acknowledge each full window. None after an ERROR."""
        self.ask(request(1, name, mode, options))
        first = await self.hear()
        if first[:2] == b"\0\6":
            words = first[2:].split(b"\0")[:-1]
            self.options = dict(zip((w.decode() for w in words[::2]), (w.decode() for w in words[1::2]), strict=True))
            self.ack(0)
            first = await self.hear()
        blksize = int(self.options.get("blksize", "512"))
        window = int(self.options.get("windowsize", "1"))
        content, block, packet = bytearray(), 0, first
        while True:
            op, number = struct.unpack_from("!HH", packet)
            if op == 5:
                self.error = (number, packet[4:])
                return None
            assert op == 3
            if number == (block + 1) & 0xFFFF:
                block += 1
                content += packet[4:]
                last = len(packet) < blksize + 4
                if last or block % window == 0:
                    self.ack(block)
                if last:
                    return bytes(content)
            packet = await self.hear()
