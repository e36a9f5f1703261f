"""The event ring: which stored events may go, found in small steps."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.model.event import Event
from app.store import tables

KEEP = 50_000
KEEP_PER_MACHINE = 200
OLDER_MAX = 50_000
STEP = 256
"""Prune after so many new events: each step is short, because leases wait behind it."""

_columns = tables.events.c
_machine = sa.bindparam("its", type_=sa.String)
_floor = sa.bindparam("floor", type_=sa.Integer)
_kept = sa.bindparam("kept", type_=sa.Integer)
# Compiled once: what makes a statement of its parts takes longer than the database takes for it.
_nobodys = sa.delete(tables.events).where(_columns.machine == "", _columns.id <= _floor)
_oldest_kept = (
    sa.select(_columns.id).where(_columns.machine == _machine).order_by(_columns.id.desc()).limit(1).offset(_kept)
)
_older = sa.delete(tables.events).where(
    _columns.machine == _machine, _columns.id <= _floor, _columns.id < _oldest_kept.scalar_subquery()
)
_next = (
    sa.select(_columns.id, _columns.machine)
    .where(_columns.id > sa.bindparam("swept", type_=sa.Integer), _columns.id <= _floor)
    .order_by(_columns.id)
    .limit(2 * STEP)
)
_on_record = sa.select(tables.machines.c.id).where(tables.machines.c.id.in_(sa.bindparam("ids", expanding=True)))
_of_ids = sa.delete(tables.events).where(_columns.id.in_(sa.bindparam("ids", expanding=True)))


class Ring:
    """Keeps the newest `keep` events, and of each machine its newest `per_machine` however old they are.

    Once `older` events that are not among the newest `keep` are kept that way, those of machines on no record go too:
    whoever makes up machines fills no disk. Used by the writer thread alone. A step looks at machines that have too
    many and at a bounded number of events, so its cost grows neither with the ring nor with the number of machines.
    """

    def __init__(
        self,
        connection: Connection,
        keep: int = KEEP,
        per_machine: int = KEEP_PER_MACHINE,
        older: int = OLDER_MAX,
    ) -> None:
        self._keep = keep
        self._per_machine = per_machine
        self._older_max = older
        newest = connection.execute(
            sa.select(_columns.id, _columns.machine).order_by(_columns.id.desc()).limit(keep)
        ).all()
        self._newest = deque((each.id, each.machine) for each in reversed(newest))
        self._floor = self._newest[0][0] - 1 if len(self._newest) == keep else 0
        counted = connection.execute(
            sa.select(_columns.machine, sa.func.count())
            .where(_columns.id <= self._floor, _columns.machine != "")
            .group_by(_columns.machine)
        ).all()
        self._older: Counter[str] = Counter({each[0]: each[1] for each in counted})
        """How many events of each machine are older than the newest `keep`."""
        self._total = self._older.total()
        self._over = {machine for machine, count in self._older.items() if count > per_machine}
        self._swept = 0
        self._since = 0
        self._gone: Counter[str] = Counter()
        self._going = 0

    def added(self, events: Sequence[Event]) -> None:
        """These were stored."""
        for event in events:
            self._newest.append((event.id, "" if event.machine is None else str(event.machine)))
        while len(self._newest) > self._keep:
            self._floor, machine = self._newest.popleft()
            if machine:
                self._older[machine] += 1
                self._total += 1
                if self._older[machine] > self._per_machine:
                    self._over.add(machine)
        self._since += len(events)

    def due(self) -> bool:
        """It is time for a step."""
        return self._since >= STEP and self._floor > 0

    def prune(self, connection: Connection) -> None:
        """Delete what need not be kept, inside the caller's transaction; call `pruned` when that is committed."""
        self._gone.clear()
        self._going = self._swept
        floor = {"floor": self._floor}
        connection.execute(_nobodys, floor)
        for machine in self._over:
            held = {"its": machine, "kept": self._per_machine - 1}
            self._gone[machine] = connection.execute(_older, {**floor, **held}).rowcount
        if self._total > self._older_max:
            self._sweep(connection)

    def _sweep(self, connection: Connection) -> None:
        """Delete the oldest events of strangers; what is kept of the others is passed over, once until the start."""
        found = connection.execute(_next, {"floor": self._floor, "swept": self._swept}).all()
        if not found:
            self._going = 0
            return
        machines = {each.machine for each in found}
        known = set(connection.execute(_on_record, {"ids": sorted(machines)}).scalars())
        doomed = [each for each in found if each.machine not in known]
        connection.execute(_of_ids, {"ids": [each.id for each in doomed]})
        self._gone.update(each.machine for each in doomed)
        self._going = found[-1].id

    def pruned(self) -> None:
        """The step is durable."""
        for machine, count in self._gone.items():
            left = self._older[machine] - count
            self._total -= count
            if left > 0:
                self._older[machine] = left
            else:
                del self._older[machine]
        self._over.clear()
        self._swept = self._going
        self._since = 0
