"""Addresses and names that hosts can have."""

from __future__ import annotations

from ipaddress import IPv4Address

from app.errors import InvalidError
from app.model.fields import is_host_name
from app.netboot.scope import usable


def check_address(address: IPv4Address | None, field: str) -> None:
    """Raises InvalidError for an address that is no single host's."""
    if address is not None and not usable(address):
        raise InvalidError(f"{address} cannot be the address of a host", hint="for example 10.7.0.1", field=field)


def check_name(name: str, field: str, what: str) -> None:
    """Raises InvalidError for what no host or domain can be called; nothing is a name too."""
    if name and not is_host_name(name):
        hint = "letters, digits, `-` and `.`, at most 63 between two dots"
        raise InvalidError(f"{name!r} is not {what}", hint=hint, field=field)
