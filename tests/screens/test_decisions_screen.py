"""Decisions: who asked what, what was answered and why; silence stands out; to the packets and to the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.model.event import Level
from app.screens.areas.inspect import InspectScreen
from app.screens.areas.machine import MachineScreen
from app.screens.widgets.decisionlog import DecisionLog
from tests.fakes.packets import CAPTURE
from tests.screens.scenes import event
from tests.screens.stage import CONSOLE, VT, WIDE, Stage, opened

SILENCE = "giaddr 10.9.0.1 is on no subnet of ours"


def say(stage: Stage, kind: str, message: str, number: int = 5, level: Level = Level.INFO, **data: object) -> None:
    draft = event(kind, message, number, level, xid=f"{number:08x}", **data)
    stage.client.push(draft.model_copy(update={"interface": f"eth{number % 2}", "time": stage.client.now}))


def silent(stage: Stage, number: int = 6, kind: str = "dhcp.discover") -> None:
    say(stage, kind, "asked", number)
    say(stage, "dhcp.silent", f"no answer: {SILENCE}", number, Level.WARNING, why=SILENCE, reason="unknown-relay")


async def decisions(stage: Stage) -> DecisionLog:
    await stage.press("0")
    await stage.see("ACK 10.7.0.105")
    return stage.find(DecisionLog)


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_what_was_asked_and_what_was_answered_stand_on_one_line(size: tuple[int, int]) -> None:
    async with opened(size=size, profile=CONSOLE) as stage:
        await decisions(stage)
        silent(stage)
        await stage.see("SILENT")

        offer, silence = stage.row("OFFER"), stage.row("SILENT")
        assert "node-05" in offer
        assert "10.7.0.105  ipxe.efi" in offer
        assert offer.index("DISCOVER") < offer.index("OFFER") < offer.index("10.7.0.105")
        assert silence[8:11] == " ! "
        assert silence.index("DISCOVER") < silence.index("SILENT") < silence.index(SILENCE[:30])
        # What only tells what was asked has no line of its own.
        assert not any("DISCOVER from" in row for row in stage.rows[2:20])
        assert all(len(row) == size[0] for row in stage.rows)


async def test_the_line_below_says_all_of_it() -> None:
    async with opened() as stage:
        await decisions(stage)
        silent(stage)
        await stage.see(f"no answer: {SILENCE}  (eth0, 52:54")


async def test_a_request_that_was_not_answered_is_told_from_a_discover() -> None:
    async with opened() as stage:
        pane = await decisions(stage)
        silent(stage, kind="dhcp.request")
        await stage.see("REQUEST  SILENT")
        assert pane.asked(pane.shown[-1]) == "REQUEST"


async def test_only_what_was_not_answered() -> None:
    async with opened() as stage:
        pane = await decisions(stage)
        silent(stage)
        await stage.see("SILENT")
        await stage.press("s")
        await stage.gone("OFFER ")
        assert {one.kind for one in pane.shown} == {"dhcp.silent"}
        silent(stage, 7)
        await stage.until(lambda: len(pane.shown) == 2, "the next one too")
        await stage.press("s")
        await stage.see("OFFER ")


async def test_only_one_client_and_only_one_interface() -> None:
    async with opened() as stage:
        pane = await decisions(stage)
        silent(stage, 6)
        silent(stage, 7)
        await stage.until(lambda: pane.current is not None and pane.current.mac.endswith(":07"), "both")
        await stage.press("o")
        assert "/mac=52:54:00:00:00:07" in stage.crumbs
        assert {one.mac for one in pane.shown} == {"52:54:00:00:00:07"}
        await stage.press("o", "i")
        assert {one.interface for one in pane.shown} >= {"eth1"}
        assert "eth0" not in {one.interface for one in pane.shown}
        await stage.press("escape")
        assert {one.interface for one in pane.shown} >= {"eth0", "eth1"}


async def test_it_follows_pauses_and_counts() -> None:
    async with opened() as stage:
        pane = await decisions(stage)
        assert "following" in stage.rows[1]
        await stage.press("up")
        for _ in range(3):
            silent(stage)
        await stage.see("3 new - G to follow")
        await stage.press("G")
        await stage.see("following")
        assert pane.current is pane.shown[-1]


async def test_it_has_what_happened_before_the_interface_was_opened() -> None:
    async with opened(attached=False) as stage:
        for number in range(700):
            stage.client.push(event("http.sent", f"line {number}"))
        await stage.until(lambda: stage.app.at_rest and stage.app.session.last > 700, "attached")
        pane = await decisions(stage)

        assert "dhcp.offer" in {one.kind for one in pane.all}


async def test_what_happened_while_another_screen_was_seen_is_not_missing() -> None:
    async with opened() as stage:
        pane = await decisions(stage)
        await stage.press("2")
        silent(stage)
        last = len(stage.client.events.ring)
        for number in range(stage.app.session.events.maxlen or 0):
            stage.client.push(event("http.sent", f"line {number}"))
        await stage.until(lambda: stage.app.session.events[0].id > last, "forgotten")
        await stage.press("0")
        await stage.until(lambda: pane.shown[-1].kind == "dhcp.silent", "the silence")


async def test_to_the_machine_and_for_a_stranger_not() -> None:
    async with opened() as stage:
        await decisions(stage)
        silent(stage, 5)
        await stage.see("SILENT")
        await stage.press("m")
        await stage.until(lambda: isinstance(stage.area, MachineScreen), "the machine")
        assert "node-05" in stage.crumbs
        await stage.press("0")
        stage.client.push(event("dhcp.silent", "no answer", why="why").model_copy(update={"mac": "52:54:00:99:99:99"}))
        await stage.see("52:54:00:99:99:99")
        await stage.press("m")
        await stage.see("is no machine we know")


async def inspected(stage: Stage) -> None:
    await stage.press("enter")
    await stage.until(lambda: isinstance(stage.area, InspectScreen), "the packets")


async def test_side_by_side_where_there_is_room() -> None:
    async with opened(size=WIDE) as stage:
        await decisions(stage)
        await inspected(stage)
        await stage.see("DHCP options")

        assert stage.row("type       DISCOVER").index("DISCOVER") < 60 < stage.row("type       OFFER").index("OFFER")
        assert "decisions > event" in stage.crumbs


async def test_one_after_the_other_on_a_console() -> None:
    async with opened(profile=CONSOLE) as stage:
        await decisions(stage)
        await inspected(stage)
        await stage.see("53  dhcp-message-type       DISCOVER")
        assert "[request]" in stage.text
        await stage.press("tab")
        assert "[reply]" in stage.text
        await stage.see("siaddr    10.7.0.1")
        await stage.press("x")
        await stage.see("0000  01 01 06 00")
        assert all(len(row) == VT[0] for row in stage.rows)
        await stage.press("escape")
        assert stage.crumbs.startswith(" decisions > ")


async def test_silence_has_no_reply_and_says_why() -> None:
    async with opened(size=WIDE) as stage:
        await decisions(stage)
        silent(stage)
        await stage.see("SILENT")
        await inspected(stage)
        await stage.see(f"nothing was sent: {SILENCE}")


async def test_what_could_not_be_read_says_why_and_shows_its_octets() -> None:
    async with opened() as stage:
        stage.client.packets.fault = "option 55 runs 239 octets past the end"
        await decisions(stage)
        await inspected(stage)
        await stage.see("! cannot be read: option 55 runs 239 octets past the end")


async def test_what_is_gone_and_what_fails_are_said() -> None:
    async with opened() as stage:
        await decisions(stage)
        stage.client.packets.gone = True
        await inspected(stage)
        await stage.see("not recorded, or no longer")


def texts(folder: Path) -> list[str]:
    return [one.read_text() for one in folder.glob("event-*.txt")]


async def test_both_are_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOTCART_SHOTS", str(tmp_path))
    async with opened() as stage:
        await decisions(stage)
        await inspected(stage)
        await stage.see("dhcp-message-type")
        await stage.press("w")
        await stage.see("written to")
        await stage.press("C")
        await stage.until(lambda: CAPTURE in [one.read_bytes() for one in tmp_path.glob("node-05-*.pcapng")], "capture")

    (text,) = texts(tmp_path)
    assert "53  dhcp-message-type       OFFER" in text
    assert "0000  01 01 06 00" in text


async def test_a_capture_from_the_machine_and_from_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOTCART_SHOTS", str(tmp_path))
    async with opened() as stage:
        await stage.press("C")
        await stage.until(lambda: len(list(tmp_path.glob("*.pcapng"))) == 1, "from the list")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.area, MachineScreen), "the machine")
        stage.client.packets.gone = True
        await stage.press("C")
        await stage.see("is recorded")


async def test_from_events_and_by_command() -> None:
    async with opened() as stage:
        await stage.press("6")
        await stage.see("DISCOVER from")
        await stage.press("home", "I")
        await stage.until(lambda: isinstance(stage.area, InspectScreen), "the packets")
        assert stage.crumbs.startswith(" events > event 1")
        await stage.press("escape", "colon")
        await stage.type("events inspect 3")
        await stage.press("enter")
        await stage.until(lambda: "event 3" in stage.crumbs, "the packets of event 3")
