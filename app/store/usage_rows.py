"""Leases counted by subnet, by the database: no lease is read, however many there are."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.model.subnet import LeaseState
from app.store.tables import leases


def live(connection: Connection, now: float) -> dict[tuple[str, LeaseState], int]:
    """How many leases of each subnet are bound, and how many declined ones are kept back."""
    states = (LeaseState.BOUND.value, LeaseState.DECLINED.value)
    statement = (
        sa.select(leases.c.subnet, leases.c.state, sa.func.count())
        .where(leases.c.state.in_(states), leases.c.expires > now)
        .group_by(leases.c.subnet, leases.c.state)
    )
    return {(subnet, LeaseState(state)): count for subnet, state, count in connection.execute(statement)}
