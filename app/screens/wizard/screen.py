"""The wizard: which interface to serve, with what was heard on each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from textual.widget import Widget

from app.errors import BootcartError
from app.model.engine import Interface
from app.screens.areas.area import Area, bindings
from app.screens.areas.interfaces import link_of
from app.screens.widgets.lines import Line, Span, line
from app.screens.widgets.table import Column, Table
from app.screens.widgets.text import TextView, wrapped
from app.screens.wizard.propose import best, free, usable
from app.screens.wizard.setup import finish, set_up
from app.screens.words import speed

LAB = "Try everything on virtual machines of this host, no hardware needed: sudo ./bootcart lab"


class Wizard(Area):
    """Step one is the screen; the other steps are dialogs over it."""

    area = "wizard"
    nouns = frozenset({"interfaces", "subnets"})
    BINDINGS = bindings("wizard")

    def __init__(self) -> None:
        super().__init__()
        columns: Sequence[Column[Interface]] = (
            Column("LINK", link_of, least=6, most=9),
            Column("NAME", lambda one: one.name, least=6, most=15),
            Column("MAC", lambda one: one.mac or "-", least=17, most=17, rank=3),
            Column("ADDRESS", lambda one: ", ".join(map(str, one.addresses)) or "none", least=9, most=18),
            Column("SPEED", lambda one: speed(one.speed), least=5, most=5, rank=2),
            Column("USE", self._use, least=6, most=6),
            Column("DHCP SERVER HEARD", self._heard, least=13, most=40, grow=True),
        )
        self.table = Table(columns, key=lambda one: one.name, empty="no interface found", id="wizard-interfaces")
        self.intro = TextView(id="intro")
        self.intro.can_focus = False
        self.outro = TextView(id="outro")
        self.outro.can_focus = False
        self.asking: set[str] = set()
        self.deaf: dict[str, str] = {}
        self.probed = False

    # Cells

    def _use(self, one: Interface) -> Span:
        if one.uplink:
            return "uplink", "warn"
        return ("served", "good") if one.served else ("-", "dim")

    def _heard(self, one: Interface) -> Span:
        if one.name in self.asking:
            return "asking ...", "busy"
        if one.foreign:
            return f"{one.foreign[0].server} answers", "warn"
        if one.name in self.deaf:
            return self.deaf[one.name], "dim"
        return ("none", "good") if one.probed else ("not asked", "dim")

    # The screen

    def body(self) -> Iterable[Widget]:
        yield self.intro
        yield self.table
        yield self.outro

    def main(self) -> Widget | None:
        return self.table

    def trail(self) -> tuple[str, ...]:
        return ("choose an interface",)

    def on_mount(self) -> None:
        super().on_mount()
        self.intro.show(
            [
                line((" Which segment shall Bootcart serve?", "key")),
                line((" Machines that network-boot on it get an address and a boot loader.", "dim")),
                line(""),
            ]
        )

    async def load(self) -> None:
        interfaces = [one for one in (await self.app.session.client.interfaces.list()).items if one.kind != "loopback"]
        first = not self.table.items
        self.table.feed(interfaces)
        if first:
            self.table.go(best(interfaces))
        self._advise()
        if not self.probed:
            self.probed = True
            self.app.flow(self._probe_all(), "asking for other DHCP servers")

    def _advise(self) -> None:
        interfaces = self.table.items
        lines: list[Line] = [line("")]
        if any(usable(one) for one in interfaces):
            lines.append(line(" Enter sets up the interface at the cursor; nothing is done before you agree."))
        if not any(free(one) for one in interfaces):
            why = "No free segment: all are uplink, without link, or have another DHCP server."
            lines.append(line((" ! ", "warn"), why))
            lines += wrapped("L: " + LAB, 76, indent=1)
        lines.append(line((" Esc leaves the wizard; W or :wizard comes back.", "dim")))
        self.outro.show(lines)
        self.table.styles.height = max(2, min(len(interfaces) + 1, self.size.height - 10))

    # Asking who else answers

    async def _probe_all(self) -> None:
        wanted = [one.name for one in self.table.items if usable(one) and one.up]
        await asyncio.gather(*(self._probe(name) for name in wanted))

    async def _probe(self, name: str) -> None:
        self.asking.add(name)
        self.table.touch()
        try:
            found = await self.app.session.client.interfaces.probe(name)
            self.table.replace(found)
        except BootcartError as error:
            # Not being able to ask is told in the row; the wizard goes on.
            self.deaf[name] = f"cannot ask: {error.message}"
        finally:
            self.asking.discard(name)
            self.table.touch()
            self._advise()

    async def do_wizard_probe(self) -> None:
        """`p`."""
        if self.table.current is not None:
            await self._probe(self.table.current.name)

    def do_wizard_lab(self) -> None:
        """`L`."""
        self.app.farewell = LAB
        self.app.exit(0)

    # Setting up

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter."""
        if event.item.name in self.asking:
            self.app.say("still asking for other DHCP servers there: a moment")
            return
        self.app.flow(self._set_up(event.item), "setting up a segment")

    async def _set_up(self, interface: Interface) -> None:
        made = await set_up(self.app, interface, self.table.items)
        if made is None:
            return
        if made.plan.empty or self.app.host_plan is None:
            # Else the interface ends here: there is nothing to go back to.
            self.dismiss()
        finish(self.app, made)
