"""The command layer: each change leaves one entry, one event and the directory as it says."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

import pytest

from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError, UnavailableError
from app.model.inventory import Inventory, System
from app.model.machine import Machine, machine_id_for, machine_name_for
from app.model.subnet import Lease, LeaseState, Subnet
from app.services.commands.layer import Change, CommandLayer
from app.store.directory import Directory
from app.store.store import Store, open_store
from tests.store.stores import SetClock, commit, lease, mac, until

RACK = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"]}
STRANGER = mac(0x99)


class Wire:
    """A roster with one machine that was only seen on the wire."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.alive_ones: set[uuid.UUID] = set()
        self.strangers = {
            machine_id_for(STRANGER): Machine(
                id=machine_id_for(STRANGER), name=machine_name_for(STRANGER), macs=(STRANGER,), registered=False
            )
        }

    def known(self) -> Sequence[Machine]:
        records = self.directory.machines()
        ids = {machine.id for machine in records}
        return (*records, *(each for each in self.strangers.values() if each.id not in ids))

    def seen(self, machine: Machine) -> Machine:
        return machine

    def revealed(self, machine: Machine) -> Machine:
        return machine

    def alive(self, machine: uuid.UUID) -> bool:
        return machine in self.alive_ones

    def forget(self, machine: uuid.UUID) -> None:
        self.strangers.pop(machine, None)


@pytest.fixture
def wire(layer: CommandLayer, store: Store) -> Wire:
    roster = Wire(store.directory)
    layer.roster = roster
    return roster


def _events(store: Store, kind: str, count: int) -> list[Any]:
    until(lambda: sum(each.kind.startswith(kind) for each in store.events.tail()) >= count)
    return [each for each in store.events.tail() if each.kind.startswith(kind)]


def test_every_change_is_stored_logged_told_and_heard(layer: CommandLayer, store: Store, clock: SetClock) -> None:
    heard: list[Change] = []
    layer.listen(heard.append)
    made = layer.create("op@tty1", "subnets", RACK)
    clock.time += 1
    changed = layer.update("op@tty1", "subnets", "rack7", {"lease_time": 7200, "domain": "lab"})
    gone = layer.delete("op@tty2", "subnets", "Name:RACK7")

    assert gone == changed
    assert store.directory.subnets() == ()
    rack, then, now = "subnet rack7 (10.7.0.0/24)", clock.time - 1, clock.time
    assert [(c.verb, c.noun, c.key, c.actor, c.time, c.summary) for c in layer.commands()] == [
        ("create", "subnets", "rack7", "op@tty1", then, f"created {rack}"),
        ("update", "subnets", "rack7", "op@tty1", now, f"changed {rack}: domain none → lab, lease_time 3600 → 7200"),
        ("delete", "subnets", "rack7", "op@tty2", now, f"deleted {rack}"),
    ]
    assert [Subnet.model_validate(c.after) for c in layer.commands()[:2]] == [made, changed]
    audits = _events(store, "audit.", 3)
    assert [(each.kind, each.actor, each.data) for each in audits] == [
        ("audit.create", "op@tty1", {"noun": "subnets", "key": "rack7"}),
        ("audit.update", "op@tty1", {"noun": "subnets", "key": "rack7", "changes": ["domain", "lease_time"]}),
        ("audit.delete", "op@tty2", {"noun": "subnets", "key": "rack7"}),
    ]
    assert [(each.before, each.after) for each in heard] == [(None, made), (made, changed), (changed, None)]


def test_a_change_that_changes_nothing_leaves_no_entry(layer: CommandLayer) -> None:
    made = layer.create("op", "subnets", RACK)

    assert layer.update("op", "subnets", "rack7", made.model_dump(mode="json")) == made
    assert len(layer.commands()) == 1


