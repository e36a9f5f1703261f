"""UX-11: an interface that only looks, and the engine that answers no one."""

from __future__ import annotations

import pytest
from textual import events

from app.screens.areas.area import ListArea
from app.screens.dialogs.frame import Dialog
from app.screens.registry import ACTIONS, AREAS, BY_ID, CHANGING, here
from tests.fakes.client import FakeClient
from tests.screens.stage import VT, WIDE, Stage, opened

READING = ("list", "show", "usage", "watch", "info", "timeline", "diagnosis", "boot", "script", "render")


def changes(client: FakeClient) -> list[tuple[object, ...]]:
    """Calls that were to change something."""
    return [call for call in client.calls if call[1] not in READING]


def test_ux11_every_changing_action_is_known() -> None:
    assert set(BY_ID) >= CHANGING
    looking = {action.id for action in ACTIONS} - CHANGING
    # Named, so that a new action is looked at: none of these changes anything.
    assert {one for one in looking if one.startswith(("new_", "edit_", "delete_", "forget", "reset", "set"))} == set()


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux11_no_key_changes_anything_and_the_banner_says_so(size: tuple[int, int]) -> None:
    client = FakeClient()
    async with opened(client, size=size, read_only=True) as stage:
        for key, name, _ in AREAS:
            await stage.press(key)
            await stage.until(lambda name=name: stage.crumbs.startswith(f" {name} > "), name)
            assert "READ-ONLY" in stage.crumbs
            if isinstance(stage.area, ListArea):
                await stage.until(lambda: stage.app.at_rest, "at rest")
            offered = {action.id for action in stage.area.actions()}
            assert not offered & CHANGING
            for action in here(name):
                if action.id in CHANGING:
                    await refused(stage, action.keys[0])
        assert changes(client) == []


async def refused(stage: Stage, key: str) -> None:
    stage.app.news = ""
    await stage.press(key)
    await stage.see("read-only: nothing is changed")
    assert not isinstance(stage.app.screen, Dialog)


async def test_ux11_enter_on_a_row_that_it_would_change_is_refused() -> None:
    client = FakeClient()
    async with opened(client, read_only=True) as stage:
        for key in ("2", "4", "9"):
            await stage.press(key)
            await stage.until(lambda: isinstance(stage.area, ListArea) and stage.area.table.items, "rows")
            await refused(stage, "enter")
        assert changes(client) == []


async def test_ux11_the_prompt_refuses_in_words() -> None:
    client = FakeClient()
    async with opened(client, read_only=True) as stage:
        for line in ("set unknown-bootenv local", "boot node-07 local", "hold on", "undo", "stop"):
            await stage.press("colon")
            await stage.type(line)
            await stage.press("enter")
            await stage.see("this interface was opened with --read-only")
            await stage.see("open it without that flag")
            await stage.press("escape")
            await stage.gone("ERROR")
        assert changes(client) == []


async def test_ux11_leaving_one_that_only_looks_never_offers_to_stop() -> None:
    async with opened(started_engine=True, read_only=True) as stage:
        await stage.press("Q")
        await stage.until(lambda: stage.app.return_code == 0, "left")
        assert not stage.client.stopped


async def test_ux11_the_wizard_is_not_offered_to_one_that_only_looks() -> None:
    async with opened(FakeClient.empty(), read_only=True) as stage:
        await stage.see("no machine yet")
        await refused(stage, "W")


async def test_ux21_the_terminal_is_asked_for_its_size_and_the_screen_follows() -> None:
    async with opened() as stage:
        app = stage.app
        # Headless there is no terminal to ask; what it would answer comes as this event.
        app.post_message(events.CursorPosition(99, 29))
        await stage.until(lambda: app.size == (100, 30), "the new size")
        await stage.until(lambda: len(stage.rows) == 30 and len(stage.crumbs) == 100, "drawn at it")
        app.post_message(events.CursorPosition(99999, 5))
        app.post_message(events.CursorPosition(0, 0))
        await stage.settle()
        assert app.size == (100, 30), "no terminal is as large, or as small"
