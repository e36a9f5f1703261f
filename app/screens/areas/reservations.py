"""Reservations: addresses kept for one machine each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.errors import InvalidError
from app.model.machine import Machine
from app.model.options import write_options
from app.model.subnet import Reservation, Scope
from app.screens import operations
from app.screens.areas.area import ListArea, bindings
from app.screens.areas.machines import boots_next
from app.screens.areas.subnets import OPTIONS_HELP
from app.screens.dialogs.form import Field, Form, Values
from app.screens.registry import Action
from app.screens.widgets.lines import Span
from app.screens.widgets.table import Column, Table
from app.screens.words import plural

if TYPE_CHECKING:
    from app.screens.app import BootcartApp


class ReservationsArea(ListArea):
    """The list."""

    area = "reservations"
    nouns = frozenset({"reservations", "machines"})
    BINDINGS = bindings("reservations")

    def __init__(self) -> None:
        columns: Sequence[Column[Reservation]] = (
            Column("ADDRESS", lambda one: str(one.address), least=9, most=15),
            Column("MAC", lambda one: one.mac or one.client_id, least=17, most=17),
            Column("HOST", lambda one: one.hostname or "-", least=6, most=20),
            Column("WHERE", self._where, least=6, most=16, rank=1),
            Column("BOOTS", self._boots, least=9, most=16),
            Column("DESCRIPTION", lambda one: one.description, least=10, most=60, grow=True),
        )
        super().__init__(
            Table(
                columns,
                key=lambda one: str(one.address),
                markable=True,
                empty="no reservation: a makes one, r on a lease keeps its address",
                id="reservations",
            )
        )

    def _subnet(self, one: Reservation) -> str:
        """The subnet its address is in; empty: none."""
        return next((each.name for each in self.app.session.subnets if one.address in each.cidr), "")

    def _where(self, one: Reservation) -> Span:
        if one.scope is Scope.GLOBAL:
            return "anywhere", "calm"
        name = self._subnet(one)
        return (name, "") if name else ("no subnet", "warn")

    def do_holders(self) -> None:
        """`l`: all of its subnet."""
        from app.screens.areas.holders import open_holders

        if self.table.current is not None:
            open_holders(self.app, self._subnet(self.table.current))

    def _boots(self, one: Reservation) -> Span:
        if one.never_boot:
            return "never", "warn"
        return boots_next(machine_of(self.app, one.mac))

    def about(self, item: Reservation) -> str:
        machine = machine_of(self.app, item.mac)
        whose = f"kept for {machine.name}" if machine is not None else "kept for a machine that was not seen yet"
        parts = [whose]
        if item.scope is Scope.GLOBAL:
            parts.append("counts wherever its machine is")
        elif not self._subnet(item):
            parts.append("does not count: its address is in no subnet")
        if item.options:
            parts.append(plural(len(item.options), "DHCP option"))
        told = ", ".join(parts)
        return f"{told} - {item.description}" if item.description else told

    async def fetch(self) -> Sequence[Reservation]:
        from app.screens.session import everything

        return sorted(await everything(self.app.session.client.reservations), key=lambda one: int(one.address))

    def label(self, item: Any) -> str:
        return str(item.address)

    def valid(self, action: Action) -> bool:
        return bool(self.table.items) or action.id not in ("edit_reservation", "delete_reservation", "mark", "open")

    async def do_new_reservation(self) -> None:
        """`a`."""
        await form(self.app, None)
        await self.reload()

    async def do_edit_reservation(self) -> None:
        """`e`."""
        if self.table.current is not None:
            await form(self.app, self.table.current)
            await self.reload()

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter changes it too."""
        await self.app.action_do("edit_reservation")

    async def do_delete_reservation(self) -> None:
        """`d`, `x`."""
        items = [(str(one.address), one.whose, str(one.address) in self.hidden()) for one in self.targets()]
        await operations.delete(self.app, "reservations", items, ["The address may be given to another machine."])
        self.table.marks.clear()
        await self.reload()