def test_null_gives_a_field_its_default(layer: CommandLayer) -> None:
    layer.create("op", "subnets", {**RACK, "lease_time": 600, "router": "10.7.0.1"})

    found = layer.update("op", "subnets", "rack7", {"lease_time": None, "router": None})

    assert isinstance(found, Subnet)
    assert (found.lease_time, found.router) == (3600, None)


def test_all_is_there_after_a_restart(layer: CommandLayer, store: Store, clock: SetClock) -> None:
    layer.create("op", "subnets", RACK)
    layer.create("op", "reservations", {"address": "10.7.0.50", "mac": mac(1)})
    layer.create("op", "machines", {"name": "node", "macs": [mac(1)]})
    layer.update("op", "prefs", "known-token-timeout", {"value": 900})
    expected = [layer.listing(noun) for noun in ("subnets", "reservations", "machines", "prefs")]
    commands = layer.commands()
    store.close()

    reopened = open_store(store.database.data_dir, clock)
    again = CommandLayer(reopened.database, reopened.directory, reopened.events, clock)
    found = [again.listing(noun) for noun in ("subnets", "reservations", "machines", "prefs")]
    log = again.commands()
    reopened.close()

    assert found == expected
    assert log == commands
    assert reopened.directory.preference("known-token-timeout") == "900"


def test_a_machine_made_by_hand_is_the_one_the_wire_shows_later(layer: CommandLayer) -> None:
    made = layer.create("op", "machines", {"macs": [mac(7).upper().replace(":", "-")]})

    assert isinstance(made, Machine)
    assert (made.id, made.name, made.macs) == (machine_id_for(mac(7)), machine_name_for(mac(7)), (mac(7),))


@pytest.mark.parametrize(
    ("noun", "key", "expected"),
    [
        ("machines", "node", "node"),
        ("machines", "NODE", "node"),
        ("machines", "Name:node", "node"),
        ("machines", str(machine_id_for(mac(7))), "node"),
        ("machines", "Mac:525400000007", "node"),
        ("machines", "mac:52-54-00-00-00-08", "node"),
        ("machines", "Address:10.7.0.120", "node"),
        ("machines", "Uuid:4C4C4544-0042-3510-8052-B4C04F4D3532", "node"),
        ("machines", f"Uuid:{machine_id_for(mac(7))}", "node"),
        ("machines", f"Mac:{STRANGER}", machine_name_for(STRANGER)),
        ("machines", machine_name_for(STRANGER), machine_name_for(STRANGER)),
        ("subnets", "rack7", "rack7"),
        ("subnets", "Cidr:10.7.0.0/24", "rack7"),
        ("bootenvs", "local", "local"),
        ("prefs", "Name:loader-bios", "loader-bios"),
    ],
)
def test_finding(layer: CommandLayer, store: Store, wire: Wire, noun: str, key: str, expected: str) -> None:
    _populate(layer, store)

    found = layer.resolve(noun, key)

    assert getattr(found, "name", "") == expected


@pytest.mark.parametrize(
    ("noun", "key", "error", "words"),
    [
        ("machines", "nod", NotFoundError, "did you mean node?"),
        ("machines", "52:54:00:00:00:07", NotFoundError, "write Mac:52:54:00:00:00:07"),
        ("machines", "10.7.0.120", NotFoundError, "write Address:10.7.0.120"),
        ("machines", "Colour:red", InvalidError, "Id:, Name:, Mac:, Address:, Uuid:"),
        ("machines", "Uuid:", NotFoundError, ""),
        ("machines", "", NotFoundError, ""),
        ("machines", "twin", ConflictError, "fits several"),
        ("subnets", "rack8", NotFoundError, "did you mean rack7?"),
        ("leases", "x", NotFoundError, "leases list"),
        ("nonsense", "x", NotFoundError, "one of machines"),
    ],
)
def test_finding_nothing(
    layer: CommandLayer, store: Store, wire: Wire, noun: str, key: str, error: type[BootcartError], words: str
) -> None:
    _populate(layer, store)
    layer.create("op", "machines", {"name": "twin"})
    wire.strangers[uuid.uuid4()] = Machine(id=uuid.uuid4(), name="Twin", macs=(mac(0x98),), registered=False)

    with pytest.raises(error) as caught:
        layer.resolve(noun, key)

    assert words in str(caught.value)


