"""Who holds what on one subnet: its leases and its reservations together, by address, with the machine's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from app.model.query import Query
from app.model.subnet6 import AnyLease, AnySubnet
from app.screens.areas.area import bindings
from app.screens.areas.leases import PAGE, LeasesArea
from app.screens.registry import Action

if TYPE_CHECKING:
    from app.screens.app import BootcartApp


@dataclass(frozen=True, slots=True)
class Kept:
    """A reservation whose address nobody has now, where a lease would stand."""

    address: IPv4Address
    mac: str
    subnet: str
    hostname: str
    state: str = "reserved"
    since: float = 0.0
    expires: float = 0.0
    interface: str = ""


class HoldersArea(LeasesArea):
    """The list, over subnets."""

    area = "holders"
    over = "subnets"
    BINDINGS = bindings("holders")

    def __init__(self, subnet: AnySubnet) -> None:
        super().__init__()
        self.subnet = subnet
        self.table.empty = f"nobody has an address of {subnet.cidr} yet"

    def trail(self) -> tuple[str, ...]:
        return (self.subnet.name, "who holds what", *super().trail())

    def terms(self) -> tuple[str, ...]:
        return (f"subnet={self.subnet.name}", *super().terms())

    async def also(self, leases: Sequence[AnyLease], *, last: bool) -> Sequence[Kept]:
        """The reservations between the leases on this page that nobody uses now."""
        client = self.app.session.client
        if self.subnet.cidr.version == 6:
            return ()
        held = {str(one.address) for one in leases}
        page = await client.reservations.list(Query(filter=super().terms(), sort="address", limit=PAGE))
        end = int(leases[-1].address) if leases and not last else None
        return [
            Kept(one.address, one.mac or one.whose, self.subnet.name, one.hostname)
            for one in page.items
            if one.address in self.subnet.cidr
            and str(one.address) not in held
            and (end is None or int(one.address) <= end)
        ]

    def valid(self, action: Action) -> bool:
        idle = isinstance(self.table.current, Kept) and not self.table.marks
        return super().valid(action) and not (idle and action.id in ("reserve", "forget_lease"))


def open_holders(app: BootcartApp, name: str) -> None:
    """Show who holds what on a subnet, over the list of subnets."""
    subnet = next((one for one in app.session.subnets if one.name == name), None)
    if subnet is None:
        why = f"there is no subnet {name} any more" if name else "its address is in no subnet"
        app.say(f"{why}: 2 shows them")
        return
    app.action_area("subnets")
    app.push_screen(HoldersArea(subnet))
