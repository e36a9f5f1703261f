"""A rack behind a relay that writes down every DHCPACK it hears: the clients' own word about what they were given.

Packets are laid out here (RFC 2131 §2), not by the codecs of what is tested.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from tests import netns

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = 1, 2, 3, 4, 5, 6, 7
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64x128x4s")
_COOKIE = b"\x63\x82\x53\x63"
_ANY = IPv4Address(0)
WINDOW = 32
"""How many wait for an answer at once."""


@dataclass(frozen=True, slots=True)
class Said:
    """A reply."""

    kind: int
    xid: int
    mac: str
    address: str
    lease_seconds: int = 0


@dataclass(slots=True)
class Rack:
    """Clients that are asked for through one relay."""

    sock: socket.socket
    relay: IPv4Address
    server: str
    held: dict[str, str] = field(default_factory=dict[str, str])
    """Address by MAC: every ACK heard on the wire."""
    acks: list[Said] = field(default_factory=list[Said])
    sent: int = 0
    _xid: int = 0x51000000

    def say(self, kind: int, mac: str, address: str = "", *, selecting: bool = False, renewing: bool = False) -> int:
        """Send one message on behalf of a card; its transaction number."""
        self._xid += 1
        options = bytes((53, 1, kind))
        if address and not renewing:
            options += bytes((50, 4)) + IPv4Address(address).packed
        if selecting:
            options += bytes((54, 4)) + IPv4Address(self.server).packed
        ciaddr = IPv4Address(address) if renewing else _ANY
        head = _HEAD.pack(
            1, 1, 6, 1, self._xid, 0, 0, ciaddr.packed, _ANY.packed, _ANY.packed, self.relay.packed,
            bytes.fromhex(mac.replace(":", "")), _COOKIE,
        )  # fmt: skip
        # Nobody listens on the port while the engine is dead.
        with contextlib.suppress(ConnectionRefusedError):
            self.sock.sendto((head + options + b"\xff").ljust(300, b"\0"), (self.server, 67))
        self.sent += 1
        return self._xid

    def hear(self, seconds: float) -> Said | None:
        """The next reply within so many seconds; an ACK is written down."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if not select.select([self.sock], [], [], max(0.0, left))[0]:
                return None
            try:
                packet = self.sock.recv(2048)
            except ConnectionRefusedError:
                continue
            said = _read(packet)
            if said.kind == ACK:
                self.acks.append(said)
                other = self.held.setdefault(said.mac, said.address)
                assert other == said.address, f"{said.mac} was given {other} and {said.address}"
            return said

    def leases(self, macs: Collection[str], seconds: float = 30) -> None:
        """An address for each, asked for as firmware does, again and again; many at once."""
        self._all(macs, lambda mac: self.say(DISCOVER, mac), seconds)

    def returns(self, held: dict[str, str], seconds: float = 60) -> None:
        """Each begins again with the address it had (INIT-REBOOT) and must be told that it is still its own."""
        asked = time.monotonic()
        self._all(held, lambda mac: self.say(REQUEST, mac, held[mac]), seconds - (time.monotonic() - asked))

    def _all(self, macs: Collection[str], first: Callable[[str], int], seconds: float) -> None:
        waiting: dict[str, float] = {}
        todo, left = list(macs), set(macs)
        deadline = time.monotonic() + seconds
        while left:
            now = time.monotonic()
            assert now < deadline, f"{len(left)} were not answered within {seconds:g} s: {sorted(left)[:5]}"
            while todo and len(waiting) < WINDOW:
                waiting[mac := todo.pop()] = now + 2
                first(mac)
            for mac in [mac for mac, until in waiting.items() if until < now]:
                waiting[mac] = now + 2
                first(mac)
            said = self.hear(0.05)
            if said is None or said.mac not in left:
                continue
            assert said.kind != NAK, f"{said.mac} was refused"
            if said.kind == OFFER:
                self.say(REQUEST, said.mac, said.address, selecting=True)
            elif said.kind == ACK:
                left.discard(said.mac)
                waiting.pop(said.mac, None)

    def answered(self, mac: str, seconds: float) -> float:
        """Ask until there is an offer; how many seconds that took."""
        began = time.monotonic()
        while (took := time.monotonic() - began) < seconds:
            self.say(DISCOVER, mac)
            said = self.hear(0.05)
            if said is not None and said.kind == OFFER:
                return time.monotonic() - began
        raise AssertionError(f"nothing was answered within {took:.1f} s")

    def storm(self, macs: Sequence[str], rate: float, stop: threading.Event) -> None:
        """Machines come at `rate` packets a second until `stop` is set; whatever is acknowledged is written down."""
        began, sent, coming = time.monotonic(), self.sent, iter(macs)
        while not stop.is_set():
            said = self.hear(0.002)
            if said is not None and said.kind == OFFER:
                self.say(REQUEST, said.mac, said.address, selecting=True)
            elif self.sent - sent < (time.monotonic() - began) * rate:
                self.say(DISCOVER, next(coming))

    def drain(self, seconds: float = 0.2) -> None:
        """Hear what is on its way still."""
        while self.hear(seconds) is not None:
            pass

    def nobody_shares(self) -> None:
        """No address is in two hands."""
        owners: dict[str, str] = {}
        for mac, address in self.held.items():
            assert owners.setdefault(address, mac) == mac, f"{address} was given to {owners[address]} and {mac}"


def _read(packet: bytes) -> Said:
    _, _, _, _, xid, _, _, _, yours, _, _, hardware, cookie = _HEAD.unpack_from(packet)
    assert cookie == _COOKIE
    options: dict[int, bytes] = {}
    at = _HEAD.size
    while at < len(packet) and packet[at] != 255:
        if packet[at] == 0:
            at += 1
            continue
        length = packet[at + 1]
        options[packet[at]] = packet[at + 2 : at + 2 + length]
        at += 2 + length
    seconds = int.from_bytes(options.get(51, b""), "big")
    return Said(options[53][0], xid, hardware[:6].hex(":"), str(IPv4Address(yours)), seconds)


@contextlib.contextmanager
def rack(ns: str, address: str, server: str) -> Iterator[Rack]:
    """A relay at `address`, written `10.7.0.2/16`, in a namespace, for the length of the block."""
    netns.run(ns, ["ip", "address", "add", address, "dev", "eth0"])
    relay = address.partition("/")[0]

    def open_socket() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((relay, 67))
        return made

    with netns.call(ns, open_socket) as sock:
        yield Rack(sock, IPv4Address(relay), server)
