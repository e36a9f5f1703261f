"""What a recorder hears of a port: every datagram as it came and as it went."""

from __future__ import annotations

from typing import Protocol

from app.netboot.exchange import Destination
from app.services.dhcp.sockets import Datagram


class Tap(Protocol):
    """Called for each datagram, in the service's thread: it keeps the two values and returns, within a microsecond."""

    def __call__(self, interface: str, octets: bytes, way: Datagram | Destination, /) -> object:
        """`octets` came in as the Datagram says, or went out as the Destination says."""
        ...


def no_tap(interface: str, octets: bytes, way: Datagram | Destination, /) -> None:
    """Nobody records."""
    del interface, octets, way
