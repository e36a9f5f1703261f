"""The dry run on a real engine: one key shows it, keys choose the firmware, nothing comes of looking."""

from __future__ import annotations

import asyncio

import pytest

from app.screens.areas.boot import BootScreen
from app.screens.profile import ConsoleProfile
from tests.engine.card import card, pxe
from tests.tui.conftest import Rack, new_mac
from tests.tui.desk import seated

pytestmark = pytest.mark.root


async def test_one_key_shows_what_it_would_get(rack: Rack, profile: ConsoleProfile) -> None:
    mac = new_mac()
    async with seated(rack.engine, profile) as desk:
        made = await desk.api.machines.create({"name": "node-07", "macs": [mac], "bootenv": "discovery"})
        await desk.go("machines")
        await desk.cursor_to("node-07")
        before = await desk.api.events.list()
        await desk.press("w")
        await desk.see("discovery is assigned to node-07")
        assert "[bios]" in desk.text
        assert "undionly.kpxe" in desk.row("boot file")
        for name, loader in (("uefi-x64", "ipxe.efi"), ("uefi-x64-http", "http://10.7.0.1:8090/ipxe.efi")):
            await desk.press("right")
            await desk.see(f"[{name}]")
            await desk.see(loader)
        await desk.press("end")
        await desk.see("exit 1 ||")
        screen = desk.app.screen
        assert isinstance(screen, BootScreen)
        assert "bootcart.token=********" in screen.page.text
        assert "discovery/amd64/vmlinuz" in screen.page.text
        after = await desk.api.events.list()
        assert (after.total, (await desk.api.leases.list()).total) == (before.total, 0)

        # What changes elsewhere is seen.
        await desk.api.machines.update(str(made.id), {"held": True})
        await desk.press("home")
        await desk.see("node-07 is held")


async def test_a_machine_that_booted_is_shown_with_its_firmware(rack: Rack) -> None:
    mac = new_mac()

    def boot() -> str:
        with card(rack.segment.clients[0], mac, pxe(7)) as firmware:
            return firmware.lease().address

    address = await asyncio.to_thread(boot)
    async with seated(rack.engine, ConsoleProfile(True, "test")) as desk:
        await desk.command(f"machines boot {mac}")
        await desk.see("it last booted with this")
        assert "[uefi-x64]" in desk.text
        assert f"{address} (its lease)" in desk.row("address")
