"""What the DHCP service needs of who stores leases and who wants to know of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Protocol

from app.model.subnet import Lease


class LeaseJournal(Protocol):
    """Makes leases durable."""

    def commit(self, leases: Sequence[Lease], done: Callable[[BaseException | None], None]) -> None:
        """Store all of `leases` or none; returns at once. `done` is called once, from any thread."""
        ...


def ignore_leases(leases: Sequence[Lease]) -> None:
    """Nobody wants to know of leases."""
    del leases


def ignore_learned(mac: str, address: IPv4Address) -> None:
    """Nobody wants to know of addresses that another server gave."""
    del mac, address
