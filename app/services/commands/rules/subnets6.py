"""Subnets of IPv6: they do not overlap, can be served as they say, and leave no live lease behind unasked."""

from __future__ import annotations

from app.errors import ConflictError, InvalidError
from app.model.subnet import LeaseState, SubnetMode
from app.model.subnet6 import Lease6, Subnet6
from app.services.commands.rules import subnets
from app.store.directory import Directory


def check(subnet: Subnet6, before: Subnet6 | None, directory: Directory) -> None:
    """`subnet` may be stored in place of `before`. Raises InvalidError or ConflictError."""
    subnets.check_name(subnet.name, before, directory)
    for other in directory.subnets6():
        if other.name != (before.name if before is not None else "") and other.cidr.overlaps(subnet.cidr):
            raise ConflictError(
                f"{subnet.cidr} overlaps subnet {other.name} ({other.cidr})",
                hint=f"choose another network, or change or delete {other.name}",
                field="cidr",
            )
    gives = subnet.mode in (SubnetMode.AUTHORITATIVE, SubnetMode.UNMANAGED) and not subnet.stateless
    if gives and not subnet.ranges:
        first = subnet.cidr.network_address + min(256, subnet.cidr.num_addresses // 2)
        last = subnet.cidr.network_address + min(511, subnet.cidr.num_addresses - 1)
        raise InvalidError(
            "an IPv6 subnet needs a range of addresses to give out, or is stateless",
            hint=f"for example {first}-{last}; --stateless where the router or another server gives addresses",
            field="ranges",
        )


def outside(before: Subnet6, after: Subnet6 | None, directory: Directory, now: float) -> list[Lease6]:
    """The live leases from the ranges of `before` that `after` (None: no subnet) would not extend, by address."""
    left = (
        lease
        for lease in directory.six.leases()
        if lease.state is LeaseState.BOUND
        and lease.expires > now
        and any(lease.address in span for span in before.ranges)
        and (after is None or not any(lease.address in span for span in after.ranges))
    )
    return sorted(left, key=lambda lease: lease.address)
