"""Subnets: what is served, and the form that makes or changes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from app.errors import InvalidError
from app.model.engine import Interface
from app.model.options import write_options
from app.model.query import Query
from app.model.subnet import PICKERS, Identity, Subnet, SubnetMode
from app.model.subnet6 import AnyLease, AnySubnet
from app.model.usage import Usage
from app.screens import operations
from app.screens.areas.area import ListArea, bindings
from app.screens.areas.subnet6_form import body6, fields6
from app.screens.dialogs.form import Field, Form, Values, listed
from app.screens.registry import Action
from app.screens.widgets.lines import Span
from app.screens.widgets.meter import meter
from app.screens.widgets.table import Column, Table
from app.screens.words import plural, ranges

if TYPE_CHECKING:
    from app.screens.app import BootcartApp


def state_of(subnet: AnySubnet) -> Span:
    """Whether it is answered, as glyph, word and style."""
    if subnet.hold:
        return "= HELD", "warn"
    if not subnet.enabled or subnet.mode is SubnetMode.OFF:
        return "- off", "dim"
    if subnet.mode is SubnetMode.UNMANAGED:
        return ". known", "calm"
    return ("+ proxy" if subnet.mode is SubnetMode.PROXY else "+ served"), "good"


def _router(subnet: AnySubnet) -> str:
    return str((subnet.router if isinstance(subnet, Subnet) else None) or "-")


def usage_words(used: Usage) -> str:
    """How full a subnet is, in words."""
    parts = [
        f"{count} {word}"
        for count, word in (
            (used.bound, "leased"),
            (used.offered, "offered"),
            (used.quarantined, "in quarantine"),
            (used.reserved, "reserved"),
        )
        if count
    ]
    return ", ".join([*parts, f"{used.free} of {used.size} free  (l: who holds what)"])


class SubnetsArea(ListArea):
    """The list."""

    area = "subnets"
    nouns = frozenset({"subnets", "interfaces"})
    BINDINGS = bindings("subnets")

    def __init__(self) -> None:
        columns: Sequence[Column[AnySubnet]] = (
            Column("STATE", state_of, least=8, most=8),
            Column("NAME", lambda s: s.name, least=6, most=16),
            Column("CIDR", lambda s: str(s.cidr), least=11, most=18),
            Column("MODE", lambda s: s.mode.value, least=5, most=13, rank=5),
            Column("USED", self._used, least=15, most=15),
            Column("RANGE", lambda s: ranges(s) or "-", least=9, most=31, rank=1),
            Column("INTERFACE", lambda s: s.interface or "any", least=3, most=12, rank=3),
            Column("ROUTER", _router, least=6, most=15, rank=4),
            Column("NOTE", lambda s: (s.hold, "warn") if s.hold else s.description, most=60, rank=2, grow=True),
        )
        super().__init__(
            Table(
                columns,
                key=lambda subnet: subnet.name,
                markable=True,
                empty="no subnet yet: W opens the wizard, a makes one by hand",
                id="subnets",
            )
        )

        self.usage: dict[str, Usage] = {}

    def _used(self, subnet: AnySubnet) -> Span:
        used = self.usage.get(subnet.name)
        if used is None or not used.size or subnet.mode is not SubnetMode.AUTHORITATIVE:
            return "-", "dim"
        # All that a machine that comes cannot have: leases, offers, reservations; and what is kept back.
        return meter(used.size - used.free - used.quarantined, used.quarantined, used.size, 10)

    async def fetch(self) -> Sequence[AnySubnet]:
        self.usage = {one.subnet: one for one in await self.app.session.client.subnets.usage()}
        return (await self.app.session.client.subnets.list()).items

    def about(self, item: AnySubnet) -> str:
        if item.hold:
            return f"{item.name} is not answered: {item.hold}"
        used = self.usage.get(item.name)
        return usage_words(used) if used is not None and used.size else item.description

    def do_holders(self) -> None:
        """`l`."""
        if self.table.current is not None:
            from app.screens.areas.holders import open_holders

            open_holders(self.app, self.table.current.name)

    def valid(self, action: Action) -> bool:
        return bool(self.table.items) or action.id not in ("holders", "edit_subnet", "delete_subnet", "mark", "open")

    async def do_new_subnet(self) -> None:
        """`a`."""
        await create(self.app)

    async def do_edit_subnet(self) -> None:
        """`e`."""
        if self.table.current is not None:
            await change(self.app, self.table.current)

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter changes it too."""
        await self.app.action_do("edit_subnet")

    async def do_delete_subnet(self) -> None:
        """`d`, `x`."""
        items = [(one.name, f"{one.cidr}, {one.mode.value}", one.name in self.hidden()) for one in self.targets()]
        text = ["Machines there get no address and no boot file any more. Leases stay on record."]
        live, count = list[AnyLease](), 0
        for one in self.targets():
            terms = (f"subnet={one.name}", "state=bound")
            page = await self.app.session.client.leases.list(Query(terms, "address", LISTED))
            live, count = [*live, *page.items], count + page.total
        if live:
            named = ", ".join(one.hostname or str(one.address) for one in live[:LISTED])
            more = f" and {count - LISTED} more" if count > LISTED else ""
            text.append(f"{plural(count, 'machine')} there now, until the lease ends: {named}{more}")
        await operations.delete(self.app, "subnets", items, text, **({"drain": True} if live else {}))
        self.table.marks.clear()


