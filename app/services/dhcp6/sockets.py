"""One UDP socket that hears DHCPv6's multicast groups on chosen interfaces alone (ipv6(7), RFC 8415 section 7.1)."""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address

from app.netboot.dhcp6.exchange import ALL_SERVERS, SITE_SERVERS
from app.services.listening import cannot_listen

log = logging.getLogger(__name__)

# linux/in6.h; the socket module has no names for them in Python 3.11.
_IPV6_MULTICAST_ALL = 29
_IPV6_RECVPKTINFO = 49
_IPV6_PKTINFO = 50
_PKTINFO = struct.Struct("=16si")
_MEMBER = struct.Struct("=16si")
_DATAGRAM_MAX = 4096
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram, where it came from and how it came in."""

    payload: bytes
    source: IPv6Address
    port: int
    index: int
    """Of the arrival interface."""
    destination: IPv6Address


class Port:
    """The socket; belongs to the loop that reads it."""

    def __init__(self, port: int) -> None:
        """Take the port. Raises ConflictError where it is taken, ForbiddenError without the right to it."""
        self.sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._joined: dict[int, str] = {}
        try:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            # Groups that other sockets of this host are in are none of ours.
            self.sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self.sock.bind(("::", port))
        except OSError as error:
            self.sock.close()
            raise cannot_listen(error, "UDP", "::", port, "--dhcp6-port") from error
        self.number: int = self.sock.getsockname()[1]

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Those whose groups it hears."""
        return tuple(self._joined.values())

    def follow(self, wanted: Iterable[tuple[int, str]]) -> None:
        """Hear the groups on these interfaces (index and name), and on no others."""
        want = dict(wanted)
        for index in [each for each in self._joined if each not in want]:
            del self._joined[index]
            self._member(socket.IPV6_LEAVE_GROUP, index)
        for index, name in want.items():
            if index not in self._joined and self._member(socket.IPV6_JOIN_GROUP, index):
                self._joined[index] = name

    def _member(self, option: int, index: int) -> bool:
        done = True
        for group in (ALL_SERVERS, SITE_SERVERS):
            try:
                self.sock.setsockopt(socket.IPPROTO_IPV6, option, _MEMBER.pack(group.packed, index))
            except OSError as error:
                # What is gone took its groups along; what is no more than half there is tried again.
                if error.errno != errno.EADDRINUSE:
                    log.debug("interface %d and group %s: %s", index, group, error)
                    done = False
        return done

    def receive(self) -> Datagram | None:
        """The next datagram; None when there is none, or what was there is the error of an earlier reply."""
        try:
            payload, ancillary, _, peer = self.sock.recvmsg(_DATAGRAM_MAX, socket.CMSG_SPACE(_PKTINFO.size))
        except BlockingIOError:
            return None
        except OSError as error:
            log.debug("receiving: %s", error)
            return None
        index, destination = 0, bytes(16)
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO and len(data) >= _PKTINFO.size:
                destination, index = _PKTINFO.unpack_from(data)
        return Datagram(payload, IPv6Address(peer[0].partition("%")[0]), peer[1], index, IPv6Address(destination))

    def send(self, octets: bytes, asked: Datagram, port: int) -> bool:
        """Send one reply to who sent `asked`, from the address that was asked. False when it could not be sent."""
        address, own = asked.source, asked.destination
        index = asked.index if address.is_link_local else 0
        source = bytes(16) if own.is_multicast or own.is_link_local != address.is_link_local else own.packed
        pktinfo = (socket.IPPROTO_IPV6, _IPV6_PKTINFO, _PKTINFO.pack(source, index))
        try:
            self.sock.sendmsg([octets], [pktinfo], 0, (str(address), port, 0, index))
        except OSError as error:
            log.warning("a DHCPv6 reply to %s was not sent: %s", address, error.strerror)
            return False
        return True

    def close(self) -> None:
        """Give the port back."""
        self._joined.clear()
        self.sock.close()
