"""The journal of IPv6 leases: one is on the disk before anybody is told of it (RFC 8415 section 18.3.2)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence

from sqlalchemy.engine import Connection

from app.errors import BootcartError
from app.model.subnet6 import Lease6
from app.store import lease6_rows, records
from app.store.database import Database
from app.store.directory import Directory
from app.store.writer import closed

DUID = ".dhcp6-duid"
_DUID_UUID = b"\0\4"  # RFC 6355
LINGER_SECONDS = 0.002
"""How long the first of a group waits for others."""

Done = Callable[[BaseException | None], None]
_Request = tuple[Sequence[Lease6], Done]


class Lease6Journal:
    """Commits leases in groups; the directory shows a lease when it is durable."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._queue: list[_Request] = []
        self._lock = threading.Lock()
        database.writer.join(self)

    def load(self) -> list[Lease6]:
        """Every stored lease, of any state."""
        with self._database.read() as connection:
            return lease6_rows.load(connection)

    def duid(self) -> bytes:
        """Our name as a DHCPv6 server: made once, and the same for as long as the database is. Blocks."""
        told = self._directory.internal(DUID)
        if told:
            return bytes.fromhex(told)
        made = _DUID_UUID + uuid.uuid4().bytes
        self._database.write(
            lambda connection: records.save_pref(connection, DUID, made.hex()),
            lambda _: self._directory.put_pref(DUID, made.hex()),
        )
        return made

    def commit(self, leases: Sequence[Lease6], done: Done) -> None:
        """Store `leases`, all or none; returns at once, from any thread. See `LeaseJournal.commit`."""
        if self._database.writer.stopping:
            done(closed())
            return
        with self._lock:
            self._queue.append((leases, done))
        self._database.writer.wake(LINGER_SECONDS)

    def take(self) -> list[_Request] | None:
        """Called by the writer."""
        with self._lock:
            group, self._queue = self._queue, []
        return group or None

    def write(self, connection: Connection, batch: list[_Request]) -> None:
        """Called by the writer."""
        # Of two leases for one address in a group the later one stands, as it would in two commits.
        rows = {lease.address: lease for leases, _ in batch for lease in leases}
        lease6_rows.save(connection, list(rows.values()))

    def settle(self, batch: list[_Request], error: BootcartError | None) -> None:
        """Called by the writer."""
        if error is None:
            self._directory.six.put_leases([lease for leases, _ in batch for lease in leases])
        failure: Exception | None = None
        for _, done in batch:
            try:
                done(error)
            except Exception as raised:
                failure = raised
        if failure is not None:
            raise failure
