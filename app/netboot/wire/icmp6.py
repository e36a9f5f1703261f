"""Router solicitation and advertisement (RFC 4861): enough to tell a booting machine that nobody routes IPv6 here."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from app.netboot.wire.frames import checksum, mac_bytes

ETHERTYPE_IPV6 = 0x86DD
ROUTER_SOLICITATION = 133
ROUTER_ADVERTISEMENT = 134
_ICMPV6 = 58
_SOURCE_LINK_ADDRESS = 1
_PREFIX = 3
_MANAGED, _OTHER, _ON_LINK = 0x80, 0x40, 0x80
_PREFIX_SECONDS = 7200


@dataclass(frozen=True, slots=True)
class RouterMessage:
    """A router solicitation or advertisement as it came off the wire."""

    kind: int
    src_mac: str
    src: IPv6Address
    lifetime: int = 0
    """Seconds the sender is a default router for; advertisements only."""
    has_prefix: bool = False


def parse_router_message(frame: bytes) -> RouterMessage | None:
    """The router message in an Ethernet frame; None for anything else or anything broken.

    RFC 4861 §6.1: the hop limit must be 255, the code 0 and the checksum right.
    """
    if len(frame) < 62 or frame[12:14] != b"\x86\xdd" or frame[14] >> 4 != 6:
        return None
    length, following, hops = struct.unpack_from("!HBB", frame, 18)
    body = frame[54 : 54 + length]
    if following != _ICMPV6 or hops != 255 or len(body) != length or length < 8:
        return None
    kind, code = body[0], body[1]
    if kind not in (ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT) or code != 0:
        return None
    if checksum(frame[22:54] + struct.pack("!II", length, _ICMPV6) + body) != 0:
        return None
    lifetime, options = 0, body[8:]
    if kind == ROUTER_ADVERTISEMENT:
        if length < 16:
            return None
        lifetime, options = struct.unpack_from("!H", body, 6)[0], body[16:]
    return RouterMessage(
        kind=kind,
        src_mac=frame[6:12].hex(":"),
        src=IPv6Address(frame[22:38]),
        lifetime=lifetime,
        has_prefix=_has_prefix(options),
    )


def _has_prefix(options: bytes) -> bool:
    while len(options) >= 8:
        size = options[1] * 8
        if size == 0:
            return False
        if options[0] == 3:
            return True
        options = options[size:]
    return False


def link_local(mac: str) -> IPv6Address:
    """The link-local address an interface forms from its MAC address (RFC 4291, appendix A)."""
    raw = mac_bytes(mac)
    return IPv6Address(bytes.fromhex("fe80000000000000") + bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:])


@dataclass(frozen=True, slots=True)
class Advice:
    """What a machine is told where DHCPv6 is served and no router tells it: to ask, and which prefix is on its link."""

    prefix: IPv6Network
    managed: bool = True
    """Addresses are given; false: the rest alone (RFC 4861 section 4.2)."""

    @property
    def flags(self) -> int:
        return _MANAGED | _OTHER if self.managed else _OTHER

    @property
    def option(self) -> bytes:
        """On the link, and no address is to be formed from it (RFC 4861 section 4.6.2)."""
        head = struct.pack("!BBBBIII", _PREFIX, 4, self.prefix.prefixlen, _ON_LINK, *(2 * [_PREFIX_SECONDS]), 0)
        return head + self.prefix.network_address.packed


def no_router(src_mac: str, src: IPv6Address, dst_mac: str, dst: IPv6Address, advice: Advice | None = None) -> bytes:
    """A unicast advertisement with router lifetime 0: "do not wait, there is no router here"; with `advice`, the rest.

    An unspecified `dst` (a solicitation from `::`) is answered to the sender's own link-local address.
    """
    if dst == IPv6Address("::"):
        dst = link_local(dst_mac)
    flags = advice.flags if advice is not None else 0
    body = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, flags, 0, 0, 0)
    body += struct.pack("!BB6s", _SOURCE_LINK_ADDRESS, 1, mac_bytes(src_mac))
    body += advice.option if advice is not None else b""
    pseudo = src.packed + dst.packed + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB16s16s", 6 << 28, len(body), _ICMPV6, 255, src.packed, dst.packed)
    return mac_bytes(dst_mac) + mac_bytes(src_mac) + struct.pack("!H", ETHERTYPE_IPV6) + header + body
