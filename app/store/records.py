"""Reading and writing the stored objects inside a transaction."""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Table
from sqlalchemy.engine import Connection

from app.errors import ConflictError
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Reservation, Subnet
from app.model.subnet6 import Subnet6
from app.store import tables
from app.store.documents import from_body, noun_of, projections, to_body

Stored = Machine | Subnet | Subnet6 | Reservation | Profile
StoredT = TypeVar("StoredT", Machine, Subnet, Subnet6, Reservation, Profile)

_TABLES: dict[type[Stored], Table] = {
    Machine: tables.machines,
    Subnet: tables.subnets,
    Subnet6: tables.subnets,
    Reservation: tables.reservations,
    Profile: tables.profiles,
}


def load(connection: Connection, kind: type[StoredT]) -> list[StoredT]:
    """Every stored object of a kind, validated."""
    table = _TABLES[kind]
    query = sa.select(table.c.body)
    if table is tables.subnets:
        of_ipv6 = table.c.cidr.contains(":")
        query = query.where(of_ipv6 if kind is Subnet6 else ~of_ipv6)
    rows = connection.execute(query).scalars().all()
    return [from_body(kind, body) for body in rows]


def save(connection: Connection, before: Stored | None, after: Stored) -> None:
    """Store `after` in place of `before` (None: it is new).

    Raises ConflictError when the stored object is not `before` any more.
    """
    table = _TABLES[type(after)]
    columns = projections(after)
    body = to_body(after)
    if before is None:
        # The values beside the statement: what is compiled for it is found at once for the next.
        connection.execute(sa.insert(table), {**columns, "version": 1, "body": body})
    else:
        version = _current(connection, before)
        changed = connection.execute(
            sa.update(table)
            .where(_is(table, before), table.c.version == version)
            .values(**columns, version=version + 1, body=body)
        )
        if changed.rowcount != 1:
            raise _moved(before)
    if isinstance(after, Machine):
        _save_macs(connection, before, after)


def remove(connection: Connection, before: Stored) -> None:
    """Take an object out. Raises ConflictError when the stored one is not `before` any more."""
    table = _TABLES[type(before)]
    version = _current(connection, before)
    if connection.execute(sa.delete(table).where(_is(table, before), table.c.version == version)).rowcount != 1:
        raise _moved(before)


def load_prefs(connection: Connection) -> dict[str, str]:
    """Every preference that was set, internal ones (their name begins with a dot) among them."""
    rows = connection.execute(sa.select(tables.prefs.c.name, tables.prefs.c.value))
    return {str(name): str(value) for name, value in rows}


def save_pref(connection: Connection, name: str, value: str | None) -> None:
    """Set a preference, or (None) forget that it was set."""
    table = tables.prefs
    if value is None:
        connection.execute(sa.delete(table).where(table.c.name == name))
        return
    changed = connection.execute(
        sa.update(table).where(table.c.name == name).values(value=value, version=table.c.version + 1)
    )
    if changed.rowcount == 0:
        connection.execute(sa.insert(table).values(name=name, value=value, version=1))


def _is(table: Table, model: Stored) -> sa.ColumnElement[bool]:
    key, value = next(iter(projections(model).items()))
    return table.c[key] == value


def _current(connection: Connection, before: Stored) -> int:
    table = _TABLES[type(before)]
    row = connection.execute(sa.select(table.c.version, table.c.body).where(_is(table, before))).one_or_none()
    if row is None or from_body(type(before), row.body) != from_body(type(before), to_body(before)):
        raise _moved(before)
    version: int = row.version
    return version


def _save_macs(connection: Connection, before: Stored | None, after: Machine) -> None:
    held = set(before.macs) if isinstance(before, Machine) else set[str]()
    wanted = set(after.macs)
    macs = tables.machine_macs
    if held - wanted:
        connection.execute(sa.delete(macs).where(macs.c.machine == str(after.id), macs.c.mac.in_(held - wanted)))
    rows: list[dict[str, Any]] = [{"mac": mac, "machine": str(after.id)} for mac in after.macs if mac not in held]
    if rows:
        connection.execute(sa.insert(macs), rows)


def _moved(before: Stored) -> ConflictError:
    key = next(iter(projections(before).values()))
    return ConflictError(
        f"{noun_of(before)} {key} was changed by somebody else in the meantime",
        hint="look at it again, then repeat the change",
    )
