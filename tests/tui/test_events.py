"""Events come live; who scrolls up keeps their place; a filter works on what is there and on what comes."""

from __future__ import annotations

import itertools

import pytest

from app.model.query import Query
from app.screens.areas.events import EventsArea
from app.screens.profile import ConsoleProfile
from tests.tui.conftest import Rack
from tests.tui.desk import Desk, seated

pytestmark = pytest.mark.root

_HOSTS = itertools.count(60)
"""Events of an earlier test stay on the screen: each uses addresses of its own."""


async def happen(desk: Desk, *addresses: str) -> None:
    """Something another operator does."""
    for address in addresses:
        mac = "52:54:00:00:0c:" + f"{int(address.rpartition('.')[2]):02x}"
        await desk.api.reservations.create({"address": address, "mac": mac})


async def test_events_follow_pause_and_filter(rack: Rack, profile: ConsoleProfile) -> None:
    async with seated(rack.engine, profile) as desk:
        await desk.go("events")
        area = desk.app.screen
        assert isinstance(area, EventsArea)
        log = area.log_pane
        await desk.see("following")
        first, second, third, fourth = (f"10.7.0.{number}" for number in itertools.islice(_HOSTS, 4))
        await happen(desk, first)
        await desk.see(first)

        await desk.press("p")
        await desk.see("paused - G to follow")
        await happen(desk, second, third)
        await desk.see("2 new - G to follow")
        await desk.filter(second)
        await desk.until(lambda: second in desk.text and first not in desk.text, "filtered while paused")
        await desk.press("G")
        await desk.see("following")
        await happen(desk, fourth)
        await desk.comes(lambda: desk.api.reservations.show(fourth))
        await desk.until(lambda: any(fourth in event.message for event in log.all), "it came")
        assert fourth not in desk.text, "the filter holds for what comes"
        await desk.press("a")
        await desk.see(fourth)
        await desk.press("n")
        await desk.until(lambda: "match 1 of 1" in desk.text, "which of how many")
        await desk.press("escape")
        await desk.until(lambda: not area.sought, "no filter")

        # What is shown is what the engine has, in its order.
        newest = await desk.api.events.list(Query(sort="-id", limit=10))
        assert [event.id for event in log.all[-10:]] == sorted(event.id for event in newest.items)
        await desk.press("G", "up", "enter")
        await desk.see(f"Event {log.all[-2].id}")
        await desk.press("escape")
