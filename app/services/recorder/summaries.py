"""What a packet says, in a few words; and what an operator may not see of it, blanked."""

from __future__ import annotations

import re

from app.netboot.firmware import classify
from app.netboot.token import blanked
from app.netboot.wire import dhcp6, tftp
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpError, DhcpPacket, decode
from app.netboot.words import plain
from app.services.recorder.packet import Packet, dhcp6_inner, dhcp_xid

_NAME_MAX = 120
_HEADERS = re.compile(rb"(?im)^((?:proxy-)?authorization|(?:set-)?cookie):[ \t]*([^\r\n]+)")
_REPLY = 2


def shown(packet: Packet) -> Packet:
    """The packet without tokens and passwords: stars in their places."""
    octets = blanked(packet.octets)
    if packet.protocol == "http":
        octets = _HEADERS.sub(lambda found: found[0][: -len(found[2])] + b"*" * len(found[2]), octets)
    return packet._replace(octets=octets)


def summary(packet: Packet) -> str:
    """In a few words what it says; of a packet that is shown."""
    if packet.protocol == "http":
        words = plain(packet.octets.partition(b"\r\n")[0], _NAME_MAX)
    elif packet.protocol == "dhcp6":
        words = _dhcp6(packet.octets)
    elif packet.protocol == "tftp":
        words = _tftp(packet.octets)
    else:
        words = _dhcp(packet.octets)
    return "; ".join(filter(None, (words, packet.note)))


def fault(protocol: str, octets: bytes) -> str:
    """Why a DHCP message cannot be read; empty where it can, and for other protocols."""
    try:
        if protocol == "dhcp":
            decode(octets)
        elif protocol == "dhcp6":
            dhcp6_inner(octets)
    except (DhcpError, dhcp6.DhcpError) as error:
        return str(error)
    return ""


def _dhcp6(octets: bytes) -> str:
    try:
        found = dhcp6_inner(octets)
    except dhcp6.DhcpError as error:
        return f"malformed: {error}"
    relayed = " by a relay" if octets[0] in (dhcp6.Kind.RELAY_FORWARD, dhcp6.Kind.RELAY_REPLY) else ""
    return f"{found.kind.name} xid {found.xid:06x}{relayed}"


def _dhcp(octets: bytes) -> str:
    try:
        packet = decode(octets)
    except DhcpError as error:
        return f"malformed: {error}"
    kind = packet.message
    words = [kind.name if kind is not None else "BOOTP" if not packet.options else "unknown type"]
    words.append(f"xid {dhcp_xid(octets)}")
    words.append(_reply(packet) if packet.op == _REPLY else _request(packet))
    if int(packet.giaddr):
        words.append(f"by relay {packet.giaddr}")
    return " ".join(filter(None, words))


def _request(packet: DhcpPacket) -> str:
    found = classify(packet)
    asked = packet.address(opt.REQUESTED_ADDRESS) or (packet.ciaddr if int(packet.ciaddr) else None)
    return " ".join(filter(None, (found.stage, f"wants {asked}" if asked is not None else "")))


def _reply(packet: DhcpPacket) -> str:
    address = str(packet.yiaddr) if int(packet.yiaddr) else ""
    name = plain(packet.options.get(opt.BOOT_FILE, b"") or packet.file, _NAME_MAX)
    return " ".join(filter(None, (address, f"file {name}" if name else "")))


def _tftp(octets: bytes) -> str:
    code = int.from_bytes(octets[:2], "big")
    fields = [plain(part, _NAME_MAX) for part in octets[2:].split(b"\0")[:-1]]
    if code in (tftp.Op.RRQ, tftp.Op.WRQ):
        pairs = zip(fields[2::2], fields[3::2], strict=False)
        told = " ".join(f"{name}={value}" for name, value in pairs)
        return f"{tftp.Op(code).name} {' '.join(fields[:2])} {told}".rstrip()
    if code == tftp.Op.OACK:
        return "OACK " + " ".join(f"{name}={value}" for name, value in zip(fields[::2], fields[1::2], strict=False))
    number = int.from_bytes(octets[2:4], "big")
    if code == tftp.Op.ERROR:
        return f"ERROR {number} {plain(octets[4:], _NAME_MAX)}".rstrip()
    return f"{'ACK' if code == tftp.Op.ACK else 'DATA'} {number}"
