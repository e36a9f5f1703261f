"""Answer times as the kernel saw them: a tap on the asker's card, whose time stamps no busy machine delays.

The asker only decides when to ask. When a question left and when its answer came is read from SO_TIMESTAMPNS
(socket(7)) on a packet socket, so a client that gets no processor measures nothing but what was on the wire.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from app.netboot.wire import dhcp4
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType
from app.netboot.wire.frames import ethernet_udp4, mac_bytes, parse_udp4
from tests import netns

SERVER = "10.7.0.1"
ASKER = "10.7.0.250"
ECHO_PORT, DISK_PORT = 7007, 7008
_ECHO = """\
import os, socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", int(sys.argv[1])))
journal = open(sys.argv[2], "wb", 0) if len(sys.argv) > 2 else None
print("listening", flush=True)
while True:
    data, peer = udp.recvfrom(2048)
    if journal:
        journal.write(data * 1024)
        os.fdatasync(journal.fileno())
    udp.sendto(data, peer)
"""
_BROADCAST, _ZERO = IPv4Address("255.255.255.255"), IPv4Address(0)
_TIMESTAMPNS, _ATTACH_FILTER = 35, 26  # asm-generic/socket.h
_TIMESPEC = struct.Struct("@qq")
_ONLY_UDP = ((0x30, 0, 0, 23), (0x15, 0, 1, 17), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0))
MACHINES, PER_SECOND = 40, 40.0
"""How many ask, one after another, and how often one of them does."""
OFFER, ACK, ECHO, DISK = range(4)
"""What is asked: for an offer, for a lease, the echo, the echo that waits for the disk."""


def mac_of(number: int) -> str:
    return f"52:54:00:1a:00:{number % MACHINES:02x}"


def ask(kind: MessageType, xid: int, *options: tuple[int, bytes]) -> bytes:
    """A frame of UEFI firmware's, to everybody; who asks follows from the number of the exchange."""
    mac = mac_of(xid)
    packet = DhcpPacket(
        op=dhcp4.BOOTREQUEST,
        xid=xid,
        chaddr=mac_bytes(mac),
        options={
            opt.MESSAGE_TYPE: bytes([kind]),
            opt.VENDOR_CLASS: b"PXEClient:Arch:00007:UNDI:003016",
            93: b"\0\7",
            94: b"\1\3\x10",
            opt.PARAMETERS: bytes([1, 3, 6, 43, 54, 60, 66, 67, 97]),
            **dict(options),
        },
    )
    return ethernet_udp4(mac, "ff:ff:ff:ff:ff:ff", _ZERO, _BROADCAST, 68, 67, packet.encode())


@dataclass(slots=True)
class Times:
    """Seconds from question to answer, and how many questions nobody answered."""

    answers: list[float] = field(default_factory=list[float])
    unanswered: int = 0

    def at(self, share: float) -> float:
        """The answer time that this share of the questions stays below."""
        ordered = sorted(self.answers)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def longest(self) -> float:
        return max(self.answers)

    def __str__(self) -> str:
        return (
            f"{len(self.answers)} answers, p50 {self.at(0.5) * 1000:.1f} p99 {self.at(0.99) * 1000:.1f} "
            f"max {self.longest * 1000:.1f} ms, {self.unanswered} unanswered"
        )


