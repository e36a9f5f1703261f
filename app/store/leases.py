"""The lease journal: a lease is on the disk before anybody is told of it (RFC 2131 §3.1)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from sqlalchemy.engine import Connection

from app.errors import BootcartError
from app.model.subnet import Lease
from app.store import lease_rows
from app.store.database import Database
from app.store.directory import Directory
from app.store.writer import closed

GROUP = 256
"""The most commit requests that share one fsync."""
LINGER_SECONDS = 0.002
"""How long the first of a group waits for others."""

Done = Callable[[BaseException | None], None]
_Request = tuple[Sequence[Lease], Done]


class LeaseJournal:
    """Commits leases in groups; the directory shows a lease when it is durable."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._queue: deque[_Request] = deque()
        self._lock = threading.Lock()
        self._upsert = lease_rows.upsert(database.engine.dialect)
        database.writer.join(self)

    def load(self) -> list[Lease]:
        """Every stored lease, of any state."""
        with self._database.read() as connection:
            return lease_rows.load(connection)

    def commit(self, leases: Sequence[Lease], done: Done) -> None:
        """Store `leases`, all or none; returns at once, from any thread.

        `done(None)` is called from the writer thread when they are durable, `done(error)` when they are not stored.
        It must not block: every other lease waits for it.
        """
        if self._database.writer.stopping:
            done(closed())
            return
        with self._lock:
            self._queue.append((leases, done))
            queued = len(self._queue)
        if queued == 1:
            self._database.writer.wake(LINGER_SECONDS)
        elif queued == GROUP:
            self._database.writer.wake(0)

    def take(self) -> list[_Request] | None:
        """The next group; called by the writer."""
        with self._lock:
            group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
            left = bool(self._queue)
        if left:
            self._database.writer.wake(0)
        return group or None

    def write(self, connection: Connection, batch: list[_Request]) -> None:
        """Called by the writer."""
        # Of two leases for one address in a group the later one stands, as it would in two commits.
        rows = {lease.address: tuple(lease_rows.row(lease).values()) for leases, _ in batch for lease in leases}
        if rows:
            self._upsert.run(connection, list(rows.values()))

    def settle(self, batch: list[_Request], error: BootcartError | None) -> None:
        """Called by the writer."""
        if error is None:
            self._directory.put_leases([lease for leases, _ in batch for lease in leases])
        elif self._database.writer.failing:
            # Who came meanwhile would wait as long only to hear the same.
            with self._lock:
                batch = [*batch, *self._queue]
                self._queue.clear()
        failure: Exception | None = None
        for _, done in batch:
            try:
                done(error)
            except Exception as raised:
                failure = raised
        if failure is not None:
            raise failure
