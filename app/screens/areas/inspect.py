"""One exchange: what was asked and what was answered, layer by layer or as octets, side by side where there is room."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.widget import Widget

from app.errors import BootcartError, NotFoundError, UnreachableError
from app.model.event import Event
from app.model.packets import Dissection, Exchange
from app.screens.areas.area import Area, bindings
from app.screens.registry import Action
from app.screens.widgets.bars import Bar
from app.screens.widgets.lines import Line, Span, line
from app.screens.widgets.text import TextView, wrapped
from app.screens.words import clock, safe

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

SIDES = ("request", "reply")
BESIDE = 100
"""Columns from which both stand side by side."""
_HANGING = 6


class InspectScreen(Area):
    """The packets behind one event."""

    area = "inspect"
    BINDINGS = bindings("inspect")

    def __init__(self, event: Event, over: str) -> None:
        """`over`: the area this is opened from."""
        super().__init__()
        self.over = over
        self.event = event
        self.exchange: Exchange | None = None
        self.side = 0
        self.octets = False
        self.summary = Bar(id="summary")
        self.tabs = Bar(id="tabs")
        self.pages = [TextView(id=f"{side}-page") for side in SIDES]

    def body(self) -> Iterable[Widget]:
        yield self.summary
        yield self.tabs
        yield Horizontal(*self.pages, id="sides")

    def main(self) -> Widget | None:
        return self.pages[self.side]

    def trail(self) -> tuple[str, ...]:
        return (f"event {self.event.id}", "octets" if self.octets else "packets")

    @property
    def beside(self) -> bool:
        """Both sides are seen."""
        return self.size.width >= BESIDE

    def on_mount(self) -> None:
        super().on_mount()
        self._draw()

    def on_resize(self) -> None:
        """What fits may have changed."""
        self._draw()

    async def load(self) -> None:
        # What was kept does not change.
        if self.exchange is None:
            try:
                self.exchange = await self.app.session.client.packets.exchange(self.event.id)
            except UnreachableError:
                raise
            except BootcartError as error:
                self.exchange = Exchange(event=self.event, why=f"{error.message} ({error.hint})")
            if self.exchange.request is None and self.exchange.reply is not None:
                self.side = 1
        self._draw()

    def _draw(self) -> None:
        event = self.event
        who = self.app.session.name_of(event)
        self.summary.set(line((f" {clock(event.time)} ", "dim"), (f"{safe(who)}  ", "key"), safe(event.message)))
        spans: list[Span] = [(" ", "")]
        for place, side in enumerate(SIDES):
            spans += [(f"[{side}]", "key") if place == self.side else (f" {side} ", "dim"), (" ", "")]
        spans.append(("octets" if self.octets else "layers", "dim"))
        self.tabs.set(Line(tuple(spans)))
        width = (self.size.width // 2 if self.beside else self.size.width) - 2
        for place, page in enumerate(self.pages):
            page.display = self.beside or place == self.side
            page.show(self._lines(place, max(30, width)))

    def _packet(self, place: int) -> Dissection | None:
        found = self.exchange
        return None if found is None else (found.request, found.reply)[place]

    def _lines(self, place: int, width: int) -> list[Line]:
        if self.exchange is None:
            return [line(("asking ...", "dim"))]
        packet = self._packet(place)
        if packet is not None:
            return packet_lines(SIDES[place], packet, width, octets=self.octets)
        return [line((SIDES[place].upper(), "head")), *wrapped(self.exchange.why or "none", width, "warn")]

    # Actions

    def valid(self, action: Action) -> bool:
        if action.id in ("to_machine", "capture"):
            return bool(self.event.mac)
        return True

    def do_other_side(self) -> None:
        """Tab."""
        self.side = 1 - self.side
        self._draw()
        self.pages[self.side].focus()

    def do_octets(self) -> None:
        """`x`."""
        self.octets = not self.octets
        self._draw()
        self.chrome()

    def do_write_exchange(self) -> None:
        """`w`."""
        from app.screens.shots import write

        rows = [self.event.message]
        for place in range(len(SIDES)):
            for octets in (False, True):
                rows += ["", *("".join(text for text, _ in one.spans) for one in self._written(place, octets=octets))]
        self.app.say(f"written to {write('txt', chr(10).join(rows) + chr(10), f'event-{self.event.id}')}")

    def _written(self, place: int, *, octets: bool) -> list[Line]:
        packet = self._packet(place)
        if packet is None:
            return [] if octets else self._lines(place, 100)
        return packet_lines(SIDES[place], packet, 10_000, octets=octets)

    def do_to_machine(self) -> None:
        """`m`."""
        machine = next((one for one in self.app.session.machines.values() if self.event.mac in one.macs), None)
        if machine is None:
            self.app.say(f"{self.event.mac} is no machine we know: it was only heard")
        else:
            self.app.open_machine(str(machine.id))

    async def do_capture(self) -> None:
        """`C`."""
        await write_capture(self.app, self.event.mac)


def packet_lines(side: str, packet: Dissection, width: int, *, octets: bool) -> list[Line]:
    """One packet: where it went, and its layers or its octets."""
    ends = f"{packet.source} > {packet.target}"
    lines = [line((f"{side.upper()} ", "key"), safe(ends)), *_told(packet, width)]
    if octets:
        return lines + dump_lines(packet, width)
    for row in packet.lines:
        if not row.startswith(" "):
            lines.append(line((safe(row), "head")))
            continue
        style = "bad" if row.startswith("  !") else ""
        parts = textwrap.wrap(safe(row), width, subsequent_indent=" " * _HANGING) or [""]
        lines += [line((part, style)) for part in parts]
    return lines


def dump_lines(packet: Dissection, width: int) -> list[Line]:
    """Its octets."""
    return [_octet_line(safe(row), width) for row in packet.dump]


def _told(packet: Dissection, width: int) -> list[Line]:
    lines = [line((safe(f"{packet.interface}, {packet.octets} octets: {packet.summary}"), "dim"))]
    if packet.fault:
        lines += wrapped(f"! cannot be read: {packet.fault}", width, "warn")
    return lines


def _octet_line(row: str, width: int) -> Line:
    """A row of a dump; without the text at its end where that does not fit."""
    short = row if len(row) <= width else re.sub(r"^(.{53}).*$", r"\1", row)
    return line((short[:6], "dim"), short[6:])


async def write_capture(app: BootcartApp, key: str) -> None:
    """Write the recording of a machine to a file for Wireshark."""
    from app.screens.shots import write

    client = app.session.client
    try:
        machine = await client.machines.show(key if ":" not in key else f"Mac:{key}")
    except NotFoundError as error:
        raise NotFoundError(f"{key} is no machine we know", hint="its packets can be inspected one by one") from error
    capture = await client.packets.capture(str(machine.id))
    name = re.sub(r"[^\w.-]", "_", machine.name, flags=re.ASCII)
    app.say(f"the last boots are in {write('pcapng', capture, name)}")
