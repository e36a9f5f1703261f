"""One machine: timeline that ticks and fills, inventory, boot environment, script, events, history."""

from __future__ import annotations

import re

import pytest

from app.model.machine import MachineState, machine_id_for
from app.model.timeline import Hop, HopState, Timeline
from app.screens.areas.machine import MachineScreen
from app.screens.areas.machine_pages import timeline_lines
from app.screens.dialogs.form import Form
from app.screens.dialogs.frame import Ask
from app.screens.widgets.eventlog import EventLog
from tests.fakes.client import FakeClient
from tests.fakes.world import NOW, mac
from tests.screens.scenes import event
from tests.screens.stage import VT, WIDE, Stage, opened
from tests.screens.test_areas import fill, save


async def show(stage: Stage, number: int) -> MachineScreen:
    stage.app.open_machine(str(machine_id_for(mac(number))))
    await stage.until(lambda: isinstance(stage.app.screen, MachineScreen), "the machine")
    await stage.gone("loading")
    screen = stage.app.screen
    assert isinstance(screen, MachineScreen)
    return screen


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux7_timeline_shows_hops_with_words_times_and_deltas(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        await show(stage, 5)
        assert "machines > node-05 > timeline" in stage.crumbs
        row = stage.row("OFFER")
        assert "+ done" in row
        assert re.search(r"\d\d:\d\d:\d\d", row)
        assert "+2.00s" in row
        here = stage.row("Kernel")
        assert here.startswith(" > > active")
        assert re.search(r"waiting \d\d:\d\d for kernel", here)
        assert ". waiting" in stage.row("Initrd")


async def test_ux7_the_wait_ticks() -> None:
    async with opened() as stage:
        await show(stage, 5)
        before = stage.row("Kernel")
        await stage.until(lambda: stage.row("Kernel") != before, "a second later")


async def test_ux7_timeline_follows_the_machines_events() -> None:
    async with opened() as stage:
        await show(stage, 5)
        stage.client.machines.change("node-05", MachineState.BOOT, hop="agent", waiting_for="the agent")
        stage.client.push(event("http.sent", "initrd sent"))
        await stage.until(lambda: "+ done" in stage.row("Initrd"), "the initrd is done")
        assert "for the agent" in stage.row("Agent  ")


def text_of(timeline: Timeline, wait: str = "", width: int = 80) -> str:
    return "\n".join("".join(text for text, _ in one.spans) for one in timeline_lines(timeline, wait, NOW, width))


def test_ux7_failed_and_skipped_hops_are_words_too() -> None:
    hops = (
        Hop(name="loader", title="Loader", state=HopState.SKIPPED),
        Hop(name="kernel", title="Kernel", state=HopState.FAILED, began=NOW - 5, detail="not found " * 12),
    )
    text = text_of(Timeline(started=NOW - 60, path="bios-ipxe", bootenv="x", hops=hops, at="kernel", retries=3))
    assert "- skipped Loader" in text
    assert "! FAILED  Kernel" in text
    assert "3 repeated DISCOVER" in text
    assert max(map(len, text.splitlines())) <= 80


def test_ux7_without_a_boot_it_says_what_to_do() -> None:
    assert "power the machine on" in text_of(Timeline())


async def test_ux7_waiting_for_the_operators_hand_is_shown_with_its_time() -> None:
    async with opened() as stage:
        await show(stage, 10)
        stage.app.session.awaited[str(machine_id_for(mac(10)))] = ("memtest", stage.app.session.now() - 12)
        await stage.see("for you to power-cycle it: it then boots memtest")
        assert re.search(r"waiting 00:1\d", stage.text)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("i", ["PowerEdge R640", "nvme0n1", "960 GB", "eno1", "ixgbe", "boots", "Secure Boot   enabled", "192.0 GiB"]),
        ("v", ["boots next    local", "because       the preference default-bootenv"]),
        ("s", ["#!ipxe", "bootcart.token=********"]),
        ("l", ["events ", "following"]),
        ("y", ["nobody has changed anything"]),
    ],
)
async def test_tabs(key: str, wanted: list[str]) -> None:
    async with opened() as stage:
        await show(stage, 3)
        await stage.press(key)
        await stage.gone("loading")
        for text in wanted:
            await stage.see(text)


async def test_ux1_tabs_can_be_walked_and_esc_goes_back() -> None:
    async with opened() as stage:
        await show(stage, 3)
        for word in ("[inventory]", "[boot environment]", "[script]", "[events]", "[history]", "[timeline]"):
            await stage.press("right")
            await stage.see(word)
        await stage.press("left")
        await stage.see("[history]")
        await stage.press("escape")
        await stage.see("machines > all 12")


async def test_events_of_the_machine_only() -> None:
    async with opened() as stage:
        await show(stage, 5)
        await stage.press("l")
        await stage.see("kernel to 10.7.0.105")
        stage.client.push(event("http.sent", "for another machine", number=8))
        stage.client.push(event("http.sent", "for this machine", number=5))
        await stage.see("for this machine")
        assert "for another machine" not in stage.text
        assert all(one.mac == mac(5) for one in stage.find(EventLog).all)


async def test_history_shows_what_was_done_and_undone() -> None:
    client = FakeClient()
    await client.machines.assign("node-03", "memtest")
    await client.commands.undo()
    async with opened(client) as stage:
        await show(stage, 3)
        await stage.press("y")
        await stage.see("assign machines node-03")
        assert "(undone by 2)" in stage.text


async def test_edit_keeps_errors_beside_their_field() -> None:
    async with opened() as stage:
        await show(stage, 3)
        await stage.press("e")
        await stage.until(lambda: isinstance(stage.app.screen, Form), "the form")
        await stage.press(*["backspace"] * 7)
        await stage.type("node-04")
        await stage.press("shift+tab", "enter")
        await stage.see("is taken by machine")
        assert "!" in stage.row("Name  ")
        await stage.press("backspace", "x", "shift+tab", "enter")
        await stage.until(lambda: not isinstance(stage.app.screen, Form), "saved")
        assert stage.client.machines.resolve("node-0x").name == "node-0x"


async def test_a_machine_is_given_profiles_of_those_there_are() -> None:
    async with opened(size=VT) as stage:
        await show(stage, 3)
        await stage.press("e")
        await fill(stage, "profiles", "berlin, storage")
        assert " of storage, berlin" in stage.row("Profiles")
        await save(stage)
        await stage.until(lambda: not isinstance(stage.app.screen, Form), "saved")
        assert stage.client.machines.resolve("node-03").profiles == ("berlin", "storage")


async def test_forget_from_here_goes_back() -> None:
    async with opened() as stage:
        await show(stage, 10)
        await stage.press("d")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press("y")
        await stage.see("machines > all 11")


async def test_a_machine_that_is_kept_stays_open_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    # A listing comes in pages, and this machine is not on the first one.
    monkeypatch.setattr("app.model.query.LIMIT_MAX", 3)
    async with opened() as stage:
        await show(stage, 10)
        await stage.press("d")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press("escape")
        await stage.until(lambda: not isinstance(stage.app.screen, Ask), "the answer")
        await stage.press("i")
        await stage.until(lambda: "node-10 > inventory" in stage.crumbs, "its inventory")


async def test_a_script_that_does_not_render_says_why() -> None:
    from app.errors import InvalidError

    client = FakeClient()
    async with opened(client) as stage:
        await show(stage, 3)
        client.fail(InvalidError("boot.ipxe line 3: 'x' is undefined", hint="mend the template"), "machines.script")
        await stage.press("s")
        await stage.see("boot.ipxe line 3")
        assert "mend the template" in stage.text
