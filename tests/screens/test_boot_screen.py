"""What a machine would get now: answers, files and script on one page, a firmware at a time."""

from __future__ import annotations

import pytest

from app.errors import InvalidError
from app.model.bootview import BootAnswer, BootFault, BootFirmware, BootView
from app.screens.areas.boot import BootScreen, boot_lines
from tests.fakes.client import FakeClient
from tests.screens.stage import CONSOLE, FULL, VT, WIDE, Stage, opened


async def shown(stage: Stage) -> BootScreen:
    await stage.until(lambda: isinstance(stage.app.screen, BootScreen), "the dry run")
    await stage.gone("asking ...")
    screen = stage.app.screen
    assert isinstance(screen, BootScreen)
    return screen


@pytest.mark.parametrize(("size", "profile"), [(VT, FULL), (VT, CONSOLE), (WIDE, FULL)])
async def test_one_key_from_the_list(size: tuple[int, int], profile: object) -> None:
    async with opened(size=size, profile=profile) as stage:  # pyright: ignore[reportArgumentType]
        await stage.press("w")
        await shown(stage)
        assert "machines > arm-01 > would get " in stage.crumbs
        assert "DHCP" in stage.crumbs or "PXE" in stage.crumbs
        assert "[uefi-x64] bios" in stage.row("uefi-x64-http")
        assert "ipxe.efi" in stage.row("boot file")
        assert "! there is no file" in stage.text
        assert all(len(row) <= size[0] for row in stage.rows)


async def test_one_key_from_the_machine_and_back() -> None:
    async with opened() as stage:
        await stage.press("enter", "w")
        await shown(stage)
        await stage.press("escape")
        await stage.see("[timeline]")


async def test_left_and_right_choose_the_firmware() -> None:
    async with opened() as stage:
        await stage.press("w")
        await shown(stage)
        await stage.press("right")
        await stage.see("[bios]")
        await stage.see("undionly.kpxe")
        await stage.press("left", "left")
        await stage.see("[uefi-arm64-http]")
        await stage.see("ipxe-arm64.efi")
        assert ("machines", "boot") in {call[:2] for call in stage.client.calls}


async def test_it_scrolls_to_files_command_line_and_script() -> None:
    async with opened() as stage:
        await stage.press("w")
        screen = await shown(stage)
        await stage.press("end")
        await stage.see("#!ipxe")
        assert "bootcart.token=********" in screen.page.text
        assert "MISSING" in screen.page.text
        assert "KERNEL COMMAND LINE" in screen.page.text


async def test_the_line_takes_a_mac_address_nobody_has_seen() -> None:
    async with opened() as stage:
        await stage.press("colon")
        await stage.type("machines boot 02:00:00:00:00:01")
        await stage.press("enter")
        await shown(stage)
        await stage.see("02:00:00:00:00:01, not registered")


async def test_what_the_engine_refuses_is_said_on_the_page() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        client.fail(InvalidError("n has no MAC address", hint="give it one"), "machines.boot")
        await stage.press("w")
        await stage.see("n has no MAC address")
        assert "give it one" in stage.text


def test_no_answer_and_a_failing_script_are_words() -> None:
    answers = (
        BootAnswer(stage="rom", answered=False, reason="held", why="subnet rack7 is held: another server answers " * 3),
        BootAnswer(stage="ipxe", answered=True, why="boot its own disk: local is assigned"),
    )
    firmware = BootFirmware(name="bios", architecture=0, title="BIOS x86 PXE firmware", answers=answers)
    view = BootView(
        machine="n",
        mac="52:54:00:00:00:01",
        registered=True,
        bootenv_why="a machine nobody has named boots nothing",
        firmware=(firmware,),
        script="#!ipxe\n" + "x" * 200,
        fault=BootFault(bootenv="rescue", template="boot", line=3, why="'ntp' is undefined"),
    )
    rows = ["".join(text for text, _ in one.spans) for one in boot_lines(view, firmware, 78)]
    text = "\n".join(rows)
    assert "! NO ANSWER" in text
    assert "boot file     none" in text
    assert "! TEMPLATE FAILS rescue/boot line 3" in text
    assert "'ntp' is undefined" in text
    assert max(map(len, rows)) <= 78
    assert text.count("x" * 74) == 2  # a long line goes on below itself
