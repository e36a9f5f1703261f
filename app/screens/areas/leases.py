"""Leases: who has which address, and keeping one for good with one key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.model.fields import is_host_name
from app.model.subnet import LeaseState
from app.model.subnet6 import AnyLease
from app.screens import operations
from app.screens.areas.area import ListArea, bindings
from app.screens.registry import Action
from app.screens.widgets.lines import Span
from app.screens.widgets.table import Column, Table
from app.screens.words import age, clock

LOOKS: dict[LeaseState, Span] = {
    LeaseState.BOUND: ("+ bound", "good"),
    LeaseState.RELEASED: ("- released", "dim"),
    LeaseState.EXPIRED: ("~ expired", "dim"),
    LeaseState.DECLINED: ("! DECLINED", "bad"),
}


class LeasesArea(ListArea):
    """The list."""

    area = "leases"
    nouns = frozenset({"leases", "machines", "reservations"})
    BINDINGS = bindings("leases")

    def __init__(self) -> None:
        columns: Sequence[Column[AnyLease]] = (
            Column("STATE", lambda one: LOOKS[one.state], least=8, most=10),
            Column("ADDRESS", lambda one: str(one.address), least=9, most=15),
            Column("MAC", lambda one: one.mac, least=17, most=17),
            Column("MACHINE", self._machine, least=8, most=20, rank=1),
            Column("LEFT", self._remaining, least=5, most=7),
            Column("RESERVED", self._reserved, least=3, most=8, rank=2),
            Column("SUBNET", lambda one: one.subnet, least=5, most=14, rank=4),
            Column("SINCE", lambda one: clock(one.since), least=8, most=8, rank=5),
            Column("INTERFACE", lambda one: one.interface, least=4, most=12, rank=6),
            Column("HOST", lambda one: one.hostname, least=4, most=40, rank=3, grow=True),
        )
        super().__init__(
            Table(columns, key=lambda one: str(one.address), markable=True, empty="no address given yet", id="leases")
        )
        self.kept: dict[str, str] = {}

    def _machine(self, lease: AnyLease) -> str:
        return next((one.name for one in self.app.session.machines.values() if lease.mac in one.macs), lease.hostname)

    def _remaining(self, lease: AnyLease) -> Span:
        left = lease.expires - self.app.session.now()
        return (age(left), "") if left > 0 and lease.state in (LeaseState.BOUND, LeaseState.DECLINED) else ("-", "dim")

    def _reserved(self, lease: AnyLease) -> Span:
        mac = self.kept.get(str(lease.address))
        return ("", "") if mac is None else ("yes", "good") if mac == lease.mac else ("other", "warn")

    async def fetch(self) -> Sequence[AnyLease]:
        from app.screens.session import everything

        client = self.app.session.client
        self.kept = {str(one.address): one.mac for one in await everything(client.reservations)}
        return sorted(await everything(client.leases), key=lambda lease: int(lease.address))

    def label(self, item: Any) -> str:
        return str(item.address)

    def valid(self, action: Action) -> bool:
        return bool(self.table.items) or action.id not in ("assign", "reserve", "forget_lease", "mark", "open")

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter opens the machine that has it."""
        found = next((one for one in self.app.session.machines.values() if event.item.mac in one.macs), None)
        if found is not None:
            self.app.open_machine(str(found.id))
        else:
            self.app.say(f"no machine on record has {event.item.mac}")

    async def do_reserve(self) -> None:
        """`r`: one key, taken back with z."""
        client = self.app.session.client
        targets = [one for one in self.targets() if self.kept.get(str(one.address)) != one.mac]

        async def keep(lease: AnyLease) -> None:
            # A machine may call itself whatever it likes; a reservation has a host name or none.
            names = (name for name in (lease.hostname, self._machine(lease)) if is_host_name(name))
            await client.reservations.create(
                {"address": str(lease.address), "mac": lease.mac, "hostname": next(names, "")}
            )

        if not targets:
            self.app.say("the address is kept for this machine already: 4 shows the reservations")
            return
        await operations.each(self.app, targets, lambda one: str(one.address), keep, "reserved", "  (z undoes it)")
        await self.reload()

    async def do_assign(self) -> None:
        """`b`: what the machines that have these addresses boot."""
        macs = {one.mac for one in self.targets()}
        found = [one for one in self.app.session.machines.values() if macs.intersection(one.macs)]
        await operations.assign(self.app, found, set())

    async def do_forget_lease(self) -> None:
        """`d`, `x`."""
        items = [
            (str(one.address), f"{one.mac} {one.state.value}", str(one.address) in self.hidden())
            for one in self.targets()
        ]
        text = ["The address may be given to another machine while this one still uses it."]
        await operations.delete(self.app, "leases", items, text)
        self.table.marks.clear()
        await self.reload()
