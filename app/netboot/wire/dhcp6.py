"""DHCPv6 messages as values and as octets, relayed ones too (RFC 8415 sections 8 and 9)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address

from app.netboot.wire.options import DhcpError

__all__ = ["DhcpError", "Kind", "Message", "Options", "RelayMessage", "decode", "pack", "split"]

CLIENT_ID = 1
SERVER_ID = 2
IA_NA = 3
IA_TA = 4
IA_ADDRESS = 5
OPTION_REQUEST = 6
PREFERENCE = 7
ELAPSED_TIME = 8
RELAY_MESSAGE = 9
AUTHENTICATION = 11
SERVER_UNICAST = 12
STATUS_CODE = 13
RAPID_COMMIT = 14
USER_CLASS = 15
VENDOR_CLASS = 16
VENDOR_OPTIONS = 17
INTERFACE_ID = 18
RECONFIGURE_ACCEPT = 20
DNS = 23
DOMAIN_LIST = 24
IA_PREFIX_DELEGATION = 25
REFRESH_TIME = 32
REMOTE_ID = 37
SUBSCRIBER_ID = 38
BOOTFILE_URL = 59
BOOTFILE_PARAMETERS = 60
ARCHITECTURE = 61
INTERFACE_VERSION = 62
CLIENT_LINK_ADDRESS = 79
SOLICIT_MAX = 82
INFORMATION_MAX = 83
RELAY_SOURCE_PORT = 135

HOP_LIMIT = 8
"""HOP_COUNT_LIMIT (RFC 8415 section 7.6): no relay passes on what came through so many."""
_HEADER = struct.Struct("!BBH")
_RELAY = struct.Struct("!BB16s16s")
_OPTION = struct.Struct("!HH")
# What a message holds once (section 21 says so of each); a second one means that it was put together wrongly.
_SINGLE = frozenset(
    {CLIENT_ID, SERVER_ID, OPTION_REQUEST, ELAPSED_TIME, STATUS_CODE, RAPID_COMMIT, INTERFACE_ID, RELAY_MESSAGE}
)

Options = tuple[tuple[int, bytes], ...]
"""Code and value of each, in order; some come more than once."""


class Kind(IntEnum):
    """Message types (RFC 8415 section 7.3)."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11
    RELAY_FORWARD = 12
    RELAY_REPLY = 13


_KINDS = {kind.value: kind for kind in Kind}
_RELAYED = (Kind.RELAY_FORWARD, Kind.RELAY_REPLY)


def split(octets: bytes) -> Options:
    """The options in a field. Raises DhcpError for one that runs over its end."""
    return tuple(_split(octets))


def _split(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(octets):
        if len(octets) - at < _OPTION.size:
            raise DhcpError(f"{len(octets) - at} octets are left after the last option")
        code, length = _OPTION.unpack_from(octets, at)
        at += _OPTION.size
        if length > len(octets) - at:
            raise DhcpError(f"option {code} of {length} octets runs over the end")
        yield code, octets[at : at + length]
        at += length


def pack(options: Iterable[tuple[int, bytes]]) -> bytes:
    """Options as octets. Raises DhcpError for a value that is too long."""
    parts: list[bytes] = []
    for code, value in options:
        if len(value) > 0xFFFF:
            raise DhcpError(f"option {code} has {len(value)} octets, 65535 at most")
        parts += (_OPTION.pack(code, len(value)), value)
    return b"".join(parts)


def first(options: Options, code: int) -> bytes | None:
    """The value of the first option of this code."""
    return next((value for each, value in options if each == code), None)


def every(options: Options, code: int) -> list[bytes]:
    """The values of all options of this code."""
    return [value for each, value in options if each == code]


@dataclass(frozen=True, slots=True)
class Message:
    """What clients and servers say to each other."""

    kind: Kind
    xid: int
    options: Options = ()

    def get(self, code: int) -> bytes | None:
        """The value of an option."""
        return first(self.options, code)

    def encode(self) -> bytes:
        """As octets. Raises DhcpError for values that do not fit."""
        if not 0 <= self.xid < 1 << 24:
            raise DhcpError(f"transaction {self.xid} has more than 24 bits")
        return _HEADER.pack(self.kind, self.xid >> 16, self.xid & 0xFFFF) + pack(self.options)


@dataclass(frozen=True, slots=True)
class RelayMessage:
    """What relays put around a message: `link` tells where the client is, `peer` whom the relay heard."""

    kind: Kind
    hops: int
    link: IPv6Address
    peer: IPv6Address
    options: Options = ()

    def get(self, code: int) -> bytes | None:
        """The value of an option of this relay's own."""
        return first(self.options, code)

    def encode(self) -> bytes:
        """As octets."""
        if not 0 <= self.hops <= 0xFF:
            raise DhcpError(f"{self.hops} hops")
        return _RELAY.pack(self.kind, self.hops, self.link.packed, self.peer.packed) + pack(self.options)


def decode(octets: bytes) -> Message | RelayMessage:
    """Read a message; total: any octets give one or a DhcpError. What a relay passes on stays in its option 9."""
    kind = _KINDS.get(octets[0]) if octets else None
    if kind is None:
        raise DhcpError(f"message type {octets[0]}" if octets else "no octets at all")
    size = _RELAY.size if kind in _RELAYED else _HEADER.size
    if len(octets) < size:
        raise DhcpError(f"{len(octets)} octets are too few for a {kind.name.lower()}")
    options = split(octets[size:])
    seen: set[int] = set()
    for code, _ in options:
        if code in _SINGLE and code in seen:
            raise DhcpError(f"option {code} comes twice")
        seen.add(code)
    if kind in _RELAYED:
        _, hops, link, peer = _RELAY.unpack_from(octets)
        return RelayMessage(kind, hops, IPv6Address(link), IPv6Address(peer), options)
    _, high, low = _HEADER.unpack_from(octets)
    return Message(kind, high << 16 | low, options)


def unwrap(octets: bytes) -> tuple[Message, tuple[RelayMessage, ...]]:
    """The client's message, and the relays it came through, the one next to us first. Raises DhcpError."""
    relays: list[RelayMessage] = []
    found = decode(octets)
    while isinstance(found, RelayMessage):
        relays.append(found)
        inner = found.get(RELAY_MESSAGE)
        if found.kind is not Kind.RELAY_FORWARD or inner is None:
            raise DhcpError("a relay passes on nothing")
        if found.hops >= HOP_LIMIT or len(relays) > HOP_LIMIT:
            raise DhcpError(f"more than {HOP_LIMIT} relays")
        found = decode(inner)
    return found, tuple(relays)


def wrap(reply: Message, relays: tuple[RelayMessage, ...]) -> bytes:
    """A reply as it goes back through the same relays: each finds its own interface-id again (RFC 8415 19.3)."""
    octets = reply.encode()
    for relay in reversed(relays):
        kept = [(code, value) for code, value in relay.options if code in (INTERFACE_ID, RELAY_SOURCE_PORT)]
        options = (*kept, (RELAY_MESSAGE, octets))
        octets = RelayMessage(Kind.RELAY_REPLY, relay.hops, relay.link, relay.peer, options).encode()
    return octets
