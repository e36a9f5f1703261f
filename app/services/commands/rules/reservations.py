"""Reservations: one per address, one per MAC, never an address somebody else holds or nobody can have."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from app.errors import ConflictError, InvalidError
from app.model.subnet import LeaseState, Reservation
from app.store.directory import Directory

# RFC 1123 2.1: a host name's labels.
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def check(reservation: Reservation, before: Reservation | None, directory: Directory, now: float) -> None:
    """`reservation` may be stored in place of `before`. Raises InvalidError or ConflictError."""
    address = reservation.address
    other = directory.reservation_at(address)
    if other is not None and other != before:
        raise ConflictError(
            f"{address} is already reserved for {other.mac}", hint="change or delete that one", field="address"
        )
    other = directory.reservation_for(reservation.mac)
    if other is not None and other != before:
        raise ConflictError(
            f"{reservation.mac} already has the reservation {other.address}",
            hint="change or delete that one",
            field="mac",
        )
    _givable(address, directory)
    lease = directory.lease(address)
    if lease is not None and lease.state is LeaseState.BOUND and lease.expires > now and lease.mac != reservation.mac:
        raise ConflictError(
            f"{address} is leased to {lease.mac} for another {_span(lease.expires - now)}",
            hint=f"choose another address, or `bootcart leases delete {address}` once that machine is off",
            field="address",
        )
    if reservation.hostname and (len(reservation.hostname) > 253 or not _HOSTNAME.fullmatch(reservation.hostname)):
        raise InvalidError(
            f"{reservation.hostname!r} is not a host name", hint="letters, digits, `-` and `.`", field="hostname"
        )


def _givable(address: IPv4Address, directory: Directory) -> None:
    if address.is_multicast or address.is_loopback or address.is_unspecified or address.is_reserved:
        raise InvalidError(f"{address} cannot be a machine's address", hint="for example 10.7.0.50", field="address")
    subnet = directory.subnet_of(address)
    if subnet is None:
        return
    if address in (subnet.cidr.network_address, subnet.cidr.broadcast_address):
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
