"""Interfaces of the engine's host: link, address, who else answers DHCP there; the way to a new subnet."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import BootcartError, UnreachableError
from app.model.engine import Interface
from app.screens.areas.area import ListArea, bindings
from app.screens.dialogs.frame import Page
from app.screens.widgets.lines import Span, line
from app.screens.widgets.table import Column, Table
from app.screens.widgets.text import facts
from app.screens.wizard.setup import finish, set_up
from app.screens.words import clock, speed, stamp


def link_of(interface: Interface) -> Span:
    """Link as glyph and word."""
    if not interface.up:
        return "- down", "dim"
    return ("+ link", "good") if interface.link else ("! no link", "warn")


def heard(interface: Interface) -> Span:
    """What is wrong with it, else other DHCP servers, or that none answered, or that nobody asked."""
    if interface.reason:
        return interface.reason, "warn"
    if interface.foreign:
        return "DHCP " + ", ".join(str(one.server) for one in interface.foreign), "warn"
    return ("none heard", "") if interface.probed else ("not asked", "dim")


def role(interface: Interface) -> str:
    """What it is for."""
    return "served" if interface.served else "uplink" if interface.uplink else "-"


class InterfacesArea(ListArea):
    """The list."""

    area = "interfaces"
    nouns = frozenset({"interfaces", "subnets"})
    BINDINGS = bindings("interfaces")

    def __init__(self) -> None:
        columns: Sequence[Column[Interface]] = (
            Column("LINK", link_of, least=6, most=9),
            Column("NAME", lambda one: one.name, least=6, most=15),
            Column("ADDRESS", lambda one: ", ".join(map(str, one.addresses)) or "-", least=9, most=20),
            Column("SPEED", lambda one: speed(one.speed), least=5, most=5),
            Column("ROLE", role, least=6, most=6),
            Column("SUBNET", lambda one: one.subnet or "-", least=6, most=14, rank=1),
            Column("MAC", lambda one: one.mac or "-", least=17, most=17, rank=2),
            Column("KIND", lambda one: one.kind, least=4, most=9, rank=4),
            Column("DRIVER", lambda one: one.driver, least=6, most=12, rank=5),
            Column("OTHER SERVERS", heard, least=15, most=40, grow=True),
        )
        super().__init__(Table(columns, key=lambda one: one.name, empty="no interface", id="interfaces"))

    async def fetch(self) -> Sequence[Interface]:
        return (await self.app.session.client.interfaces.list()).items

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """All of it."""
        one = event.item
        lines = facts(
            (
                ("link", link_of(one)[0]),
                ("trouble", one.reason),
                ("do", one.hint),
                ("mac", one.mac or ""),
                ("addresses", ", ".join(map(str, one.addresses))),
                ("speed", speed(one.speed)),
                ("kind", f"{one.kind} {one.driver}".strip()),
                ("role", role(one)),
                ("subnet", one.subnet),
                ("probed", stamp(one.probed) if one.probed else "never"),
            ),
            70,
        )
        for server in one.foreign:
            lines += [line(""), line(("Another DHCP server", "warn"))]
            lines += facts(
                (
                    ("server", server.server),
                    ("mac", server.mac),
                    ("offered", server.offered or ""),
                    ("mask", server.subnet_mask or ""),
                    ("router", server.router or ""),
                    ("class", server.vendor_class),
                    ("heard", clock(server.heard)),
                ),
                70,
            )
        self.app.push_screen(Page(f"Interface {one.name}", lines))

    async def do_probe(self) -> None:
        """`p`."""
        if self.table.current is None:
            return
        self.app.say(f"asking on {self.table.current.name} ...")
        found = await self.app.session.client.interfaces.probe(self.table.current.name)
        self.app.say(f"{found.name}: {heard(found)[0]}")
        await self.reload()

    async def do_subnet_from(self) -> None:
        """`a`: what is proposed is shown at once, a second key saves it."""
        interface: Interface | None = self.table.current
        if interface is None:
            return
        if interface.kind == "loopback":
            self.app.say(f"{interface.name} is this host alone: no machine can be there")
            return
        if interface.up and interface.probed is None:
            # Whether another server answers decides between authoritative and proxy.
            self.app.say(f"asking for other DHCP servers on {interface.name} ...")
            try:
                interface = await self.app.session.client.interfaces.probe(interface.name)
            except UnreachableError:
                raise
            except BootcartError as error:
                self.app.say(f"{interface.name} cannot be asked: {error.message}")
        made = await set_up(self.app, interface, self.every, ready=True)
        if made is not None:
            finish(self.app, made)
            await self.reload()