OPTIONS_HELP = "like ntp-servers=10.7.0.1; interface-mtu=9000"
LISTED = 5
PICKERS_HELP = "in order; also point-to-point, none"
IDENTITIES = tuple(identity.value for identity in Identity)
MODES = tuple(mode.value for mode in SubnetMode)


def fields_of(subnet: Subnet | None, interfaces: Sequence[Interface]) -> list[Field]:
    """The fields of the form, filled from a subnet where there is one."""

    def had(get: Callable[[Subnet], object], default: str = "") -> str:
        if subnet is None:
            return default
        value = get(subnet)
        return "" if value is None else str(value)

    links = ("any", *(one.name for one in interfaces if one.kind != "loopback"))
    return [
        Field("name", "Name", "letters, digits, . _ -", had(lambda s: s.name)),
        Field("cidr", "Network", "like 10.7.0.0/24", had(lambda s: s.cidr)),
        Field("mode", "Mode", "proxy: another server gives addresses", had(lambda s: s.mode.value), MODES),
        Field("enabled", "Enabled", "no: not answered", had(_yes_enabled, "yes"), ("yes", "no")),
        Field("ranges", "Ranges", "like 10.7.0.100-10.7.0.200", had(ranges)),
        Field("router", "Router", "empty: none is told", had(lambda s: s.router)),
        Field("dns", "DNS servers", "comma between several", had(lambda s: ", ".join(map(str, s.dns)))),
        Field("domain", "Domain", "like rack7.example.net", had(lambda s: s.domain)),
        Field("lease_time", "Lease time", "seconds, at least 60", had(lambda s: s.lease_time, "3600")),
        Field(
            "reserved_lease_time",
            "Reserved lease",
            "seconds, with a reservation; empty: as above",
            had(lambda s: s.reserved_lease_time),
        ),
        Field("interface", "Interface", "serve it there only", had(lambda s: s.interface or "any"), links),
        Field("next_server", "Boot server", "empty: the address reached", had(lambda s: s.next_server)),
        Field(
            "reservations_only",
            "Reserved only",
            "yes: nobody else is answered",
            had(lambda s: "yes" if s.reservations_only else "no"),
            ("no", "yes"),
        ),
        Field("pickers", "Pickers", PICKERS_HELP, had(_pickers, ", ".join(PICKERS))),
        Field("identity", "Identity", "what clients are told apart by", had(lambda s: s.identity.value), IDENTITIES),
        Field("shared_network", "Shared network", "subnets of one name share a link", had(lambda s: s.shared_network)),
        Field("options", "DHCP options", OPTIONS_HELP, had(lambda s: write_options(s.options)), options=True),
        Field("description", "Description", "in your words", had(lambda s: s.description)),
    ]


