"""Choosing the boot loader of machines: the next one first, which Enter takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.model.machine import LoaderChoice, Machine
from app.screens import operations
from app.screens.dialogs.choose import Choose, Option
from app.screens.widgets.lines import Line, line
from app.screens.words import plural, safe

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

NEXT = "next"
OPTIONS = (
    Option(NEXT, NEXT, "the one after what it is given now: snponly, ipxe, shim, grub"),
    Option(LoaderChoice.AUTO.value, "auto", "what works; another after one that fails; begins anew"),
    Option(LoaderChoice.SNPONLY.value, "snponly", "iPXE over the firmware's network driver (BIOS: undionly)"),
    Option(LoaderChoice.IPXE.value, "ipxe", "iPXE with network drivers of its own"),
    Option(LoaderChoice.SHIM.value, "shim", "signed, also under Secure Boot; starts GRUB"),
    Option(LoaderChoice.GRUB.value, "grub", "GRUB without shim"),
)


def given(machine: Machine) -> str:
    """What its firmware is given now, in words."""
    return (machine.status.loader if machine.status is not None else "") or "the standard one"


async def choose(app: BootcartApp, machines: Sequence[Machine]) -> None:
    """Ask which, and have it given from the next boot on."""
    if not machines:
        app.say("no machine here to choose a boot loader for")
        return
    one = len(machines) == 1
    who = machines[0].name if one else plural(len(machines), "machine")
    lines: list[Line] = [line(("given now  ", "dim"), safe(given(machines[0])))] if one else []
    picked = await app.push_screen_wait(Choose(f"Boot loader of {who}", OPTIONS, lines, at=NEXT))
    if picked is None:
        return
    told: list[str] = []

    async def call(machine: Machine) -> None:
        told.append(given(await app.session.client.machines.set_loader(str(machine.id), picked)))

    await operations.each(app, machines, lambda machine: machine.name, call, "boot loader chosen for")
    if told:
        who = machines[0].name if one else plural(len(told), "machine")
        app.say(f"{who}: {told[0]} from the next boot on  (z undoes it)")
