"""UDP that knows its arrival interface, and raw frames to who has no address yet (ip(7), packet(7))."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address

from app.errors import BootcartError, ConflictError, ForbiddenError
from app.model.engine import Interface
from app.netboot.exchange import Destination, Via
from app.netboot.wire.frames import ETHERTYPE_IPV4, ethernet_udp4

log = logging.getLogger(__name__)

# linux/in.h; the socket module has no names for them in Python 3.11.
_IP_PKTINFO = 8
_SO_RCVBUFFORCE = 33
_PKTINFO = struct.Struct("=I4s4s")

# Relays and our own addresses come again with every message.
_address = lru_cache(maxsize=4096)(IPv4Address)

_BUFFER = 4 * 1024 * 1024
_DATAGRAM_MAX = 4096


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram, where it came from and how it came in."""

    payload: bytes
    source: IPv4Address
    port: int
    index: int
    """Of the arrival interface."""
    destination: IPv4Address


def open_port(port: int) -> socket.socket:
    """A UDP socket on every address of this host. Raises BootcartError when the port cannot be had.

    Without SO_REUSEADDR, so that a port another server has is an error here, and not silence there.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        try:
            udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:
            # It takes CAP_NET_ADMIN to exceed the host's limit; within it is good enough.
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        udp.bind(("", port))
    except OSError as error:
        udp.close()
        raise _told(error, port) from error
    return udp


def _told(error: OSError, port: int) -> BootcartError:
    if error.errno == errno.EADDRINUSE:
        return ConflictError(
            f"UDP port {port} is taken by another program",
            hint=f"find it with `ss -lunp 'sport = :{port}'` and stop it, or disable this service",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ForbiddenError(
            f"UDP port {port} may not be used by this user",
            hint="start the engine with CAP_NET_BIND_SERVICE, as the launcher and the systemd unit do",
        )
    return BootcartError(f"UDP port {port} cannot be opened: {error.strerror}", hint="see the engine's log")


def open_frames() -> socket.socket | None:
    """A socket that sends raw frames and receives none; None where this process may not have one."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except PermissionError:
        log.warning("no CAP_NET_RAW: replies to machines without an address are broadcast")
        return None


def receive(udp: socket.socket) -> Datagram | None:
    """The next datagram; None when there is none, or what was there is the error of an earlier reply."""
    try:
        payload, ancillary, _, (host, port) = udp.recvmsg(_DATAGRAM_MAX, socket.CMSG_SPACE(_PKTINFO.size))
    except BlockingIOError:
        return None
    except OSError as error:
        log.debug("receiving: %s", error)
        return None
    index, destination = 0, b"\0\0\0\0"
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= _PKTINFO.size:
            index, _, destination = _PKTINFO.unpack_from(data)
    return Datagram(payload, _address(host), port, index, _address(destination))


class Sender:
    """Sends replies the way their destination says; counts what went how."""

    def __init__(self, udp: socket.socket, frames: socket.socket | None, counters: dict[str, int]) -> None:
        self._udp = udp
        self._frames = frames
        self._counters = counters
        self._port: int = udp.getsockname()[1]

    def send(self, octets: bytes, where: Destination, interfaces: Mapping[str, Interface]) -> bool:
        """Send one reply; false when it could not be sent, which the client's next try makes good."""
        interface = interfaces.get(where.interface)
        if where.via is Via.FRAME and interface is not None:
            if self._frame(octets, where, interface):
                return True
            self._counters["frame_fallback"] += 1
        broadcast = where.via in (Via.FRAME, Via.BROADCAST)
        if broadcast and interface is None:
            self._counters["send_failed"] += 1
            return False
        # A broadcast leaves where the request came in; what is unicast goes where the routes say.
        index = interface.index if broadcast and interface is not None else 0
        address = "255.255.255.255" if broadcast else str(where.address)
        pktinfo = _PKTINFO.pack(index, where.source.packed, b"\0\0\0\0")
        try:
            self._udp.sendmsg([octets], [(socket.IPPROTO_IP, _IP_PKTINFO, pktinfo)], 0, (address, where.port))
        except OSError as error:
            self._counters["send_failed"] += 1
            log.warning("a reply to %s on %s was not sent: %s", address, where.interface, error.strerror)
            return False
        self._counters["broadcast" if broadcast else "unicast"] += 1
        return True

    def _frame(self, octets: bytes, where: Destination, interface: Interface) -> bool:
        if self._frames is None or interface.mac is None:
            return False
        frame = ethernet_udp4(
            interface.mac, where.hardware.hex(":"), where.source, where.address, self._port, where.port, octets
        )
        try:
            self._frames.sendto(frame, (interface.name, ETHERTYPE_IPV4))
        except OSError as error:
            log.debug("a frame on %s was not sent: %s", interface.name, error)
            return False
        self._counters["frame"] += 1
        return True

    def close(self) -> None:
        """Close both sockets."""
        self._udp.close()
        if self._frames is not None:
            with contextlib.suppress(OSError):
                self._frames.close()
