"""Choosing a boot loader: `L` on the list and on a machine, the next one first, and by the `:` line."""

from __future__ import annotations

from app.model.machine import LoaderChoice, machine_id_for
from app.screens.areas.machine import MachineScreen
from app.screens.areas.machines import MachinesArea
from app.screens.dialogs.choose import Choose
from tests.fakes.world import mac
from tests.screens.stage import VT, Stage, opened


async def asked(stage: Stage) -> None:
    await stage.press("L")
    await stage.until(lambda: isinstance(stage.app.screen, Choose), "the question")


def loader(stage: Stage, name: str = "node-07") -> LoaderChoice:
    return stage.client.machines.resolve(name).loader


async def test_enter_takes_the_next_one_and_a_letter_another() -> None:
    async with opened(size=VT) as stage:
        area = stage.area
        assert isinstance(area, MachinesArea)
        assert area.table.go(str(machine_id_for(mac(7))))
        for keys, expected in (
            (("enter",), LoaderChoice.SNPONLY),
            (("enter",), LoaderChoice.IPXE),
            (("s", "s", "enter"), LoaderChoice.SHIM),
            (("a", "enter"), LoaderChoice.AUTO),
            (("escape",), LoaderChoice.AUTO),
        ):
            await asked(stage)
            await stage.see("Boot loader of node-07")
            await stage.press(*keys)
            await stage.until(lambda wanted=expected: loader(stage) is wanted, expected.value)
        await stage.see("node-07: the standard one from the next boot on")


async def test_on_a_machine_its_boot_page_says_what_is_given() -> None:
    async with opened(size=VT) as stage:
        stage.app.open_machine(str(machine_id_for(mac(7))), "bootenv")
        await stage.until(lambda: isinstance(stage.area, MachineScreen), "its screen")
        await stage.see("the standard one  (L: another)")
        await asked(stage)
        await stage.press("g", "enter")
        await stage.see("grub (set for it)")


async def test_several_at_once_and_by_the_line() -> None:
    async with opened(size=VT) as stage:
        await stage.press("space", "space", "L")
        await stage.until(lambda: isinstance(stage.app.screen, Choose), "the question")
        await stage.see("Boot loader of 2 machines")
        await stage.press("i", "enter")
        await stage.see("2 machines: ipxe (set for it) from the next boot on")
        await stage.press("colon")
        await stage.type("loader node-07 s")
        await stage.press("tab")
        await stage.see("shim  snponly")
        await stage.type("h")
        await stage.press("tab", "enter")
        await stage.see("node-07: shim (set for it)")
