"""A part of the interface that raises is told on the error line; the rest goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import RenderableType
from textual.widget import Widget

from app.screens.dialogs.frame import Page
from app.screens.widgets.lines import Line
from app.screens.widgets.table import Table
from tests.screens.scenes import event
from tests.screens.stage import Stage, opened


class Broken(Widget):
    """Cannot be drawn."""

    DEFAULT_CSS = "Broken { height: 1; dock: bottom; }"

    def render(self) -> RenderableType:
        raise RuntimeError("cannot be drawn at all")


def kept_by(stage: Stage) -> list[dict[str, str]]:
    """The faults the engine was told of."""
    return [call[2] for call in stage.client.calls if call[:2] == ("engine", "fault")]


async def survived(stage: Stage) -> None:
    """The interface still takes keys and shows what comes; the faults of the test are acknowledged."""
    await stage.press("2")
    await stage.until(lambda: stage.crumbs.startswith(" subnets > all"), "subnets")
    await stage.press("1")
    await stage.until(lambda: stage.crumbs.startswith(" machines > all"), "machines")
    stage.client.push(event("dhcp.discover", "seen after the fault"))
    await stage.see("seen after the fault")
    assert stage.app.return_code is None
    stage.app.failures.clear()


async def test_ux16_a_line_that_cannot_be_drawn_is_told_and_the_rest_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Table.at

    def at(self: Table[object], index: int, width: int) -> Line:
        if index == 1:
            raise ZeroDivisionError("a cell of ours")
        return good(self, index, width)

    async with opened() as stage:
        monkeypatch.setattr(Table, "at", at)
        stage.find(Table).refresh()
        await stage.see("! this line cannot be drawn")
        await stage.see("the interface failed: ZeroDivisionError: a cell of ours")
        assert "node-07" in stage.text
        assert len(stage.app.failures) == 1, "told once, however often it is drawn"
        monkeypatch.undo()
        stage.find(Table).refresh()
        await stage.gone("cannot be drawn")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Page), "details")
        assert "while" in stage.text
        assert "drawing Table" in stage.text
        await stage.press("escape")
        await survived(stage)


async def test_ux16_a_widget_that_cannot_be_drawn_is_hidden() -> None:
    async with opened() as stage:
        await stage.area.mount(Broken())
        # Not by its text: reading the screen draws it here, outside the interface.
        await stage.until(lambda: stage.app.failures and not stage.find(Broken).visible, "hidden")
        await stage.pilot.pause()
        await stage.see("cannot be drawn at all")
        await survived(stage)


async def test_ux16_a_handler_that_raises_does_not_end_its_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    def action_move(self: Table[object], by: int) -> None:
        raise LookupError("moving failed")

    async with opened() as stage:
        table = stage.find(Table)
        monkeypatch.setattr(Table, "action_move", action_move)
        await stage.press("down")
        await stage.see("the interface failed: LookupError: moving failed")
        monkeypatch.undo()
        # It outlives this terminal: the engine has it, with the place, once.
        await stage.until(lambda: kept_by(stage), "kept")
        (kept,) = kept_by(stage)
        assert (kept["id"], kept["screen"]) == (stage.app.failures[0].id, "machines")
        assert "action_move" in kept["trace"]
        before = table.cursor
        await stage.press("escape", "down")
        assert table.cursor == before + 1, "the widget goes on taking keys"
        await survived(stage)


@pytest.mark.parametrize("name", ["tick", "take", "on_table_moved", "status_chips"])
async def test_ux16_a_screen_or_the_application_that_raises_goes_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a fault of the screen")

    async with opened() as stage:
        part = stage.app if name == "status_chips" else stage.area
        with monkeypatch.context() as patch:
            patch.setattr(type(part), name, broken)
            stage.client.push(event("dhcp.discover", "one more"))
            await stage.press("down")
            await stage.until(lambda: stage.app.failures, "told")
        await stage.see("a fault of the screen")
        await survived(stage)


async def test_ux16_a_key_whose_work_raises_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOOTCART_SHOTS", str(tmp_path))
    async with opened() as stage:
        monkeypatch.setattr(stage.app, "do_freeze", lambda: {}["nothing"])
        await stage.press("F")
        await stage.see("the interface failed: KeyError")
        await stage.press("escape")
        await stage.gone("ERROR")

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("app.screens.shots.os.open", full)
        await stage.press("S")
        await stage.see("No space left on device")
        assert "set BOOTCART_SHOTS" in stage.text
        await survived(stage)
