"""DHCPv4 messages as values and as octets (RFC 951, 2131, 2132, 3396)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address

from app.netboot.wire import options as opt
from app.netboot.wire.options import DhcpError

__all__ = ["BROADCAST_FLAG", "COOKIE", "ZERO", "DhcpError", "DhcpPacket", "MessageType", "decode", "payload_limit"]

ZERO = IPv4Address(0)
COOKIE = b"\x63\x82\x53\x63"
BROADCAST_FLAG = 0x8000
BOOTREQUEST = 1
BOOTREPLY = 2
FILE_MAX = 127  # 128 octets with the NUL

_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
# RFC 951: a BOOTP message has a 64 octet vendor area; some ROMs drop anything shorter.
_LENGTH_MIN = 300
# What is left of an Ethernet frame for UDP payload; nothing larger is ever sent.
LENGTH_MAX = 1472
_IP_UDP = 28
# Its address does not fit: it has none here, and the length is zero (RFC 4390 section 2.1). Some firmware says 20.
_INFINIBAND = 32
_DATAGRAM_MIN = 576


class MessageType(IntEnum):
    """Option 53 (RFC 2132 section 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


_TYPES = {kind.value: kind for kind in MessageType}


@dataclass(frozen=True, slots=True)
class DhcpPacket:
    """One message. `chaddr` has the length `hlen` says; `sname` and `file` end at their first NUL.

    `options` holds each option once, joined; in a message to send, the mapping's order is the order of importance.
    """

    op: int
    xid: int
    chaddr: bytes = b""
    htype: int = 1
    hops: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: IPv4Address = ZERO
    yiaddr: IPv4Address = ZERO
    siaddr: IPv4Address = ZERO
    giaddr: IPv4Address = ZERO
    sname: bytes = b""
    file: bytes = b""
    options: Mapping[int, bytes] = field(default_factory=dict[int, bytes])

    @property
    def message(self) -> MessageType | None:
        """What kind of message it is; None where option 53 is missing, malformed or of no kind a server handles."""
        value = self.options.get(opt.MESSAGE_TYPE, b"")
        return _TYPES.get(value[0]) if len(value) == 1 else None

    @property
    def broadcast(self) -> bool:
        """The client cannot take unicast before it has its address; the other flag bits are noise (RFC 2131 2)."""
        return bool(self.flags & BROADCAST_FLAG)

    @property
    def mac(self) -> str:
        """The hardware address with colons, empty when there is none."""
        return self.chaddr.hex(":")

    def address(self, code: int) -> IPv4Address | None:
        """An option that is one address; None when missing or malformed."""
        return opt.address(self.options.get(code))

    def encode(self, limit: int = LENGTH_MAX) -> bytes:
        """The message as octets, padded to the BOOTP minimum, at most `limit` long as far as that can be.

        Raises DhcpError for values that do not fit their fields.
        """
        for name, octets, most in (("chaddr", self.chaddr, 16), ("sname", self.sname, 64), ("file", self.file, 128)):
            if len(octets) > most:
                raise DhcpError(f"{name} of {len(octets)} octets, {most} at most")
        try:
            header = _HEADER.pack(
                self.op,
                self.htype,
                len(self.chaddr),
                self.hops,
                self.xid,
                self.secs,
                self.flags,
                self.ciaddr.packed,
                self.yiaddr.packed,
                self.siaddr.packed,
                self.giaddr.packed,
                self.chaddr,
                self.sname,
                self.file,
                COOKIE,
            )
        except struct.error as error:
            raise DhcpError(f"a header field is out of range: {error}") from None
        octets = header + opt.pack(self.options, limit - _HEADER.size)
        return octets.ljust(_LENGTH_MIN, b"\0")


def decode(octets: bytes) -> DhcpPacket:
    """Read a message; total: any octets give a DhcpPacket or a DhcpError.

    Options in `file` and `sname` (option 52) are read too, in the order of RFC 3396 section 5; a nested option 52 means
    nothing.
    """
    if len(octets) < _HEADER.size:
        raise DhcpError(f"{len(octets)} octets are too few for a DHCP message")
    (op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, cookie) = (
        _HEADER.unpack_from(octets)
    )
    if cookie != COOKIE:
        raise DhcpError("no DHCP magic cookie")
    if op not in (BOOTREQUEST, BOOTREPLY):
        raise DhcpError(f"operation {op} is neither request nor reply")
    if hlen > len(chaddr):
        if htype != _INFINIBAND:
            raise DhcpError(f"a hardware address of {hlen} octets")
        hlen = 0
    found = opt.split(octets[_HEADER.size :])
    overload = next((value[0] for code, value in found if code == opt.OVERLOAD and len(value) == 1), 0)
    if overload & 1:
        found += opt.split(file)
        file = b""
    if overload & 2:
        found += opt.split(sname)
        sname = b""
    options = opt.join(found)
    options.pop(opt.OVERLOAD, None)
    return DhcpPacket(
        op=op,
        xid=xid,
        chaddr=chaddr[:hlen],
        htype=htype,
        hops=hops,
        secs=secs,
        flags=flags,
        ciaddr=opt.address_of(ciaddr),
        yiaddr=opt.address_of(yiaddr),
        siaddr=opt.address_of(siaddr),
        giaddr=opt.address_of(giaddr),
        sname=sname.partition(b"\0")[0],
        file=file.partition(b"\0")[0],
        options=options,
    )


def payload_limit(request: DhcpPacket) -> int:
    """Octets of UDP payload the client takes: option 57 counts the IP datagram, at least 576 (RFC 2132 9.10)."""
    value = request.options.get(opt.MAX_SIZE, b"")
    asked = int.from_bytes(value, "big") if len(value) == 2 else _DATAGRAM_MIN
    return min(max(asked, _DATAGRAM_MIN) - _IP_UDP, LENGTH_MAX)
