"""The list of machines: state in glyph, word and colour, cursor, marks, filter, assigning, rebooting, forgetting."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from app.errors import ConflictError
from app.model.machine import STATE_GLYPHS, Machine, MachineState, machine_id_for, machine_name_for
from app.screens.areas.machines import STYLE_OF, MachinesArea, natural
from app.screens.dialogs.choose import Choose
from app.screens.dialogs.frame import Ask
from app.screens.widgets.table import Table
from tests.fakes.client import FakeClient
from tests.fakes.world import mac
from tests.screens.scenes import event
from tests.screens.stage import VT, WIDE, Stage, opened


def table(stage: Stage) -> Table[Machine]:
    area = stage.area
    assert isinstance(area, MachinesArea)
    return area.table


async def go(stage: Stage, name: str) -> None:
    assert table(stage).go(str(machine_id_for(mac(int(name[-2:])))))
    await stage.settle()


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux12_state_is_glyph_and_word(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        for name, state in (
            ("node-05", MachineState.BOOT),
            ("node-08", MachineState.FAIL),
            ("node-11", MachineState.HELD),
        ):
            row = stage.row(f" {name} ")
            assert row[4] == STATE_GLYPHS[state]
            assert state.value.upper() in row


async def test_what_is_inherited_is_in_brackets() -> None:
    async with opened(size=VT) as stage:
        assert "(discovery)" in stage.row(f" {machine_name_for(mac(1))}")
        assert "(local)" in stage.row(" node-03 ")
        assert " debian-12 " in stage.row(" node-05 ")


def test_ux12_no_two_states_look_alike_without_colour() -> None:
    assert len(set(STATE_GLYPHS.values())) == len(MachineState) == len(STYLE_OF)


async def test_ux13_columns_follow_the_width() -> None:
    async with opened(size=VT) as stage:
        titles = stage.rows[1]
        assert "NAME" in titles
        assert "STAGE" in titles
        assert "IP" in titles
        assert "MAC" not in titles
        assert all(len(row) == 80 for row in stage.rows)
        assert len(stage.rows) == 24
    async with opened(size=WIDE) as stage:
        assert "MAC" in stage.rows[1]


async def test_ux18_cursor_stays_on_its_machine_while_others_come_and_go() -> None:
    async with opened() as stage:
        await go(stage, "node-07")
        at = table(stage).current_key
        for number in (20, 21):
            await stage.client.machines.create({"macs": [mac(number)], "name": f"aaa-{number}"})
        await stage.see("aaa-21")
        assert table(stage).current_key == at
        await stage.client.machines.delete("node-03")
        await stage.until(lambda: len(table(stage).items) == 13, "node-03 gone")
        assert table(stage).current_key == at
        await stage.client.machines.delete("node-07")
        await stage.until(lambda: len(table(stage).items) == 12, "node-07 gone")
        assert table(stage).current is not None


async def test_ux18_updates_are_coalesced_to_four_a_second() -> None:
    async with opened() as stage:
        area = stage.area
        loads: list[int] = []
        original = area.load

        async def counted() -> None:
            loads.append(1)
            await original()

        area.load = counted  # type: ignore[method-assign]
        for number in range(60):
            stage.client.machines.change("node-05", MachineState.BOOT, hop=f"hop{number}")
            stage.client.push(event("http.started", f"file {number}"))
        await stage.see("hop59")
        assert len(loads) <= 4


async def test_ux18_freeze_stops_the_view_and_thaw_shows_all() -> None:
    async with opened() as stage:
        await stage.press("F")
        assert "FROZEN" in stage.crumbs
        stage.client.machines.change("node-05", MachineState.DONE, hop="frozen-out")
        stage.client.push(event("agent.started", "agent started"))
        await stage.until(lambda: stage.app.session.events[-1].message == "agent started", "the event")
        assert "frozen-out" not in stage.text
        await stage.press("F")
        await stage.see("frozen-out")
        assert "FROZEN" not in stage.crumbs


async def test_ux2_filter_is_incremental_and_a_chip_and_esc_clears_it() -> None:
    async with opened() as stage:
        await stage.press("slash")
        await stage.type("state=fail")
        await stage.see("1 of 12")
        assert "/state=fail" in stage.crumbs
        await stage.press("enter")
        assert "node-08" in stage.text
        assert "node-07" not in stage.text
        await stage.press("2", "1")
        assert "/state=fail" in stage.crumbs, "the filter persists per area"
        await stage.press("escape")
        await stage.see("all 12")


async def test_ux2_backspace_in_the_filter_never_reaches_the_table() -> None:
    async with opened() as stage:
        await stage.press("slash", "d", "backspace", "backspace", "backspace", "d", "x")
        assert not isinstance(stage.app.screen, Ask)
        assert len(stage.client.machines.items) == 12


@pytest.mark.parametrize(
    ("text", "shown"), [("!node", "arm-01"), ("mac~00:07", "node-07"), ("node !state=ready bootenv=local", "node-10")]
)
async def test_ux2_filter_language(text: str, shown: str) -> None:
    async with opened() as stage:
        await stage.press("slash")
        await stage.type(text)
        await stage.press("enter")
        await stage.see(shown)
        assert "node-08" not in "\n".join(stage.rows[1:14])


async def test_ux10_marks_survive_filter_and_refresh_and_hidden_ones_are_counted() -> None:
    async with opened() as stage:
        await go(stage, "node-03")
        await stage.press("space", "space")
        assert "2 marked" in stage.crumbs
        assert "*" in stage.row("node-03")[:4]
        await stage.press("slash")
        await stage.type("node-04")
        await stage.press("enter")
        assert "2 marked (1 hidden)" in stage.crumbs
        stage.client.machines.change("node-05", MachineState.DONE, hop="refreshed")
        stage.client.push(event("agent.started", "agent started"))
        await stage.press("escape")
        await stage.see("refreshed")
        assert "2 marked" in stage.crumbs
        await stage.press("backslash")
        assert "marked" not in stage.crumbs


async def test_ux10_range_and_all() -> None:
    async with opened() as stage:
        await go(stage, "node-03")
        await stage.press("v", "down", "down", "v")
        assert "3 marked" in stage.crumbs
        await stage.press("backslash", "asterisk")
        assert "12 marked" in stage.crumbs


async def choose(stage: Stage, letter: str) -> None:
    await stage.press("b")
    await stage.until(lambda: isinstance(stage.app.screen, Choose), "the picker")
    await stage.press(letter, "enter")
    await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")


async def test_assign_lets_the_agent_reboot_where_it_listens() -> None:
    async with opened() as stage:
        await go(stage, "node-03")
        await choose(stage, "m")
        assert "agent listens" in stage.text
        await stage.press("y")
        await stage.see("reboots now: node-03")
        assert stage.client.machines.resolve("node-03").bootenv == "memtest"
        assert stage.client.machines.resolve("node-03").reboot_wanted


async def test_assign_without_agent_says_to_power_cycle_and_shows_that_it_waits() -> None:
    async with opened() as stage:
        await go(stage, "node-10")
        await choose(stage, "m")
        assert "power-cycle it by hand" in stage.text
        assert "reboot now" not in stage.text
        await stage.press("y")
        await stage.see("power-cycle it, waiting: node-10")
        await stage.until(lambda: "power-cycle it" in stage.row(" node-10 "), "the wait in the row")
        assert stage.client.machines.resolve("node-10").bootenv == "memtest"
        stage.client.push(event("dhcp.discover", "DISCOVER", 10))
        await stage.until(lambda: "power-cycle it" not in stage.row(" node-10 "), "the wait is over")


async def test_assign_that_meets_a_silent_agent_keeps_the_assignment_and_waits() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        await go(stage, "node-04")
        client.fail(ConflictError("no agent", hint="power-cycle", field="reboot"), "machines.assign")
        await choose(stage, "m")
        await stage.press("y")
        await stage.see("power-cycle it, waiting: node-04")
        assert not stage.app.failures


async def test_ux8_what_wipes_disks_wants_the_name_typed_and_cancel_is_safe() -> None:
    async with opened() as stage:
        await go(stage, "node-03")
        await choose(stage, "d")
        assert "WIPES DISKS" in stage.text
        await stage.press("y", "enter")
        assert stage.client.machines.resolve("node-03").bootenv == "", "y is a letter here, not a yes"
        assert "that is not node-03" in stage.text
        await stage.press("escape")
        assert stage.client.machines.resolve("node-03").bootenv == ""
        await choose(stage, "d")
        await stage.type("node-03")
        await stage.press("enter")
        await stage.see("reboots now: node-03")
        assert stage.client.machines.resolve("node-03").bootenv == "debian-12"


async def test_assign_offers_no_environment_that_cannot_be_used_or_is_for_unknown_machines() -> None:
    async with opened() as stage:
        await go(stage, "node-03")
        await stage.press("b")
        await stage.until(lambda: isinstance(stage.app.screen, Choose), "the picker")
        assert "not now: debian-13/amd64/linux is missing" in stage.text
        assert "Discovery" not in stage.text
        await stage.press("d", "d", "enter")
        assert isinstance(stage.app.screen, Choose)
        assert stage.client.machines.resolve("node-03").bootenv == ""


async def test_ux8_bulk_lists_exact_targets_with_hidden_ones_and_wants_their_number() -> None:
    async with opened() as stage:
        await go(stage, "node-03")
        await stage.press("space", "space", "slash")
        await stage.type("node-04")
        await stage.press("enter", "d")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        assert "hidden by the filter" in stage.row("  node-03 ")
        assert "hidden" not in stage.row("  node-04 ")
        await stage.press("1", "enter")
        assert len(stage.client.machines.items) == 12
        await stage.press("backspace", "2", "enter")
        await stage.until(lambda: len(stage.client.machines.items) == 10, "both forgotten")


@pytest.mark.parametrize("opening", ["d", "x"])
async def test_ux8_forget_default_is_cancel_and_the_opening_key_does_not_confirm(opening: str) -> None:
    async with opened() as stage:
        await go(stage, "node-10")
        await stage.press(opening)
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press(opening)
        assert isinstance(stage.app.screen, Ask)
        await stage.press("enter")
        assert not isinstance(stage.app.screen, Ask)
        assert len(stage.client.machines.items) == 12
        await stage.press(opening)
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press("y")
        await stage.until(lambda: len(stage.client.machines.items) == 11, "forgotten")


async def test_ux9_undo_takes_back_and_says_what() -> None:
    async with opened() as stage:
        await go(stage, "node-10")
        await choose(stage, "m")
        await stage.press("y")
        await stage.until(lambda: stage.client.machines.resolve("node-10").bootenv == "memtest", "assigned")
        await stage.press("z")
        await stage.see("undo of 1 (assign machines node-10)")
        assert stage.client.machines.resolve("node-10").bootenv == "local"


async def test_reboot_asks_and_does() -> None:
    async with opened() as stage:
        await go(stage, "node-03")
        await stage.press("R")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press("y")
        await stage.until(lambda: stage.client.machines.resolve("node-03").reboot_wanted, "told to reboot")
        await stage.see("told to reboot")


async def test_reboot_without_agent_says_what_to_do() -> None:
    async with opened() as stage:
        await go(stage, "node-10")
        await stage.press("R")
        await stage.see("no agent listens on node-10")
        assert "R reboot" not in stage.keys


async def test_wire_strings_are_drawn_as_they_are_and_cannot_steer_the_terminal() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        client.push(event("dhcp.discover", "host [red]x[/] \x1b[2J \u202e [@click=app.exit]evil[/]"))
        await stage.see("[red]x[/]")
        assert "\x1b" not in stage.text
        assert "\u202e" not in stage.text
        assert "[@click" in stage.text


async def test_address_and_name_of_a_machine_only_seen() -> None:
    async with opened(size=WIDE) as stage:
        machine = stage.client.machines.resolve("d52-54-00-00-00-01")
        assert machine.address == IPv4Address("10.7.0.101")
        row = stage.row("d52-54-00-00-00-01")
        assert "10.7.0.101" in row
        assert "NEW" in row


async def test_empty_list_says_what_to_do() -> None:
    async with opened(FakeClient.empty(), wizard=False) as stage:
        assert "no machine yet: power one on" in stage.text


def test_names_stand_in_the_order_people_count_and_macs_as_written() -> None:
    names = [
        "node-10",
        "node-9",
        "d52-54-00-00-00-0a",
        "d52-54-00-00-00-10",
        "d52-54-00-00-00-01",
        "d52-54-00-00-00-09",
    ]
    assert sorted(names, key=natural) == [
        "d52-54-00-00-00-01",
        "d52-54-00-00-00-09",
        "d52-54-00-00-00-0a",
        "d52-54-00-00-00-10",
        "node-9",
        "node-10",
    ]
