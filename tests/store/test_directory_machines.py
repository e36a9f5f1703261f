"""Machines are found by what no two of them share, whatever was changed since."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address

from app.model.machine import Machine
from app.store.store import Store
from tests.store.stores import mac

ADDRESS, OTHER = IPv4Address("10.7.0.5"), IPv4Address("10.7.0.6")


def test_a_machine_is_found_by_the_name_and_address_it_has_now(store: Store) -> None:
    directory = store.directory
    first = Machine(id=uuid.uuid4(), name="Node1", macs=(mac(1),), address=ADDRESS)
    directory.put(None, first)
    assert directory.machine_named("node1") is first
    assert directory.machines_at(ADDRESS) == (first,)

    renamed = first.model_copy(update={"name": "node2", "address": OTHER})
    directory.put(first, renamed)
    assert directory.machine_named("node1") is None
    assert directory.machine_named("NODE2") is renamed
    assert (directory.machines_at(ADDRESS), directory.machines_at(OTHER)) == ((), (renamed,))

    second = Machine(id=uuid.uuid4(), name="node1", macs=(mac(2),), address=OTHER)
    directory.put(None, second)
    assert directory.machines_at(OTHER) == (renamed, second)
    directory.put(renamed, None)
    assert (directory.machine_named("node2"), directory.machines_at(OTHER)) == (None, (second,))
    assert directory.machines_at(None) == ()
