"""Events: following, pausing, unread count, filter while paused, matches with count, details."""

from __future__ import annotations

import pytest

from app.model.event import Event, Level
from app.screens.dialogs.frame import Page
from app.screens.widgets.eventlog import EventLog
from tests.screens.scenes import event
from tests.screens.stage import VT, WIDE, Stage, opened


async def log(stage: Stage) -> EventLog:
    await stage.press("6")
    await stage.see("DISCOVER from")
    return stage.find(EventLog)


def push(stage: Stage, count: int, word: str = "line", level: Level = Level.INFO) -> None:
    for number in range(count):
        stage.client.push(event("http.sent", f"{word} {number}", level=level))


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux6_follows_the_newest(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        await log(stage)
        push(stage, 60)
        await stage.see("line 59")
        assert "following" in stage.rows[1]


async def test_ux6_scrolling_up_pauses_counts_and_g_follows_again() -> None:
    async with opened() as stage:
        pane = await log(stage)
        push(stage, 40)
        await stage.see("line 39")
        await stage.press("up", "up", "pageup")
        top = pane.top
        held = [row[:79] for row in stage.rows[2:20]]
        push(stage, 12, "more")
        await stage.see("12 new - G to follow")
        assert pane.top == top
        assert [row[:79] for row in stage.rows[2:20]] == held, "only the scroll bar may move"
        await stage.press("G")
        await stage.see("more 11")
        assert "following" in stage.rows[1]


async def test_ux6_pause_key_and_end() -> None:
    async with opened() as stage:
        await log(stage)
        await stage.press("p")
        assert "paused" in stage.rows[1]
        await stage.press("end")
        assert "following" in stage.rows[1]


async def test_ux6_filter_works_while_paused_and_live() -> None:
    async with opened() as stage:
        await log(stage)
        await stage.press("up", "slash")
        await stage.type("kind~tftp")
        await stage.press("enter")
        assert "1 of 12 match" in stage.rows[1]
        stage.client.push(event("tftp.sent", "another file"))
        stage.client.push(event("http.sent", "not this"))
        await stage.press("G")
        await stage.see("another file")
        assert "not this" not in stage.text
        assert "2 of 14 match" in stage.rows[1]


async def test_ux6_matches_are_counted_and_walked_and_can_be_shown_among_all() -> None:
    async with opened() as stage:
        pane = await log(stage)
        await stage.press("slash")
        await stage.type("ack")
        await stage.press("enter", "a")
        assert "DISCOVER from" in stage.text
        total = len(pane.hits)
        assert total >= 2
        await stage.press("n")
        await stage.see(f"match 1 of {total}")
        first = pane.cursor
        await stage.press("n")
        await stage.see(f"match 2 of {total}")
        assert pane.cursor > first
        await stage.press("N")
        await stage.see(f"match 1 of {total}")


async def test_ux6_pane_under_the_machines_pauses_and_follows() -> None:
    async with opened() as stage:
        await stage.press("tab", "up", "up")
        assert stage.find(EventLog).has_focus
        push(stage, 3)
        await stage.see("3 new - G to follow")
        await stage.press("G")
        await stage.see("line 2")
        await stage.press("tab")
        assert not stage.find(EventLog).has_focus


async def test_details_of_an_event() -> None:
    async with opened() as stage:
        await log(stage)
        await stage.press("up", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, Page), "details")
        assert "facts" in stage.text
        assert "role" in stage.text


async def test_ux12_warnings_and_errors_have_a_glyph() -> None:
    async with opened() as stage:
        await log(stage)
        push(stage, 1, "bad", Level.ERROR)
        await stage.see("bad 0")
        assert stage.row("bad 0")[9] == "!"


async def test_the_ring_is_bounded_and_the_reader_is_not_moved() -> None:
    async with opened() as stage:
        pane = await log(stage)
        pane.action_edge(0)
        seen = pane.shown[pane.cursor].id
        start = pane.all[-1].id
        for chunk in range(5):
            pane.add(
                [Event(id=start + 1 + chunk * 500 + n, **event("http.sent", f"x{n}").model_dump()) for n in range(500)]
            )
        assert len(pane.all) == 2000
        assert len(pane.shown) == 2000
        assert pane.shown[0].id > seen
        assert pane.cursor == 0


async def test_events_of_the_time_on_another_screen_are_there_on_return() -> None:
    async with opened() as stage:
        await log(stage)
        await stage.press("2")
        push(stage, 3, "missed")
        await stage.until(lambda: stage.app.session.events[-1].message == "missed 2", "arrived")
        await stage.press("6")
        await stage.see("missed 2")
