"""DHCP options as octets: their codes, the option area, sub-options and lists (RFC 2132, 3046, 3396, 3004)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address

PAD = 0
SUBNET_MASK = 1
ROUTER = 3
DNS = 6
HOST_NAME = 12
DOMAIN_NAME = 15
ROOT_PATH = 17
BROADCAST = 28
VENDOR_OPTIONS = 43
REQUESTED_ADDRESS = 50
LEASE_TIME = 51
OVERLOAD = 52
MESSAGE_TYPE = 53
SERVER_ID = 54
PARAMETERS = 55
MESSAGE = 56
MAX_SIZE = 57
RENEWAL_TIME = 58
REBINDING_TIME = 59
VENDOR_CLASS = 60
CLIENT_ID = 61
TFTP_SERVER = 66
BOOT_FILE = 67
USER_CLASS = 77  # RFC 3004
CLIENT_FQDN = 81  # RFC 4702
RELAY_AGENT = 82  # RFC 3046
ARCHITECTURE = 93  # RFC 4578
INTERFACE_ID = 94  # RFC 4578
MACHINE_GUID = 97  # RFC 4578
SUBNET_SELECTION = 118  # RFC 3011
IPXE = 175  # iPXE's own, encapsulated
END = 255

RELAY_LINK_SELECTION = 5  # RFC 3527
RELAY_SERVER_OVERRIDE = 11  # RFC 5107
RELAY_SOURCE_PORT = 19  # RFC 8357

# What every client needs first, in this order (checklist 7.9): old ROMs look at the head of the area only; the mask
# must come before the router (RFC 2132 section 3.3).
_FIRST = (MESSAGE_TYPE, SERVER_ID, LEASE_TIME, SUBNET_MASK, ROUTER)
# What has its own place at the head or the end of the area.
_ELSEWHERE = frozenset((*_FIRST, RELAY_AGENT))
_END = bytes((END,))
# Never left out for want of room: without them it is no reply (RFC 2131 table 3, 6842 section 3, 3046 section 2.2).
_KEPT = frozenset({MESSAGE_TYPE, SERVER_ID, LEASE_TIME, CLIENT_ID, RELAY_AGENT})


class DhcpError(ValueError):
    """Octets that are no DHCP message, or a value that cannot become one; its text says why."""


def split(area: bytes) -> list[tuple[int, bytes]]:
    """The options of one area in the order they stand. A missing END is tolerated, PAD skipped.

    Raises DhcpError where an option runs past the end: what is missing might be the one that changes the meaning.
    """
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(area)
    while at < end:
        code = area[at]
        at += 1
        if code == PAD:
            continue
        if code == END:
            break
        if at >= end:
            raise DhcpError(f"option {code} has no length")
        length = area[at]
        at += 1
        if at + length > end:
            raise DhcpError(f"option {code} runs {at + length - end} octets past the end")
        found.append((code, area[at : at + length]))
        at += length
    return found


def join(found: Iterable[tuple[int, bytes]]) -> dict[int, bytes]:
    """Options by code; several instances of one code are one value in pieces (RFC 3396 section 5)."""
    joined: dict[int, bytes] = {}
    for code, value in found:
        joined[code] = joined[code] + value if code in joined else value
    return joined


def pack(options: Mapping[int, bytes], room: int) -> bytes:
    """An option area with END, at most `room` octets long as far as the indispensable options allow.

    The mapping's order is the order of importance: what does not fit is left out from its end. Message type, server,
    lease time, mask and router come first, the relay's option last (RFC 3046 section 2.1). Values over 255 octets are
    split (RFC 3396). Raises DhcpError for a code that is not an option's.
    """
    ordered = [code for code in _FIRST if code in options]
    for code in options:
        if not 0 < code < END or code == OVERLOAD:
            raise DhcpError(f"{code} is not the code of an option that can be sent")
        if code not in _ELSEWHERE:
            ordered.append(code)
    if RELAY_AGENT in options:
        ordered.append(RELAY_AGENT)
    pieces = [_pack_one(code, options[code]) for code in ordered]
    whole = b"".join(pieces)
    if len(whole) < room:
        return whole + _END
    left = room - 1 - sum(len(octets) for code, octets in zip(ordered, pieces, strict=True) if code in _KEPT)
    area = bytearray()
    for code, octets in zip(ordered, pieces, strict=True):
        if code not in _KEPT:
            if len(octets) > left:
                continue
            left -= len(octets)
        area += octets
    area.append(END)
    return bytes(area)


def _pack_one(code: int, value: bytes) -> bytes:
    if len(value) <= 255:
        return bytes((code, len(value))) + value
    pieces = [value[at : at + 255] for at in range(0, len(value), 255)]
    return b"".join(bytes((code, len(piece))) + piece for piece in pieces)


def suboptions(value: bytes, *, padded: bool = False) -> dict[int, bytes]:
    """Sub-options of an encapsulating option, by code; `padded` where 0 and 255 are PAD and END (options 43 and 175).

    Raises DhcpError where one runs past the end.
    """
    if padded:
        return join(split(value))
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(value):
        if at + 2 > len(value) or at + 2 + value[at + 1] > len(value):
            raise DhcpError(f"sub-option {value[at]} runs past the end")
        length = value[at + 1]
        found.append((value[at], value[at + 2 : at + 2 + length]))
        at += 2 + length
    return join(found)


def pack_suboptions(options: Mapping[int, bytes], *, end: bool = False) -> bytes:
    """Sub-options in the mapping's order; `end` closes them with END, which PXE ROMs need (PXE 2.1 section 2.2.3)."""
    area = bytearray()
    for code, value in options.items():
        if len(value) > 255:
            raise DhcpError(f"sub-option {code} is longer than 255 octets")
        area += bytes((code, len(value))) + value
    if end:
        area.append(END)
    return bytes(area)


@lru_cache(maxsize=8192)
def address_of(octets: bytes) -> IPv4Address:
    """The address that four octets are; the same few come again and again, and each costs a microsecond to make."""
    return IPv4Address(octets)


def address(value: bytes | None) -> IPv4Address | None:
    """An option that is one IPv4 address; None for anything else."""
    return address_of(value) if value is not None and len(value) == 4 else None


def addresses(value: Iterable[IPv4Address]) -> bytes:
    """A list of IPv4 addresses."""
    return b"".join(item.packed for item in value)


def number(value: bytes | None) -> int | None:
    """An option that is one unsigned 32-bit number; None for anything else."""
    return int.from_bytes(value, "big") if value is not None and len(value) == 4 else None


def seconds(value: float) -> bytes:
    """A time of options 51, 58 and 59: 32 bits, never the infinity of 0xffffffff."""
    return min(max(int(value), 0), 0xFFFFFFFE).to_bytes(4, "big")


def classes(value: bytes) -> list[bytes]:
    """User classes of option 77: length-prefixed as RFC 3004 section 4 has it, or the bare text iPXE sends."""
    found: list[bytes] = []
    at = 0
    while at < len(value):
        length = value[at]
        if not length or at + 1 + length > len(value):
            return [value]
        found.append(value[at + 1 : at + 1 + length])
        at += 1 + length
    return found
