"""How full each subnet is: counted in one call, whatever the number of leases."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address

from app.clock import Clock
from app.errors import UnavailableError
from app.model.subnet import LeaseState, Subnet
from app.model.usage import Usage
from app.store import usage_rows
from app.store.directory import Directory
from app.store.store import Store


class Usages:
    """Counts. Not for the threads that answer machines: it waits for the disk and for DHCP's thread."""

    def __init__(self, store: Store, offered: Callable[[], Iterable[int]], clock: Clock) -> None:
        """`offered`: the addresses that are offered now."""
        self._store = store
        self._offered = offered
        self._clock = clock

    def usage(self) -> Sequence[Usage]:
        """Every subnet of IPv4, by network address."""
        now = self._clock.now()
        with self._store.database.read() as connection:
            live = usage_rows.live(connection, now)
        try:
            offered = tuple(self._offered())
        except UnavailableError:
            offered = ()  # nothing is offered by a thread that does not answer
        directory = self._store.directory
        subnets = [one for one in directory.subnets() if isinstance(one, Subnet)]
        kept = [int(one.address) for one in directory.reservations()]
        offers, reserved = _sorted_in(subnets, offered), _sorted_in(subnets, kept)
        return [
            _usage(
                one,
                live.get((one.name, LeaseState.BOUND), 0),
                live.get((one.name, LeaseState.DECLINED), 0),
                offers[one.name],
                reserved[one.name],
                directory,
                now,
            )
            for one in subnets
        ]


def _usage(
    subnet: Subnet, bound: int, declined: int, offers: list[int], kept: list[int], directory: Directory, now: float
) -> Usage:
    spans = [(int(span.start), int(span.end)) for span in subnet.ranges]

    def ranged(address: int) -> bool:
        return any(first <= address <= last for first, last in spans)

    taken = {address for address in (*kept, *offers) if _live(directory, address, now)}
    outside = sum(1 for address in kept if address in taken and not ranged(address))
    idle = sum(1 for address in {*kept, *offers} if address not in taken and ranged(address))
    size = sum(span.size for span in subnet.ranges)
    return Usage(
        subnet=subnet.name,
        size=size,
        bound=bound,
        offered=sum(1 for address in offers if address not in taken),
        quarantined=declined,
        reserved=len(kept),
        # While leases outside shrunk ranges run out it is more than this says.
        free=max(0, size - (bound - outside) - declined - idle),
    )


def _live(directory: Directory, address: int, now: float) -> bool:
    lease = directory.lease(IPv4Address(address))
    return lease is not None and lease.state in (LeaseState.BOUND, LeaseState.DECLINED) and lease.expires > now


def _sorted_in(subnets: Sequence[Subnet], addresses: Iterable[int]) -> dict[str, list[int]]:
    """Addresses by the subnet they are in; subnets are in order and do not overlap."""
    first = [int(one.cidr.network_address) for one in subnets]
    found: dict[str, list[int]] = {one.name: [] for one in subnets}
    for address in addresses:
        at = bisect_right(first, address) - 1
        if at >= 0 and address <= int(subnets[at].cidr.broadcast_address):
            found[subnets[at].name].append(address)
    return found
