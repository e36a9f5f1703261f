"""The `:` line says to the engine what the command line says."""

from __future__ import annotations

import asyncio

import pytest

from app.model.machine import machine_id_for
from app.screens.areas.machine import MachineScreen
from tests.engine.card import card, pxe
from tests.screens.stage import CONSOLE, FULL
from tests.tui.conftest import Rack, new_mac
from tests.tui.desk import Desk, seated

pytestmark = pytest.mark.root

MAC = new_mac()


async def test_verbs_of_the_prompt(rack: Rack) -> None:
    def discover() -> None:
        with card(rack.segment.clients[0], MAC, pxe(0)) as firmware:
            firmware.discover()

    async with seated(rack.engine, CONSOLE) as desk:
        api, key = desk.api, str(machine_id_for(MAC))
        await asyncio.to_thread(discover)
        await desk.comes(api.machines.list, lambda page: page.total == 1)
        await api.machines.update(key, {"name": "node-1"})
        await desk.see("node-1")

        await desk.command("reserve 10.7.0.21 52:54:00:00:0d:02")
        await desk.comes(api.reservations.list, lambda page: page.total == 1)
        await desk.command("set unknown-bootenv ignore")
        await desk.comes(lambda: api.prefs.show("unknown-bootenv"), lambda pref: pref.value == "ignore")
        await desk.command("undo")
        await desk.comes(lambda: api.prefs.show("unknown-bootenv"), lambda pref: pref.value == "discovery")

        await desk.command("boot node-1 local")
        await desk.answer("node-1: boot local?", "y")
        await desk.comes(lambda: api.machines.show(key), lambda one: one.bootenv == "local")
        await desk.command("hold on")
        await desk.answer("Hold: answer no one?", "y")
        await desk.comes(api.info, lambda info: info.holding)
        await desk.command("hold off")
        await desk.answer("Lift the hold?", "y")
        await desk.comes(api.info, lambda info: not info.holding)

        before = (await api.services.show("tftp")).since
        await desk.command("services restart tftp")
        await desk.comes(lambda: api.services.show("tftp"), lambda one: one.since > before)
        await desk.command("reservations delete 10.7.0.21")
        await desk.answer("Delete?", "y")
        await desk.comes(api.reservations.list, lambda page: page.total == 0)
        await desk.command("forget node-1")
        await desk.answer("Forget?", "y")
        await desk.absent(lambda: api.machines.show(key))


async def _tab_until(desk: Desk, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in desk.text:
            await desk.press("tab")


async def test_words_go_to_areas_and_machines_and_tab_completes(rack: Rack) -> None:
    def discover() -> None:
        with card(rack.segment.clients[0], MAC, pxe(0)) as firmware:
            firmware.discover()

    async with seated(rack.engine, FULL) as desk:
        await asyncio.to_thread(discover)
        await desk.comes(desk.api.machines.list, lambda page: page.total == 1)
        await desk.api.machines.update(str(machine_id_for(MAC)), {"name": "node-1"})
        # Its name is in the events before it is in the list that Tab completes from.
        await desk.until(lambda: "node-1" in {each.name for each in desk.app.session.machines.values()}, "its name")
        await desk.command("subnets")
        await desk.until(lambda: desk.crumbs.startswith(" subnets"), "subnets")
        await desk.press("colon")
        await desk.type("boot no")
        # A list that is being read anew may not have the name for a moment; a person presses Tab again.
        await _tab_until(desk, "boot node-1")
        await desk.type("lo")
        await _tab_until(desk, "boot node-1 local")
        await desk.press("escape")
        assert (await desk.api.machines.show(str(machine_id_for(MAC)))).bootenv == ""
        await desk.command("machines node-1")
        await desk.until(lambda: isinstance(desk.app.screen, MachineScreen), "the machine")
        await desk.command("boot node-9 local")
        await desk.see("no machine 'node-9'")
        await desk.press("escape")
        await desk.command("boot node-1 nonsense")
        await desk.until(lambda: bool(desk.app.failures) or "nonsense?" in desk.text, "an answer")
        if not desk.app.failures:
            await desk.press("y")
        await desk.see("! ERROR")
        assert (await desk.api.machines.show(str(machine_id_for(MAC)))).bootenv == ""
        await desk.press("escape")
