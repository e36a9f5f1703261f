"""A machine's address follows its lease; two machines on one address are told of, both by name."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address
from typing import Any

import pytest

from app.model.event import EventDraft, Level
from app.model.machine import Machine, machine_id_for
from app.model.subnet import Lease, LeaseState
from app.services.machines.addresses import AddressWatch, current_address
from app.store.store import Store
from tests.services.machines.conftest import World
from tests.store.stores import SetClock

NOW = 1_700_000_000.0
ADDRESS = IPv4Address("10.7.0.120")
OURS, THEIRS = "52:54:00:00:00:07", "52:54:00:00:00:08"


def machine(mac: str, name: str, address: IPv4Address | None = None) -> Machine:
    return Machine(id=machine_id_for(mac), name=name, macs=(mac,), address=address)


def lease(mac: str, address: IPv4Address = ADDRESS, **changes: Any) -> Lease:
    fields: dict[str, Any] = {"address": address, "mac": mac, "since": NOW - 10, "expires": NOW + 600, **changes}
    return Lease(**fields)


class Watched:
    """An AddressWatch over two records: node-07 has the lease, node-08 is on record with the address."""

    def __init__(self, store: Store) -> None:
        self.directory = store.directory
        self.said: list[EventDraft] = []
        self.live: set[uuid.UUID] = set()
        self.watch = AddressWatch(self.directory, self.said.append, SetClock(NOW), self.live.__contains__)
        self.ours, self.theirs = machine(OURS, "node-07"), machine(THEIRS, "node-08", ADDRESS)
        for each in (self.ours, self.theirs):
            self.directory.put(None, each)


@pytest.fixture
def watched(world: World) -> Watched:
    return Watched(world.store)


def test_both_are_named_once(watched: Watched) -> None:
    for _ in range(3):
        watched.watch.leased([lease(OURS)])

    (event,) = watched.said
    assert event.message == "10.7.0.120 is node-07's now; it was that of node-08, which was last known there"
    assert (event.kind, event.level, event.mac, event.machine) == ("machine.address", Level.INFO, OURS, watched.ours.id)
    assert event.data == {"address": "10.7.0.120", "name": "node-07", "other": "node-08", "alive": False}


def test_it_is_a_warning_while_the_other_is_heard(watched: Watched) -> None:
    watched.live.add(watched.theirs.id)
    watched.watch.leased([lease(OURS)])

    assert (watched.said[0].level, watched.said[0].data["alive"]) == (Level.WARNING, True)


def test_a_stranger_is_named_as_it_is_listed(watched: Watched) -> None:
    watched.watch.took(ADDRESS, "52:54:00:00:00:99")

    assert watched.said[0].data["name"] == "d52-54-00-00-00-99"


@pytest.mark.parametrize(
    "told",
    [
        lease(THEIRS),
        lease(OURS, IPv4Address("10.7.0.121")),
        lease(OURS, state=LeaseState.RELEASED),
        lease("", client_id="ff00"),
    ],
)
def test_what_is_no_matter(watched: Watched, told: Lease) -> None:
    watched.watch.leased([told])

    assert watched.said == []


def test_the_address_follows_the_lease(watched: Watched) -> None:
    directory = watched.directory
    directory._clock = SetClock(NOW)  # pyright: ignore[reportPrivateUsage]

    def now(each: Machine) -> str:
        held = [found for mac in each.macs if (found := directory.lease_of(mac)) is not None]
        return str(current_address(each, held, directory))

    assert (now(watched.ours), now(watched.theirs)) == ("None", "10.7.0.120")
    directory.put_leases([lease(OURS)])
    assert (now(watched.ours), now(watched.theirs)) == ("10.7.0.120", "None")
    directory.put_leases([lease(THEIRS, IPv4Address("10.7.0.121"))])
    assert (now(watched.ours), now(watched.theirs)) == ("10.7.0.120", "10.7.0.121")
