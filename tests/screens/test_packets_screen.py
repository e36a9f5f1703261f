"""A machine's recording on screen: listed, filtered, each packet taken apart."""

from __future__ import annotations

import pytest

from app.screens.areas.packets import PacketsScreen
from app.screens.dialogs.frame import Page
from tests.screens.scenes import event
from tests.screens.stage import CONSOLE, VT, WIDE, Stage, opened


async def packets(stage: Stage) -> PacketsScreen:
    """Of node-05, from the `:` line."""
    await stage.press("colon")
    await stage.type("machines packets node-05")
    await stage.press("enter")
    await stage.until(lambda: isinstance(stage.area, PacketsScreen), "the packets")
    await stage.see("DISCOVER xid")
    area = stage.area
    assert isinstance(area, PacketsScreen)
    return area


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_packets_are_listed(size: tuple[int, int]) -> None:
    async with opened(size=size, profile=CONSOLE) as stage:
        await packets(stage)

        assert stage.crumbs.startswith(" machines > node-05 > packets > all ")
        row = stage.row("DISCOVER xid")
        assert row.index("dhcp") < row.index("DISCOVER xid")
        assert ("255.255.255.255:67" in row) == (size == WIDE)
        assert "eth1: 0.0.0.0:68 > 255.255.255.255:67, 306 octets" in stage.text
        assert all(len(row) == size[0] for row in stage.rows)


async def test_one_is_taken_apart_with_its_octets() -> None:
    async with opened() as stage:
        await packets(stage)
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Page), "the packet")
        await stage.see("FROM THE MACHINE 0.0.0.0:68 > 255.255.255.255:67")
        page = stage.app.screen
        assert isinstance(page, Page)
        assert "53  dhcp-message-type       DISCOVER" in page.page.text
        assert "0000  01 01 06 00" in page.page.text
        assert max(map(len, page.page.text.splitlines())) <= 76
        await stage.press("escape", "escape")
        await stage.until(lambda: stage.crumbs.startswith(" machines > all"), "the list")


async def test_newer_ones_come_by_themselves() -> None:
    async with opened() as stage:
        area = await packets(stage)
        before = len(area.every)
        stage.client.push(event("dhcp.discover", "DISCOVER"))
        await stage.until(lambda: len(area.every) == before + 1, "the next")


async def test_what_gave_way_meanwhile_is_said() -> None:
    async with opened() as stage:
        area = await packets(stage)
        packet = area.every[0]
        area.table.feed([packet.model_copy(update={"number": 99})])
        await stage.press("home", "enter")
        await stage.see("has no packet 99")


async def test_from_the_list_and_from_the_machine() -> None:
    async with opened() as stage:
        stage.client.packets.gone = True
        await stage.press("K")
        await stage.see("nothing is recorded yet")
        await stage.press("escape", "enter")
        await stage.see("[timeline]")
        await stage.press("K")
        await stage.see("nothing is recorded yet")
