"""The store of one engine: opened in the right order, closed in the right order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.clock import Clock
from app.store.database import Database
from app.store.directory import Directory
from app.store.events import EventLog
from app.store.leases import LeaseJournal
from app.store.leases6 import Lease6Journal


@dataclass(frozen=True, slots=True)
class Store:
    """What an engine keeps."""

    database: Database
    directory: Directory
    leases: LeaseJournal
    leases6: Lease6Journal
    events: EventLog

    def close(self) -> None:
        """End the event streams, write what is queued, close the files, release the data directory. Blocks."""
        self.events.close()
        self.database.close()


def open_store(data_dir: Path, clock: Clock, url: str = "") -> Store:
    """Open the store in `data_dir` (or the database at `url`, with the lock and the keys in `data_dir`).

    Raises what `Database.open` raises, and BootcartError naming a stored object that cannot be read.
    """
    database = Database.open(data_dir, url)
    try:
        directory = Directory(database, clock)
        leases = LeaseJournal(database, directory)
        leases6 = Lease6Journal(database, directory)
        events = EventLog(database, directory, clock)
    except BaseException:
        database.close()
        raise
    return Store(database, directory, leases, leases6, events)
