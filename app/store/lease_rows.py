"""Leases as rows: plain columns through SQLAlchemy Core, because every DHCPACK waits for one."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect

from app.errors import BootcartError
from app.model.subnet import Lease, LeaseState
from app.store import tables
from app.store.bulk import BulkInsert


def load(connection: Connection) -> list[Lease]:
    """Every stored lease. Raises BootcartError naming one that cannot be read."""
    return [_lease(each) for each in connection.execute(sa.select(tables.leases))]


def _lease(each: sa.Row[Any]) -> Lease:
    try:
        return Lease.trusted(
            {
                "address": IPv4Address(each.address),
                "mac": each.mac,
                "client_id": each.client_id,
                "subnet": each.subnet,
                "state": LeaseState(each.state),
                "since": each.since,
                "expires": each.expires,
                "hostname": each.hostname,
                "interface": each.interface,
            }
        )
    except ValueError as error:
        raise BootcartError(
            f"the stored lease of {each.address!r} cannot be read: {error}", hint="restore a backup of the database"
        ) from error


def forget(connection: Connection, address: IPv4Address) -> None:
    """Delete the lease of an address."""
    connection.execute(sa.delete(tables.leases).where(tables.leases.c.address == str(address)))


def restore(connection: Connection, lease: Lease) -> None:
    """Put a deleted lease back."""
    connection.execute(sa.insert(tables.leases).values(**row(lease)))


def row(lease: Lease) -> dict[str, Any]:
    """The columns of a lease, in the table's order."""
    return {
        "address": str(lease.address),
        "mac": lease.mac,
        "client_id": lease.client_id,
        "subnet": lease.subnet,
        "state": lease.state.value,
        "since": lease.since,
        "expires": lease.expires,
        "hostname": lease.hostname,
        "interface": lease.interface,
    }


def upsert(dialect: Dialect) -> BulkInsert:
    """What stores leases over whatever their addresses had."""
    columns = [column.name for column in tables.leases.columns if not column.primary_key]
    statement = (postgresql if dialect.name == "postgresql" else sqlite).insert(tables.leases)
    statement = statement.on_conflict_do_update(
        index_elements=["address"], set_={name: statement.excluded[name] for name in columns}
    )
    return BulkInsert(statement, tables.leases, dialect)
