"""Several interfaces on one engine; an engine that dies and comes back; an interface that dies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.screens.areas.machines import MachinesArea
from app.screens.session import Link
from tests import netns
from tests.engine.card import card, ipxe, pxe
from tests.engine.process import running
from tests.screens.stage import CONSOLE, FULL
from tests.tui.conftest import Rack, new_mac
from tests.tui.desk import seated
from tests.tui.terminal import available, kill, terminal

pytestmark = pytest.mark.root


@pytest.fixture
def own(artefacts: Path) -> Iterator[Rack]:
    """An engine that may be killed."""
    with (
        netns.segment("10.7.0.1/24", clients=1) as segment,
        running(segment.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine,
    ):
        engine.subnet()
        engine.served()
        yield Rack(engine, segment)


async def test_two_interfaces_show_the_same(rack: Rack) -> None:
    async with seated(rack.engine, FULL) as one, seated(rack.engine, CONSOLE, (120, 40)) as two:
        await one.go("reservations")
        await two.go("reservations")
        await one.press("a")
        await one.save(address="10.7.0.31", mac="52:54:00:00:0e:01", hostname="first")
        await two.until(lambda: two.has("10.7.0.31", "first"), "the other shows it")
        await two.cursor_to("10.7.0.31")
        await two.press("e")
        await two.save(hostname="second")
        await one.until(lambda: one.has("10.7.0.31", "second"), "the first shows it")

        await one.go("subnets")
        await two.go("subnets")
        await two.cursor_to("rack7")
        await two.press("e")
        await two.save(enabled="no")
        await one.until(lambda: one.has("rack7", "- off"), "the first shows it")
        await one.press("z")
        await two.until(lambda: two.has("rack7", "+ served"), "the other shows it")
        assert (await one.api.subnets.show("rack7")).enabled

        await two.press("H")
        await two.answer("Hold: answer no one?", "y")
        await one.until(lambda: "HOLD" in one.crumbs, "the first says so")
        await one.press("H")
        await one.answer("Lift the hold?", "y")
        await two.until(lambda: "HOLD" not in two.crumbs, "the other says so")

        # Somebody deletes what another is changing: the form says so, and nothing is made of it.
        await one.go("reservations")
        await one.cursor_to("10.7.0.31")
        await one.press("e")
        form = await one.fill(hostname="third")
        await two.api.reservations.delete("10.7.0.31")
        await one.submit(form)
        await one.see("10.7.0.31")
        await one.until(lambda: "! " in one.text, "an error")
        assert not (await one.api.reservations.list()).items
        await one.press("escape", "escape")


async def test_an_engine_killed_is_said_and_found_again(own: Rack) -> None:
    engine = own.engine
    async with seated(engine, CONSOLE) as desk, seated(engine, FULL) as other:
        mac = new_mac()

        def boot() -> str:
            with card(own.segment.clients[0], mac, pxe(7)) as firmware:
                return firmware.lease().address

        address = await asyncio.to_thread(boot)
        await desk.go("leases")
        await desk.see(address)
        await asyncio.to_thread(engine.kill)
        for one in (desk, other):
            await one.until(lambda one=one: re.search(r"STALE \d+ s", one.crumbs), "stale", 20)
        assert address in desk.text, "what was known stays"
        for one in (desk, other):
            assert "DHCP up" not in one.crumbs, "nobody knows"
        await other.press("9")
        await other.see("waiting for the engine")
        assert "no preference" not in other.text
        await other.press("1")
        await desk.press("r")
        await desk.until(lambda: bool(desk.app.failures), "what cannot be done is said")
        assert "ERROR" in desk.text
        await desk.press("escape")

        await asyncio.to_thread(engine.start)
        for one in (desk, other):
            await one.until(lambda one=one: one.app.session.link is Link.ATTACHED, "attached by itself", 30)
            await one.until(lambda one=one: "attached" in one.crumbs and "STALE" not in one.crumbs, "it says so", 20)
        await desk.see(address)
        assert str((await desk.api.leases.show(address)).address) == address
        await desk.go("events")
        # What happened while nobody was attached.
        await desk.see("engine ready in", 20)
        newest = await desk.comes(lambda: desk.api.events.list(kind="engine."), lambda page: page.total >= 4)
        shown = [event.id for event in desk.app.session.events]
        assert shown == sorted(set(shown))
        assert {event.id for event in newest.items} <= set(shown)
        await desk.go("leases")
        await desk.cursor_to(address)
        await desk.press("r")
        await desk.comes(desk.api.reservations.list, lambda page: page.total == 1)
        await other.until(lambda: isinstance(other.app.screen, MachinesArea), "where it was")


@pytest.mark.skipif(not available(), reason="tmux is not installed")
def test_an_interface_killed_while_a_machine_boots_disturbs_nothing(rack: Rack) -> None:
    engine, mac = rack.engine, new_mac()
    engine.sound()
    said = engine.log()
    with terminal("--endpoint", engine.endpoint) as pane, card(rack.segment.clients[0], mac, pxe(7)) as firmware:
        pane.see("attached", "no machine yet")
        offer = firmware.discover()
        pane.see("OFFER")
        kill(pane)
        ack = firmware.take(offer)
        assert (ack.kind, ack.address) == (5, offer.address)
        pane.see("Killed")
        firmware.words = ipxe(7)
        again = firmware.lease()
        assert again.address == offer.address
        assert again.boot.endswith(".ipxe")
    engine.event("dhcp.ack", mac=mac, match=lambda event: event.data["stage"] == "ipxe")
    engine.sound()
    assert engine.log() == said, "the engine has nothing to say of it"
    with terminal("--endpoint", engine.endpoint, term="linux") as pane:
        pane.see("attached", "iPXE")
