"""What the directory knows of IPv6: subnets and leases, in memory, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address

from app.clock import Clock
from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6, Subnet6


class Directory6:
    """Kept current by the store and the command layer after every commit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._subnets: tuple[Subnet6, ...] = ()
        self._leases: dict[IPv6Address, Lease6] = {}

    def subnets(self) -> Sequence[Subnet6]:
        """Every subnet, by network address. Replaced when one changes, never changed."""
        return self._subnets

    def subnet(self, name: str) -> Subnet6 | None:
        """The subnet of this name."""
        return next((subnet for subnet in self._subnets if subnet.name == name), None)

    def leases(self) -> Sequence[Lease6]:
        """Every stored lease, of any state, expired ones too."""
        with self._lock:
            return tuple(self._leases.values())

    def lease(self, address: IPv6Address) -> Lease6 | None:
        """The stored lease of this address, of any state."""
        return self._leases.get(address)

    def lease_at(self, address: IPv6Address) -> Lease6 | None:
        """Who holds this address now."""
        lease = self._leases.get(address)
        live = lease is not None and lease.state is LeaseState.BOUND and lease.expires > self._clock.now()
        return lease if live else None

    def put_subnet(self, before: Subnet6 | None, after: Subnet6 | None) -> None:
        """A subnet was stored in place of another; None: there is none."""
        with self._lock:
            gone = before.name if before is not None else None
            left = [each for each in self._subnets if each.name != gone]
            self._subnets = tuple(sorted((*left, *([after] if after else [])), key=lambda each: each.cidr))

    def put_leases(self, leases: Iterable[Lease6]) -> None:
        """Leases were stored."""
        with self._lock:
            self._leases.update({lease.address: lease for lease in leases})

    def drop_lease(self, address: IPv6Address) -> None:
        """A lease was deleted."""
        with self._lock:
            self._leases.pop(address, None)
