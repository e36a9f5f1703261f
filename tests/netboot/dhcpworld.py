"""A small world for DHCP tests: a view one can write to, requests as firmware sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from app.model.bootenv import BootEnv, BootKind
from app.model.engine import PREFERENCES
from app.model.event import EventDraft
from app.model.machine import Machine, machine_id_for
from app.model.profile import Profile
from app.model.subnet import Range, Reservation, Subnet
from app.netboot.allocate import LeaseTable
from app.netboot.answer import Answer, Arrival, Policy, answer
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType, decode

MAC = "52:54:00:00:00:07"
OTHER = "52:54:00:00:00:08"
THIRD = "52:54:00:00:00:09"
SERVER = IPv4Address("10.7.0.1")
GUID = bytes(1) + bytes(range(1, 17))


def subnet(**changes: Any) -> Subnet:
    """10.7.0.0/24 with the range .100 to .109, unless told otherwise."""
    fields: dict[str, Any] = {
        "name": "rack7",
        "cidr": IPv4Network("10.7.0.0/24"),
        "ranges": (Range(start=IPv4Address("10.7.0.100"), end=IPv4Address("10.7.0.109")),),
        "router": SERVER,
        "dns": (SERVER,),
        **changes,
    }
    return Subnet(**fields)


def machine(mac: str = MAC, **changes: Any) -> Machine:
    """A registered machine."""
    fields: dict[str, Any] = {"id": machine_id_for(mac), "name": "node-07", "macs": (mac,), **changes}
    return Machine(**fields)


@dataclass
class World:
    """A NetworkView held in lists and dictionaries."""

    nets: list[Subnet] = field(default_factory=lambda: [subnet()])
    reserved: list[Reservation] = field(default_factory=list[Reservation])
    machines: list[Machine] = field(default_factory=list[Machine])
    profiles: list[Profile] = field(default_factory=list[Profile])
    prefs: dict[str, str] = field(default_factory=dict[str, str])
    envs: dict[str, BootEnv] = field(
        default_factory=lambda: {
            "discovery": BootEnv(name="discovery"),
            "debian-12": BootEnv(name="debian-12"),
            "local": BootEnv(name="local", kind=BootKind.LOCAL),
            "ignore": BootEnv(name="ignore", kind=BootKind.IGNORE),
        }
    )
    hold: bool = False

    def subnets(self) -> list[Subnet]:
        return self.nets

    def reservations_for(self, token: str) -> list[Reservation]:
        return [item for item in self.reserved if item.token == token]

    def reservation_at(self, address: IPv4Address) -> Reservation | None:
        return next((item for item in self.reserved if item.address == address), None)

    def machine_by_mac(self, mac: str) -> Machine | None:
        return next((item for item in self.machines if mac in item.macs), None)

    def profile(self, name: str) -> Profile | None:
        return next((item for item in self.profiles if item.name == name), None)

    def bootenv(self, name: str) -> BootEnv | None:
        return self.envs.get(name)

    def preference(self, name: str) -> str:
        return self.prefs.get(name, next(item.default for item in PREFERENCES if item.name == name))

    def holding(self) -> bool:
        return self.hold


def request(
    kind: MessageType = MessageType.DISCOVER, mac: str = MAC, options: dict[int, bytes] | None = None, **fields: Any
) -> DhcpPacket:
    """A message of a client."""
    known: dict[str, Any] = {"op": 1, "xid": 0x11223344, "chaddr": bytes.fromhex(mac.replace(":", "")), **fields}
    return DhcpPacket(options={opt.MESSAGE_TYPE: bytes((kind,)), **(options or {})}, **known)


def pxe(arch: int | None, *, kind: str = "PXEClient", **more: bytes) -> dict[int, bytes]:
    """Options of network firmware of an architecture type."""
    if arch is None:
        return {opt.VENDOR_CLASS: kind.encode()}
    return {
        opt.VENDOR_CLASS: f"{kind}:Arch:{arch:05d}:UNDI:003016".encode(),
        opt.ARCHITECTURE: arch.to_bytes(2, "big"),
        opt.INTERFACE_ID: b"\x01\x03\x10",
        opt.MACHINE_GUID: GUID,
    }


def ipxe(arch: int, *, user_class: bytes = b"iPXE", features: bytes = b"\x13\x01\x01\x15\x01\x01") -> dict[int, bytes]:
    """Options of iPXE on an architecture type."""
    return {**pxe(arch), opt.USER_CLASS: user_class, opt.IPXE: features}


@dataclass
class Bench:
    """The state machine with a table of leases and a clock one can turn; leases are stored at once."""

    world: World = field(default_factory=World)
    table: LeaseTable = field(default_factory=LeaseTable)
    policy: Policy = field(default_factory=Policy)
    now: float = 1_000_000.0
    events: list[EventDraft] = field(default_factory=list[EventDraft])

    def ask(self, packet: DhcpPacket, *, store: bool = True, **arrival: Any) -> Answer:
        """Answer one message, through its octets; `arrival` changes how it came in."""
        known: dict[str, Any] = {
            "interface": "eth0",
            "addresses": (IPv4Interface("10.7.0.1/24"),),
            "local": frozenset({SERVER}),
            **arrival,
        }
        found = answer(
            decode(packet.encode(limit=9000)), Arrival(**known), self.world, self.table, self.policy, self.now
        )
        if store and found.lease_changes:
            self.table.commit(found.lease_changes)
        self.events += found.events
        return found

    def offer(self, mac: str = MAC, options: dict[int, bytes] | None = None, **fields: Any) -> DhcpPacket:
        """DISCOVER; the OFFER that must come."""
        found = self.ask(request(mac=mac, options=options, **fields)).reply
        assert found is not None
        assert found.message is MessageType.OFFER
        return found

    def bind(self, mac: str = MAC, options: dict[int, bytes] | None = None, **fields: Any) -> DhcpPacket:
        """DISCOVER, REQUEST; the ACK that must come."""
        offered = self.offer(mac, options, **fields)
        found = self.ask(selecting(offered, mac, options, **fields)).reply
        assert found is not None
        assert found.message is MessageType.ACK
        return found

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def last(self, kind: str) -> EventDraft:
        return next(event for event in reversed(self.events) if event.kind == kind)


def selecting(
    offered: DhcpPacket, mac: str = MAC, options: dict[int, bytes] | None = None, **fields: Any
) -> DhcpPacket:
    """The REQUEST that takes an OFFER."""
    chosen = {opt.REQUESTED_ADDRESS: offered.yiaddr.packed, opt.SERVER_ID: offered.options[opt.SERVER_ID]}
    return request(MessageType.REQUEST, mac, {**(options or {}), **chosen}, **fields)


def rebooting(address: str, mac: str = MAC, **fields: Any) -> DhcpPacket:
    """The REQUEST of a client that had this address before (INIT-REBOOT)."""
    return request(MessageType.REQUEST, mac, {opt.REQUESTED_ADDRESS: IPv4Address(address).packed}, **fields)


def extending(address: str, mac: str = MAC, **fields: Any) -> DhcpPacket:
    """The REQUEST of a client that has this address (RENEWING by unicast, REBINDING by broadcast)."""
    return request(MessageType.REQUEST, mac, ciaddr=IPv4Address(address), **fields)
