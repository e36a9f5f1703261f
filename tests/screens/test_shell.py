"""The shell round every screen: breadcrumb, keys, help, errors, connection, quitting, small terminals, dumps."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from textual import events

from app.errors import ConflictError
from app.model.machine import MachineState
from app.screens.dialogs.frame import Ask, Page
from app.screens.dialogs.pages import TooSmall
from app.screens.registry import AREAS, here
from app.screens.session import Link
from tests.fakes.client import FakeClient
from tests.screens.scenes import event
from tests.screens.stage import VT, WIDE, Stage, opened


async def test_first_paint_does_not_wait_for_the_client() -> None:
    import threading

    let_go = threading.Event()
    client = FakeClient()

    def slow() -> FakeClient:
        let_go.wait(10)
        return client

    from app.screens.app import BootcartApp
    from tests.screens.stage import Stage

    app = BootcartApp(slow)
    async with app.run_test(size=VT) as pilot:
        stage = Stage(app=app, client=client, pilot=pilot)
        await stage.see("connecting")
        await stage.until(lambda: "q quit" in stage.text, "the keys")
        await stage.until(lambda: "NAME" in "".join(stage.rows[1:2]), "the head of the list")
        let_go.set()
        await stage.see("node-07")


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux5_breadcrumb_says_where_with_what_and_how_it_is(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        assert stage.crumbs.startswith(" machines > all 12")
        assert "eth1" in stage.crumbs
        for lamp in ("DHCP up", "PXE FAILED", "TFTP up", "HTTP up"):
            assert lamp in stage.crumbs
        assert "attached" in stage.crumbs
        if size == WIDE:
            assert "attached unix:/run/bootcart/api.sock" in stage.crumbs
            assert "eth1 10.7.0.1/24" in stage.crumbs


async def test_ux5_what_failed_is_never_left_out() -> None:
    async with opened(size=(60, 24)) as stage:
        await stage.press("slash")
        await stage.type("node-0")
        await stage.press("enter", "asterisk")
        assert "PXE FAILED" in stage.crumbs
        assert "/node-0" in stage.crumbs
        assert "7 marked" in stage.crumbs


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux1_every_area_opens_with_its_key(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        for key, name, _ in AREAS:
            await stage.press("at" if key == "@" else key)
            await stage.until(lambda name=name: stage.crumbs.startswith(f" {name} > "), name)
            assert "? help" in stage.keys
            assert all(len(row) == size[0] for row in stage.rows)


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_ux4_help_lists_the_keys_of_this_screen_and_scrolls(key: str) -> None:
    async with opened() as stage:
        await stage.press("4", key)
        await stage.until(lambda: isinstance(stage.app.screen, Page), "help")
        assert "Keys here: reservations" in stage.text
        assert "create a reservation" in stage.text
        page = stage.app.screen
        assert isinstance(page, Page)
        assert "ask the agent to reboot" not in page.page.text.split("Command line")[0]
        assert "reservations create ADDRESS --mac MAC" in page.page.text
        seen = stage.text
        await stage.press("pagedown", "pagedown", "pagedown")
        assert stage.text != seen
        assert max(map(len, page.page.text.splitlines())) <= 76
        await stage.press("escape")
        assert not isinstance(stage.app.screen, Page)


def test_ux4_no_key_means_two_things_on_one_screen() -> None:
    for area in (*(name for _, name, _ in AREAS), "machine", "wizard"):
        keys = [key for action in here(area) for key in action.keys]
        assert len(keys) == len(set(keys)), (area, sorted(keys))


def test_ux1_every_key_can_be_typed_on_a_serial_console() -> None:
    plain = {"enter", "escape", "tab", "shift+tab", "space", "left", "right", "f1", "ctrl+l", "ctrl+c", "0-9"}
    for area in (*(name for _, name, _ in AREAS), "machine", "wizard"):
        for action in here(area):
            first = [key for key in action.keys if key != "f1"]
            assert any(key in plain or len(key) == 1 for key in first), action


async def test_ux16_error_has_reason_hint_details_and_stays_until_acknowledged() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        await stage.press("7")
        await stage.see("proxydhcp")
        client.fail(ConflictError("tftp is disabled for this run", hint="start without --disable"), "services.restart")
        await stage.press("down", "R")
        await stage.see("tftp is disabled for this run")
        row = stage.row("Enter details  y copy id  Esc ok")
        assert "start without --disable" in row
        assert "? help" in stage.keys
        await stage.press("1", "7", "down", "up")
        await asyncio.sleep(1.2)
        assert "tftp is disabled" in stage.text
        await stage.press("y")
        await stage.until(lambda: stage.app.news.startswith("error id E-"), "the id")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Page), "details")
        assert "What to do" in stage.text
        assert re.search(r"E-[0-9a-f]{6}", stage.text)
        await stage.press("escape")
        assert "ERROR" not in stage.text


async def test_ux16_esc_acknowledges_one_error_at_a_time() -> None:
    async with opened() as stage:
        stage.app.fail(ConflictError("first"))
        stage.app.fail(ConflictError("second"))
        await stage.see("first")
        assert "(1 of 2)" in stage.text
        await stage.press("escape")
        await stage.see("second")
        await stage.press("escape")
        await stage.gone("ERROR")


async def test_ux16_a_failing_worker_never_ends_the_interface() -> None:
    async with opened() as stage:

        async def broken() -> None:
            raise RuntimeError("a fault of ours [bold]not markup[/bold]")

        stage.app.flow(broken(), "being broken")
        await stage.see("a fault of ours")
        assert "[bold]" in stage.app.failures[0].reason
        await stage.press("enter")
        await stage.see("being broken")
        assert "RuntimeError" in stage.text
        await stage.press("escape")
        stage.app.failures.clear()


async def test_ux16_typing_is_not_disturbed_by_an_error() -> None:
    async with opened() as stage:
        stage.app.fail(ConflictError("meanwhile"))
        await stage.press("slash", "y", "enter")
        assert stage.area.sought == "y"
        assert stage.app.failures


async def test_ux19_stale_then_attached_again_and_missed_events_come() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        client.unreachable = True
        await stage.until(lambda: "STALE" in stage.crumbs, "stale")
        assert re.search(r"STALE \d+ s", stage.crumbs)
        assert "node-07" in stage.text, "what was known stays"
        client.machines.change("node-07", MachineState.FAIL, reason="while away")
        client.push(event("agent.failed", "happened while away", number=7))
        assert not stage.app.failures
        client.unreachable = False
        await stage.until(lambda: "attached" in stage.crumbs, "attached again")
        await stage.see("FAIL while away")
        await stage.see("happened while away")


async def test_ux19_engine_not_there_at_the_start() -> None:
    client = FakeClient()
    client.unreachable = True
    async with opened(client, attached=False) as stage:
        await stage.see("connecting")
        await stage.press("2", "7", "1")
        client.unreachable = False
        await stage.see("node-07")
        assert stage.app.session.link is Link.ATTACHED


async def test_ux20_quit_detaches_without_asking_while_the_engine_lives_on() -> None:
    async with opened() as stage:
        await stage.press("q")
        await stage.until(lambda: stage.app.return_code == 0, "left")
        assert not stage.client.stopped
        assert "engine goes on" in stage.app.farewell


async def test_ux20_quit_asks_when_services_would_stop() -> None:
    async with opened(started_engine=True) as stage:
        await stage.press("q")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        for word in ("Detach", "Stop the engine", "Cancel"):
            assert word in stage.text
        assert ">[ d Detach ]" in stage.text
        await stage.press("escape")
        assert stage.app.return_code is None
        await stage.press("q", "enter")
        await stage.until(lambda: stage.app.return_code == 0, "left")
        assert not stage.client.stopped


@pytest.mark.parametrize("launched", [False, True])
async def test_ux20_stop_wants_a_word_and_the_launcher_does_it_where_there_is_one(
    launched: bool, tmp_path: Path
) -> None:
    async with opened(host_plan=tmp_path / "plan.json" if launched else None) as stage:
        await stage.press("Q", "s")
        await stage.see("Stop the engine?")
        await stage.press("enter")
        assert stage.app.return_code is None
        await stage.type("stop")
        await stage.press("enter")
        await stage.until(lambda: stage.app.return_code is not None, "left")
        assert (stage.app.return_value, stage.client.stopped) == ((76, False) if launched else (0, True))


async def test_ux8_what_is_typed_ahead_never_acts_on_the_screen_below_a_question() -> None:
    async with opened() as stage:
        stage.app.post_message(events.Key("H", "H"))
        stage.app.post_message(events.Key("d", "d"))
        stage.app.post_message(events.Key("x", "x"))
        await stage.see("answer no one?")
        await stage.settle()
        assert len(stage.app.screen_stack) == 2
        assert "Forget" not in stage.text


async def test_hold_asks_and_is_seen() -> None:
    async with opened() as stage:
        await stage.press("H")
        await stage.see("answer no one?")
        await stage.press("H", "enter")
        assert not (await stage.client.info()).holding
        await stage.press("H")
        await stage.see("answer no one?")
        await stage.press("y")
        await stage.until(lambda: "HOLD" in stage.crumbs, "held")
        await stage.press("H")
        await stage.see("Lift the hold?")
        await stage.press("y")
        await stage.until(lambda: "HOLD" not in stage.crumbs, "lifted")


async def test_ux13_below_sixty_by_sixteen_says_so_and_lets_one_past() -> None:
    async with opened() as stage:
        await stage.pilot.resize_terminal(50, 12)
        await stage.until(lambda: isinstance(stage.app.screen, TooSmall), "told")
        assert "need 80x24, have 50x12, any key to continue" in " ".join(stage.text.split())
        await stage.press("a")
        assert not isinstance(stage.app.screen, TooSmall)
        await stage.pilot.resize_terminal(40, 10)
        assert not isinstance(stage.app.screen, TooSmall)
        await stage.pilot.resize_terminal(80, 24)
        await stage.see("node-07")
        await stage.pilot.resize_terminal(50, 12)
        await stage.until(lambda: isinstance(stage.app.screen, TooSmall), "told again")
        await stage.pilot.resize_terminal(80, 24)
        await stage.until(lambda: not isinstance(stage.app.screen, TooSmall), "gone by itself")


async def test_ux13_event_pane_only_where_there_is_room() -> None:
    async with opened(size=(80, 24)) as stage:
        await stage.see("events ───")
        await stage.pilot.resize_terminal(80, 20)
        await stage.until(lambda: "events ───" not in stage.text, "hidden")
        await stage.pilot.resize_terminal(120, 40)
        await stage.until(lambda: "events ───" in stage.text, "back")


def written(folder: Path, suffix: str) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob(f"*.{suffix}"))]


async def test_ux21_dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOTCART_SHOTS", str(tmp_path))
    async with opened() as stage:
        await stage.press("S")
        await stage.until(lambda: list(tmp_path.glob("*.txt")), "the dump")
        text = written(tmp_path, "txt")[0]
        assert "node-07" in text
        assert len(text.splitlines()) == 24
        await stage.press("S", "P", "ctrl+l")
        await stage.until(lambda: list(tmp_path.glob("*.svg")), "the picture")
        assert len(written(tmp_path, "txt")) == 2
        assert "node-07" in stage.text


async def test_ux24_times_are_local_and_lines_fit() -> None:
    async with opened() as stage:
        await stage.press("6")
        await stage.see("DISCOVER from")
        for row in stage.rows[2:14]:
            assert re.match(r"\d\d:\d\d:\d\d [ !.]", row), row
            assert len(row) == 80


async def typed_at_once(stage: Stage, text: str, *after: str) -> None:
    """As a serial line or a paste delivers it: all keys before the first is handled."""
    for char in text:
        name = {":": "colon", "/": "slash", " ": "space", "-": "minus"}.get(char, char)
        stage.app.post_message(events.Key(name, char))
    for key in after:
        stage.app.post_message(events.Key(key, None))
    await stage.settle()


async def test_a_line_that_arrives_at_once_goes_to_the_prompt_it_opens() -> None:
    async with opened() as stage:
        await typed_at_once(stage, ":boot node-10 memtest", "enter")
        await stage.see("node-10: boot memtest?")
        await stage.press("escape")
        await typed_at_once(stage, "/node-0", "enter")
        await stage.see("7 of 12")
        assert stage.area.sought == "node-0"


async def test_answers_that_arrive_with_their_question_are_its_answers() -> None:
    async with opened() as stage:
        await typed_at_once(stage, "Hy")
        await stage.until(lambda: "HOLD" in stage.crumbs, "held")
        await typed_at_once(stage, "H", "escape")
        await stage.settle()
        assert "HOLD" in stage.crumbs
        await typed_at_once(stage, "Qsstop", "enter")
        await stage.until(lambda: stage.client.stopped, "stopped")
