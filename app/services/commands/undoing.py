"""Taking commands back: what a command's inverse makes of the object as it is now."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address, ip_address
from typing import Any

from sqlalchemy.engine import Connection

from app.errors import ConflictError, NotFoundError
from app.model.engine import Command, Preference
from app.model.fields import Model
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Lease, Reservation, Subnet
from app.model.subnet6 import Lease6, Subnet6
from app.store import command_rows
from app.store.directory import HOLDING, Directory
from app.store.documents import from_body, to_body

# What a machine says of itself is nobody's command: it neither hinders an undo nor is undone.
_REPORTED = frozenset(
    {"inventory", "heartbeat", "reboot_wanted", "address", "architecture", "firmware", "macs", "registered"}
)
_KINDS: dict[str, type[Model]] = {
    "machines": Machine,
    "profiles": Profile,
    "subnets": Subnet,
    "reservations": Reservation,
    "leases": Lease,
    "prefs": Preference,
    "engine": Preference,
}


def _kind(command: Command) -> type[Model]:
    """What the object a command was about is made as."""
    said = command.before or command.after or {}
    told = said.get("cidr" if command.noun == "subnets" else "address", "")
    of_ipv6: dict[str, type[Model]] = {"subnets": Subnet6, "leases": Lease6}
    return (of_ipv6.get(command.noun) if ":" in str(told) else None) or _KINDS[command.noun]


def wanted(connection: Connection, command_id: int | None) -> Command:
    """The command to take back. Raises NotFoundError, or ConflictError when it cannot be."""
    if command_id is None:
        command = command_rows.newest_undoable(connection)
        if command is None:
            raise NotFoundError("there is no command to take back", hint="see: bootcart commands list")
        return command
    command = command_rows.get(connection, command_id)
    if command is None:
        raise NotFoundError(f"no command {command_id}", hint="see: bootcart commands list")
    if command.undone_by is not None:
        raise ConflictError(
            f"command {command.id} was already taken back by {command.undone_by}",
            hint=f"take back {command.undone_by} to have it again",
        )
    if not command.undoable:
        raise ConflictError(f"command {command.id} ({command.summary}) cannot be taken back", hint="it has no inverse")
    return command


def current(command: Command, directory: Directory) -> Model | None:
    """The object a command was about, as it is now."""
    match command.noun:
        case "machines":
            return directory.machine(uuid.UUID(command.key))
        case "profiles":
            return directory.profile(command.key)
        case "subnets":
            return directory.subnet(command.key) or directory.six.subnet(command.key)
        case "reservations":
            return directory.reservation_at(IPv4Address(command.key))
        case "leases":
            address = ip_address(command.key)
            return directory.lease(address) if isinstance(address, IPv4Address) else directory.six.lease(address)
        case "engine":
            return Preference(name=HOLDING, value="yes" if directory.holding() else "")
        case _:
            return next((each for each in directory.preferences() if each.name == command.key), None)


def target(command: Command, now: Model | None, connection: Connection) -> Model | None:
    """What the object becomes when `command` is taken back; None: it goes. Raises ConflictError if it changed since."""
    kind = _kind(command)
    before = from_body(kind, command.before) if command.before is not None else None
    if command.after is None:
        if now is not None:
            raise _changed(command, "exists again", connection)
        return before
    if now is None:
        raise _changed(command, "was deleted since", connection)
    after = from_body(kind, command.after)
    if isinstance(now, Machine) and isinstance(after, Machine):
        return _machine(command, before if isinstance(before, Machine) else None, after, now, connection)
    same = now.value == after.value if isinstance(now, Preference) and isinstance(after, Preference) else now == after
    if not same:
        raise _changed(command, "was changed since", connection)
    return before


def origin(command: Command, connection: Connection) -> Command:
    """The command that an undo or a redo is about; any other is about itself."""
    found = command_rows.get(connection, command.undoes) if command.undoes is not None else None
    return found or command


def mark(connection: Connection, undone: Command, by: Command) -> None:
    """Note in the log that `undone` was taken back; if it was itself an undo, what it took back stands again."""
    if by.verb == "redo":
        command_rows.mark_redone(connection, undone.id, by.id)
    else:
        command_rows.mark_undone(connection, by.undoes or undone.id, by.id)


def _machine(
    command: Command, before: Machine | None, after: Machine, now: Machine, connection: Connection
) -> Machine | None:
    def given(machine: Machine) -> dict[str, Any]:
        return {name: getattr(machine, name) for name in Machine.model_fields if name not in _REPORTED | {"status"}}

    if given(now) != given(after):
        raise _changed(command, "was changed since", connection)
    if before is not None:
        changes = {
            name: getattr(before, name)
            for name in Machine.model_fields
            if getattr(before, name) != getattr(after, name) and name != "status"
        }
        moved = [name for name in changes if getattr(now, name) != getattr(after, name)]
        if moved:
            raise _changed(command, f"has reported another {moved[0]} since", connection)
        return now.model_copy(update=changes)
    reported = to_body(now) != to_body(after)
    if not reported:
        return None
    if command.verb == "assign":
        # The record was made by the assignment, but the machine has told of itself since: that is kept.
        return now.model_copy(update={"bootenv": ""})
    raise _changed(command, "has reported since", connection)


def _changed(command: Command, how: str, connection: Connection) -> ConflictError:
    newest = command_rows.newest_of(connection, command.noun, command.key)
    if newest is not None and newest.after is not None and newest.key != command.key:
        how = f"has become {newest.key}"
    by = f", by command {newest.id} ({newest.summary})" if newest is not None and newest.id != command.id else ""
    hint = f"take back {newest.id} first" if by and newest is not None else "change it by hand"
    return ConflictError(f"{command.noun.removesuffix('s')} {command.key} {how}{by}", hint=hint)
