"""Reservations: addresses kept for one machine each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.model.subnet import Reservation
from app.screens import operations
from app.screens.areas.area import ListArea, bindings
from app.screens.dialogs.form import Field, Form, Values
from app.screens.registry import Action
from app.screens.widgets.table import Column, Table

if TYPE_CHECKING:
    from app.screens.app import BootcartApp


class ReservationsArea(ListArea):
    """The list."""

    area = "reservations"
    nouns = frozenset({"reservations"})
    BINDINGS = bindings("reservations")

    def __init__(self) -> None:
        columns: Sequence[Column[Reservation]] = (
            Column("ADDRESS", lambda one: str(one.address), least=9, most=15),
            Column("MAC", lambda one: one.mac, least=17, most=17),
            Column("HOST", lambda one: one.hostname or "-", least=6, most=20),
            Column("BOOTS", lambda one: ("never", "warn") if one.never_boot else "yes", least=5, most=5),
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

    def about(self, item: Reservation) -> str:
        return item.description

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
        items = [(str(one.address), one.mac, str(one.address) in self.hidden()) for one in self.targets()]
        await operations.delete(self.app, "reservations", items, ["The address may be given to another machine."])
        self.table.marks.clear()
        await self.reload()


async def form(app: BootcartApp, old: Reservation | None) -> None:
    """Make or change a reservation."""
    fields = (
        Field("address", "Address", "in a subnet, any address of it", str(old.address) if old else ""),
        Field("mac", "MAC address", "like 52:54:00:00:00:07", old.mac if old else ""),
        Field("hostname", "Host name", "told to the machine; may be empty", old.hostname if old else ""),
        Field(
            "never_boot",
            "Never boot",
            "yes: an address, never a boot file",
            "yes" if old and old.never_boot else "no",
            ("no", "yes"),
        ),
        Field("description", "Description", "in your words", old.description if old else ""),
    )

    async def save(values: Values) -> Reservation:
        body: dict[str, Any] = {**values, "never_boot": values["never_boot"] == "yes"}
        reservations = app.session.client.reservations
        if old is None:
            return await reservations.create(body)
        before = old.model_dump(mode="json")
        changes = {name: value for name, value in body.items() if before[name] != value}
        return await reservations.update(str(old.address), changes) if changes else old

    saved = await app.push_screen_wait(Form(f"Reservation {old.address}" if old else "New reservation", fields, save))
    if saved is not None:
        app.say(f"{saved.address} is kept for {saved.mac}  (z undoes it)")
