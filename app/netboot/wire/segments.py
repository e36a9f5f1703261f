"""Frames around what was said over UDP or TCP, for captures: the octets are real, the headers around them are made up.

RFC 791, 768, 9293, 8200.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from app.netboot.wire.frames import ETHERTYPE_IPV4, checksum, mac_bytes

UDP, TCP = 17, 6
_ETHERTYPE_IPV6 = 0x86DD
_PUSH_ACK = 0x18
_WINDOW = 0xFFFF
# What one IPv4 packet carries behind its own header and the largest of the two below.
PAYLOAD_MAX = 0xFFFF - 20 - 20

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class End:
    """One end of a conversation."""

    mac: str
    address: Address
    port: int


def _framed(source: End, target: End, protocol: int, segment: bytes, at: int) -> bytes:
    """`segment` in IP and Ethernet, its checksum put in at offset `at`."""
    version = source.address.version
    if version == 4:
        pseudo = source.address.packed + target.address.packed + struct.pack("!BBH", 0, protocol, len(segment))
    else:
        pseudo = source.address.packed + target.address.packed + struct.pack("!II", len(segment), protocol)
    # RFC 768: a computed zero is sent as all ones, since zero means "no checksum"; for TCP both mean the same.
    summed = checksum(pseudo + segment) or 0xFFFF
    segment = segment[:at] + struct.pack("!H", summed) + segment[at + 2 :]
    if version == 4:
        ends = source.address.packed + target.address.packed
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, protocol, 0) + ends
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        kind = ETHERTYPE_IPV4
    else:
        header = struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64)
        header += source.address.packed + target.address.packed
        kind = _ETHERTYPE_IPV6
    return mac_bytes(target.mac) + mac_bytes(source.mac) + struct.pack("!H", kind) + header + segment


def udp(source: End, target: End, payload: bytes) -> bytes:
    """A frame with one datagram."""
    payload = payload[:PAYLOAD_MAX]
    return _framed(
        source, target, UDP, struct.pack("!HHHH", source.port, target.port, 8 + len(payload), 0) + payload, 6
    )


def tcp(source: End, target: End, sequence: int, acknowledged: int, payload: bytes) -> bytes:
    """A frame with a part of a TCP stream, as it would be sent in one piece."""
    numbers = (sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF)
    head = struct.pack("!HHIIBBHHH", source.port, target.port, *numbers, 5 << 4, _PUSH_ACK, _WINDOW, 0, 0)
    return _framed(source, target, TCP, head + payload[:PAYLOAD_MAX], 16)
