"""How a machine stands, from its events and its heartbeat."""

from __future__ import annotations

from typing import Any

import pytest

from app.model.machine import Machine, machine_name_for
from app.services.machines import activity
from tests.services.machines.conftest import ADDRESS, World
from tests.store.stores import SetClock, mac

NAME = machine_name_for(mac(1))
REPORT = {"macs": [mac(1)], "architecture": "amd64", "firmware": "uefi"}


def test_from_power_on_to_ready_to_its_disk(world: World, clock: SetClock) -> None:
    world.boot(mac(1), upto="loader")
    assert world.status(NAME) == ("boot", "ipxe")
    world.boot(mac(1))
    assert world.status(NAME) == ("boot", "agent")
    clock.time += 119
    assert world.status(NAME) == ("boot", "agent")
    clock.time += 2
    assert world.status(NAME) == ("stale", "agent")

    machine = world.registrar.register(mac(1), ADDRESS, REPORT)
    world.emit("agent.inventory", mac(1), summary="x")
    assert world.status(NAME) == ("ready", "inventory")
    clock.time += 31
    assert world.status(NAME) == ("off", "inventory")
    world.registrar.heartbeat(machine.id)
    assert world.status(NAME) == ("ready", "inventory")

    # It boots again although the last heartbeat is fresh.
    clock.time += 5
    rom = {"stage": "rom", "firmware": "uefi"}
    world.emit("dhcp.discover", mac(1), **rom)
    assert world.status(NAME) == ("boot", "offer")
    world.emit("dhcp.offer", mac(1), **rom, bootfile="", why="boots its own disk")
    assert world.status(NAME) == ("done", "local")


def test_a_failure_is_told_with_its_reason(world: World, clock: SetClock) -> None:
    world.boot(mac(1))
    machine = world.registrar.register(mac(1), ADDRESS, REPORT)
    world.registrar.agent_event(machine.id, "failed", "inventory", "dmidecode:\n\x1b[31mno such file\n\n")
    world.emit("engine.ready")

    found = world.layer.resolve("machines", NAME)
    status = getattr(found, "status", None)
    assert status is not None
    assert status.state.value == "fail"
    # The last line of what it said, with nothing in it that could steer a terminal.
    assert status.reason.startswith("inventory: ")
    assert status.reason.endswith("no such file")
    assert status.reason.isprintable()
    world.emit("agent.inventory", mac(1), summary="x")
    assert world.status(NAME)[0] == "ready"


def test_a_script_that_does_not_render(world: World) -> None:
    world.boot(mac(1), upto="loader")
    world.emit("dhcp.ack", mac(1), stage="ipxe", bootfile="x")
    world.emit("render.failed", mac(1), bootenv="discovery", line=3)

    assert world.status(NAME) == ("fail", "script")


def test_held_says_why(world: World) -> None:
    world.layer.create("op", "machines", {"name": "node", "macs": [mac(1)]})
    assert world.status("node") == ("off", "")
    world.layer.update("op", "machines", "node", {"held": True})
    assert world.status("node") == ("held", "")
    world.layer.update("op", "machines", "node", {"held": False})
    world.layer.create("op", "reservations", {"address": "10.7.0.5", "mac": mac(1), "never_boot": True})
    assert world.status("node") == ("held", "")


def test_a_stranger_we_stay_silent_to_has_not_failed(world: World) -> None:
    world.emit("dhcp.discover", mac(1), stage="rom")
    world.emit("dhcp.silent", mac(1), stage="rom", why="no subnet covers it")

    found = world.layer.resolve("machines", NAME)
    status = getattr(found, "status", None)
    assert status is not None
    assert (status.state.value, status.reason) == ("new", "OFFER: no subnet covers it")


@pytest.mark.parametrize("bound", [("BUSY_MAX", 3), ("HELD_MAX", 12), ("HELD_MAX", 1)])
def test_a_fleet_larger_than_memory_is_read_from_the_ring(
    world: World, monkeypatch: pytest.MonkeyPatch, bound: tuple[str, int]
) -> None:
    monkeypatch.setattr(activity, *bound)
    monkeypatch.setattr(activity, "IDLE_MAX", 5)
    for number in range(1, 11):
        world.boot(mac(number), upto="loader" if number % 2 else "")

    for _ in range(2):
        found = {number: world.status(machine_name_for(mac(number))) for number in range(1, 11)}
        assert found == {number: ("boot", "ipxe" if number % 2 else "agent") for number in range(1, 11)}
    # What was read is kept current.
    world.emit("agent.registered", mac(2))
    assert world.status(machine_name_for(mac(2))) == ("boot", "inventory")


def test_the_timeline_of_a_machine(world: World) -> None:
    world.boot(mac(1))
    (machine,) = world.roster.all()

    found = world.roster.timeline(machine)

    assert (found.at, found.path) == ("agent", "uefi-pxe")


@pytest.mark.parametrize(
    "fields", [{"id": "6b1f7e0a-0000-4000-8000-000000000001", "macs": [mac(2)]}, {"macs": [mac(1), mac(2)]}]
)
def test_what_was_heard_before_a_machine_was_put_on_record_is_its_own(world: World, fields: dict[str, Any]) -> None:
    """It booted by a card whose events were filed under an id of their own."""
    world.boot(mac(2), upto="loader")
    made = world.layer.create("root", "machines", {"name": "web1", **fields})
    world.emit("dhcp.ack", mac(2), stage="ipxe", bootfile="x")

    assert isinstance(made, Machine)
    kinds = [event.kind for event in world.roster.events(made.id)]
    assert (kinds[0], kinds[-1]) == ("dhcp.discover", "dhcp.ack")
    assert "tftp.sent" in kinds