class Asker:
    """Asks for leases, all four messages, and asks the echo process, both at the same pace."""

    def __init__(self, ns: str) -> None:
        def open_sockets() -> tuple[socket.socket, ...]:
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _ONLY_UDP))
            tap.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", len(_ONLY_UDP), ctypes.addressof(code)))
            tap.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            # ETH_P_ALL, so that it hears what this host sends as well.
            tap.bind(("eth0", 3))
            card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            card.bind(("eth0", 0x0800))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((ASKER, 0))
            return tap, card, udp

        self._tap, self._card, self._udp = netns.call(ns, open_sockets)
        self._next = 0x100
        self._asked: dict[tuple[int, int], float] = {}
        self._answered: dict[tuple[int, int], float] = {}
        self._began = 0x100

    def close(self) -> None:
        for each in (self._tap, self._card, self._udp):
            each.close()

    def ask(self, seconds: float) -> dict[int, Times]:
        """Ask for so long; the times of OFFER, ACK, ECHO and DISK."""
        self._began = self._next
        end = time.monotonic() + seconds
        due = time.monotonic()
        while (now := time.monotonic()) < end:
            if now >= due:
                due = max(due + 1 / PER_SECOND, now)
                self._next += 1
                self._card.send(ask(MessageType.DISCOVER, self._next))
                for port in (ECHO_PORT, DISK_PORT):
                    self._udp.sendto(struct.pack("!I", self._next), (SERVER, port))
            self._listen(due)
        # What is still on its way may come.
        late = time.monotonic() + 3
        while len(self._answered) < len(self._asked) and time.monotonic() < late:
            self._listen(time.monotonic() + 0.1)
        return {which: self._times(which) for which in (OFFER, ACK, ECHO, DISK)}

    def offered(self, seconds: float) -> float:
        """Ask as firmware that starts over and over until somebody offers; when the OFFER came (epoch seconds)."""
        self._began = self._next
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._next += 1
            self._card.send(ask(MessageType.DISCOVER, self._next))
            self._listen(time.monotonic() + 0.1)
            came = [when for (which, xid), when in self._answered.items() if which == OFFER and xid > self._began]
            if came:
                return min(came)
        raise AssertionError(f"no offer within {seconds:g} s")

    def _times(self, which: int) -> Times:
        asked = {key: when for key, when in self._asked.items() if key[0] == which and key[1] > self._began}
        times = [self._answered[key] - when for key, when in asked.items() if key in self._answered]
        return Times(times, len(asked) - len(times))

    def _listen(self, until: float) -> None:
        """Note what passes the card until then."""
        while (left := until - time.monotonic()) > 0:
            self._tap.settimeout(left)
            try:
                frame, ancillary, _, sender = self._tap.recvmsg(2048, 64)
            except TimeoutError:
                return
            when = next(
                (seconds + nanoseconds / 1e9 for _, kind, data in ancillary if kind == _TIMESTAMPNS
                 for seconds, nanoseconds in (_TIMESPEC.unpack(data),)), 0.0
            )  # fmt: skip
            self._note(frame, when, outgoing=sender[2] == socket.PACKET_OUTGOING)

    def _note(self, frame: bytes, when: float, *, outgoing: bool) -> None:
        datagram = parse_udp4(frame)
        if datagram is None:
            return
        if (port := min(datagram.sport, datagram.dport)) in (ECHO_PORT, DISK_PORT):
            key = (ECHO if port == ECHO_PORT else DISK, int.from_bytes(datagram.payload, "big"))
        elif port == 67:
            packet = dhcp4.decode(datagram.payload)
            if outgoing is (packet.op == dhcp4.BOOTREPLY):
                # The engine asks its segment for other servers.
                return
            first = packet.message in (MessageType.DISCOVER, MessageType.OFFER)
            key = (OFFER if first else ACK, packet.xid)
            if not outgoing and first and key not in self._answered:
                self._take(packet)
        else:
            return
        # The first of each: an exchange that is repeated is as old as its first message.
        (self._asked if outgoing else self._answered).setdefault(key, when)

    def _take(self, offer: DhcpPacket) -> None:
        server = offer.options[opt.SERVER_ID]
        request = ask(MessageType.REQUEST, offer.xid, (opt.SERVER_ID, server), (50, offer.yiaddr.packed))
        self._card.send(request)


@contextlib.contextmanager
def asker(ns: str) -> Iterator[Asker]:
    """An asker on the `eth0` of a namespace."""
    made = Asker(ns)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def echo(ns: str, journal: Path) -> Iterator[None]:
    """The controls, each a process of its own that does nothing else: what they are late, any program would be.

    One sends back each datagram; the other writes it to `journal` first and waits until it is on the disk.
    """
    bare = [sys.executable, "-I", "-S", "-c", _ECHO]
    with contextlib.ExitStack() as stack:
        for words in ([str(ECHO_PORT)], [str(DISK_PORT), str(journal)]):
            process = stack.enter_context(netns.running(ns, [*bare, *words]))
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
        yield
