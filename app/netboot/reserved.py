"""Which reservation counts for a client: that of the subnet it is on, else one that counts everywhere."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address

from app.model.subnet import Reservation, Scope, Subnet
from app.netboot.identity import Client, owns
from app.netboot.view import NetworkView

_SECONDS = 3600

__all__ = ["home", "owns", "reservation_of", "reservations_of"]


def reservations_of(client: Client, view: NetworkView) -> tuple[Reservation, ...]:
    """Every reservation of a client, those for its hardware address first."""
    found = view.reservations_for(client.mac) if client.mac else ()
    if client.client_id:
        found = (*found, *view.reservations_for(f"id:{client.client_id}"))
    return tuple(found)


def reservation_of(client: Client, subnet: Subnet | None, view: NetworkView) -> Reservation | None:
    """The reservation that counts for a client on a subnet (None: on none that is defined)."""
    anywhere: Reservation | None = None
    for kept in reservations_of(client, view):
        if subnet is not None and kept.address in subnet.cidr:
            return kept
        if anywhere is None and kept.scope is Scope.GLOBAL:
            anywhere = kept
    return anywhere


def home(kept: Reservation, view: NetworkView) -> Subnet | None:
    """The subnet a reservation's address is in; outside any, one made of what the reservation says of its network."""
    found = next((subnet for subnet in view.subnets() if kept.address in subnet.cidr), None)
    if found is not None or kept.prefix is None:
        return found
    return _made(kept.address, kept.prefix, kept.router, kept.lease_time or _SECONDS)


@lru_cache(maxsize=1024)
def _made(address: IPv4Address, prefix: int, router: IPv4Address | None, seconds: int) -> Subnet:
    network = Reservation.model_construct(address=address, prefix=prefix).network
    return Subnet.model_validate(
        {
            "name": f"reservation-{address}",
            "cidr": network,
            "router": router,
            "lease_time": seconds,
            "reservations_only": True,
        }
    )