def machine_of(app: BootcartApp, mac: str) -> Machine | None:
    """The machine that has this MAC address."""
    return next((one for one in app.session.machines.values() if mac in one.macs), None)


SCOPES = tuple(scope.value for scope in Scope)
DEFAULT = "(default)"


def _text(value: object) -> str:
    return "" if value is None else str(value)


async def form(app: BootcartApp, old: Reservation | None) -> None:
    """Make or change a reservation, and what its machine boots: two changes, two to undo."""
    machine = machine_of(app, old.mac) if old is not None else None
    boots = (machine.bootenv if machine is not None else "") or DEFAULT
    envs = (one.name for one in app.session.bootenvs if one.available and not one.unknown_only)
    fields = (
        Field(
            "address",
            "Address",
            "in a subnet, any address of it",
            str(old.address) if old else "",
        ),
        Field("mac", "MAC address", "like 52:54:00:00:00:07", old.mac if old else ""),
        Field("client_id", "Client id", "option 61 instead, where no MAC tells", old.client_id if old else ""),
        Field("scope", "Scope", "global: wherever its machine is", old.scope.value if old else SCOPES[0], SCOPES),
        Field("hostname", "Host name", "told to the machine; may be empty", old.hostname if old else ""),
        Field(
            "never_boot",
            "Never boot",
            "yes: an address, never a boot file",
            "yes" if old and old.never_boot else "no",
            ("no", "yes"),
        ),
        Field("next_server", "Boot server", "empty: the subnet's", _text(old and old.next_server)),
        Field("lease_time", "Lease time", "seconds; empty: the subnet's", _text(old and old.lease_time)),
        Field("prefix", "Prefix length", "outside any subnet, like 24", _text(old and old.prefix)),
        Field("router", "Router", "outside any subnet", _text(old and old.router)),
        Field("options", "DHCP options", OPTIONS_HELP, write_options(old.options) if old else "", options=True),
        Field("bootenv", "Boots", "what its machine boots next", boots, (DEFAULT, *envs)),
        Field("description", "Description", "in your words", old.description if old else ""),
    )
    done: list[Reservation] = [old] if old is not None else []
    assigned = False

    async def save(values: Values) -> Reservation:
        nonlocal assigned
        body: dict[str, Any] = {name: value for name, value in values.items() if name != "bootenv"}
        body["never_boot"] = values["never_boot"] == "yes"
        for name in ("next_server", "lease_time", "prefix", "router"):
            body[name] = values[name] or None
        reservations = app.session.client.reservations
        if not done:
            done.append(await reservations.create(body))
        before = {**done[-1].model_dump(mode="json"), "options": write_options(done[-1].options)}
        changes = {name: value for name, value in body.items() if str(before[name]) != str(value)}
        if changes:
            done.append(await reservations.update(str(done[-1].address), changes))
        if values["bootenv"] != boots:
            await _assign(app, done[-1], "" if values["bootenv"] == DEFAULT else values["bootenv"])
            assigned = True
        return done[-1]

    saved = await app.push_screen_wait(Form(f"Reservation {old.address}" if old else "New reservation", fields, save))
    if saved is not None:
        app.look_again()
        both = assigned and len(done) > (old is not None)
        undone = "z undoes what it boots, z again the rest" if both else "z undoes it"
        app.say(f"{saved.address} is kept  ({undone})")


async def _assign(app: BootcartApp, kept: Reservation, bootenv: str) -> None:
    """Assign it to the machine, which is put on record where nobody has seen it yet."""
    machines = app.session.client.machines
    machine = machine_of(app, kept.mac)
    if machine is not None:
        await machines.assign(str(machine.id), bootenv)
        return
    named = {"name": kept.hostname} if kept.hostname else {}
    if not kept.mac:
        why = "no machine is known by this client identifier"
        raise InvalidError(why, hint="assign it to the machine once it was seen", field="bootenv")
    await machines.create({"macs": [kept.mac], "bootenv": bootenv, **named})
