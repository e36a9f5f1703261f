"""The way to the first rows: what they do not wait for, and what is made good once they are shown."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest
from textual._compositor import CompositorUpdate

from app.screens.app import BootcartApp
from app.screens.dialogs.frame import Page
from app.screens.starting import hurry, settle
from tests.fakes.client import FakeClient
from tests.screens.stage import opened

SECONDS = 20
FOR_EVER = 3600


@pytest.fixture
def collecting() -> Iterator[None]:
    """Garbage is collected as ever after the test."""
    yield
    gc.enable()
    gc.unfreeze()


async def test_the_first_rows_wait_for_no_frame_and_for_no_other_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def display(app: BootcartApp, _screen: Any, update: Any) -> None:
        if isinstance(update, CompositorUpdate):
            sent.append(update.render_segments(app.console))

    monkeypatch.setattr(BootcartApp, "_display", display)
    monkeypatch.setattr("textual.screen.UPDATE_PERIOD", FOR_EVER)
    client = FakeClient()
    monkeypatch.setattr(client, "info", asyncio.Event().wait)
    async with opened(client, attached=False):
        deadline = time.monotonic() + SECONDS
        while "node-07" not in "".join(sent):
            assert time.monotonic() < deadline, sent
            await asyncio.sleep(0.01)


async def test_nothing_is_said_to_be_missing_before_the_engine_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(empty=True)
    asked, answer, ask = asyncio.Event(), asyncio.Event(), client.machines.list

    async def late(*words: Any, **named: Any) -> Any:
        asked.set()
        await answer.wait()
        return await ask(*words, **named)

    monkeypatch.setattr(client.machines, "list", late)
    async with opened(client, attached=False, wizard=False) as stage:
        await asyncio.wait_for(asked.wait(), SECONDS)
        await stage.press("2")
        await stage.until(lambda: "subnets" in stage.crumbs, "the subnets")
        await stage.press("1")
        await stage.press("slash")
        await stage.type("node")
        assert "waiting for the engine" in stage.text
        await stage.press("escape")
        assert "waiting for the engine" in stage.text
        answer.set()
        await stage.see("no machine yet")


async def test_a_new_screen_does_not_parse_all_styles_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as stage:
        parsed: list[str] = []
        monkeypatch.setattr(stage.app.stylesheet, "reparse", lambda: parsed.append(stage.crumbs))
        await stage.press("2")
        await stage.see("rack7")
        await stage.press("question_mark")
        await stage.until(lambda: isinstance(stage.app.screen, Page), "help")
    assert parsed == []


@pytest.mark.usefixtures("collecting")
def test_garbage_waits_for_the_first_rows_only() -> None:
    hurry()
    assert not gc.isenabled()
    settle()
    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    assert frozen > 0
    settle()
    assert gc.get_freeze_count() <= frozen, "what came since is collected like anything else"


@pytest.mark.usefixtures("collecting")
async def test_an_interface_without_an_engine_collects_garbage_too() -> None:
    client = FakeClient()
    client.unreachable = True
    hurry()
    async with opened(client, attached=False) as stage:
        await stage.until(gc.isenabled, "garbage is collected")
