"""The database of one engine: opened with every check, read from any thread, written by one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import Engine, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from app.errors import BootcartError, InvalidError
from app.store import schema, sqlitefile
from app.store.faults import AGAIN, AT_START, explain
from app.store.place import DirectoryLock, prepare_directory, refusal
from app.store.writer import StoreWriter

T = TypeVar("T")
FILE_NAME = "bootcart.db"


class Database:
    """An open database and the one thread that writes to it. Make it with `Database.open`."""

    def __init__(self, engine: Engine, lock: DirectoryLock, data_dir: Path, path: Path | None) -> None:
        self.engine = engine
        self.data_dir = data_dir
        self.path = path
        self.where = f"the database {path or engine.url.render_as_string(hide_password=True)}"
        self.doubts: tuple[str, ...] = ()
        """What is odd about the database although it could be opened; told to the operator as events."""
        self.unclean = True
        """The run before this one did not close the database, or that cannot be told."""
        self._opened = False
        self._lock = lock
        self._anchor: Connection | None = None
        """Idle from open to close. The first of several connections takes what it finds in the log for committed: that
        must not happen while we run, for a commit that could not be synchronised lies there and counts for nothing."""
        self._writing = engine.execution_options(**{sqlitefile.WRITES: True})
        self.writer = StoreWriter(self._writing.connect, self.explain)

    @classmethod
    def open(cls, data_dir: Path, url: str = "") -> Database:
        """Lock the data directory, then open, check and upgrade the database: `bootcart.db` in it, or the one at `url`.

        Raises ConflictError when another engine uses the directory, BootcartError when the database is damaged, of
        a newer schema, empty where it was not, unreadable, or the disk is full.
        """
        prepare_directory(data_dir)
        lock = DirectoryLock(data_dir)
        try:
            path = data_dir / FILE_NAME if not url else _file_of(url)
            unclean, doubts = _last_run(path) if path else (True, ())
            database = cls(_open_file(path) if path else _open_server(url), lock, data_dir, path)
            database.unclean, database.doubts = unclean, doubts
            database._mark_open()
            database._opened = True
            database.writer.start()
        except BaseException:
            lock.release()
            raise
        return database

    def explain(self, error: BaseException) -> BootcartError:
        """An error of the database in words."""
        return explain(error, self.where, self.path, AGAIN if self._opened else AT_START)

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A connection in a read transaction that sees one state of the database; never waits for the writer."""
        try:
            with self.engine.connect() as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            raise self.explain(error) from error

    def write(self, work: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """Run `work` in one transaction in the writer thread; return its result when it is durable.

        `then` gets the result in the writer thread after the commit, before any later commit. Whatever `work` raises
        rolls back and is raised here: a BootcartError as it is, a database error in words.
        """
        return self.writer.execute(work, then)

    def close(self) -> None:
        """Write what is queued, stop the writer, close the files, release the directory."""
        self.writer.stop()
        if self.path is not None and not self.writer.failing:
            # Before the log goes: its absence means nothing any more.
            _marker(self.path).unlink(missing_ok=True)
        if self._anchor is not None:
            self._anchor.close()
        self.engine.dispose()
        self._lock.release()

    def _mark_open(self) -> None:
        if self.path is None:
            return
        # The log exists from the first read on; only then may the marker speak of it.
        try:
            self._anchor = self.engine.connect()
            with self._anchor.begin():
                self._anchor.execute(sa.text("SELECT count(*) FROM alembic_version"))
        except DBAPIError as error:
            raise self.explain(error) from error
        try:
            _marker(self.path).touch(mode=0o600)
        except OSError as error:
            raise refusal(error, f"the data directory {self.data_dir} cannot be written", "free some space") from error


def _marker(path: Path) -> Path:
    return path.with_name(path.name + "-open")


def _last_run(path: Path) -> tuple[bool, tuple[str, ...]]:
    """Whether the last run ended without closing, and what is odd then.

    A write-ahead log that was deleted is noticed here, because SQLite itself takes what is left for the whole.
    """
    marker = _marker(path)
    log = path.with_name(path.name + "-wal")
    if not marker.exists():
        return False, ()
    lost = not log.exists()
    # The check that follows closes the file, and the log goes with it.
    marker.unlink(missing_ok=True)
    if not lost:
        return True, ()
    return True, (
        f"the engine was ended without closing {path.name}, and its log {log.name} is gone: "
        "unless another program opened it since, the newest changes are lost",
    )


def _file_of(url: str) -> Path | None:
    """The path of a SQLite URL, None for a server's. Raises InvalidError for what is no URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidError(
            f"{url!r} is not a database URL",
            hint="for example postgresql+psycopg://user@host/bootcart",
            field="database_url",
        ) from None
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise InvalidError(
            "a database in memory would lose every lease",
            hint="give a file: sqlite:////path/to/file",
            field="database_url",
        )
    return Path(parsed.database).absolute()


def _open_file(path: Path) -> Engine:
    if path.exists() or path.is_symlink():
        sqlitefile.check(path)
    else:
        sqlitefile.create(path, schema.upgrade)
    engine = sqlitefile.sqlite_engine(path)
    try:
        _upgrade(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _open_server(url: str) -> Engine:
    try:
        engine = sa.create_engine(url, pool_pre_ping=True)
    except NoSuchModuleError:
        raise InvalidError(
            f"{make_url(url).drivername!r} is not a known kind of database",
            hint="for example postgresql+psycopg",
            field="database_url",
        ) from None
    except ModuleNotFoundError as error:
        raise InvalidError(
            f"the driver {error.name!r} for this database is not installed",
            hint="install it into Bootcart's environment",
            field="database_url",
        ) from error
    try:
        _upgrade(engine, None)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _upgrade(engine: Engine, path: Path | None) -> None:
    where = f"the database {path}" if path else "the database"
    try:
        with engine.connect() as connection, connection.begin():
            found = schema.revision_of(connection)
        if found == schema.HEAD:
            return
        if found is not None and path is not None:
            sqlitefile.back_up(path, found)
        # One transaction: a kill in the middle leaves the schema it had.
        with engine.execution_options(**{sqlitefile.WRITES: True}).begin() as connection:
            schema.upgrade(connection)
    except DBAPIError as error:
        raise explain(error, where, path, AT_START) from error
