"""Registering: whose record it is, who may not have it, and what agents report."""

from __future__ import annotations

import uuid
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError
from app.model.inventory import Cpu, Disk, Inventory, Memory, System
from app.model.machine import Machine, machine_id_for, machine_name_for
from app.netboot.login import password
from app.services.machines.registration import MACS_MAX, telling_serial, telling_uuid
from tests.services.machines.conftest import ADDRESS, World
from tests.store.stores import SetClock, mac, until

UUID = "4c4c4544-0042-3510-8052-b4c04f4d3532"
INVENTORY = Inventory(
    system=System(manufacturer="Dell", product="R640", uuid=UUID.upper(), serial="CN7016"),
    cpu=Cpu(model="Xeon", architecture="x86_64", sockets=2, threads=32),
    memory=Memory(total=64 * 2**30),
    disks=(Disk(name="sda", size=480_000_000_000), Disk(name="sr0")),
    firmware="uefi",
)


def _report(*macs: str, **fields: str) -> dict[str, Any]:
    return {"macs": list(macs), "architecture": "amd64", "firmware": "uefi", **fields}


def _known(world: World, number: int = 1) -> Machine:
    """A machine with two MACs and an inventory, whose agent has fallen silent."""
    machine = world.registrar.register(mac(number), ADDRESS, _report(mac(number), mac(number + 0x10)))
    world.registrar.inventory(machine.id, INVENTORY)
    world.clock.time += 60
    found = world.store.directory.machine(machine.id)
    assert found is not None
    return found


def test_a_new_machine_keeps_the_id_and_name_it_was_seen_under(world: World, clock: SetClock) -> None:
    world.boot(mac(1))
    machine = world.registrar.register(
        mac(1), ADDRESS, _report(mac(1), mac(2).upper(), "nonsense", "00:00:00:00:00:00")
    )

    assert (machine.id, machine.name) == (machine_id_for(mac(1)), machine_name_for(mac(1)))
    assert (machine.macs, machine.address) == ((mac(1), mac(2)), ADDRESS)
    assert (machine.architecture, machine.firmware, machine.created) == ("amd64", "uefi", clock.time)
    assert world.store.directory.machine_by_mac(mac(2)) == machine
    assert [each.id for each in world.roster.all()] == [machine.id]
    assert world.kinds("a") == ["audit.create", "agent.registered"]
    assert world.layer.commands() == []


@pytest.mark.parametrize(
    ("processor", "told", "known", "kept"),
    [
        ("aarch64", "bios", "uboot", "uboot"),
        ("aarch64", "uefi", "uboot", "uefi"),
        ("aarch64", "bios", "", ""),
        ("x86_64", "bios", "", "bios"),
    ],
)
def test_only_a_pc_has_a_bios(world: World, processor: str, told: str, known: str, kept: str) -> None:
    """Without UEFI the discovery system says BIOS; a board that U-Boot started has none."""
    report = _report(mac(1), architecture=processor, firmware=told)
    machine = world.registrar.register(mac(1), ADDRESS, report)
    if known:
        world.layer.update("op", "machines", machine.name, {"firmware": known})

    found = world.registrar.register(mac(1), ADDRESS, report)

    assert found.firmware == kept


def test_registering_again_changes_nothing(world: World) -> None:
    first = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    again = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))

    assert again == first.model_copy(update={"access": again.access})
    assert world.kinds("a") == ["audit.create", "agent.registered", "agent.registered"]


def test_it_is_found_by_any_of_its_macs(world: World) -> None:
    before = _known(world)

    after = world.registrar.register(mac(0x11), ADDRESS, _report(mac(0x11), mac(0x77)))

    assert after.id == before.id
    assert after.macs == (mac(1), mac(0x11), mac(0x77))


def test_addresses_made_up_at_each_boot_do_not_pile_up(world: World) -> None:
    """SR-IOV gives virtual functions new addresses each time, and a stranger may name as many as it likes."""

    def made_up(boot: int) -> list[str]:
        return [f"52:54:00:00:{boot:02x}:{number:02x}" for number in range(MACS_MAX - 1)]

    for boot in range(1, 4):
        world.registrar.register(mac(1), ADDRESS, _report(mac(1), *made_up(boot)))
    machine = world.registrar.register(mac(1), ADDRESS, _report(mac(1), *made_up(4)))

    assert machine.macs == (mac(1), *made_up(4))


def test_an_operators_record_is_found_and_completed(world: World) -> None:
    made = world.layer.create("op", "machines", {"name": "node-07", "macs": [mac(7)], "bootenv": "local"})
    assert isinstance(made, Machine)

    found = world.registrar.register(mac(7), ADDRESS, _report(mac(7), mac(8)))

    assert (found.id, found.name, found.bootenv, found.macs) == (made.id, "node-07", "local", (mac(7), mac(8)))


def test_a_swapped_card_is_recognised_by_the_firmwares_uuid(world: World) -> None:
    before = _known(world)

    swapped = world.registrar.register(mac(0x50), ADDRESS, _report(mac(0x50), uuid=UUID, serial="CN7016"))
    assert swapped.id == before.id
    world.clock.time += 60
    added = world.registrar.register(mac(0x51), ADDRESS, _report(mac(0x51), mac(1), uuid=UUID))
    assert added.id == before.id