def _populate(layer: CommandLayer, store: Store) -> None:
    layer.create("op", "subnets", RACK)
    layer.create("op", "machines", {"name": "node", "macs": [mac(7), mac(8)]})
    record = store.directory.machine(machine_id_for(mac(7)))
    assert record is not None
    system = System(uuid="4c4c4544-0042-3510-8052-b4c04f4d3532")
    layer.report("machine:node", [(record, record.model_copy(update={"inventory": Inventory(system=system)}))], "told")
    commit(store.leases, [lease(120, mac=mac(8))])


def test_what_machines_report_is_told_but_not_in_the_log(layer: CommandLayer, store: Store) -> None:
    _populate(layer, store)

    assert [each.verb for each in layer.commands()] == ["create", "create"]
    assert [each.actor for each in _events(store, "audit.update", 1)] == ["machine:node"]


def test_a_report_may_not_take_what_is_anothers(layer: CommandLayer, store: Store) -> None:
    _populate(layer, store)
    other = Machine(id=uuid.uuid4(), name="other", macs=(mac(8),))
    with pytest.raises(ConflictError, match="belongs to machine node"):
        layer.report("machine:other", [(None, other)], "x")
    record = store.directory.machine(machine_id_for(mac(7)))
    assert record is not None
    stale = record.model_copy(update={"description": "old"})
    with pytest.raises(ConflictError, match="in the meantime"):
        layer.report("machine:node", [(stale, record)], "x")


def test_assigning_to_a_stranger_makes_its_record(
    layer: CommandLayer, store: Store, wire: Wire, clock: SetClock
) -> None:
    found = layer.assign("op", machine_name_for(STRANGER), "debian-12")

    assert (found.id, found.registered, found.bootenv) == (machine_id_for(STRANGER), True, "debian-12")
    assert found.created == clock.time
    assert store.directory.machine_by_mac(STRANGER) == found
    (told,) = _events(store, "machine.assigned", 1)
    assert (told.machine, told.mac, told.data) == (found.id, STRANGER, {"bootenv": "debian-12"})
    with pytest.raises(InvalidError, match="cannot be assigned"):
        layer.assign("op", str(found.id), "discovery")
    assert layer.assign("op", str(found.id), "").bootenv == ""


def test_naming_a_stranger_makes_its_record(layer: CommandLayer, store: Store, wire: Wire) -> None:
    wire.strangers[machine_id_for(STRANGER)] = wire.strangers[machine_id_for(STRANGER)].model_copy(
        update={"address": IPv4Address("10.7.0.120")}
    )
    found = layer.update("op", "machines", f"Mac:{STRANGER}", {"name": "node-99"})

    assert isinstance(found, Machine)
    # Where it is now is not where it shall be.
    assert (found.id, found.name, found.address) == (machine_id_for(STRANGER), "node-99", None)
    assert [each.verb for each in layer.commands()] == ["create"]


def test_forgetting_a_stranger(layer: CommandLayer, store: Store, wire: Wire) -> None:
    layer.delete("op", "machines", machine_name_for(STRANGER))

    assert wire.known() == ()
    (command,) = layer.commands()
    assert (command.verb, command.undoable, command.after) == ("forget", False, None)
    assert command.before is not None
    with pytest.raises(ConflictError, match="cannot be taken back"):
        layer.undo("op", command.id)


