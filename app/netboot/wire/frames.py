"""Ethernet II, IPv4, UDP and ARP framing for machines that have no address yet (RFC 894, 791, 768, 1071, 826, 5227)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
_UDP = 17
_BROADCAST = "ff:ff:ff:ff:ff:ff"
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_ETHERNET = (1, ETHERTYPE_IPV4, 6, 4)
_ARP_REQUEST, _ARP_REPLY = 1, 2


def mac_bytes(mac: str) -> bytes:
    """The six octets of `52:54:00:00:00:07`."""
    return bytes.fromhex(mac.replace(":", ""))


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071 over `data`."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet_udp4(
    src_mac: str,
    dst_mac: str,
    src_ip: IPv4Address,
    dst_ip: IPv4Address,
    sport: int,
    dport: int,
    payload: bytes,
) -> bytes:
    """One Ethernet frame carrying `payload` in UDP over IPv4, checksums filled in; no padding, no fragmenting."""
    length = 8 + len(payload)
    pseudo = src_ip.packed + dst_ip.packed + struct.pack("!BBH", 0, _UDP, length)
    udp = struct.pack("!HHHH", sport, dport, length, 0)
    # RFC 768: a computed zero is sent as all ones, since zero means "no checksum".
    summed = checksum(pseudo + udp + payload) or 0xFFFF
    udp = struct.pack("!HHHH", sport, dport, length, summed)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0x4000, 64, _UDP, 0, src_ip.packed, dst_ip.packed)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return mac_bytes(dst_mac) + mac_bytes(src_mac) + struct.pack("!H", ETHERTYPE_IPV4) + header + udp + payload


@dataclass(frozen=True, slots=True)
class UdpFrame:
    """What `parse_udp4` found in a frame."""

    src_mac: str
    dst_mac: str
    src_ip: IPv4Address
    dst_ip: IPv4Address
    sport: int
    dport: int
    payload: bytes

    @property
    def broadcast(self) -> bool:
        """It was sent to every station of the link."""
        return self.dst_mac == _BROADCAST


def parse_udp4(frame: bytes) -> UdpFrame | None:
    """The UDP datagram in an unfragmented IPv4 Ethernet frame, or None for everything else."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[14] >> 4 != 4:
        return None
    header = (frame[14] & 0x0F) * 4
    total, fragment = struct.unpack_from("!H2xH", frame, 16)
    start = 14 + header
    if header < 20 or frame[23] != _UDP or fragment & 0x3FFF or len(frame) < start + 8 or total < header + 8:
        return None
    sport, dport, length = struct.unpack_from("!HHH", frame, start)
    if length < 8 or start + length > len(frame):
        return None
    return UdpFrame(
        src_mac=frame[6:12].hex(":"),
        dst_mac=frame[0:6].hex(":"),
        src_ip=IPv4Address(frame[26:30]),
        dst_ip=IPv4Address(frame[30:34]),
        sport=sport,
        dport=dport,
        payload=frame[start + 8 : start + length],
    )


def arp_probe(mac: str, address: IPv4Address) -> bytes:
    """A frame that asks who uses an address, in nobody's name, so that no cache learns it (RFC 5227 section 2.1.1)."""
    body = _ARP.pack(*_ARP_ETHERNET, _ARP_REQUEST, mac_bytes(mac), bytes(4), bytes(6), address.packed)
    return mac_bytes(_BROADCAST) + mac_bytes(mac) + struct.pack("!H", ETHERTYPE_ARP) + body


def parse_arp_reply(frame: bytes) -> tuple[IPv4Address, str] | None:
    """The address an ARP reply is about and the hardware address it names; None for everything else."""
    if len(frame) < 14 + _ARP.size or frame[12:14] != ETHERTYPE_ARP.to_bytes(2, "big"):
        return None
    *kind, operation, sender, address, _, _ = _ARP.unpack_from(frame, 14)
    if tuple(kind) != _ARP_ETHERNET or operation != _ARP_REPLY:
        return None
    return IPv4Address(address), sender.hex(":")
