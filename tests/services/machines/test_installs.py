"""What installers report: an event each time, and at the end the machine's own disk."""

from __future__ import annotations

import uuid

import pytest

from app.errors import NotFoundError
from app.model.bootenv import BootEnv, BootKind
from app.model.machine import Machine, MachineState
from app.model.timeline import Hop, HopState, Timeline
from app.services.machines.installs import Installs
from app.services.machines.status import Heard, standing_of, status_of
from tests.services.machines.conftest import World

MAC = "52:54:00:00:00:07"


@pytest.fixture
def installs(world: World) -> Installs:
    known = [
        BootEnv(name="local", kind=BootKind.LOCAL),
        BootEnv(name="debian-12", installs=True),
        BootEnv(name="debian-13", installs=True),
        BootEnv(name="rescue"),
    ]
    world.store.directory.set_bootenvs(known)
    return Installs(world.layer, world.store.directory, world.store.events.emit, world.clock)


def machine(world: World, bootenv: str) -> uuid.UUID:
    made = world.layer.create("op", "machines", {"name": "web1", "macs": [MAC], "bootenv": bootenv})
    assert isinstance(made, Machine)
    return made.id


def boots(world: World) -> str:
    found = world.layer.resolve("machines", "web1")
    assert isinstance(found, Machine)
    return found.bootenv


def test_an_installed_machine_boots_its_own_disk(world: World, installs: Installs) -> None:
    key = machine(world, "debian-12")
    installs.report(key, "started")
    assert boots(world) == "debian-12"
    installs.report(key, "finished")
    assert boots(world) == "local"
    assert world.kinds("install.") == ["install.started", "install.finished"]
    told = [each for each in world.store.events.tail() if each.kind == "install.finished"]
    assert (told[0].mac, told[0].machine, told[0].data["bootenv"]) == (MAC, key, "debian-12")


def test_reported_twice_is_no_other_change(world: World, installs: Installs) -> None:
    key = machine(world, "debian-12")
    installs.report(key, "finished")
    world.layer.assign("op", "web1", "rescue")
    installs.report(key, "finished")
    assert boots(world) == "rescue"


def test_an_earlier_installation_that_ends_does_not_end_a_later_one(world: World, installs: Installs) -> None:
    key = machine(world, "debian-12")
    world.layer.assign("op", "web1", "debian-13")
    installs.report(key, "finished", bootenv="debian-12")
    assert boots(world) == "debian-13"
    world.kinds()
    told = [each for each in world.store.events.tail() if each.kind == "install.finished"]
    assert [each.data["bootenv"] for each in told] == ["debian-12"]
    installs.report(key, "finished", bootenv="debian-13")
    assert boots(world) == "local"


def test_a_failure_is_told_and_the_machine_stays_as_it_is(world: World, installs: Installs) -> None:
    key = machine(world, "debian-12")
    installs.report(key, "failed", "no disk")
    assert boots(world) == "debian-12"
    world.kinds()
    told = [each for each in world.store.events.tail() if each.kind == "install.failed"]
    assert [each.message for each in told] == ["the installer of web1 failed: no disk"]


def test_a_machine_that_was_deleted(installs: Installs) -> None:
    with pytest.raises(NotFoundError):
        installs.report(uuid.uuid4(), "started")


@pytest.mark.parametrize(
    ("hop", "quiet", "state"),
    [
        ("kernel", 60, MachineState.BOOT),
        ("answer", 500, MachineState.INSTALL),
        ("installer", 500, MachineState.INSTALL),
        ("installer", 700, MachineState.STALE),
        ("installed", 7000, MachineState.INSTALL),
        ("installed", 7300, MachineState.STALE),
    ],
)
def test_an_installer_may_be_silent_for_long(hop: str, quiet: float, state: MachineState) -> None:
    waiting = Hop(name=hop, title=hop, state=HopState.WAITING, waiting_for="it")
    boot = Timeline(started=1000, hops=(waiting,), at=hop)
    web1 = Machine(id=uuid.uuid4(), name="web1", macs=(MAC,))
    assert status_of(web1, standing_of(boot), Heard(event=1000), 1000 + quiet).state is state
