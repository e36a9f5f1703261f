"""Machines on the wire: who is one, for how long, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.model.event import Event
from app.model.machine import Machine, machine_id_for, machine_name_for
from app.services.machines.sightings import Sightings, is_netboot
from tests.services.machines.conftest import World
from tests.store.stores import SetClock, commit, lease, mac


def _discover(number: int, address: str | None = None, **data: object) -> Event:
    facts = {"stage": "rom", "firmware": "uefi", "arch": 7, **data}
    seen = mac(number) if address is None else address
    return Event(id=number, time=float(number), kind="dhcp.discover", message="", mac=seen, data=facts)


@pytest.mark.parametrize(
    ("kind", "stage", "expected"),
    [
        ("dhcp.discover", "rom", True),
        ("dhcp.discover", "ipxe", True),
        ("dhcp.discover", "os", False),
        ("dhcp.discover", "", False),
        ("dhcp.request", "rom", False),
        ("tftp.sent", "rom", False),
    ],
)
def test_only_what_boots_from_the_network_is_a_machine(kind: str, stage: str, expected: bool) -> None:
    event = Event(id=1, time=1.0, kind=kind, message="", mac=mac(1), data={"stage": stage})

    assert is_netboot(event) is expected


@pytest.mark.parametrize("arch", [7, "7", "0x7", 9, 16])
def test_what_the_first_packet_tells_is_kept(arch: object) -> None:
    sightings = Sightings()

    assert sightings.saw(_discover(1, arch=arch))
    # iPXE's own DISCOVER may say less; what was known stays.
    assert not sightings.saw(_discover(1, arch="", firmware=None, stage="ipxe"))

    (machine,) = sightings.all()
    assert (machine.id, machine.name) == (machine_id_for(mac(1)), machine_name_for(mac(1)))
    assert (machine.architecture, machine.firmware, machine.created, machine.registered) == (
        "amd64",
        "uefi",
        1.0,
        False,
    )


def test_the_newest_are_kept() -> None:
    sightings = Sightings(keep=100)
    for number in range(1, 301):
        sightings.saw(_discover(number))
        sightings.saw(_discover(1))

    kept = {machine.macs[0] for machine in sightings.all()}
    assert len(kept) == 100
    assert mac(1) in kept
    assert mac(300) in kept
    assert mac(150) not in kept


@pytest.mark.parametrize("raw", ["", "nonsense", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:02:03:04:05:06:07:08"])
def test_addresses_no_machine_has_are_left_aside(raw: str) -> None:
    sightings = Sightings()

    assert not sightings.saw(_discover(1, raw))
    assert sightings.all() == ()


def test_a_stranger_is_listed_while_it_is_in_its_firmware(world: World, clock: SetClock) -> None:
    world.boot(mac(1), upto="dhcp.discover")
    commit(world.store.leases, [lease(101, clock.time, mac=mac(1))])

    (machine,) = world.roster.all()
    assert (machine.name, machine.registered, str(machine.address)) == (machine_name_for(mac(1)), False, "10.7.0.101")
    assert world.status(machine.name) == ("boot", "offer")
    assert world.kinds("machine.") == ["machine.seen"]
    world.boot(mac(1))
    assert world.kinds("machine.") == ["machine.seen"]


def test_strangers_are_still_there_after_a_restart(data_dir: Path, clock: SetClock) -> None:
    world = World.open(data_dir, clock)
    world.boot(mac(1), upto="loader")
    world.boot(mac(2), upto="dhcp.discover")
    world.layer.create("op", "machines", {"name": "known", "macs": [mac(2)]})
    world.store.close()

    again = World.open(data_dir, clock)
    found = [(each.name, each.registered) for each in again.roster.all()]
    status = again.status(machine_name_for(mac(1)))
    again.store.close()

    assert found == [("known", True), (machine_name_for(mac(1)), False)]
    assert status == ("boot", "ipxe")


def test_a_stranger_that_is_given_something_is_a_record_of_the_same_id(world: World) -> None:
    world.boot(mac(1))
    (before,) = world.roster.all()

    world.layer.assign("op", before.name, "local")

    (after,) = world.roster.all()
    assert (after.id, after.registered, after.bootenv) == (before.id, True, "local")
    assert before.status is not None
    assert after.status == before.status.model_copy(update={"boots": "local"})
    world.layer.delete("op", "machines", after.name)
    assert world.roster.all() == []


def test_what_a_machine_boots_is_its_own_or_what_a_preference_says(world: World) -> None:
    def boots(key: str) -> str:
        machine = world.layer.resolve("machines", key)
        assert isinstance(machine, Machine)
        assert machine.status is not None
        return machine.status.boots

    world.boot(mac(1), upto="dhcp.discover")
    world.layer.create("op", "machines", {"name": "node", "macs": [mac(2)]})
    world.layer.create("op", "machines", {"name": "bare"})
    assert [boots(f"Mac:{mac(1)}"), boots("node"), boots("bare")] == ["discovery", "local", ""]

    world.layer.update("op", "prefs", "unknown-bootenv", {"value": "local"})
    world.layer.assign("op", "bare", "local")
    assert [boots(f"Mac:{mac(1)}"), boots("node"), boots("bare")] == ["local", "local", "local"]
