"""The values of one DHCP exchange: how a message arrived, whom it concerns, what goes back and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface

from app.model.event import EventDraft, Level
from app.model.machine import LoaderChoice
from app.model.subnet import Lease, Subnet
from app.netboot.allocate import LeaseTable
from app.netboot.firmware import Firmware
from app.netboot.identity import Client
from app.netboot.view import NetworkView
from app.netboot.wire.dhcp4 import LENGTH_MAX, ZERO, DhcpPacket, decode

SERVER_PORT = 67
CLIENT_PORT = 68
BROADCAST = IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came in."""

    interface: str
    addresses: tuple[IPv4Interface, ...]
    """Of the interface it came in on."""
    local: frozenset[IPv4Address]
    """Of all interfaces of this host."""
    source: IPv4Address = ZERO
    port: int = CLIENT_PORT
    destination: IPv4Address = BROADCAST

    @property
    def unicast(self) -> bool:
        """It was sent to this host alone."""
        return self.destination in self.local


@dataclass(frozen=True, slots=True)
class Policy:
    """What this run of the engine may do, and where its boot files are."""

    ceiling: str = "authoritative"
    """`authoritative`, `proxy` or `off`: the most this run may do."""
    http_port: int = 8090
    address: IPv4Address | None = None
    """Fixed address for URLs; None: the one the machine reached."""
    loader: Callable[[str, int | None], LoaderChoice] = lambda _, __: LoaderChoice.AUTO
    """The loader found to suit the firmware of this MAC address and architecture type; any thread."""
    https_port: int = 0
    """Where boot HTTPS listens; 0: nowhere."""


class Via(StrEnum):
    """How a reply travels (RFC 2131 section 4.1)."""

    RELAY = "relay"
    UNICAST = "unicast"
    BROADCAST = "broadcast"
    FRAME = "frame"
    """To an address its owner does not answer ARP for yet: a raw frame to its hardware address."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a reply goes; `interface` matters for broadcasts and frames."""

    via: Via
    address: IPv4Address
    port: int
    interface: str
    source: IPv4Address
    """The local address it is sent from."""
    hardware: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a message. Without `reply`, silence, for `reason` (a code) and `why` (in words).

    A reply goes out only after `lease_changes` are durable; `events` are emitted with it. `learned` is an address that
    another server gave to a MAC.
    """

    reason: str = ""
    why: str = ""
    reply: DhcpPacket | None = None
    destination: Destination | None = None
    lease_changes: tuple[Lease, ...] = ()
    events: tuple[EventDraft, ...] = ()
    learned: tuple[str, IPv4Address] | None = None
    limit: int = 0
    """The most octets of payload the client takes."""
    ready: bytes = b""
    """The reply as it is sent, where it stands for `reply`."""

    @property
    def speaks(self) -> bool:
        """There is a reply."""
        return bool(self.ready) or self.reply is not None

    def octets(self) -> bytes:
        """The reply as it is sent. Raises ValueError when there is none."""
        if self.ready:
            return self.ready
        if self.reply is None:
            raise ValueError("silence has no octets")
        return self.reply.encode(self.limit)

    def unpacked(self) -> Answer:
        """The same with its reply as a message."""
        return replace(self, reply=decode(self.ready), limit=LENGTH_MAX, ready=b"") if self.ready else self


@dataclass(slots=True)
class Exchange:
    """One message while it is being answered: the facts about it, and the events so far."""

    request: DhcpPacket
    arrival: Arrival
    view: NetworkView
    table: LeaseTable
    policy: Policy
    now: float
    firmware: Firmware
    client: Client
    relay: dict[int, bytes]
    """Sub-options of option 82; empty where there is none or it is broken."""
    subnet: Subnet | None = None
    siblings: tuple[Subnet, ...] = ()
    """The other subnets on the same link."""
    server: IPv4Address = ZERO
    """Our own address on the way to the client."""
    server_id: IPv4Address = ZERO
    """Option 54 of the reply: `server`, unless the relay stands in for us (RFC 5107)."""
    events: list[EventDraft] = field(default_factory=list[EventDraft])
    chosen: dict[int, bytes] | None = None
    """Options an operator set for this client; None until they are worked out."""
    templated: bool = False
    """Some of them were worked out from what the client said."""

    def emit(self, kind: str, message: str, *, level: Level | None = None, address: str = "", **data: object) -> None:
        """Add an event about this client; operating systems are of interest only to who asks for details."""
        machine = self.view.machine_by_mac(self.client.mac) if self.client.mac else None
        if level is None:
            level = Level.INFO if self.firmware.boots else Level.DEBUG
        facts = {"xid": f"{self.request.xid:08x}", "stage": self.firmware.stage, **data}
        if address:
            facts["address"] = address
        self.events.append(
            EventDraft(
                time=self.now,
                kind=kind,
                message=message,
                level=level,
                mac=self.client.mac,
                machine=machine.id if machine is not None else None,
                address=address,
                interface=self.arrival.interface,
                data=facts,
            )
        )

    def silence(self, reason: str, why: str, *, told: bool = True, level: Level = Level.WARNING) -> Answer:
        """No reply; `told`: an event says so, of this level where the client boots."""
        if told:
            level = level if self.firmware.boots else Level.DEBUG
            name = self.subnet.name if self.subnet is not None else ""
            self.emit("dhcp.silent", f"no answer: {why}", level=level, reason=reason, why=why, subnet=name)
        return Answer(reason, why, events=tuple(self.events))
