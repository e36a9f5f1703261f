"""Sockets of the TFTP service: listening on every address, answering from the one that was asked."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

from app.netboot.wire import tftp
from app.services.listening import cannot_listen

Address = tuple[Any, ...]
"""A socket address as the kernel gives it: host and port, for IPv6 also flow and scope."""

_IP_PKTINFO = 8
_IP_MTU = 14
_IP_RECVERR = 11
_IPV6_MTU = 24
_IPV6_RECVERR = 25
_IPV6_RECVPKTINFO = 49
_IPV6_PKTINFO = 50
_PKTINFO = struct.Struct("=i4s4s")  # struct in_pktinfo: interface, local address, destination in the header
_PKTINFO6 = struct.Struct("=16si")  # struct in6_pktinfo: destination in the header, interface
_OVERHEAD = 20 + 8 + tftp.HEADER
_OVERHEAD6 = 40 + 8 + tftp.HEADER
_SAFE_BLOCK = 1400


@dataclass(frozen=True, slots=True)
class Arrived:
    """A packet, its sender, the local address it was sent to (empty for a broadcast) and the interface's index."""

    packet: bytes
    peer: Address
    local: str
    index: int


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises ConflictError where the port is taken, ForbiddenError without the right to it."""
    sock = _socket(address)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if sock.family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise cannot_listen(error, "UDP", address, port, "--tftp-port") from error
    return sock


def place(sock: socket.socket) -> str:
    """Where it listens, as an operator reads it."""
    host, port = sock.getsockname()[:2]
    return f"udp [{host}]:{port}" if ":" in host else f"udp {host}:{port}"


def receive(sock: socket.socket) -> Arrived:
    """The next packet. Raises OSError where nothing waits."""
    packet, ancillary, _, peer = sock.recvmsg(4096, 128)
    local, index = "", 0
    for level, kind, content in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            index, own, destination = _PKTINFO.unpack_from(content)
            local = socket.inet_ntoa(own) if own == destination else ""
        elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            own, index = _PKTINFO6.unpack_from(content)
            local = socket.inet_ntop(socket.AF_INET6, own) if own[0] != 0xFF else ""  # ff00::/8 is multicast
    return Arrived(packet, peer, local, index)


def sending(local: str, index: int = 0) -> socket.socket:
    """A socket on the address the machine asked, so that it recognises the answer (RFC 1122 3.3.4.2).

    `index` tells the interface, without which a link-local address names no place.
    """
    sock = _socket(local)
    try:
        sock.bind((local, 0, 0, index) if sock.family is socket.AF_INET6 else (local, 0))
    except OSError:
        sock.close()
        raise
    return sock


def hear_errors(sock: socket.socket) -> None:
    """Have ICMP errors that come back put into the socket's queue of errors."""
    if sock.family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def blksize_max(wanted: str, arrived: Arrived) -> int:
    """The largest block that crosses the way to the reader unfragmented: boot ROMs reassemble badly or not at all."""
    if not wanted.isdigit() or len(wanted) > 5 or int(wanted) <= _SAFE_BLOCK:
        return _SAFE_BLOCK
    try:
        with sending(arrived.local, arrived.index) as probe:
            probe.connect(arrived.peer)
            if probe.family is socket.AF_INET6:
                room = int(probe.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)) - _OVERHEAD6
            else:
                room = int(probe.getsockopt(socket.IPPROTO_IP, _IP_MTU)) - _OVERHEAD
    except OSError:
        return _SAFE_BLOCK
    return max(tftp.BLKSIZE_DEFAULT, min(tftp.BLKSIZE_MAX, room))


def _socket(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