def test_a_reboot_needs_an_agent(layer: CommandLayer, store: Store, wire: Wire) -> None:
    with pytest.raises(ConflictError, match="power-cycle"):
        layer.set_reboot("op", machine_name_for(STRANGER))
    machine = layer.assign("op", machine_name_for(STRANGER), "local")
    with pytest.raises(ConflictError, match="it boots local"):
        layer.set_reboot("op", machine.name)
    # The assignment is kept all the same.
    assert store.directory.machine(machine.id) == machine
    wire.alive_ones.add(machine.id)

    assert layer.set_reboot("op", machine.name).reboot_wanted
    assert [each.verb for each in layer.commands()] == ["assign", "reboot"]


def test_forgetting_a_lease(layer: CommandLayer, store: Store) -> None:
    heard: list[Change] = []
    layer.listen(heard.append)
    kept = [lease(1, state=LeaseState.DECLINED), lease(2)]
    commit(store.leases, kept)

    assert layer.delete("op", "leases", "10.7.0.1") == kept[0]
    assert layer.delete("op", "leases", f"Mac:{mac(2)}") == kept[1]

    assert store.leases.load() == []
    assert store.directory.leases() == ()
    assert [each.key for each in heard] == ["10.7.0.1", "10.7.0.2"]
    assert layer.commands()[0].summary == f"forgot the declined lease of 10.7.0.1 ({mac(1)})"
    assert Lease.model_validate(layer.commands()[1].before) == kept[1]


def test_the_hold_switch_is_a_command(layer: CommandLayer, store: Store) -> None:
    layer.hold("op", True)
    layer.hold("op", True)
    assert store.directory.holding()
    layer.undo("op")
    assert not store.directory.holding()

    assert [(each.verb, each.noun) for each in layer.commands()] == [("hold", "engine"), ("undo", "engine")]


def test_many_at_once_keep_their_rules(layer: CommandLayer) -> None:
    outcomes: list[str] = []

    def create(number: int) -> None:
        try:
            layer.create("op", "reservations", {"address": f"10.7.0.{number % 10 + 1}", "mac": mac(number)})
            outcomes.append("made")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (outcomes.count("made"), outcomes.count("refused")) == (10, 30)
    assert len(layer.listing("reservations")) == len(layer.commands()) == 10


def test_a_store_that_cannot_be_written_refuses_and_says_so(layer: CommandLayer, store: Store) -> None:
    other = sqlite3.connect(store.database.data_dir / "bootcart.db", isolation_level=None)
    store.database.write(lambda connection: connection.exec_driver_sql("PRAGMA query_only = ON"))
    try:
        with pytest.raises(UnavailableError, match="read-only"):
            layer.create("op", "subnets", RACK)
    finally:
        other.close()

    assert store.directory.subnets() == ()
    # The writer has a new connection by now.
    layer.create("op", "subnets", RACK)
    assert len(layer.commands()) == 1


def test_an_altered_log_is_found(layer: CommandLayer, store: Store) -> None:
    for number in range(4):
        layer.create("op", "reservations", {"address": f"10.7.0.{number}", "mac": mac(number)})
    layer.undo("op", 2)
    assert layer.altered() is None
    connection = sqlite3.connect(store.database.data_dir / "bootcart.db")
    connection.execute("UPDATE commands SET actor = 'nobody' WHERE id = 3")
    connection.commit()
    assert layer.altered() == 3
    connection.execute("UPDATE commands SET actor = 'op' WHERE id = 3")
    connection.execute("DELETE FROM commands WHERE id = 2")
    connection.commit()
    connection.close()

    assert layer.altered() == 3


def test_words_an_operator_typed_reach_no_terminal_raw(layer: CommandLayer, store: Store) -> None:
    layer.create("op\x1b[2J", "subnets", {**RACK, "description": "\x1b]0;x\x07"})
    layer.update("op", "subnets", "rack7", {"description": "\x1b[31m\n"})

    texts = [each.message for each in _events(store, "audit.", 2)] + [each.summary for each in layer.commands()]
    assert all(text.isprintable() for text in texts)
