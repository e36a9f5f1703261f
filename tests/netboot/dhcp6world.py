"""A small world for DHCPv6 tests: a view with subnets of IPv6, messages as firmware sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Interface
from typing import Any

from app.model.event import EventDraft
from app.model.subnet6 import Lease6, Subnet6
from app.netboot.dhcp6.answer import answer
from app.netboot.dhcp6.exchange import Answer, Arrival
from app.netboot.dhcp6.table import Lease6Table
from app.netboot.exchange import Policy
from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import Kind, Message, RelayMessage
from app.netboot.wire.icmp6 import link_local
from app.netboot.wire.options6 import Ia, IaAddress, Status
from tests.netboot.dhcpworld import World

MAC, OTHER = "52:54:00:00:00:07", "52:54:00:00:00:08"
SERVER_DUID = options6.duid_of_uuid(bytes(range(16)))
SERVER = IPv6Address("fd00:7::1")
OWN = (IPv6Interface("fe80::1/64"), IPv6Interface("fd00:7::1/64"))
FIRST = IPv6Address("fd00:7::100")


def subnet6(**changes: Any) -> Subnet6:
    """fd00:7::/64 with the range ::100 to ::103, unless told otherwise."""
    fields: dict[str, Any] = {
        "name": "six",
        "cidr": "fd00:7::/64",
        "ranges": ["fd00:7::100-fd00:7::103"],
        "dns": ["fd00:7::2"],
        "domain": "rack.test",
        **changes,
    }
    if fields.get("stateless"):
        fields["ranges"] = []
    return Subnet6.model_validate(fields)


def duid(mac: str = MAC, *, kind: int = 3) -> bytes:
    """DUID-LL, or DUID-LLT (1), of a card; a UUID (4) tells none."""
    octets = bytes.fromhex(mac.replace(":", ""))
    if kind == 4:
        return options6.duid_of_uuid(octets.rjust(16, b"\1"))
    return kind.to_bytes(2, "big") + b"\0\1" + (b"\0\0\0\1" if kind == 1 else b"") + octets


def firmware(arch: int, kind: str = "PXEClient") -> tuple[tuple[int, bytes], ...]:
    """Options of network firmware, as EDK2 sends them."""
    return (
        (dhcp6.OPTION_REQUEST, bytes.fromhex("003b003c00170000")),
        (dhcp6.INTERFACE_VERSION, b"\x01\x03\x10"),
        (dhcp6.ARCHITECTURE, arch.to_bytes(2, "big")),
        (dhcp6.VENDOR_CLASS, options6.vendor_class(343, f"{kind}:Arch:{arch:05d}:UNDI:003016".encode())),
    )


def ipxe(arch: int = 7) -> tuple[tuple[int, bytes], ...]:
    """Options of iPXE."""
    return (*firmware(arch), (dhcp6.USER_CLASS, options6.sized([b"iPXE"])))


def ia(iaid: int = 1, *addresses: IPv6Address) -> tuple[int, bytes]:
    """An IA_NA, with addresses in it."""
    return dhcp6.IA_NA, Ia(
        iaid, options=tuple((dhcp6.IA_ADDRESS, IaAddress(each).encode()) for each in addresses)
    ).encode()


def given(reply: Message | None) -> list[tuple[IPv6Address, int]]:
    """The addresses in a reply, with their valid lifetimes."""
    assert reply is not None
    found: list[tuple[IPv6Address, int]] = []
    for value in dhcp6.every(reply.options, dhcp6.IA_NA):
        for inner in dhcp6.every(options6.ia(value).options, dhcp6.IA_ADDRESS):
            read = options6.ia_address(inner)
            found.append((read.address, read.valid))
    return found


def statuses(reply: Message | None) -> list[Status]:
    """The status in each association of a reply."""
    assert reply is not None
    return [options6.status_of(options6.ia(value).options) for value in dhcp6.every(reply.options, dhcp6.IA_NA)]


@dataclass
class World6(World):
    """A view with subnets of IPv6."""

    nets6: list[Subnet6] = field(default_factory=lambda: [subnet6()])

    def subnets6(self) -> list[Subnet6]:
        return self.nets6


@dataclass
class Bench6:
    """The state machine with a table of leases and a clock one can turn; leases are stored at once."""

    world: World6 = field(default_factory=World6)
    table: Lease6Table = field(default_factory=Lease6Table)
    policy: Policy = field(default_factory=Policy)
    now: float = 1000.0
    events: list[EventDraft] = field(default_factory=list[EventDraft])
    stored: list[Lease6] = field(default_factory=list[Lease6])

    def say(
        self,
        kind: Kind,
        *options: tuple[int, bytes],
        mac: str = MAC,
        client: bytes | None = b"?",
        server: bytes | None = b"?",
        relays: tuple[RelayMessage, ...] = (),
        **arrival: Any,
    ) -> Answer:
        """A client says something; client and server identifier are as the kind has them, unless given."""
        if client == b"?":
            client = duid(mac)
        if server == b"?":
            server = SERVER_DUID if kind in (Kind.REQUEST, Kind.RENEW, Kind.RELEASE, Kind.DECLINE) else None
        named = ((dhcp6.CLIENT_ID, client),) if client is not None else ()
        named = (*named, (dhcp6.SERVER_ID, server)) if server is not None else named
        message = Message(kind, 0x123456, (*named, *options))
        came: dict[str, Any] = {"source": link_local(mac), "addresses": OWN, "interface": "eth0", **arrival}
        found = answer(message, relays, Arrival(**came), self.world, self.table, self.policy, SERVER_DUID, self.now)
        self.table.commit(found.lease_changes)
        self.stored += found.lease_changes
        self.events += found.events
        return found

    def lease(self, *options: tuple[int, bytes], mac: str = MAC, **more: Any) -> IPv6Address:
        """SOLICIT and REQUEST; the address that is got."""
        offered = given(self.say(Kind.SOLICIT, ia(), *options, mac=mac, **more).reply)
        assert offered, self.events[-1].message
        got = given(self.say(Kind.REQUEST, ia(1, offered[0][0]), *options, mac=mac, **more).reply)
        return got[0][0]
