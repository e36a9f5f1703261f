"""Machines from their first packet on: seen, assigned, held, forgotten, in ones and in bulk."""

from __future__ import annotations

import asyncio

import pytest

from app.model.machine import Machine, MachineState, machine_id_for, machine_name_for
from app.model.query import Page
from app.screens.areas.machine import TABS, MachineScreen
from app.screens.areas.machines import MachinesArea
from app.screens.dialogs.choose import Choose
from app.screens.dialogs.frame import Ask
from app.screens.profile import ConsoleProfile
from tests.engine.card import card, pxe
from tests.engine.test_agent import INVENTORY, boot
from tests.screens.stage import CONSOLE, FULL
from tests.tui.conftest import Rack, new_mac
from tests.tui.desk import Desk, seated

pytestmark = pytest.mark.root


async def power_on(rack: Rack, desk: Desk, *macs: str) -> None:
    """A DISCOVER of UEFI firmware from each, until the engine has seen them all."""

    def discover() -> None:
        for mac in macs:
            with card(rack.segment.clients[0], mac, pxe(7)) as firmware:
                firmware.discover()

    def seen(page: Page[Machine]) -> bool:
        return {mac for machine in page.items for mac in machine.macs} >= set(macs)

    await asyncio.to_thread(discover)
    await desk.comes(desk.api.machines.list, seen)


def key_of(mac: str) -> str:
    return str(machine_id_for(mac))


async def choose(desk: Desk, bootenv: str) -> None:
    """In the list of boot environments."""
    picker = await desk.dialog(Choose)
    for _ in picker.options:
        if picker.table.current is not None and picker.table.current.value == bootenv:
            break
        await desk.press("down")
    await desk.press("enter")
    await desk.until(lambda: desk.app.screen is not picker, "chosen")


async def test_a_machine_appears_while_it_is_in_its_firmware(rack: Rack, profile: ConsoleProfile) -> None:
    mac = new_mac()
    async with seated(rack.engine, profile) as desk:
        await desk.see("no machine yet")
        await power_on(rack, desk, mac)
        await desk.see(machine_name_for(mac))
        found = await desk.api.machines.show(key_of(mac))
        assert (found.registered, found.architecture, found.firmware) == (False, "amd64", "uefi")
        assert found.status is not None
        await desk.until(lambda: desk.has(found.name, "BOOT"), "its state")
        assert found.status.state is MachineState.BOOT
        await desk.see("DISCOVER from UEFI x64 PXE")


async def test_a_boot_environment_is_assigned_and_taken_back(rack: Rack, profile: ConsoleProfile) -> None:
    mac = new_mac()
    async with seated(rack.engine, profile) as desk:
        machines = desk.api.machines
        await power_on(rack, desk, mac)
        await desk.cursor_to(machine_name_for(mac))
        await desk.press("b")
        await choose(desk, "local")
        await desk.dialog(Ask, "boot local?")
        await desk.see("power-cycle")
        await desk.press("enter")
        assert (await machines.show(key_of(mac))).bootenv == ""
        await desk.press("b")
        await choose(desk, "local")
        await desk.answer("boot local?", "y")
        await desk.comes(lambda: machines.show(key_of(mac)), lambda one: one.bootenv == "local")
        await desk.until(lambda: desk.has(machine_name_for(mac), "power-cycle it"), "what to do is said")

        # Its next boot is noticed: nobody waits for the hand any more.
        await power_on(rack, desk, mac)
        await desk.until(lambda: desk.has(machine_name_for(mac), without="power-cycle"), "no more waiting", 20)
        await desk.press("z")
        await desk.comes(lambda: machines.show(key_of(mac)), lambda one: one.bootenv == "")
        await desk.until(lambda: desk.has(machine_name_for(mac), "(discovery)"), "the list says so")


async def test_a_machine_is_named_held_and_forgotten(rack: Rack) -> None:
    mac, other = new_mac(), new_mac()
    async with seated(rack.engine, FULL) as desk:
        machines = desk.api.machines
        await power_on(rack, desk, mac, other)
        await machines.update(key_of(other), {"name": "taken"})
        await desk.cursor_to(machine_name_for(mac))
        await desk.press("e")
        form = await desk.fill(name="taken")
        await desk.submit(form)
        await desk.refused(form, "name", "taken")
        assert (await machines.show(key_of(mac))).name == machine_name_for(mac)
        await desk.save(name="web-1", held="yes", description="row 7")
        found = await machines.show(key_of(mac))
        assert (found.name, found.held, found.description, found.registered) == ("web-1", True, "row 7", True)
        await desk.until(lambda: desk.has("web-1", "HELD"), "held")

        await desk.cursor_to("web-1")
        await desk.press("x")
        await desk.answer("Forget?", "x", "enter")
        await machines.show(key_of(mac))
        await desk.press("x")
        await desk.answer("Forget?", "y")
        await desk.absent(lambda: machines.show(key_of(mac)))
        await desk.until(lambda: "web-1" not in "\n".join(desk.rows[1:12]), "gone from the list")
        await desk.press("z")
        again = await desk.comes(lambda: machines.list(), lambda page: any(one.name == "web-1" for one in page.items))
        assert next(one for one in again.items if one.name == "web-1").held


