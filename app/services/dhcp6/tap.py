"""What a recorder hears of the DHCPv6 port: every message as it came and as it went."""

from __future__ import annotations

from typing import Protocol


class Tap(Protocol):
    """Called in the service's loop: it keeps what it is given and returns."""

    def __call__(
        self,
        protocol: str,
        incoming: bool,
        octets: bytes,
        machine: tuple[str, int],
        our: tuple[str, int],
        *,
        mac: str = "",
        interface: str = "",
    ) -> object:
        """`machine` and `our` are address and port of both ends; `mac` is whose it is, where that is known."""
        ...


def no_tap(
    protocol: str,
    incoming: bool,
    octets: bytes,
    machine: tuple[str, int],
    our: tuple[str, int],
    *,
    mac: str = "",
    interface: str = "",
) -> None:
    """Nobody records."""
    del protocol, incoming, octets, machine, our, mac, interface
