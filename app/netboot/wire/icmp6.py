"""Router solicitation and advertisement (RFC 4861): enough to tell a booting machine that nobody routes IPv6 here."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address

from app.netboot.wire.frames import checksum, mac_bytes

ETHERTYPE_IPV6 = 0x86DD
ROUTER_SOLICITATION = 133
ROUTER_ADVERTISEMENT = 134
_ICMPV6 = 58
_SOURCE_LINK_ADDRESS = 1


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


def no_router(src_mac: str, src: IPv6Address, dst_mac: str, dst: IPv6Address) -> bytes:
    """A unicast advertisement with router lifetime 0, no prefix and no flags: "do not wait, there is no router here".

    An unspecified `dst` (a solicitation from `::`) is answered to the sender's own link-local address.
    """
    if dst == IPv6Address("::"):
        dst = link_local(dst_mac)
    body = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)
    body += struct.pack("!BB6s", _SOURCE_LINK_ADDRESS, 1, mac_bytes(src_mac))
    pseudo = src.packed + dst.packed + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB16s16s", 6 << 28, len(body), _ICMPV6, 255, src.packed, dst.packed)
    return mac_bytes(dst_mac) + mac_bytes(src_mac) + struct.pack("!H", ETHERTYPE_IPV6) + header + body
