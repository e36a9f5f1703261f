"""What is kept of one packet: its payload as it was, and whence it went where."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple

from app.netboot.wire import dhcp6

Address = IPv4Address | IPv6Address

COOKIE = b"\x63\x82\x53\x63"
_COOKIE_AT, _OPTIONS_AT = 236, 240
_HARDWARE_AT = 28
_HARDWARE_MAX = 16
_INFINIBAND = 32
DISCOVER, ACK = 1, 5
# The head of a request or an answer, with the values it is made of.
_HEAD_SIZE = 800


@lru_cache(maxsize=4096)
def _address(text: str) -> Address:
    """An address as the kernel writes it; a link-local one has its interface behind it."""
    return ip_address(text.partition("%")[0])


class Packet(NamedTuple):
    """One packet. `octets` is a DHCP or TFTP message, or the head of an HTTP message."""

    time: float
    """Epoch seconds."""
    protocol: str
    """`dhcp`, `dhcp6`, `tftp` or `http`."""
    interface: str
    incoming: bool
    machine: Address
    machine_port: int
    our: Address
    our_port: int
    octets: bytes
    hardware: bytes = b""
    """Where a reply that left as a frame of its own was sent to."""
    skipped: int = 0
    """Octets that followed and are not kept: the rest of a file, the body of an answer."""
    note: str = ""
    """What is to be known of it beside its octets."""


class HeardDhcp(NamedTuple):
    """A datagram as the tap of a DHCP port leaves it: what of it matters is worked out when somebody looks."""

    time: float
    port: int
    interface: str
    octets: bytes
    way: Any
    """How it came in, or where it went (app.netboot.exchange.Destination)."""

    @property
    def incoming(self) -> bool:
        """The machine sent it."""
        return hasattr(self.way, "destination")

    @property
    def size(self) -> int:
        """Octets of memory for what it says."""
        return len(self.octets)

    def packet(self) -> Packet:
        """The same with its ends."""
        way = self.way
        if self.incoming:
            ends = (way.source, way.port, way.destination, self.port)
            return Packet(self.time, "dhcp", self.interface, True, *ends, self.octets)
        ends = (way.address, way.port, way.source, self.port)
        return Packet(self.time, "dhcp", self.interface, False, *ends, self.octets, way.hardware)


class Heard(NamedTuple):
    """What the taps of DHCPv6, TFTP and HTTP leave: heads are written, and addresses read, when somebody looks."""

    time: float
    protocol: str
    incoming: bool
    told: bytes | Callable[[], bytes]
    machine: tuple[str, int]
    our: tuple[str, int]
    skipped: int
    note: str
    mac: str = ""
    """Whose it is, where its service knows."""
    interface: str = ""

    @property
    def address(self) -> Address:
        """Whose it is."""
        return _address(self.machine[0])

    @property
    def size(self) -> int:
        """Octets of memory for what it says, about."""
        return len(self.told) if isinstance(self.told, bytes) else _HEAD_SIZE

    def packet(self) -> Packet:
        """The same with its octets and ends."""
        octets = self.told if isinstance(self.told, bytes) else self.told()
        ends = (self.address, self.machine[1], _address(self.our[0]), self.our[1])
        head = (self.time, self.protocol, self.interface, self.incoming)
        return Packet(*head, *ends, octets, b"", self.skipped, self.note)


Entry = HeardDhcp | Heard


def dhcp_mac(octets: bytes) -> str | None:
    """Whose message it is, empty where it names no hardware address; None where it is no DHCP message."""
    if len(octets) < _OPTIONS_AT or octets[_COOKIE_AT:_OPTIONS_AT] != COOKIE or octets[0] not in (1, 2):
        return None
    length = octets[2]
    if length > _HARDWARE_MAX:
        return "" if octets[1] == _INFINIBAND else None
    return octets[_HARDWARE_AT : _HARDWARE_AT + length].hex(":")


def dhcp_type(octets: bytes) -> int:
    """Option 53, which nearly every client puts first; 0 where there is none."""
    at, end = _OPTIONS_AT, len(octets)
    if octets[at : at + 2] == b"\x35\x01" and at + 2 < end:
        return octets[at + 2]
    while at + 2 < end and octets[at] != 255:
        if octets[at] == 0:
            at += 1
            continue
        if octets[at] == 53 and octets[at + 1] == 1:
            return octets[at + 2]
        at += 2 + octets[at + 1]
    return 0


def dhcp_xid(octets: bytes) -> str:
    """The transaction id as events write it."""
    return octets[4:8].hex()


def dhcp_stage(octets: bytes) -> str:
    """Who asks: `rom`, `ipxe` or `os`; by the words in the message, which is enough to tell where a boot begins."""
    if b"iPXE" in octets:
        return "ipxe"
    return "rom" if b"PXEClient" in octets or b"HTTPClient" in octets else "os"


def dhcp6_inner(octets: bytes) -> dhcp6.Message:
    """The message itself, whatever relays put around it. Raises DhcpError."""
    found = dhcp6.decode(octets)
    while isinstance(found, dhcp6.RelayMessage):
        found = dhcp6.decode(found.get(dhcp6.RELAY_MESSAGE) or b"")
    return found


def dhcp6_xid(octets: bytes) -> str:
    """Its transaction id as events write it; empty where there is none."""
    try:
        return f"{dhcp6_inner(octets).xid:06x}"
    except dhcp6.DhcpError:
        return ""
