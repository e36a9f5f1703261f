"""The SQLite file: made whole or not at all, checked before it is trusted, backed up before its schema changes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from app.errors import BootcartError
from app.store.faults import AT_START, explain
from app.store.place import refusal, sync_directory

BUSY_SECONDS = 5
_MAGIC = b"SQLite format 3\0"

BACKUP = "{stem}-before-upgrade-from-{revision}.db"

# Transactions of an engine with this execution option take the write lock when they begin.
WRITES = "bootcart_writes"


def sqlite_engine(path: Path, *, wal: bool = True) -> Engine:
    """An engine whose commits are on the disk when they return (WAL, synchronous=FULL, sqlite.org/pragma)."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        if wal:
            cursor.execute("PRAGMA journal_mode = WAL")
            # What a long-running reader made the log grow to is given back at the next checkpoint.
            cursor.execute("PRAGMA journal_size_limit = 16777216")
        cursor.execute("PRAGMA synchronous = FULL")
        # Leases and events touch pages all over their indexes: fewer are read again, and fewer written twice.
        cursor.execute("PRAGMA cache_size = -8192")
        cursor.execute("PRAGMA wal_autocheckpoint = 4000")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        # The driver would begin a transaction too late, and not at all for DDL; a reader must not take the write lock.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def create(path: Path, fill: Callable[[Connection], None]) -> None:
    """Make the database at `path`, which must not exist: `fill` runs on a draft that gets the name when complete."""
    for suffix in ("-wal", "-journal"):
        stray = path.with_name(path.name + suffix)
        if stray.exists():
            raise BootcartError(
                f"{path} is missing, but its log {stray.name} is there: the database was deleted or moved without it",
                hint=f"put {path.name} back, or move {stray.name} away to begin with nothing",
            )
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    draft = path.with_name(path.name + ".new")
    for suffix in ("", "-wal", "-shm", "-journal"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise refusal(error, f"{draft} cannot be made", "free space or mend the data directory") from error
    # No write-ahead log yet: a draft is one file, so that its rename is all there is to do.
    engine = sqlite_engine(draft, wal=False).execution_options(**{WRITES: True})
    try:
        with engine.begin() as connection:
            fill(connection)
    except Exception as error:
        raise explain(error, str(draft), draft, AT_START) from error
    finally:
        engine.dispose()
    draft.rename(path)
    sync_directory(path.parent)


def check(path: Path) -> None:
    """Refuse what is not a sound database. Raises BootcartError with the remedy; changes nothing."""
    if not path.is_file():
        raise BootcartError(f"{path} is not a file", hint="move it away")
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise BootcartError(
            f"the database {path} cannot be read: {error.strerror}",
            hint="it must belong to the user the engine runs as, mode 600",
        ) from error
    if not head:
        raise BootcartError(f"the database {path} is empty (0 bytes): its content was lost", hint=_restore(path))
    if head != _MAGIC:
        raise BootcartError(f"{path} is not a SQLite database, or its first page is damaged", hint=_restore(path))
    if not os.access(path, os.W_OK):
        raise BootcartError(
            f"the database {path} cannot be written", hint="it must belong to the user the engine runs as, mode 600"
        )
    path.chmod(0o600)
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise BootcartError(f"the database {path} is damaged: {error}", hint=_restore(path)) from error
        raise explain(error, f"the database {path}", path, AT_START) from error
    if verdict is None or verdict[0] != "ok":
        said = str(verdict[0]).replace("\n", " ") if verdict else "no answer"
        raise BootcartError(f"the database {path} is damaged: {said}", hint=_restore(path))


def _restore(path: Path) -> str:
    """What to do about a database that is lost: nothing is written over it, and the newest backup is named."""
    backups = sorted(
        path.parent.glob(BACKUP.format(stem=path.stem, revision="*")), key=lambda each: each.stat().st_mtime
    )
    if not backups:
        return "move the file away and put a backup in its place; without one, move it away to begin with nothing"
    return f"move the file away and copy {backups[-1]} to its place; it is as it was before the last upgrade"


def back_up(path: Path, revision: str) -> Path:
    """A copy of the database beside it, as it is before its schema leaves `revision`; an earlier copy is replaced."""
    copy = path.with_name(BACKUP.format(stem=path.stem, revision=revision))
    draft = copy.with_name(copy.name + ".new")
    draft.unlink(missing_ok=True)
    source = sqlite3.connect(path, timeout=BUSY_SECONDS)
    target = sqlite3.connect(draft)
    try:
        source.backup(target)
    except sqlite3.DatabaseError as error:
        raise explain(error, str(draft), draft, AT_START) from error
    finally:
        target.close()
        source.close()
    draft.chmod(0o600)
    draft.rename(copy)
    sync_directory(path.parent)
    return copy
