"""The event ring: which stored events may go, found in small steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.model.event import Event
from app.store import event_rows, tables

KEEP = 50_000
KEEP_PER_MACHINE = 200
STEP = 256
"""Prune after so many new events: each step is short, because leases wait behind it."""

_columns = tables.events.c


class Ring:
    """Keeps the newest `keep` events, and of each machine its newest `per_machine` however old they are.

    Used by the writer thread alone. A step looks only at events that left the newest `keep`, and at machines that
    have new ones, so its cost does not grow with the ring.
    """

    def __init__(self, connection: Connection, keep: int = KEEP, per_machine: int = KEEP_PER_MACHINE) -> None:
        self._keep = keep
        self._per_machine = per_machine
        self._newest = deque(event_rows.ids(connection, keep))
        # What an earlier run left unpruned is looked at with the first step.
        self._pruned_to = 0
        self._floor = self._newest[0] - 1 if len(self._newest) == keep else 0
        self._touched: set[str] = set()
        self._since = 0

    def added(self, events: Sequence[Event]) -> None:
        """These were stored."""
        for event in events:
            self._newest.append(event.id)
            if event.machine is not None:
                self._touched.add(str(event.machine))
        while len(self._newest) > self._keep:
            self._floor = self._newest.popleft()
        self._since += len(events)

    def due(self) -> bool:
        """It is time for a step."""
        return self._since >= STEP and self._floor > 0

    def prune(self, connection: Connection) -> None:
        """Delete what need not be kept, inside the caller's transaction; call `pruned` when that is committed."""
        crossed = [_columns.id > self._pruned_to, _columns.id <= self._floor]
        connection.execute(sa.delete(tables.events).where(*crossed, _columns.machine == ""))
        machines = set(connection.execute(sa.select(_columns.machine).where(*crossed).distinct()).scalars().all())
        for machine in machines | self._touched:
            oldest_kept = (
                sa.select(_columns.id)
                .where(_columns.machine == machine)
                .order_by(_columns.id.desc())
                .limit(1)
                .offset(self._per_machine - 1)
                .scalar_subquery()
            )
            connection.execute(
                sa.delete(tables.events).where(
                    _columns.machine == machine, _columns.id <= self._floor, _columns.id < oldest_kept
                )
            )

    def pruned(self) -> None:
        """The step is durable."""
        self._pruned_to = self._floor
        self._touched.clear()
        self._since = 0