def _pickers(subnet: Subnet) -> str:
    return ", ".join(picker.value for picker in subnet.pickers)


def _yes_enabled(subnet: Subnet) -> str:
    return "yes" if subnet.enabled else "no"


def body_of(values: Values) -> dict[str, Any]:
    """What the form says, as the engine takes it. Raises InvalidError for a lease time that is no number."""
    for name in ("lease_time", "reserved_lease_time"):
        if not values[name].isdigit() and (values[name] or name == "lease_time"):
            raise InvalidError("this is not a number of seconds", hint="for example 3600", field=name)
    return {
        "name": values["name"],
        "cidr": values["cidr"],
        "mode": values["mode"],
        "enabled": values["enabled"] == "yes",
        "ranges": [part.strip() for part in values["ranges"].replace(";", ",").split(",") if part.strip()],
        "router": values["router"] or None,
        "dns": listed(values["dns"]),
        "domain": values["domain"],
        "lease_time": int(values["lease_time"]),
        "reserved_lease_time": int(values["reserved_lease_time"]) if values["reserved_lease_time"] else None,
        "pickers": listed(values["pickers"]),
        "identity": values["identity"],
        "shared_network": values["shared_network"],
        "interface": "" if values["interface"] == "any" else values["interface"],
        "next_server": values["next_server"] or None,
        "reservations_only": values["reservations_only"] == "yes",
        "options": values["options"],
        "description": values["description"],
    }


async def create(app: BootcartApp) -> None:
    """A new subnet, by hand."""

    async def save(values: Values) -> AnySubnet:
        if ":" in values["cidr"]:
            return await app.session.client.subnets.create(body6(values))
        body = body_of(values)
        clash = next((one for one in app.session.interfaces if one.name == body["interface"] and one.foreign), None)
        if clash is not None and body["mode"] == SubnetMode.AUTHORITATIVE.value:
            raise InvalidError(
                f"{clash.foreign[0].server} answers DHCP on {clash.name}",
                hint="choose proxy, or confirm it in the wizard (W)",
                field="mode",
            )
        return await app.session.client.subnets.create(body)

    saved = await app.push_screen_wait(Form("New subnet", fields_of(None, app.session.interfaces), save))
    if saved is not None:
        app.say(f"subnet {saved.name} is saved  (z undoes it)")


async def change(app: BootcartApp, subnet: AnySubnet) -> None:
    """Change a subnet; only what was changed is sent."""
    before = subnet.model_dump(mode="json")
    before["ranges"] = [f"{one.start}-{one.end}" for one in subnet.ranges]
    if isinstance(subnet, Subnet):
        before["options"] = write_options(subnet.options)

    async def save(values: Values) -> AnySubnet:
        body = body_of(values) if isinstance(subnet, Subnet) else body6(values)
        changes = {name: value for name, value in body.items() if before.get(name) != value}
        drain = {"drain": True} if values["drain"] == "drain" else {}
        return await app.session.client.subnets.update(subnet.name, changes, **drain) if changes else subnet

    lines = [f"Not answered at the moment: {subnet.hold}"] if subnet.hold else []
    links = app.session.interfaces
    fields = fields_of(subnet, links) if isinstance(subnet, Subnet) else fields6(subnet, links)
    fields.append(Field("drain", "Leases outside", "drain: they end when next renewed", "keep", ("keep", "drain")))
    form = Form(f"Subnet {subnet.name}", fields, save, lines=lines)
    saved = await app.push_screen_wait(form)
    if saved is not None:
        app.say(f"{plural(1, 'subnet')} saved: {saved.name}  (z undoes it)")
