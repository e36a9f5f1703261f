"""Machines: names, MAC and IP addresses are theirs alone, boot environments exist."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.errors import ConflictError, InvalidError
from app.model.machine import Machine
from app.services.commands.rules import bootenvs, profiles
from app.store.directory import Directory

READ_ONLY = frozenset({"registered", "inventory", "created", "heartbeat", "reboot_wanted"})
"""What the machine itself or the engine writes; an operator may send it back unchanged."""


UNIQUE = ("name", "macs", "address")
"""What no two machines share."""


def check(machine: Machine, before: Machine | None, directory: Directory) -> None:
    """`machine` may be stored in place of `before`. Raises InvalidError or ConflictError."""
    repeated = next((mac for number, mac in enumerate(machine.macs) if mac in machine.macs[:number]), None)
    if repeated is not None:
        raise InvalidError(f"{repeated} is given twice", hint="name each MAC address once", field="macs")
    check_unique(machine, directory)
    if before is None or machine.bootenv != before.bootenv:
        bootenvs.check_assignable(machine.bootenv, machine, directory)
    if machine.profiles and (before is None or machine.profiles != before.profiles):
        profiles.check_named(machine.profiles, directory)
    if machine.address is not None and (before is None or machine.address != before.address):
        reservation = directory.reservation_at(machine.address)
        if reservation is not None and reservation.mac and reservation.mac not in machine.macs:
            raise ConflictError(
                f"{machine.address} is reserved for {reservation.mac}", hint="choose another address", field="address"
            )


def check_unique(
    machine: Machine, directory: Directory, replaced: Mapping[uuid.UUID, Machine] = MappingProxyType({})
) -> None:
    """No other machine has its name, a MAC address or the address. Raises ConflictError naming that machine.

    `replaced` holds machines that are stored anew in the same transaction, as they will be.
    """
    near = (directory.machine_named(machine.name), *map(directory.machine_by_mac, machine.macs))
    stored = {each.id: each for each in (*near, *directory.machines_at(machine.address)) if each is not None}
    for other in ({**stored, **replaced}).values():
        if other.id == machine.id:
            continue
        if other.name.casefold() == machine.name.casefold():
            raise ConflictError(
                f"the name {machine.name} is taken by machine {other.id}", hint="choose another name", field="name"
            )
        shared = next((mac for mac in machine.macs if mac in other.macs), None)
        if shared is not None:
            raise ConflictError(
                f"{shared} belongs to machine {other.name}",
                hint=f"take it from {other.name} first, or delete {other.name}",
                field="macs",
            )
        if machine.address is not None and other.address == machine.address:
            raise ConflictError(
                f"{machine.address} is the address of machine {other.name}", hint="choose another", field="address"
            )


def writable(body: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """`body` without what only the engine writes. Raises InvalidError when it wants to change such a field.

    `status` and `access` are computed, so an object that is sent back as it was read carries old ones: left out.
    """
    kept = {name: value for name, value in body.items() if name not in ("status", "access")}
    for name in READ_ONLY & kept.keys():
        if kept[name] != current.get(name):
            raise InvalidError("is written by the engine alone", hint="leave it out", field=name)
        del kept[name]
    return kept
