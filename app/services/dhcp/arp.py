"""Asks a segment who uses an address, and hears the answers (RFC 826, 5227; packet(7))."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

from app.model.engine import Interface
from app.netboot.wire.frames import ETHERTYPE_ARP, arp_probe, parse_arp_reply

log = logging.getLogger(__name__)

Claim = Callable[[IPv4Address, str, str], None]
"""Is told an address, the hardware address that answers for it, and the interface it was heard on."""

_BATCH = 64
_SO_ATTACH_FILTER = 26
# ARP replies alone: the requests of a busy segment are many, and say nothing.
_REPLIES = (
    (0x28, 0, 0, 12), (0x15, 0, 3, ETHERTYPE_ARP), (0x28, 0, 0, 20), (0x15, 0, 1, 2),
    (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
)  # fmt: skip


class ArpProbe:
    """One raw socket on all interfaces; it belongs to the loop it is opened in."""

    def __init__(self, on_claim: Claim) -> None:
        self._on_claim = on_claim
        self._raw: socket.socket | None = None

    def open(self) -> None:
        """Begin to hear answers; where this process may have no raw socket, nothing is asked."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            # On every interface, those to come included.
            raw = socket.socket(socket.AF_PACKET, kind, socket.htons(ETHERTYPE_ARP))
        except PermissionError:
            log.warning("no CAP_NET_RAW: addresses are offered without asking who uses them")
            return
        try:
            code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _REPLIES))
            program = struct.pack("HL", len(_REPLIES), ctypes.addressof(code))
            raw.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        except OSError as error:
            raw.close()
            log.warning("addresses are offered without asking who uses them: %s", error)
            return
        asyncio.get_running_loop().add_reader(raw, self._readable, raw)
        self._raw = raw

    def close(self) -> None:
        """Hear nothing more."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()

    def ask(self, address: IPv4Address, interface: Interface | None) -> bool:
        """Ask an interface's segment who uses an address; false where it cannot be asked."""
        if self._raw is None or interface is None or interface.mac is None or len(interface.mac) != 17:
            return False
        try:
            self._raw.sendto(arp_probe(interface.mac, address), (interface.name, ETHERTYPE_ARP))
        except OSError as error:
            log.debug("asking for %s on %s: %s", address, interface.name, error)
            return False
        return True

    def _readable(self, raw: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                frame, sender = raw.recvfrom(128)
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("ARP: %s", error)
                return
            claim = parse_arp_reply(frame)
            if claim is not None:
                self._on_claim(*claim, sender[0])
