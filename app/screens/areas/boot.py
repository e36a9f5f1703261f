"""What one machine would get if it booted now: DHCP's answers with each firmware, its script, its files."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import chop_cells
from textual.widget import Widget

from app.errors import BootcartError, UnreachableError
from app.model.bootview import FIRMWARES, BootAnswer, BootFirmware, BootView
from app.model.sizes import binary
from app.screens.areas.area import Area, bindings
from app.screens.widgets.bars import Bar
from app.screens.widgets.lines import Line, Span, line
from app.screens.widgets.text import TextView, facts, wrapped
from app.screens.words import fit, safe

SCRIPTS = {"grub": "SCRIPT FOR GRUB", "pxelinux": "MENU"}
STAGES = {"rom": "THE FIRMWARE ASKS", "ipxe": "IPXE ASKS"}


class BootScreen(Area):
    """A dry run over one machine: Left and Right choose its firmware."""

    area = "boot"
    over = "machines"
    nouns = frozenset({"machines", "subnets", "reservations", "leases", "bootenvs", "prefs", "services"})
    BINDINGS = bindings("boot")

    def __init__(self, key: str) -> None:
        """`key`: of a machine, or a MAC address nobody has seen."""
        super().__init__()
        self.key = key
        self.view: BootView | None = None
        self.names: list[str] = []
        self.at = 0
        self.choices = Bar(id="tabs")
        self.page = TextView(id="page")

    def body(self) -> Iterable[Widget]:
        yield self.choices
        yield self.page

    def main(self) -> Widget | None:
        return self.page

    def trail(self) -> tuple[str, ...]:
        return (safe(self.view.machine) if self.view else "...", "would get")

    def on_mount(self) -> None:
        super().on_mount()
        self.page.show([line(("asking ...", "dim"))])

    async def load(self) -> None:
        name = self.names[self.at] if self.names else ""
        try:
            self.view = await self.app.session.client.machines.boot(self.key, architecture=name)
        except UnreachableError:
            raise
        except BootcartError as error:
            self.page.show([line(("! ", "bad"), (safe(error.message), "warn")), line(safe(error.hint))])
            return
        if not self.names:
            found = [one.name for one in self.view.firmware]
            self.names = found + [one for one in FIRMWARES if one not in found]
        self._draw()

    def _draw(self) -> None:
        view = self.view
        if view is None:
            return
        spans: list[Span] = [(" ", "")]
        for place, name in enumerate(self.names):
            spans.append((f"[{safe(name)}]", "key") if place == self.at else (f" {safe(name)} ", "dim"))
        self.choices.set(Line(tuple(spans)))
        wanted = self.names[self.at]
        firmware = next((one for one in view.firmware if one.name == wanted), None)
        self.page.show(boot_lines(view, firmware, max(40, (self.page.size.width or self.size.width) - 2)))

    def _turn(self, by: int) -> None:
        if self.names:
            self.at = (self.at + by) % len(self.names)
            # Seen to have turned at once; what the engine says of it follows.
            self.page.show([line(("asking ...", "dim"))], keep=False)
            self.app.reload(self)

    def do_next_firmware(self) -> None:
        """Right."""
        self._turn(1)

    def do_previous_firmware(self) -> None:
        """Left."""
        self._turn(-1)


def boot_lines(view: BootView, firmware: BootFirmware | None, width: int) -> list[Line]:
    """All of it with one firmware."""
    about = "" if view.registered else ", not registered"
    pairs: list[tuple[str, object]] = [
        ("machine", f"{view.machine}  {view.mac}{about}"),
        ("interface", f"{view.interface} ({view.interface_why})" if view.interface else ""),
        ("relay", view.relay or ""),
        ("reservation", view.reservation or ""),
        ("boots", f"{view.bootenv}: {view.bootenv_why}" if view.bootenv else view.bootenv_why),
    ]
    if firmware is not None:
        pairs.append(("firmware", f"{firmware.title} ({view.firmware_why})"))
    lines = facts(pairs, width)
    for warning in view.warnings:
        first, *more = wrapped(warning, width - 2, "warn")
        lines += [Line((("! ", "bad"), *first.spans)), *(Line((("  ", ""), *one.spans)) for one in more)]
    if firmware is not None:
        for answer in firmware.answers:
            lines += _answer_lines(answer, width)
        lines += _file_lines(firmware, width)
    if view.fault is not None:
        fault = view.fault
        place = f"{fault.bootenv}/{fault.template}" + (f" line {fault.line}" if fault.line else "")
        lines += [
            line(""),
            line(("! TEMPLATE FAILS ", "bad"), (safe(place if fault.template else fault.bootenv), "key")),
        ]
        lines += wrapped(fault.why, width, "warn", indent=2)
    if view.arguments:
        lines += [
            line(""),
            line((fit("KERNEL COMMAND LINE", width), "head")),
            *wrapped(view.arguments, width, indent=1),
        ]
    if view.script:
        lines += [line(""), line((fit(SCRIPTS.get(view.template, "SCRIPT"), width), "head"))]
        for number, row in enumerate(view.script.splitlines(), 1):
            first, *more = chop_cells(safe(row), width - 4) or [""]
            lines.append(line((f"{number:>3} ", "dim"), first))
            lines += [line("    " + part) for part in more]
    return lines


def _answer_lines(answer: BootAnswer, width: int) -> list[Line]:
    title = STAGES.get(answer.stage, answer.stage.upper())
    lines = [line(""), line((fit(title, width), "head"))]
    if not answer.answered:
        return [*lines, line(("! NO ANSWER", "bad")), *wrapped(answer.why, width, "warn", indent=2)]
    address = f"{answer.address} ({answer.address_how})" if answer.address is not None else answer.address_how
    lines += facts((("address", address), ("subnet", answer.subnet)), width)
    if not answer.bootfile:
        lines.append(line(("boot file     ", "dim"), ("none", "warn")))
    options = "; ".join(f"{one.name} {one.value}" for one in answer.options if one.value != answer.bootfile)
    rest = (
        ("boot file", answer.bootfile),
        ("next server", answer.next_server or ""),
        ("why", answer.why),
        ("options", options),
    )
    return lines + facts(rest, width)


def _file_lines(firmware: BootFirmware, width: int) -> list[Line]:
    if not firmware.files:
        return []
    room = max(20, width - 34)
    lines = [line(""), line((fit(f"{fit('FILE', room)} BY    SIZE       SHA-256", width), "head"))]
    for one in firmware.files:
        told = ("MISSING    ", "bad") if not one.present else (f"{binary(one.size or 0):<11}", "")
        lines.append(line(f"{fit(safe(one.path), room)} {one.protocol:<5} ", told, (one.sha256[:12] or "-", "dim")))
    return lines
