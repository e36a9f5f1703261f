"""Leases: kept for good with one key, forgotten after a question."""

from __future__ import annotations

import asyncio

import pytest

from app.model.query import Query
from app.screens.profile import ConsoleProfile
from tests.engine.card import card, pxe
from tests.screens.stage import CONSOLE
from tests.tui.conftest import Rack, new_mac
from tests.tui.desk import seated

pytestmark = pytest.mark.root


async def lease(rack: Rack, mac: str, number: int = 0) -> str:
    """An address for a card."""

    def take() -> str:
        with card(rack.segment.clients[number], mac, pxe(7)) as firmware:
            return firmware.lease().address

    return await asyncio.to_thread(take)


async def test_an_address_is_kept_with_one_key(rack: Rack, profile: ConsoleProfile) -> None:
    mac = new_mac()
    async with seated(rack.engine, profile) as desk:
        await desk.go("leases")
        address = await lease(rack, mac)
        await desk.cursor_to(address)
        assert "+ bound" in desk.row(address)
        await desk.press("r")
        kept = await desk.comes(lambda: desk.api.reservations.list(Query((f"mac={mac}",))), lambda page: page.items)
        assert str(kept.items[0].address) == address
        await desk.until(lambda: desk.has(address, " yes"), "the list says so")
        await desk.press("z")
        await desk.absent(lambda: desk.api.reservations.show(address))
        await desk.until(lambda: desk.has(address, without=" yes"), "the list says so")


async def test_marked_leases_are_kept_together(rack: Rack) -> None:
    async with seated(rack.engine, CONSOLE) as desk:
        addresses = [await lease(rack, new_mac()) for _ in range(3)]
        await desk.go("leases")
        for address in addresses:
            await desk.see(address)
        await desk.press("*", "r")
        kept = await desk.comes(desk.api.reservations.list, lambda page: page.total == 3)
        assert sorted(str(one.address) for one in kept.items) == sorted(addresses)


async def test_a_lease_is_forgotten_after_a_question(rack: Rack) -> None:
    async with seated(rack.engine, CONSOLE) as desk:
        address = await lease(rack, new_mac())
        await desk.go("leases")
        await desk.cursor_to(address)
        await desk.press("d")
        await desk.answer("Delete?", "enter")
        await desk.api.leases.show(address)
        await desk.press("d")
        await desk.answer("Delete?", "y")
        await desk.absent(lambda: desk.api.leases.show(address))
        await desk.until(lambda: address not in "\n".join(desk.rows[1:12]), "gone from the list")
