"""Values of DHCPv6 options (RFC 8415 section 21, RFC 3646, 5970, 6939)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address

from app.netboot.wire.dhcp6 import STATUS_CODE, Options, first, pack, split
from app.netboot.wire.options import DhcpError

INTEL = 343
"""The enterprise that PXE and HTTP boot go by in option 16 (UEFI 2.10 section 24.3)."""
INFINITY = 0xFFFFFFFF
DUID_MAX = 130
_ETHERNET = 1
_IA = struct.Struct("!III")
_IA_ADDRESS = struct.Struct("!16sII")
_UNIVERSAL = 0x02


class Status(IntEnum):
    """Option 13 (RFC 8415 section 21.13)."""

    SUCCESS = 0
    UNSPEC_FAIL = 1
    NO_ADDRESSES = 2
    NO_BINDING = 3
    NOT_ON_LINK = 4
    USE_MULTICAST = 5
    NO_PREFIX = 6


class DuidKind(IntEnum):
    """What a DUID is made of (RFC 8415 section 11, RFC 6355)."""

    LINK_TIME = 1
    ENTERPRISE = 2
    LINK = 3
    UUID = 4


# Where the link-layer address is in a DUID that has one.
_LINK_AT: dict[int, int] = {DuidKind.LINK_TIME: 8, DuidKind.LINK: 4}


@dataclass(frozen=True, slots=True)
class IaAddress:
    """An address in an IA with its lifetimes in seconds (section 21.6)."""

    address: IPv6Address
    preferred: int = 0
    valid: int = 0
    options: Options = ()

    def encode(self) -> bytes:
        return _IA_ADDRESS.pack(self.address.packed, self.preferred, self.valid) + pack(self.options)


@dataclass(frozen=True, slots=True)
class Ia:
    """IA_NA or IA_PD: an identifier, T1 and T2 in seconds, and options (sections 21.4 and 21.21)."""

    iaid: int
    t1: int = 0
    t2: int = 0
    options: Options = ()

    def encode(self) -> bytes:
        return _IA.pack(self.iaid, self.t1, self.t2) + pack(self.options)


def ia(value: bytes) -> Ia:
    """Read an IA_NA or IA_PD. Raises DhcpError."""
    if len(value) < _IA.size:
        raise DhcpError(f"an identity association of {len(value)} octets")
    iaid, t1, t2 = _IA.unpack_from(value)
    return Ia(iaid, t1, t2, split(value[_IA.size :]))


def ia_address(value: bytes) -> IaAddress:
    """Read an IA Address. Raises DhcpError, also for a preferred lifetime over the valid one (section 21.6)."""
    if len(value) < _IA_ADDRESS.size:
        raise DhcpError(f"an address of {len(value)} octets")
    address, preferred, valid = _IA_ADDRESS.unpack_from(value)
    return IaAddress(IPv6Address(address), preferred, valid, split(value[_IA_ADDRESS.size :]))


def status(code: Status, words: str = "") -> tuple[int, bytes]:
    """The option that says how it went."""
    return STATUS_CODE, struct.pack("!H", code) + words.encode()


def status_of(options: Options) -> Status:
    """What a message or an IA says; success where it says nothing (section 21.13)."""
    value = first(options, STATUS_CODE)
    number = int.from_bytes(value[:2], "big") if value is not None and len(value) >= 2 else 0
    return next((each for each in Status if each == number), Status.UNSPEC_FAIL)


def numbers(value: bytes | None) -> tuple[int, ...]:
    """16-bit numbers, as in options 6 and 61; nothing where the length is odd."""
    return tuple(each for (each,) in struct.iter_unpack("!H", value)) if value and len(value) % 2 == 0 else ()


def sized(items: Iterable[bytes]) -> bytes:
    """Each with its length in 16 bits before it: user classes, vendor class data, boot file parameters."""
    return b"".join(struct.pack("!H", len(item)) + item for item in items)


def items(value: bytes | None) -> tuple[bytes, ...]:
    """What `sized` made; nothing where a length runs over the end."""
    found: list[bytes] = []
    at, value = 0, value or b""
    while at < len(value):
        length = int.from_bytes(value[at : at + 2], "big")
        at += 2
        if at > len(value) or length > len(value) - at:
            return ()
        found.append(value[at : at + length])
        at += length
    return tuple(found)


def vendor_class(enterprise: int, *data: bytes) -> bytes:
    """The value of option 16."""
    return struct.pack("!I", enterprise) + sized(data)


def vendor_classes(value: bytes | None) -> tuple[int, tuple[bytes, ...]]:
    """Enterprise and data of option 16; 0 and nothing where it is malformed."""
    if value is None or len(value) < 4:
        return 0, ()
    return int.from_bytes(value[:4], "big"), items(value[4:])


def interface_version(value: bytes | None) -> tuple[int, int, int] | None:
    """Type and version of the network interface firmware drives (option 62, RFC 5970 section 3.4)."""
    return (value[0], value[1], value[2]) if value is not None and len(value) == 3 else None


def addresses(found: Sequence[IPv6Address]) -> bytes:
    """A list of addresses, as in option 23."""
    return b"".join(address.packed for address in found)


def domains(*names: str) -> bytes:
    """A list of domain names (option 24, RFC 1035 section 3.1). Raises DhcpError for one that is none."""
    octets = b""
    for name in names:
        labels = [label.encode("ascii", "replace") for label in name.strip(".").split(".")]
        if any(not 0 < len(label) < 64 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
            raise DhcpError(f"{name!r} is not a domain name")
        octets += b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return octets


def duid_link(value: bytes) -> str:
    """The Ethernet address a DUID was made of; empty where it was made of something else."""
    start = _LINK_AT.get(int.from_bytes(value[:2], "big"))
    if start is None or int.from_bytes(value[2:4], "big") != _ETHERNET:
        return ""
    return _mac(value[start:])


def duid_uuid(value: bytes) -> str:
    """The UUID of a DUID that is one, as it is sent (RFC 6355); empty for any other."""
    if len(value) != 18 or int.from_bytes(value[:2], "big") != DuidKind.UUID:
        return ""
    raw = value[2:].hex()
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))


def duid_of_uuid(octets: bytes) -> bytes:
    """A DUID made of the sixteen octets of a UUID."""
    return struct.pack("!H", DuidKind.UUID) + octets


def link_address(value: bytes | None) -> str:
    """The client's Ethernet address as its relay saw it (option 79, RFC 6939); empty where it tells none."""
    if value is None or len(value) < 2 or int.from_bytes(value[:2], "big") != _ETHERNET:
        return ""
    return _mac(value[2:])


def eui64_mac(address: IPv6Address) -> str:
    """The Ethernet address a link-local address was formed from (RFC 4291 appendix A); empty where it was not."""
    raw = address.packed
    if not address.is_link_local or raw[11:13] != b"\xff\xfe":
        return ""
    return _mac(bytes((raw[8] ^ _UNIVERSAL,)) + raw[9:11] + raw[13:])


def _mac(octets: bytes) -> str:
    """Six octets that are one card's address; empty for anything else."""
    return octets.hex(":") if len(octets) == 6 and any(octets) and not octets[0] & 1 else ""
