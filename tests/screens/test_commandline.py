"""The `:` line: forms of the command line, aliases, completion, history; one registry for it, help and keys."""

from __future__ import annotations

import pytest

from app.errors import BootcartError
from app.screens.areas.machine import MachineScreen
from app.screens.commandline import RUN, complete, forms, run
from app.screens.dialogs.frame import Ask
from app.screens.registry import ACTIONS, BY_ID
from tests.screens.stage import Stage, opened


async def command(stage: Stage, text: str) -> None:
    await stage.press("colon")
    await stage.type(text)
    await stage.press("enter")


def test_ux3_every_form_of_the_registry_runs_something() -> None:
    assert {name for _, name in forms()} == set(RUN)
    assert set(RUN) <= set(BY_ID)


def test_ux4_every_action_with_keys_says_what_it_does() -> None:
    assert all(action.help for action in ACTIONS)
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)


@pytest.mark.parametrize(
    ("text", "crumb"),
    [("subnets", " subnets"), ("sub", " subnets"), ("leases list", " leases"), ("events", " events")],
)
async def test_ux3_names_of_areas(text: str, crumb: str) -> None:
    async with opened() as stage:
        await command(stage, text)
        await stage.until(lambda: stage.crumbs.startswith(crumb), crumb)


async def test_ux3_machines_name_opens_it() -> None:
    async with opened() as stage:
        await command(stage, "machines show node-07")
        await stage.until(lambda: isinstance(stage.app.screen, MachineScreen), "the machine")


@pytest.mark.parametrize("text", ["boot node-10 memtest", "machines assign Name:node-10 memtest"])
async def test_ux3_assign_in_both_forms(text: str) -> None:
    async with opened() as stage:
        await command(stage, text)
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press("y")
        await stage.until(lambda: stage.client.machines.resolve("node-10").bootenv == "memtest", "assigned")


async def test_ux8_destructive_lines_ask_too() -> None:
    async with opened() as stage:
        await command(stage, "subnets delete rack7")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press("enter")
        assert "rack7" in stage.client.subnets.items


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reservations create 10.7.0.61 --mac 52:54:00:00:00:61", "10.7.0.61 is kept for"),
        ("restart proxydhcp", "proxydhcp: up"),
        ("interfaces probe eth1", "eth1: no other DHCP server heard"),
        ("prefs set loader-bios ipxe.pxe", "loader-bios is ipxe.pxe"),
        ("frobnicate", "no command 'frobnicate'"),
        ("boot node-99 memtest", "no machine 'node-99'"),
        ("boot node-07", "more is needed: boot KEY BOOTENV"),
        ("boot 'node", "No closing quotation"),
        ("subnets delete nowhere", "no subnet 'nowhere'"),
    ],
)
async def test_ux3_lines_and_what_they_say(text: str, said: str) -> None:
    async with opened() as stage:
        await command(stage, text)
        await stage.see(said)


async def test_ux3_hold_and_quit() -> None:
    async with opened() as stage:
        await command(stage, "hold on")
        await stage.press("y")
        await stage.until(lambda: "HOLD" in stage.crumbs, "held")
        await command(stage, "q")
        await stage.until(lambda: stage.app.return_value == 0, "left")


async def test_ux3_tab_completes_and_up_recalls() -> None:
    async with opened() as stage:
        await stage.press("colon")
        await stage.type("boo")
        await stage.press("tab")
        assert stage.area.prompt.input.value == "boot"
        await stage.see("bootenvs")
        await stage.type(" node-1")
        await stage.press("tab")
        await stage.see("node-10  node-11")
        await stage.type("0")
        await stage.press("tab")
        assert stage.area.prompt.input.value == "boot node-10 "
        await stage.type("mem")
        await stage.press("tab")
        assert stage.area.prompt.input.value == "boot node-10 memtest "
        await stage.press("enter", "escape")
        await stage.press("colon", "up")
        assert stage.area.prompt.input.value == "boot node-10 memtest "
        await stage.press("escape")
        assert not stage.area.prompt.is_open


async def test_completion_of_nothing_known_changes_nothing() -> None:
    async with opened() as stage:
        assert complete(stage.app.session, "xyzzy foo") == ("xyzzy foo", "")
        assert complete(stage.app.session, "machines delete arm") == ("machines delete arm-01 ", "")


async def test_an_empty_line_does_nothing() -> None:
    async with opened() as stage:
        await run(stage.app, "   ")
        with pytest.raises(BootcartError):
            await run(stage.app, "nonsense")