@pytest.mark.parametrize(
    ("number", "fields", "alive"),
    [
        (0x50, {"uuid": "00000000-0000-0000-0000-000000000000"}, False),
        (0x50, {"uuid": "03000200-0400-0500-0006-000700080009"}, False),
        (0x50, {"uuid": UUID, "serial": "ANOTHER1"}, False),
        (0x50, {"uuid": UUID}, True),
        (0x50, {"uuid": "Not Settable"}, False),
        (0x50, {}, False),
    ],
)
def test_a_uuid_that_proves_nothing_makes_another_machine(
    world: World, number: int, fields: dict[str, str], alive: bool
) -> None:
    before = _known(world)
    if alive:
        world.registrar.heartbeat(before.id)

    other = world.registrar.register(mac(number), IPv4Address("10.7.0.102"), _report(mac(number), **fields))

    assert other.id != before.id
    assert len(world.store.directory.machines()) == 2


@pytest.mark.parametrize(
    ("fields", "alive"),
    [({}, False), ({"uuid": UUID}, True), ({"uuid": "11111111-2222-3333-4444-555555555555"}, False)],
)
def test_a_machine_cannot_have_its_neighbours_record_by_naming_its_mac(
    world: World, fields: dict[str, str], alive: bool
) -> None:
    """Only the token's MAC is proven; the others are a claim."""
    victim = _known(world)
    if alive:
        world.registrar.heartbeat(victim.id)
    before = world.store.directory.machines()

    with pytest.raises(ConflictError, match=f"belongs to machine {victim.name}"):
        world.registrar.register(mac(0x66), ADDRESS, _report(mac(0x66), mac(1), **fields))

    assert world.store.directory.machines() == before


def test_macs_of_two_machines_are_a_conflict_that_names_both(world: World) -> None:
    one, two = _known(world, 1), _known(world, 2)

    with pytest.raises(ConflictError, match=f"machine {one.name} reports .* belongs to machine {two.name}"):
        world.registrar.register(mac(1), ADDRESS, _report(mac(1), mac(2)))
    with pytest.raises(ConflictError, match=f"{one.name} and {two.name}"):
        world.registrar.register(mac(0x66), ADDRESS, _report(mac(1), mac(2), uuid=UUID))


def test_a_conflict_is_told_once_until_the_machine_registers(world: World) -> None:
    one, two = _known(world, 1), _known(world, 2)
    for _ in range(3):
        with pytest.raises(ConflictError):
            world.registrar.register(mac(1), ADDRESS, _report(mac(1), mac(2)))

    until(lambda: [each for each in world.store.events.tail() if each.kind == "agent.conflict"])
    told = [each for each in world.store.events.tail() if each.kind == "agent.conflict"]
    assert [(each.machine, each.mac, one.name in each.data["why"]) for each in told] == [(one.id, mac(1), True)]
    assert two.name in told[0].data["hint"]

    world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    with pytest.raises(ConflictError):
        world.registrar.register(mac(1), ADDRESS, _report(mac(1), mac(2)))
    assert world.kinds("agent.conflict") == ["agent.conflict"] * 2


def test_an_address_is_the_machines_that_has_it_now(world: World) -> None:
    one = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    two = world.registrar.register(mac(2), ADDRESS, _report(mac(2)))

    former = world.store.directory.machine(one.id)
    assert former is not None
    assert (former.address, two.address) == (None, ADDRESS)


def test_a_name_and_an_id_that_are_taken(world: World) -> None:
    world.layer.create("op", "machines", {"name": machine_name_for(mac(1)), "id": str(machine_id_for(mac(1)))})

    machine = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))

    assert machine.name == machine_name_for(mac(1)) + "-2"
    assert machine.id != machine_id_for(mac(1))


@pytest.mark.parametrize(
    ("report", "field"),
    [
        ({"macs": "no list"}, "macs"),
        ({"macs": {"a": 1}}, "macs"),
        ({"architecture": "../x"}, "architecture"),
        ({"firmware": "coreboot"}, "firmware"),
        ({"uuid": 7}, "uuid"),
    ],
)
def test_a_garbled_report_is_refused(world: World, report: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        world.registrar.register(mac(1), ADDRESS, report)

    assert caught.value.field == field
    assert world.store.directory.machines() == ()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (UUID.upper(), UUID),
        ("{4c4c4544-0042-3510-8052-b4c04f4d3532}", UUID),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", ""),
        ("00000000-0000-0000-0000-000000000001", ""),
        ("12345678-1234-5678-90ab-cddeefaabbcc", ""),
        ("", ""),
    ],
)
def test_uuids_that_tell_machines_apart(raw: str, expected: str) -> None:
    assert telling_uuid(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"), [(" CN7 ", "CN7"), ("To Be Filled By O.E.M.", ""), ("0000000", ""), ("", "")]
)
def test_serials_that_tell_machines_apart(raw: str, expected: str) -> None:
    assert telling_serial(raw) == expected