async def test_marked_machines_are_assigned_together_hidden_ones_too(rack: Rack) -> None:
    macs = [new_mac() for _ in range(5)]
    async with seated(rack.engine, CONSOLE) as desk:
        machines = desk.api.machines
        await power_on(rack, desk, *macs)
        for number, mac in enumerate(macs, 1):
            await machines.update(key_of(mac), {"name": f"node-{number}"})
        await desk.see("node-5")
        await desk.cursor_to("node-1")
        await desk.press("space")
        await desk.filter("name=node-5")
        await desk.until(lambda: "all 5" not in desk.crumbs and "1 of 5" in desk.crumbs, "filtered")
        assert "node-2" not in "\n".join(desk.rows[1:12])
        await desk.press("*")
        await desk.until(lambda: "2 marked (1 hidden)" in desk.crumbs, "both are marked")

        await desk.press("b")
        await choose(desk, "discovery" if await assignable(desk, "discovery") else "local")
        await desk.dialog(Ask)
        assert "hidden by the filter" in desk.row("node-1")
        # The log under the question may name any machine.
        assert not any("node-2" in row for row in desk.boxed)
        await desk.press("y")

        async def given() -> list[str]:
            return sorted(one.name for one in (await machines.list()).items if one.bootenv)

        await desk.comes(given, lambda names: names == ["node-1", "node-5"])
        await desk.press("escape", "backslash")
        await desk.until(lambda: "marked" not in desk.crumbs and "all 5" in desk.crumbs, "no filter, no mark")

        # Several are forgotten only once their number is typed.
        await desk.press("*", "x")
        ask = await desk.dialog(Ask, "Forget?")
        await desk.type("4")
        await desk.press("enter")
        assert desk.app.screen is ask
        assert len((await machines.list()).items) == 5
        await desk.press("ctrl+u")
        await desk.type("5")
        await desk.press("enter")
        await desk.comes(machines.list, lambda page: not page.items)
        await desk.see("no machine yet")


async def assignable(desk: Desk, name: str) -> bool:
    """The boot environment may be given to a machine."""
    return not (await desk.api.bootenvs.show(name)).unknown_only


async def test_a_machines_pages_show_what_the_engine_has(rack: Rack, profile: ConsoleProfile) -> None:
    mac, engine = new_mac(), rack.engine
    async with seated(engine, profile) as desk:
        machines = desk.api.machines
        booted = await asyncio.to_thread(boot, rack.segment.clients[1], mac)
        await desk.cursor_to(machine_name_for(mac))
        await desk.press("enter")
        await desk.until(lambda: isinstance(desk.app.screen, MachineScreen), "its screen")
        shown = await machines.timeline(key_of(mac))
        assert {hop.state.value for hop in shown.hops} > {"done"}
        for hop in shown.hops:
            await desk.see(hop.title)
        await desk.see("waiting 00:")

        # Registering and reporting are seen at once, on the page that is open.
        await asyncio.to_thread(booted.register)
        await desk.until(lambda: "not registered" not in desk.rows[1], "registered")
        await desk.press("i")
        await desk.see("nothing reported yet")
        assert (await asyncio.to_thread(booted.call, "PUT", booted.machine("/inventory"), INVENTORY))[0] == 204
        for word in ("PowerEdge R640", "ABC123", "128.0 GiB", "nvme0n1", "i40e"):
            await desk.see(word)
        assert (await machines.show(key_of(mac))).inventory is not None

        await desk.press("s")
        script = (await machines.script(key_of(mac))).splitlines()
        for row in script[:5]:
            await desk.see(row[:60])
        await desk.press("v")
        await desk.see("boots next")
        await desk.see((await desk.api.prefs.show("default-bootenv")).value)
        await desk.press("l")
        await desk.see("agent     registered")
        await desk.press("b")
        await choose(desk, "local")
        await desk.answer("boot local?", "a")
        await desk.comes(lambda: machines.show(key_of(mac)), lambda one: one.bootenv == "local")
        await desk.press("y")
        await desk.until(lambda: "history" in desk.crumbs and "local" in desk.text, "the history has it")
        for _ in TABS:
            await desk.press("right")
        await desk.press("escape")
        await desk.until(lambda: isinstance(desk.app.screen, MachinesArea), "back")


async def test_a_machine_whose_agent_listens_is_rebooted(rack: Rack) -> None:
    mac = new_mac()
    async with seated(rack.engine, CONSOLE) as desk:
        booted = await asyncio.to_thread(boot, rack.segment.clients[2], mac)
        await asyncio.to_thread(booted.register)
        assert (await asyncio.to_thread(booted.call, "POST", booted.machine("/heartbeat"), {}))[0] == 200
        await desk.cursor_to(machine_name_for(mac))
        await desk.until(lambda: "R reboot" in desk.keys, "the key is offered", 20)
        await desk.press("b")
        await choose(desk, "local")
        await desk.answer("boot local?", "y")
        wanted = await desk.comes(lambda: desk.api.machines.show(key_of(mac)), lambda one: one.reboot_wanted)
        assert wanted.bootenv == "local"
        status, text = await asyncio.to_thread(booted.call, "POST", booted.machine("/heartbeat"), {})
        assert (status, '"reboot"' in text) == (200, True)
        await desk.see("is told to reboot")
