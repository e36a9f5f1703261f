"""Taking commands back: the inverse of each, refused when the object changed since, itself to be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.errors import ConflictError, InvalidError, NotFoundError
from app.model.inventory import Inventory
from app.model.machine import Machine
from app.services.commands.layer import CommandLayer
from app.store.store import Store
from tests.store.stores import commit, lease, mac

RACK = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"]}
KEPT = {"address": "10.7.0.50", "mac": mac(1)}
NODE = {"name": "node", "macs": [mac(7)]}
NOUNS = ("machines", "profiles", "subnets", "reservations", "leases", "prefs")


def _state(layer: CommandLayer) -> list[Any]:
    return [layer.listing(noun) for noun in NOUNS]


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.create(
            "op", "subnets", {**RACK, "name": "new", "cidr": "10.9.0.0/24", "ranges": [], "mode": "off"}
        ),
        lambda layer: layer.update("op", "subnets", "rack7", {"lease_time": 60}),
        lambda layer: layer.create("op", "reservations", {"address": "10.7.0.51", "mac": mac(2)}),
        lambda layer: layer.update("op", "reservations", "10.7.0.50", {"mac": mac(3), "never_boot": True}),
        lambda layer: layer.update("op", "reservations", "10.7.0.50", {"address": "10.7.0.61", "hostname": "moved"}),
        lambda layer: layer.delete("op", "reservations", "10.7.0.50"),
        lambda layer: layer.create("op", "profiles", {"name": "berlin"}),
        lambda layer: layer.update("op", "profiles", "storage", {"options": {"interface-mtu": 1400}}),
        lambda layer: layer.delete("op", "profiles", "storage"),
        lambda layer: layer.update("op", "machines", "node", {"profiles": ["storage"]}),
        lambda layer: layer.create("op", "machines", {"name": "another", "macs": [mac(9)]}),
        lambda layer: layer.update("op", "machines", "node", {"name": "n2", "macs": [mac(7), mac(8)], "held": True}),
        lambda layer: layer.delete("op", "machines", "node"),
        lambda layer: layer.assign("op", "node", "debian-12"),
        lambda layer: layer.update("op", "prefs", "unknown-bootenv", {"value": "local"}),
        lambda layer: layer.delete("op", "leases", "10.7.0.120"),
    ],
)
def test_there_and_back_and_there_again(
    layer: CommandLayer, store: Store, change: Callable[[CommandLayer], Any]
) -> None:
    layer.create("op", "subnets", RACK)
    layer.create("op", "reservations", KEPT)
    layer.create("op", "profiles", {"name": "storage", "options": {"interface-mtu": 9000}})
    layer.create("op", "machines", NODE)
    commit(store.leases, [lease(120)])
    before = _state(layer)
    change(layer)
    after = _state(layer)
    done = layer.commands()[-1]
    assert after != before

    undo = layer.undo("other")
    assert _state(layer) == before
    assert (undo.verb, undo.undoes, undo.actor, undo.noun) == ("undo", done.id, "other", done.noun)
    assert undo.summary == f"undo of {done.id} ({done.summary})"
    with pytest.raises(ConflictError, match=f"already taken back by {undo.id}"):
        layer.undo("op", done.id)

    again = layer.undo("op", undo.id)
    assert (again.verb, again.summary) == ("redo", f"redo of {done.id} ({done.summary})")
    assert _state(layer) == after
    # What was undone stands again, and can be taken back again.
    assert layer.undo("op", again.id).id == layer.commands()[-1].id
    assert _state(layer) == before


def test_without_a_number_the_newest_goes_first(layer: CommandLayer) -> None:
    for number in range(3):
        layer.create("op", "reservations", {"address": f"10.7.0.{number}", "mac": mac(number)})

    assert [layer.undo("op").undoes for _ in range(3)] == [3, 2, 1]
    with pytest.raises(NotFoundError, match="no command to take back"):
        layer.undo("op")
    with pytest.raises(NotFoundError, match="no command 77"):
        layer.undo("op", 77)


def test_undo_and_redo_name_the_command_they_are_about_however_often(layer: CommandLayer) -> None:
    layer.create("op", "subnets", RACK)
    done = layer.commands()[-1]
    undo = layer.undo("op")

    for by_number in (True, True, False, True, False):
        redo = layer.undo("op", undo.id)
        assert redo.summary == f"redo of {done.id} ({done.summary})"
        assert _undone_by(layer, done.id, redo.id) == [None, None]
        # The number of the redo, or none for the newest that can be taken back: it is the same.
        undo = layer.undo("op", redo.id if by_number else None)
        assert undo.summary == f"undo of {done.id} ({done.summary})"
        assert _undone_by(layer, done.id, redo.id) == [undo.id, undo.id]
    with pytest.raises(NotFoundError, match="no command to take back"):
        layer.undo("op")


def _undone_by(layer: CommandLayer, *numbers: int) -> list[int | None]:
    log = {each.id: each.undone_by for each in layer.commands()}
    return [log[number] for number in numbers]


def test_a_reservation_that_moved_is_found_where_it_went(layer: CommandLayer) -> None:
    layer.create("op", "reservations", KEPT)
    layer.update("op", "reservations", "10.7.0.50", {"address": "10.7.0.51"})
    with pytest.raises(ConflictError, match=r"reservation 10\.7\.0\.50 has become 10\.7\.0\.51, by command 2 "):
        layer.undo("op", 1)
    layer.update("op", "reservations", "10.7.0.51", {"hostname": "a"})
    with pytest.raises(ConflictError, match="was changed since, by command 3 "):
        layer.undo("op", 2)

    for _ in range(3):
        layer.undo("op")
    assert layer.listing("reservations") == []


def test_what_changed_since_is_not_overwritten(layer: CommandLayer) -> None:
    layer.create("op", "subnets", RACK)
    layer.update("op", "subnets", "rack7", {"lease_time": 60})
    layer.update("op", "subnets", "rack7", {"domain": "lab"})
    before = _state(layer)

    for number in (1, 2):
        with pytest.raises(ConflictError, match="was changed since, by command 3 ") as caught:
            layer.undo("op", number)
        assert "take back 3 first" in caught.value.hint
    assert _state(layer) == before
    layer.undo("op")
    layer.undo("op")
    layer.undo("op")
    assert layer.listing("subnets") == []


def test_what_is_gone_or_there_again_is_told(layer: CommandLayer) -> None:
    layer.create("op", "reservations", KEPT)
    layer.update("op", "reservations", "10.7.0.50", {"hostname": "a"})
    layer.delete("op", "reservations", "10.7.0.50")
    layer.create("op", "reservations", KEPT)

    with pytest.raises(ConflictError, match="exists again, by command 4"):
        layer.undo("op", 3)
    layer.delete("op", "reservations", "10.7.0.50")
    with pytest.raises(ConflictError, match="was deleted since"):
        layer.undo("op", 2)


def test_an_undo_obeys_the_rules(layer: CommandLayer, store: Store) -> None:
    layer.create("op", "reservations", KEPT)
    layer.delete("op", "reservations", "10.7.0.50")
    layer.create("op", "reservations", {**KEPT, "address": "10.7.0.51"})
    with pytest.raises(ConflictError, match=r"already has the reservation 10\.7\.0\.51"):
        layer.undo("op", 2)

    layer.create("op", "subnets", RACK)
    with pytest.raises(ConflictError, match="in use"):
        layer.undo("op")

    layer.create("op", "machines", {**NODE, "bootenv": "debian-12"})
    layer.assign("op", "node", "")
    store.directory.set_bootenvs([])
    with pytest.raises(InvalidError, match="no boot environment 'debian-12'"):
        layer.undo("op")


def _node(store: Store) -> Machine:
    return next(iter(store.directory.machines()))


def test_what_a_machine_reports_neither_hinders_nor_is_lost(layer: CommandLayer, store: Store) -> None:
    layer.create("op", "machines", NODE)
    layer.assign("op", "node", "debian-12")
    before = _node(store)
    told = before.model_copy(update={"inventory": Inventory(kernel="6.1"), "macs": (mac(7), mac(8)), "heartbeat": 5.0})
    layer.report("machine:node", [(before, told)], "told")

    layer.undo("op")

    assert _node(store) == told.model_copy(update={"bootenv": ""})
    with pytest.raises(ConflictError, match="has reported since"):
        layer.undo("op", 1)


def test_an_assignment_that_made_the_record(layer: CommandLayer, store: Store) -> None:
    """Taken back at once, the record goes; once the machine has told of itself, only the assignment does."""
    from tests.services.commands.test_layer import STRANGER, Wire

    layer.roster = Wire(store.directory)
    layer.assign("op", f"Mac:{STRANGER}", "debian-12")
    undo = layer.undo("op")
    assert store.directory.machines() == ()

    layer.undo("op", undo.id)
    before = _node(store)
    told = before.model_copy(update={"inventory": Inventory(kernel="6.1")})
    layer.report("machine:x", [(before, told)], "told")
    layer.undo("op", 1)
    assert _node(store) == told.model_copy(update={"bootenv": ""})
