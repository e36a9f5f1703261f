"""Reservations: one per address, one per machine and subnet, no address somebody else holds or nobody can have."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from types import MappingProxyType

from app.errors import ConflictError, InvalidError
from app.model.subnet import LeaseState, Reservation, Scope
from app.netboot.identity import Client, owns
from app.services.commands.rules import hosts
from app.store.directory import Directory


def check(
    reservation: Reservation,
    before: Reservation | None,
    directory: Directory,
    now: float,
    own: Mapping[IPv4Address, str] = MappingProxyType({}),
) -> None:
    """`reservation` may be stored in place of `before`; `own` has this host's addresses and the interfaces they are on.

    Raises InvalidError or ConflictError.
    """
    address = reservation.address
    if address in own:
        raise ConflictError(
            f"{address} is this host's own address on {own[address]}", hint="choose another address", field="address"
        )
    other = directory.reservation_at(address)
    if other is not None and other != before:
        raise ConflictError(
            f"{address} is already reserved for {other.whose}", hint="change or delete that one", field="address"
        )
    _one_of_a_kind(reservation, before, directory)
    _givable(address, directory)
    _has_a_network(reservation, directory)
    lease = directory.lease(address)
    held = lease is not None and owns(reservation, Client(lease.mac, lease.client_id))
    if lease is not None and lease.state is LeaseState.BOUND and lease.expires > now and not held:
        raise ConflictError(
            f"{address} is leased to {lease.mac} for another {_span(lease.expires - now)}",
            hint=f"choose another address, or `bootcart leases delete {address}` once that machine is off",
            field="address",
        )
    hosts.check_address(reservation.next_server, "next_server")
    hosts.check_name(reservation.hostname, "hostname", "a host name")


def _one_of_a_kind(reservation: Reservation, before: Reservation | None, directory: Directory) -> None:
    """A machine has one reservation on each subnet, and one that counts everywhere."""
    subnet = directory.subnet_of(reservation.address)
    for other in directory.reservations_for(reservation.token):
        if other == before or other.scope is not reservation.scope:
            continue
        if reservation.scope is Scope.GLOBAL or directory.subnet_of(other.address) == subnet:
            where = "that counts everywhere" if reservation.scope is Scope.GLOBAL else "there"
            raise ConflictError(
                f"{reservation.whose} already has the reservation {other.address} {where}",
                hint="change or delete that one",
                field="mac" if reservation.mac else "client_id",
            )


def _has_a_network(reservation: Reservation, directory: Directory) -> None:
    """Outside any subnet a reservation says what its machine is told of its network; in one the subnet does."""
    subnet = directory.subnet_of(reservation.address)
    if subnet is not None:
        for name in ("prefix", "router"):
            if getattr(reservation, name) is not None:
                why = f"the {name} of {reservation.address} is that of subnet {subnet.name}"
                raise InvalidError(why, hint="leave it out", field=name)
    elif reservation.scope is Scope.GLOBAL and reservation.prefix is None:
        raise InvalidError(
            f"{reservation.address} is in no subnet, so its machine cannot be told its network mask",
            hint="give the length of the prefix, for example 24, or create the subnet first",
            field="prefix",
        )
    elif reservation.scope is Scope.SUBNET and reservation.prefix is not None:
        raise InvalidError(
            f"{reservation.address} is in no subnet: on which should the reservation count?",
            hint="set scope to global",
            field="scope",
        )


def _givable(address: IPv4Address, directory: Directory) -> None:
    if address.is_multicast or address.is_loopback or address.is_unspecified or address.is_reserved:
        raise InvalidError(f"{address} cannot be a machine's address", hint="for example 10.7.0.50", field="address")
    subnet = directory.subnet_of(address)
    if subnet is None:
        return
    if subnet.cidr.prefixlen <= 30 and address in (subnet.cidr.network_address, subnet.cidr.broadcast_address):
        which = "network" if address == subnet.cidr.network_address else "broadcast"
        raise InvalidError(
            f"{address} is the {which} address of subnet {subnet.name} ({subnet.cidr})",
            hint="choose one between its first and last address",
            field="address",
        )
    if address == subnet.router:
        raise InvalidError(
            f"{address} is the router of subnet {subnet.name}", hint="choose another address", field="address"
        )


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
