"""Sockets of the TFTP service: listening on every address, answering from the one that was asked."""

from __future__ import annotations

import errno
import socket
import struct

from app.errors import BootcartError, ConflictError, ForbiddenError, UnavailableError
from app.netboot.wire import tftp

_IP_PKTINFO = 8
_IP_MTU = 14
_PKTINFO = struct.Struct("=i4s4s")  # struct in_pktinfo: interface, local address, destination in the header
_OVERHEAD = 20 + 8 + tftp.HEADER
_SAFE_BLOCK = 1400


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises ConflictError where the port is taken, ForbiddenError without the right to it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise _cannot_listen(error, address, port) from error
    return sock


def receive(sock: socket.socket) -> tuple[bytes, tuple[str, int], str, int]:
    """The next packet: its octets, its sender, the local address it was sent to, the index of its interface.

    The local address is empty for a broadcast. Raises OSError where nothing waits.
    """
    packet, ancillary, _, peer = sock.recvmsg(4096, 128)
    local, index = "", 0
    for level, kind, content in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            index, own, destination = _PKTINFO.unpack_from(content)
            local = socket.inet_ntoa(own) if own == destination else ""
    return packet, (str(peer[0]), int(peer[1])), local, index


def sending(local: str) -> socket.socket:
    """A socket on the address the machine asked, so that it recognises the answer (RFC 1122 3.3.4.2)."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind((local, 0))
    except OSError:
        sock.close()
        raise
    return sock


def blksize_max(wanted: str, local: str, peer: tuple[str, int]) -> int:
    """The largest block that crosses the way to the reader unfragmented: boot ROMs reassemble badly or not at all."""
    if not wanted.isdigit() or len(wanted) > 5 or int(wanted) <= _SAFE_BLOCK:
        return _SAFE_BLOCK
    try:
        with sending(local) as probe:
            probe.connect(peer)
            mtu = int(probe.getsockopt(socket.IPPROTO_IP, _IP_MTU))
    except OSError:
        return _SAFE_BLOCK
    return max(tftp.BLKSIZE_DEFAULT, min(tftp.BLKSIZE_MAX, mtu - _OVERHEAD))


def _cannot_listen(error: OSError, address: str, port: int) -> BootcartError:
    where = f"UDP port {port} on {address}"
    if error.errno == errno.EADDRINUSE:
        hint = f"stop the other TFTP server (ss -lunp 'sport = :{port}' names it), or choose another --tftp-port"
        return ConflictError(f"{where} is taken by another program", hint=hint, field="tftp_port")
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "run as root or with CAP_NET_BIND_SERVICE, or choose a --tftp-port above 1023"
        return ForbiddenError(f"{where} may not be used by this user", hint=hint, field="tftp_port")
    hint = "check that the address is this host's"
    return UnavailableError(f"{where} cannot be used: {error.strerror}", hint=hint, field="tftp_port")
