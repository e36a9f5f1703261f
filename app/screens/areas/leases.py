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

PAGE = 1000
"""Leases fetched at a time; the next page when the cursor comes to the end of the last."""
LOOKS: dict[str, Span] = {
    LeaseState.BOUND: ("+ bound", "good"),
    LeaseState.RELEASED: ("- released", "dim"),
    LeaseState.EXPIRED: ("~ expired", "dim"),
    LeaseState.DECLINED: ("! DECLINED", "bad"),
    "reserved": (". kept", "calm"),
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
        self.owners: dict[str, str] = {}
        self.total = 0
        """Leases there are, of those the filter lets through where the engine was asked with it."""
        self.asked = ""
        """The filter the engine was asked with."""

    def _machine(self, lease: AnyLease) -> str:
        return self.owners.get(lease.mac, lease.hostname)

    def _remaining(self, lease: AnyLease) -> Span:
        left = lease.expires - self.app.session.now()
        return (age(left), "") if left > 0 and lease.state in (LeaseState.BOUND, LeaseState.DECLINED) else ("-", "dim")

    def _reserved(self, lease: AnyLease) -> Span:
        mac = self.kept.get(str(lease.address))
        return ("", "") if mac is None else ("yes", "good") if mac == lease.mac else ("other", "warn")

    async def fetch(self) -> Sequence[AnyLease]:
        from app.screens.session import everything

        self.kept = {str(one.address): one.mac for one in await everything(self.app.session.client.reservations)}
        self.owners = {mac: one.name for one in self.app.session.machines.values() for mac in one.macs}
        while True:
            asked = self.asked
            found, total = await self._page(0, max(PAGE, len(self.every)))
            if asked == self.asked:
                self.total = total
                return found
            # Typed on meanwhile: what was asked for first may well come last.

    def terms(self) -> tuple[str, ...]:
        """What the engine is asked for: with the filter once there is more than what is here."""
        from app.model.query import parse_filter

        return parse_filter(self.asked)

    async def also(self, leases: Sequence[AnyLease], *, last: bool) -> Sequence[Any]:
        """What stands among the leases of a page; `last`: no page follows."""
        return ()

    async def _page(self, offset: int, count: int) -> tuple[Sequence[Any], int]:
        """So many leases from there on with what stands among them, and how many there are."""
        from app.model.query import Query

        found: list[AnyLease] = []
        total = 0
        while len(found) < count:
            ask = Query(self.terms(), "address", min(PAGE, count - len(found)), offset + len(found))
            page = await self.app.session.client.leases.list(ask)
            total = page.total
            found += page.items
            if offset + len(found) >= total or not page.items:
                break
        others = await self.also(found, last=offset + len(found) >= total)
        return sorted((*found, *others), key=lambda one: (one.address.version, int(one.address))), total

    @property
    def fetched(self) -> int:
        """Leases that are here."""
        return sum(one.state != "reserved" for one in self.every)

    @property
    def whole(self) -> bool:
        """All there are were fetched."""
        return self.fetched >= self.total

    def trail(self) -> tuple[str, ...]:
        return super().trail() if self.whole else (f"first {self.fetched} of {self.total}",)

    def refilter(self) -> None:
        super().refilter()
        if self.is_mounted and self.sought != self.asked and (self.asked or not self.whole):
            # What is not here cannot be sifted here.
            self.asked = self.sought
            self.app.reload(self)

    def on_table_moved(self) -> None:
        """At the end of what is here the next page is fetched."""
        super().on_table_moved()
        if not self.whole and self.table.items and self.table.cursor == len(self.table.items) - 1:
            self.app.run_worker(self._more(), group="more", exclusive=True, exit_on_error=False)

    async def _more(self) -> None:
        from app.errors import UnreachableError

        asked = self.asked
        try:
            more, total = await self._page(self.fetched, PAGE)
        except UnreachableError:
            self.app.session.lost()
            return
        if asked != self.asked:
            return
        self.total = total
        had = {str(one.address) for one in self.every}
        self.every = (*self.every, *(one for one in more if str(one.address) not in had))
        self.refilter()
        self.chrome()

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

    def do_holders(self) -> None:
        """`l`: all of its subnet."""
        if self.table.current is not None:
            from app.screens.areas.holders import open_holders

            open_holders(self.app, self.table.current.subnet)

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
        if all(one.state is LeaseState.DECLINED for one in self.targets()):
            text = ["Somebody used it without a lease, or a machine declined it. It may be offered again at once."]
        await operations.delete(self.app, "leases", items, text)
        self.table.marks.clear()
        await self.reload()
