"""A recorder that hears the real state machine answer; the clock is turned by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from app.model.engine import Interface
from app.model.event import Event
from app.netboot.exchange import Answer, Destination, Via
from app.netboot.wire.dhcp4 import DhcpPacket
from app.services.dhcp.sockets import Datagram
from app.services.recorder import Recorder
from app.services.recorder.packet import Address
from app.services.recorder.reader import Reader
from tests.netboot.dhcpworld import MAC, Bench, pxe, request, selecting

BROADCAST, ZERO = IPv4Address("255.255.255.255"), IPv4Address(0)
ETH0 = Interface(
    name="eth0", index=2, mac="52:54:00:00:00:01", addresses=(IPv4Interface("10.7.0.1/24"),), kind="ethernet"
)


@dataclass
class Wire:
    """`machines` are known; `owners` says whose an address is."""

    bench: Bench = field(default_factory=Bench)
    machines: set[str] = field(default_factory=lambda: {MAC})
    owners: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.machines.__contains__, self.owner, self)
        self.reader = Reader(self.recorder, lambda: (ETH0,), self.decisions, "Bootcart")
        self._tap = self.recorder.dhcp(67)

    def now(self) -> float:
        return self.bench.now

    def monotonic(self) -> float:
        return self.bench.now

    def owner(self, address: Address) -> str:
        return self.owners.get(str(address), "")

    def events(self) -> list[Event]:
        return [Event(id=number, **event.model_dump()) for number, event in enumerate(self.bench.events, 1)]

    def event(self, kind: str) -> Event:
        return next(event for event in reversed(self.events()) if event.kind == kind)

    def decisions(self, mac: str, since: float) -> Sequence[Event]:
        return [event for event in self.events() if event.mac == mac and event.time >= since]

    def hear(self, octets: bytes, source: IPv4Address = ZERO, target: IPv4Address = BROADCAST, port: int = 68) -> None:
        """A datagram comes in, whatever it is."""
        self._tap("eth0", octets, Datagram(octets, source, port, 2, target))

    def send(self, packet: DhcpPacket) -> None:
        """A message goes out."""
        back = Destination(Via.BROADCAST, BROADCAST, 68, "eth0", IPv4Address("10.7.0.1"))
        self._tap("eth0", packet.encode(), back)

    def ask(self, packet: DhcpPacket, seconds: float = 0.01, **arrival: Any) -> Answer:
        """A message comes in and is answered; that takes `seconds`."""
        self.hear(packet.encode())
        found = self.bench.ask(packet, **arrival)
        self.bench.now += seconds
        if found.reply is not None and found.destination is not None:
            self._tap("eth0", found.octets(), found.destination)
        return found

    def dora(self, mac: str = MAC, options: dict[int, bytes] | None = None, xid: int = 0x11223344) -> str:
        """DISCOVER, OFFER, REQUEST, ACK; the address."""
        options = pxe(7) if options is None else options
        offered = self.ask(request(mac=mac, options=options, xid=xid)).reply
        assert offered is not None
        self.ask(selecting(offered, mac, options, xid=xid))
        self.owners[str(offered.yiaddr)] = mac
        return str(offered.yiaddr)
