"""Subnets: they do not overlap, can be served as they say, and are not taken from under reservations."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from app.errors import ConflictError, InvalidError
from app.model.subnet import Lease, LeaseState, Picker, Range, Reservation, Subnet, SubnetMode
from app.model.subnet6 import Lease6, Subnet6
from app.services.commands.rules import hosts
from app.store.directory import Directory

LISTED = 5


def check(subnet: Subnet, before: Subnet | None, directory: Directory) -> None:
    """`subnet` may be stored in place of `before`. Raises InvalidError or ConflictError."""
    _possible(subnet)
    check_name(subnet.name, before, directory)
    for other in directory.subnets():
        if before is not None and other.name == before.name:
            continue
        if other.cidr.overlaps(subnet.cidr):
            raise ConflictError(
                f"{subnet.cidr} overlaps subnet {other.name} ({other.cidr})",
                hint=f"choose another network, or change or delete {other.name}",
                field="cidr",
            )
    if subnet.mode is SubnetMode.AUTHORITATIVE and not subnet.ranges and not subnet.reservations_only:
        raise InvalidError(
            "an authoritative subnet needs a range of addresses to give out",
            hint=f"for example {proposal(subnet)}, or set reservations_only",
            field="ranges",
        )
    if subnet.router is not None:
        for number, span in enumerate(subnet.ranges):
            if subnet.router in span:
                raise InvalidError(
                    f"the router {subnet.router} is inside {span.start}-{span.end} and would be given to a machine",
                    hint=f"for example {proposal(subnet)}",
                    field=f"ranges.{number}",
                )
    _reservations_stay(subnet, before, directory)


def check_name(name: str, before: Subnet | Subnet6 | None, directory: Directory) -> None:
    """No other subnet is called so, of either protocol. Raises ConflictError."""
    for other in (*directory.subnets(), *directory.subnets6()):
        if other.name.casefold() == name.casefold() and (before is None or other.name != before.name):
            raise ConflictError(f"there is already a subnet {other.name}", hint="choose another name", field="name")


def outside(before: Subnet, after: Subnet | None, directory: Directory, now: float) -> list[Lease]:
    """The live leases from the ranges of `before` that `after` (None: no subnet) would not extend, by address."""
    leases = (
        lease
        for lease in directory.leases()
        if lease.state is LeaseState.BOUND
        and lease.expires > now
        and any(lease.address in span for span in before.ranges)
        and directory.reservation_at(lease.address) is None
        and (
            after is None
            or (after.reservations_only and not before.reservations_only)
            or not any(lease.address in span for span in after.ranges)
        )
    )
    return sorted(leases, key=lambda lease: lease.address)


def refuse_left(
    left: Sequence[Lease] | Sequence[Lease6], before: Subnet | Subnet6, after: Subnet | Subnet6 | None, now: float
) -> None:
    """Raises ConflictError naming live leases that would be left behind, where there are any."""
    if not left:
        return
    named = ", ".join(f"{lease.address} ({lease.hostname or lease.mac or lease.client_id})" for lease in left[:LISTED])
    more = f" and {len(left) - LISTED} more" if len(left) > LISTED else ""
    many = len(left) > 1
    raise ConflictError(
        f"{len(left)} live lease{'s' if many else ''} would be left behind: {named}{more}",
        hint=f"with --drain {'they end' if many else 'it ends'} when next renewed, "
        f"within {_span(max(lease.expires for lease in left) - now)}",
        field="" if after is None else "ranges" if after.ranges != before.ranges else "reservations_only",
    )


def _span(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def check_delete(subnet: Subnet, directory: Directory) -> None:
    """`subnet` may be deleted. Raises ConflictError naming the reservations inside it."""
    users = inside(subnet.cidr, directory)
    if users:
        raise ConflictError(
            f"subnet {subnet.name} is in use by {_listed(users)}",
            hint="delete those reservations first",
        )


def inside(cidr: IPv4Network, directory: Directory) -> list[Reservation]:
    """The reservations in a network, by address."""
    return sorted((each for each in directory.reservations() if each.address in cidr), key=lambda each: each.address)


def proposal(subnet: Subnet) -> str:
    """A range for a subnet: the middle of it, clear of the router; both ends included."""
    first, last = int(subnet.cidr.network_address) + 1, int(subnet.cidr.broadcast_address) - 1
    size = last - first + 1
    start, end = first + size * 2 // 5, first + size * 4 // 5
    if subnet.router is not None and start <= int(subnet.router) <= end:
        start, end = (int(subnet.router) + 1, end) if int(subnet.router) < end else (start, end - 1)
    span = Range(start=IPv4Address(start), end=IPv4Address(max(start, end)))
    return f"{span.start}-{span.end}"


def _possible(subnet: Subnet) -> None:
    cidr = subnet.cidr
    if cidr.is_multicast or cidr.is_loopback or cidr.is_unspecified or cidr.is_reserved:
        raise InvalidError(
            f"{cidr} is not a network machines can be in", hint="a private one, for example 10.7.0.0/24", field="cidr"
        )
    if cidr.prefixlen < 8:
        raise InvalidError(f"{cidr} is too large", hint="a /8 is the most", field="cidr")
    if cidr.prefixlen > 30 and (cidr.prefixlen == 32 or Picker.POINT_TO_POINT not in subnet.pickers):
        raise InvalidError(
            f"{cidr} has no room for a machine beside this server",
            hint="a /30 is the least, a /31 with the picker point-to-point",
            field="cidr",
        )
    hosts.check_address(subnet.next_server, "next_server")
    for number, address in enumerate(subnet.dns):
        hosts.check_address(address, f"dns.{number}")
    hosts.check_name(subnet.domain, "domain", "a domain name")
    if cidr.prefixlen <= 30 and subnet.router in (cidr.network_address, cidr.broadcast_address):
        raise InvalidError(
            f"{subnet.router} is the network or broadcast address of {cidr}",
            hint=f"for example {cidr.network_address + 1}",
            field="router",
        )


def _reservations_stay(subnet: Subnet, before: Subnet | None, directory: Directory) -> None:
    if before is not None and before.cidr != subnet.cidr:
        left = [each for each in inside(before.cidr, directory) if each.address not in subnet.cidr]
        if left:
            raise ConflictError(
                f"{subnet.cidr} leaves out {_listed(left)}", hint="delete those reservations first", field="cidr"
            )
    for each in inside(subnet.cidr, directory):
        ends = (subnet.cidr.network_address, subnet.cidr.broadcast_address) if subnet.cidr.prefixlen <= 30 else ()
        if each.address in (*ends, subnet.router):
            raise ConflictError(
                f"{each.address} is reserved for {each.whose} and would be its network, broadcast or router address",
                hint="delete that reservation first",
                field="cidr" if each.address != subnet.router else "router",
            )


def _listed(users: list[Reservation]) -> str:
    named = ", ".join(f"{each.address} ({each.whose})" for each in users[:5])
    more = f" and {len(users) - 5} more" if len(users) > 5 else ""
    return f"the reservation{'s' if len(users) > 1 else ''} {named}{more}"