def test_an_inventory_is_kept_and_told(data_dir: Path, clock: SetClock) -> None:
    world = World.open(data_dir, clock)
    machine = world.registrar.register(mac(1), ADDRESS, {"macs": [mac(1)]})
    odd = INVENTORY.model_copy(update={"kernel": "6.1\x1b[2J", "reported": 1.0})
    world.registrar.inventory(machine.id, odd)
    world.store.close()

    again = World.open(data_dir, clock)
    found = again.store.directory.machine(machine.id)
    (told,) = again.store.events.list(kind="agent.inventory").items
    by_uuid = again.layer.resolve("machines", f"Uuid:{UUID}")
    again.store.close()

    assert found is not None
    assert found.inventory is not None
    assert (found.inventory.kernel, found.inventory.reported) == ("6.1.[2J", clock.time)
    assert found.inventory.disks == INVENTORY.disks
    assert (found.architecture, found.firmware) == ("amd64", "uefi")
    assert told.data == {"summary": "Dell R640, 2× Xeon, 32 threads, 64.0 GiB, 1 disk (480 GB), 0 NICs"}
    assert getattr(by_uuid, "id", None) == machine.id


def test_a_reboot_is_told_once_and_over_when_it_appears_again(world: World, clock: SetClock) -> None:
    machine = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    key = str(machine.id)
    world.layer.set_reboot("op", key)

    assert [world.registrar.heartbeat(machine.id) for _ in range(3)] == ["reboot", "", ""]
    assert world.kinds("agent.rebooting") == ["agent.rebooting"]
    assert getattr(world.layer.resolve("machines", key), "reboot_wanted", None) is True
    world.boot(mac(1), upto="dhcp.discover")
    assert getattr(world.layer.resolve("machines", key), "reboot_wanted", None) is False

    # One that is not fetched before the machine comes up by other means is over too.
    world.registrar.heartbeat(machine.id)
    world.layer.set_reboot("op", key)
    again = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    assert not again.reboot_wanted
    assert world.registrar.heartbeat(machine.id) == ""


def test_a_wanted_reboot_survives_a_restart(data_dir: Path, clock: SetClock) -> None:
    world = World.open(data_dir, clock)
    machine = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    world.layer.set_reboot("op", str(machine.id))
    world.store.close()

    again = World.open(data_dir, clock)
    answer = again.registrar.heartbeat(machine.id)
    again.store.close()

    assert answer == "reboot"


def test_heartbeats_seldom_reach_the_disk(data_dir: Path, clock: SetClock) -> None:
    world = World.open(data_dir, clock)
    machine = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    writes: list[object] = []
    world.layer.listen(writes.append)
    for _ in range(120):
        clock.time += 10
        world.registrar.heartbeat(machine.id)
    assert len(writes) == 2
    clock.time += 10
    world.registrar.heartbeat(machine.id)
    world.registrar.flush()
    world.store.close()

    again = World.open(data_dir, clock)
    found = again.store.directory.machine(machine.id)
    again.store.close()
    assert found is not None
    assert found.heartbeat == clock.time


def test_nobody_reports_for_a_machine_that_is_none(world: World) -> None:
    nobody = uuid.uuid4()
    calls = (
        lambda: world.registrar.heartbeat(nobody),
        lambda: world.registrar.inventory(nobody, INVENTORY),
        lambda: world.registrar.agent_event(nobody, "failed"),
    )
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
    machine = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    with pytest.raises(BootcartError, match="no agent event"):
        world.registrar.agent_event(machine.id, "exploded")


def test_the_password_of_its_console_is_told_of_one_machine_alone(world: World, data_dir: Path) -> None:
    world.roster.password_of = partial(password, b"k" * 32)
    first = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    assert first.access is not None
    told = world.layer.resolve("machines", first.name)
    assert isinstance(told, Machine)
    assert told.access is not None
    assert told.access.password == password(b"k" * 32, first.id, first.access.issued)

    listed = [each.access for each in world.layer.listing("machines") if isinstance(each, Machine)]
    assert [access and access.password for access in listed] == [""]
    world.layer.update("op", "machines", first.name, {**told.model_dump(mode="json"), "description": "rack 7"})
    world.registrar.heartbeat(first.id)
    world.emit("engine.ready")
    written = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert b"rack 7" in written
    assert told.access.password.encode() not in written


def test_each_registration_has_its_password_and_host_key(world: World, clock: SetClock) -> None:
    world.roster.password_of = partial(password, b"k" * 32)
    first = world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    world.registrar.host_key(first.id, "ssh-ed25519 SHA256:abc")
    before = world.layer.resolve("machines", first.name)
    clock.time += 60
    world.registrar.register(mac(1), ADDRESS, _report(mac(1)))
    after = world.layer.resolve("machines", first.name)

    assert isinstance(before, Machine)
    assert isinstance(after, Machine)
    assert before.access is not None
    assert after.access is not None
    assert before.access.host_key == "ssh-ed25519 SHA256:abc"
    assert after.access.host_key == ""
    assert after.access.password != before.access.password
