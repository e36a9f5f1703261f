"""The kernel's tables of neighbours: which MAC address it knows for an address."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

ARP_TABLE = Path("/proc/net/arp")
_COMPLETE = 0x02  # ATF_COM, linux/if_arp.h

# rtnetlink(7), linux/neighbour.h
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, interface, state, flags, type
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_ASK = 30  # RTM_GETNEIGH
_TOLD = 28  # RTM_NEWNEIGH
_END = (2, 3)  # NLMSG_ERROR, NLMSG_DONE
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ADDRESS, _LINK = 1, 2  # NDA_DST, NDA_LLADDR
_UNKNOWN = 0x01 | 0x20 | 0x40  # NUD_INCOMPLETE, NUD_FAILED, NUD_NOARP
_WAIT = 1.0


def parse_arp(table: str) -> dict[IPv4Address, str]:
    """The complete entries of `/proc/net/arp` (proc(5))."""
    found: dict[IPv4Address, str] = {}
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 4 and int(columns[2], 16) & _COMPLETE:
            found[IPv4Address(columns[0])] = columns[3].lower()
    return found


def arp() -> dict[IPv4Address, str]:
    """What the kernel knows now; nothing where the table cannot be read."""
    try:
        return parse_arp(ARP_TABLE.read_text())
    except OSError:
        return {}


def parse_neighbours(octets: bytes) -> tuple[dict[IPv6Address, str], bool]:
    """The IPv6 neighbours in one answer of rtnetlink, and whether it was the last one."""
    found: dict[IPv6Address, str] = {}
    at = 0
    while at + _HEADER.size <= len(octets):
        length, kind, *_ = _HEADER.unpack_from(octets, at)
        if kind in _END or length < _HEADER.size:
            return found, True
        if kind == _TOLD:
            body = octets[at + _HEADER.size : at + length]
            family, _, state, _, _ = _NEIGHBOUR.unpack_from(body)
            told = _attributes(body[_NEIGHBOUR.size :])
            address, link = told.get(_ADDRESS, b""), told.get(_LINK, b"")
            if family == socket.AF_INET6 and not state & _UNKNOWN and len(address) == 16 and len(link) == 6:
                found[IPv6Address(address)] = link.hex(":")
        at += length + 3 & ~3
    return found, False


def _attributes(octets: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(octets):
        length, kind = _ATTRIBUTE.unpack_from(octets, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = octets[at + _ATTRIBUTE.size : at + length]
        at += length + 3 & ~3
    return found


def ndisc() -> dict[IPv6Address, str]:
    """The IPv6 neighbours the kernel knows now; nothing where it does not tell."""
    found: dict[IPv6Address, str] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.settimeout(_WAIT)
            asks = _NEIGHBOUR.pack(socket.AF_INET6, 0, 0, 0, 0)
            sock.send(_HEADER.pack(_HEADER.size + len(asks), _ASK, _DUMP, 1, 0) + asks)
            last = False
            while not last:
                part, last = parse_neighbours(sock.recv(1 << 16))
                found |= part
    except OSError:
        return found
    return found


def unscoped(address: IPv6Address) -> IPv6Address:
    """The address without the interface it is on."""
    return IPv6Address(int(address)) if address.scope_id else address
