"""Which boot loader suits whom, kept without anybody waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app.errors import BootcartError
from app.store import tables
from app.store.database import Database

WITHIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a subject: a machine's MAC address, or a model of network card; words, as the caller has them."""

    loader: str
    tried: tuple[str, ...] = ()
    works: bool = False


class LoaderRows:
    """The table, and what is to be written into it with the next commit. Thread-safe; `keep` never waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._dirty: dict[str, Kept | None] = {}
        database.writer.join(self)

    def load(self) -> dict[str, Kept]:
        """Everything that is kept."""
        with self._database.read() as connection:
            return {
                each.subject: Kept(each.loader, tuple(each.tried.split()), bool(each.works))
                for each in connection.execute(sa.select(tables.loaders))
            }

    def keep(self, subject: str, kept: Kept | None) -> None:
        """Store it (None: forget it) soon."""
        with self._lock:
            self._dirty[subject] = kept
        self._database.writer.wake(WITHIN_SECONDS)

    # The writer thread's side (app.store.writer.Participant).

    def take(self) -> Mapping[str, Kept | None] | None:
        """What goes into the next commit."""
        with self._lock:
            batch, self._dirty = self._dirty, {}
        return batch or None

    def write(self, connection: Connection, batch: Mapping[str, Kept | None]) -> None:
        """Put it there."""
        table = tables.loaders
        if gone := [subject for subject, kept in batch.items() if kept is None]:
            connection.execute(sa.delete(table).where(table.c.subject.in_(gone)))
        rows = [
            {"subject": subject, "loader": kept.loader, "tried": " ".join(kept.tried), "works": int(kept.works)}
            for subject, kept in batch.items()
            if kept is not None
        ]
        if rows:
            statement = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
            changed = {name: statement.excluded[name] for name in ("loader", "tried", "works")}
            connection.execute(statement.on_conflict_do_update(index_elements=["subject"], set_=changed), rows)

    def settle(self, batch: Mapping[str, Kept | None], error: BootcartError | None) -> None:
        """What could not be written is tried again with what comes next; newer words stand."""
        if error is not None:
            with self._lock:
                self._dirty = {**batch, **self._dirty}
