"""Ranges that shrink, and subnets that go, under live leases: refused with a list, or drained."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import ConflictError
from app.model.subnet import LeaseState
from app.services.commands.layer import CommandLayer
from app.store.store import Store
from tests.store.stores import SetClock, commit, lease, until

RACK = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"]}


@pytest.fixture
def world(layer: CommandLayer, store: Store) -> CommandLayer:
    """10.7.0.120 and .130 are leased, .121 was released, .140 is reserved for who has it."""
    layer.create("op", "subnets", RACK)
    commit(store.leases, [lease(120), lease(130, hostname="web-1"), lease(121, state=LeaseState.RELEASED), lease(140)])
    mac = next(each.mac for each in store.directory.leases() if str(each.address) == "10.7.0.140")
    layer.create("op", "reservations", {"address": "10.7.0.140", "mac": mac})
    return layer


SMALLER = {"ranges": ["10.7.0.100-10.7.0.125", "10.7.0.150-10.7.0.200"]}


@pytest.mark.parametrize(
    ("name", "changes", "field", "left"),
    [
        ("smaller", SMALLER, "ranges", ["10.7.0.130"]),
        ("elsewhere", {"ranges": ["10.7.0.10-10.7.0.20"]}, "ranges", ["10.7.0.120", "10.7.0.130"]),
        ("reservations only", {"reservations_only": True}, "reservations_only", ["10.7.0.120", "10.7.0.130"]),
    ],
)
def test_a_change_that_leaves_leases_behind_is_refused_or_drains(
    world: CommandLayer, store: Store, name: str, changes: dict[str, Any], field: str, left: list[str]
) -> None:
    with pytest.raises(ConflictError) as raised:
        world.update("op", "subnets", "rack7", changes)

    assert raised.value.field == field
    assert [address in raised.value.message for address in left] == [True] * len(left)
    assert "10.7.0.140" not in raised.value.message
    assert "--drain" in raised.value.hint
    world.update("op", "subnets", "rack7", changes, drain=True)
    until(lambda: store.events.list(kind="subnet.draining").items)
    told = store.events.list(kind="subnet.draining").items
    assert [event.data["addresses"] for event in told] == [left]
    assert told[0].actor == "op"


@pytest.mark.parametrize("changes", [{"ranges": ["10.7.0.90-10.7.0.210"]}, {"lease_time": 60}, {"router": "10.7.0.1"}])
def test_what_leaves_none_behind_is_no_matter(world: CommandLayer, store: Store, changes: dict[str, Any]) -> None:
    world.update("op", "subnets", "rack7", changes)
    world.hold("op", on=True)
    until(lambda: store.events.list(kind="audit.action").items)

    assert not store.events.list(kind="subnet.draining").items


def test_a_lease_that_has_ended_holds_nothing_up(world: CommandLayer, clock: SetClock) -> None:
    clock.time += 10 * 86_400

    world.update("op", "subnets", "rack7", SMALLER)


def test_deleting_is_refused_or_drains(world: CommandLayer, store: Store) -> None:
    world.delete("op", "reservations", "10.7.0.140")
    with pytest.raises(ConflictError, match=r"3 live leases would be left behind: 10\.7\.0\.120"):
        world.delete("op", "subnets", "rack7")
    world.delete("op", "subnets", "rack7", drain=True)
    until(lambda: store.events.list(kind="subnet.draining").items)

    assert store.events.list(kind="subnet.draining").items[0].data["count"] == 3
    assert world.listing("subnets") == []
    assert len(world.listing("leases")) == 4


def test_undo_leaves_none_behind_either(layer: CommandLayer, store: Store) -> None:
    layer.create("op", "subnets", RACK)
    layer.update("op", "subnets", "rack7", {"ranges": ["10.7.0.100-10.7.0.250"]})
    commit(store.leases, [lease(240)])

    with pytest.raises(ConflictError, match=r"10\.7\.0\.240"):
        layer.undo("op")
