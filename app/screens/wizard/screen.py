"""The wizard: which interface, what to serve there, a review with every command, and explicit consent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from textual.widget import Widget

from app.errors import BootcartError, InvalidError, UnavailableError
from app.model.engine import Interface
from app.model.hostplan import RESTART_FOR_HOST
from app.screens.areas.area import Area, bindings
from app.screens.areas.interfaces import link_of
from app.screens.dialogs.form import Form
from app.screens.dialogs.frame import Ask, Page
from app.screens.widgets.lines import Line, Span, line
from app.screens.widgets.table import Column, Table
from app.screens.widgets.text import TextView, facts, wrapped
from app.screens.wizard.draft import Draft, draft, fields
from app.screens.wizard.propose import Proposal, best, free, propose, usable
from app.screens.words import ranges, speed

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
        client = self.app.session.client
        subnets = (await client.subnets.list()).items
        proposal = propose(interface, self.table.items, [one.cidr for one in subnets])
        envs = [one.name for one in (await client.bootenvs.list()).items if one.available]
        unknown = (await client.prefs.show("unknown-bootenv")).value
        kept: dict[str, str] = {}
        error: BootcartError | None = None
        while True:
            form = self._form(interface, proposal, envs, unknown, kept, error)
            made: Draft | None = await self.app.push_screen_wait(form)
            if made is None:
                return
            kept.update(form.values)
            if not await self.app.push_screen_wait(self._review(interface, made)):
                error = None
                continue
            try:
                await client.subnets.create(made.body)
                if made.unknown != unknown:
                    await client.prefs.set("unknown-bootenv", made.unknown)
            except InvalidError as problem:
                error = problem
                continue
            await self._finish(made)
            return

    def _form(
        self,
        interface: Interface,
        proposal: Proposal,
        envs: Sequence[str],
        unknown: str,
        kept: Mapping[str, str],
        error: BootcartError | None,
    ) -> Form:
        async def check(values: Mapping[str, str]) -> Draft:
            return draft(interface, values, (await self.app.session.client.subnets.list()).items)

        return Form(
            f"Set up {interface.name}",
            fields(proposal, self.table.items, envs, unknown, kept),
            check,
            lines=[line((f"Proposed: {proposal.why}", "dim"))],
            verb="Review",
            error=error,
        )

    def _review(self, interface: Interface, made: Draft) -> Ask:
        subnet = made.subnet
        lines: list[Line] = [line(("Will be saved", "key"))]
        lines += facts(
            (
                ("subnet", f"{subnet.name}  {subnet.cidr}  {subnet.mode.value} on {subnet.interface}"),
                ("range", ranges(subnet) or "(none: another server gives addresses)"),
                ("router, DNS", f"{subnet.router or '-'}  {', '.join(map(str, subnet.dns)) or '-'}  {subnet.domain}"),
                ("new machines", f"boot {made.unknown}"),
            ),
            70,
        )
        lines += wrapped(made.command(), 70, "dim")
        lines += [line(""), line(("Will be done on this host, and reverted when the engine stops", "key"))]
        lines += [line(f"  {text}") for text in made.plan.preview] or [line(("  nothing", "dim"))]
        if made.plan.preview and self.app.host_plan is not None:
            lines.append(line(("Each command is shown again, as root will run it, before it runs.", "dim")))
        if interface.uplink:
            lines += [line(""), line(("! ", "bad"), ("This is the uplink: machines of others may be there.", "warn"))]
        if made.contested:
            server = interface.foreign[0].server
            text = (
                f"{server} answers DHCP on {interface.name}. Two servers give out addresses: machines may get either."
            )
            lines += [line(""), line(("DANGER", "bad")), *wrapped(text, 70, "warn")]
        choices = (("escape", "Back", ""), ("y", "I agree: save and do it", "yes"))
        typed = interface.name if made.contested else ""
        return Ask(f"Review: {interface.name}", lines, choices, typed=typed, what="interface's name")

    async def _finish(self, made: Draft) -> None:
        self.app.say(f"subnet {made.subnet.name} is saved")
        if made.plan.empty:
            self.dismiss()
            return
        path = self.app.host_plan
        if path is not None:
            write_plan(path, made)
            self.app.exit(RESTART_FOR_HOST)
            return
        lines: list[Line] = [
            *wrapped("The subnet is saved. This interface may not change the host: run these as root.", 70),
            line(""),
            *(line(f"  {text}") for text in made.plan.preview),
        ]
        self.dismiss()
        self.app.push_screen(Page("To be run on this host", lines))


def write_plan(path: Path, made: Draft) -> None:
    """Leave the plan for the launcher, whole or not at all. Raises UnavailableError where it cannot be written."""
    fresh = path.with_name(path.name + ".new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(made.plan.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"the plan for this host cannot be written to {path}: {error.strerror}",
            hint="the subnet is saved; prepare the interface by hand: " + "; ".join(made.plan.preview),
        ) from error
