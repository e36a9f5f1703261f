"""The values of one DHCPv6 exchange: how a message arrived, who sent it, what goes back and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Interface
from typing import Protocol

from app.model.event import EventDraft, Level
from app.model.subnet6 import Lease6, Subnet6
from app.netboot.dhcp6.table import Holder, Lease6Table
from app.netboot.exchange import Policy
from app.netboot.firmware import Firmware, of_classes
from app.netboot.view import NetworkView
from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import Message, RelayMessage

CLIENT_PORT = 546
SERVER_PORT = 547
ALL_SERVERS = IPv6Address("ff02::1:2")
"""All_DHCP_Relay_Agents_and_Servers, on one link (RFC 8415 section 7.1)."""
SITE_SERVERS = IPv6Address("ff05::1:3")
"""All_DHCP_Servers, which relays may send to."""
HTTP_CLIENT = b"HTTPClient"


class View(NetworkView, Protocol):
    """What DHCPv6 policy needs to know of the world."""

    def subnets6(self) -> Sequence[Subnet6]: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came in."""

    interface: str
    addresses: tuple[IPv6Interface, ...]
    """Of the interface it came in on."""
    source: IPv6Address
    port: int = CLIENT_PORT
    destination: IPv6Address = ALL_SERVERS
    others: tuple[IPv6Interface, ...] = ()
    """Of the host's other interfaces."""

    @property
    def multicast(self) -> bool:
        """It was sent to all servers, not to this host alone."""
        return self.destination.is_multicast


@dataclass(frozen=True, slots=True)
class Asker:
    """Who sent a message. `proven`: its MAC address is its relay's or its own address's word, not its DUID's alone."""

    duid: bytes
    mac: str
    proven: bool
    firmware: Firmware
    known: bool
    wants: frozenset[int] = frozenset()
    """The options it asks for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a message. Without `reply`, silence, for `reason` (a code) and `why` (in words).

    A reply goes out only after `lease_changes` are durable; `events` are emitted with it.
    """

    reason: str = ""
    why: str = ""
    reply: Message | None = None
    lease_changes: tuple[Lease6, ...] = ()
    events: tuple[EventDraft, ...] = ()


@dataclass(slots=True)
class Exchange:
    """One message while it is being answered."""

    request: Message
    relays: tuple[RelayMessage, ...]
    arrival: Arrival
    view: View
    table: Lease6Table
    policy: Policy
    server_duid: bytes
    now: float
    asker: Asker
    subnet: Subnet6 | None = None
    events: list[EventDraft] = field(default_factory=list[EventDraft])
    changes: list[Lease6] = field(default_factory=list[Lease6])

    def holder(self, iaid: int) -> Holder:
        """The asker as the holder of one identity association."""
        asker = self.asker
        return Holder(asker.duid.hex(), iaid, asker.mac, asker.known)

    def emit(self, kind: str, message: str, *, level: Level | None = None, address: str = "", **data: object) -> None:
        """Add an event about this client; operating systems are of interest only to who asks for details."""
        asker = self.asker
        machine = self.view.machine_by_mac(asker.mac) if asker.mac else None
        if level is None:
            level = Level.INFO if asker.firmware.boots else Level.DEBUG
        facts = {"xid": f"{self.request.xid:06x}", "stage": asker.firmware.stage, "family": 6, **data}
        if address:
            facts["address"] = address
        self.events.append(
            EventDraft(
                time=self.now,
                kind=kind,
                message=message,
                level=level,
                mac=asker.mac,
                machine=machine.id if machine is not None else None,
                address=address,
                interface=self.arrival.interface,
                data=facts,
            )
        )

    def silence(self, reason: str, why: str, *, told: bool = True) -> Answer:
        """No reply; `told`: an event says so."""
        if told:
            level = Level.WARNING if self.asker.firmware.boots else Level.DEBUG
            name = self.subnet.name if self.subnet is not None else ""
            self.emit("dhcp.silent", f"no answer: {why}", level=level, reason=reason, why=why, subnet=name)
        return Answer(reason, why, events=tuple(self.events))


def asker_of(request: Message, relays: tuple[RelayMessage, ...], arrival: Arrival, view: NetworkView) -> Asker:
    """Who sent a message: by what its relay saw of it, by the address it has on its link, by its DUID.

    The relay next to the client knows best. A DUID may be of any of a machine's cards, and may say anything.
    """
    duid = request.get(dhcp6.CLIENT_ID) or b""
    nearest = relays[-1] if relays else None
    told = options6.link_address(nearest.get(dhcp6.CLIENT_LINK_ADDRESS)) if nearest is not None else ""
    told = told or options6.eui64_mac(nearest.peer if nearest is not None else arrival.source)
    mac = told or options6.duid_link(duid)
    machine = view.machine_by_mac(mac) if mac else None
    known = (machine is not None and machine.registered) or bool(mac and view.reservations_for(mac))
    wants = frozenset(options6.numbers(request.get(dhcp6.OPTION_REQUEST)))
    return Asker(duid, mac, bool(told), _firmware(request, duid), known, wants)


def _firmware(request: Message, duid: bytes) -> Firmware:
    said = [options6.vendor_classes(value)[1] for value in dhcp6.every(request.options, dhcp6.VENDOR_CLASS)]
    return of_classes(
        vendor_class=next((data[0] for data in said if data), b""),
        user_classes=options6.items(request.get(dhcp6.USER_CLASS)),
        architectures=options6.numbers(request.get(dhcp6.ARCHITECTURE)),
        guid=options6.duid_uuid(duid),
    )
