"""IPv6 leases as rows: plain columns through SQLAlchemy Core, in a table of their own."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app.errors import BootcartError
from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6
from app.store import tables


def load(connection: Connection) -> list[Lease6]:
    """Every stored lease. Raises BootcartError naming one that cannot be read."""
    return [_lease(each) for each in connection.execute(sa.select(tables.leases6))]


def _lease(each: sa.Row[Any]) -> Lease6:
    try:
        return Lease6.model_construct(
            address=IPv6Address(each.address),
            mac=each.mac,
            client_id=each.client_id,
            iaid=each.iaid,
            proven=bool(each.proven),
            subnet=each.subnet,
            state=LeaseState(each.state),
            since=each.since,
            expires=each.expires,
            hostname=each.hostname,
            interface=each.interface,
        )
    except ValueError as error:
        raise BootcartError(
            f"the stored lease of {each.address!r} cannot be read: {error}", hint="restore a backup of the database"
        ) from error


def save(connection: Connection, leases: Sequence[Lease6]) -> None:
    """Store leases over whatever their addresses had."""
    if not leases:
        return
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(tables.leases6)
    names = [column.name for column in tables.leases6.columns if not column.primary_key]
    changed = {name: insert.excluded[name] for name in names}
    statement = insert.on_conflict_do_update(index_elements=["address"], set_=changed)
    connection.execute(statement, [_row(lease) for lease in leases])


def forget(connection: Connection, address: IPv6Address) -> None:
    """Delete the lease of an address."""
    connection.execute(sa.delete(tables.leases6).where(tables.leases6.c.address == str(address)))


def _row(lease: Lease6) -> dict[str, Any]:
    return {
        "address": str(lease.address),
        "mac": lease.mac,
        "client_id": lease.client_id,
        "iaid": lease.iaid,
        "proven": int(lease.proven),
        "subnet": lease.subnet,
        "state": lease.state.value,
        "since": lease.since,
        "expires": lease.expires,
        "hostname": lease.hostname,
        "interface": lease.interface,
    }
