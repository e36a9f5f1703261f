"""Addresses that pass from one machine to another: an address is its machine's that has the lease; both are named."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

from app.clock import Clock
from app.model.event import EventDraft, Level
from app.model.machine import Machine, machine_name_for
from app.model.subnet import Lease, LeaseState
from app.netboot.words import plain
from app.store.directory import Directory

TOLD_MAX = 4096


class AddressWatch:
    """Tells once of each address that a machine gets while another is on record, or leased, with it. Never blocks."""

    def __init__(
        self,
        directory: Directory,
        emit: Callable[[EventDraft], None],
        clock: Clock,
        alive: Callable[[uuid.UUID], bool],
    ) -> None:
        self._directory = directory
        self._emit = emit
        self._clock = clock
        self._alive = alive
        self._told: dict[tuple[IPv4Address, str, uuid.UUID], None] = {}

    def leased(self, leases: Sequence[Lease]) -> None:
        """Leases were stored; called in the DHCP service's thread."""
        for lease in leases:
            if lease.state is LeaseState.BOUND and lease.mac:
                self.took(lease.address, lease.mac)

    def took(self, address: IPv4Address, mac: str) -> None:
        """The machine with this MAC address has the address now."""
        for other in self._directory.machines_at(address):
            key = (address, mac, other.id)
            if mac in other.macs or key in self._told:
                continue
            self._told[key] = None
            while len(self._told) > TOLD_MAX:
                del self._told[next(iter(self._told))]
            self._tell(address, mac, other)

    def _tell(self, address: IPv4Address, mac: str, other: Machine) -> None:
        machine = self._directory.machine_by_mac(mac)
        name = machine.name if machine is not None else machine_name_for(mac)
        alive = self._alive(other.id)
        state = "whose agent is heard" if alive else "which was last known there"
        self._emit(
            EventDraft(
                time=self._clock.now(),
                kind="machine.address",
                message=plain(f"{address} is {name}'s now; it was that of {other.name}, {state}", 300),
                level=Level.WARNING if alive else Level.INFO,
                mac=mac,
                machine=machine.id if machine is not None else None,
                address=str(address),
                data={"address": str(address), "name": name, "other": other.name, "alive": alive},
            )
        )


def current_address(machine: Machine, held: Sequence[Lease], directory: Directory) -> IPv4Address | None:
    """The address a machine has: that of its newest lease; that on record, unless it is another's by now."""
    if held:
        return max(held, key=lambda lease: lease.since).address
    if machine.address is None:
        return None
    lease = directory.lease_at(machine.address)
    return None if lease is not None and lease.mac and lease.mac not in machine.macs else machine.address
