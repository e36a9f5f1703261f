"""The one thread that writes to the store: it groups what is queued into commits and says what is durable."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from app.errors import BootcartError, UnavailableError

T = TypeVar("T")
log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


def closed() -> UnavailableError:
    """What is said to those who come too late."""
    return UnavailableError("the store is closed", hint="the engine is stopping; try again when it runs")


class Participant(Protocol):
    """Something whose queued writes share a commit with those of others; all three are called in the writer thread."""

    def take(self) -> Any:
        """What goes into the next commit, None for nothing."""
        ...

    def write(self, connection: Connection, batch: Any) -> None:
        """Put a batch into the open transaction."""
        ...

    def settle(self, batch: Any, error: BootcartError | None) -> None:
        """The batch is durable, or (`error`) nothing of it was stored."""
        ...


class StoreWriter:
    """Runs transactions one after another in its own thread over its own connection.

    After an error of the database it drops the connection and goes on with the next request over a new one, so it
    recovers when the disk does; what failed has been told so, never acknowledged.
    """

    def __init__(self, connect: Callable[[], Connection], explain: Callable[[BaseException], BootcartError]) -> None:
        self._connect = connect
        self._explain = explain
        self._participants: list[Participant] = []
        self._work: deque[Callable[[], None]] = deque()
        self._due: float | None = None
        self._stopping = False
        self._state = threading.Condition()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._began_failing = 0.0
        # The last transaction failed for the database's sake, not for what was to be written.
        self._faulted = False
        self.on_health: Callable[[BootcartError | None, float], None] | None = None
        """Called in the writer thread when writing begins to fail (error, 0) and when it works again (None, s)."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def join(self, participant: Participant) -> None:
        """Let `participant` share commits; the first to join is settled first."""
        with self._state:
            self._participants.append(participant)

    def wake(self, delay: float) -> None:
        """Something is queued and wants to be written within `delay` seconds; returns at once, from any thread."""
        due = time.monotonic() + delay
        with self._state:
            if self._due is None or due < self._due:
                self._due = due
                self._state.notify()

    def beat(self, answered: Callable[[], None]) -> None:
        """Call `answered` in the writer thread after what is queued; returns at once, never called once it stops."""
        with self._state:
            if not self._stopping:
                self._work.append(answered)
                self._state.notify()

    def execute(self, work: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """See `Database.write`."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("the writer thread cannot wait for itself: queue the work from another thread")
        future: Future[T] = Future()

        def run() -> None:
            try:
                result = self._transaction(work)
            except BaseException as error:
                future.set_exception(error)
                return
            try:
                if then is not None:
                    then(result)
            finally:
                future.set_result(result)

        with self._state:
            if self._stopping:
                raise closed()
            self._work.append(run)
            self._state.notify()
        return future.result()

    def stop(self) -> None:
        """Write what is queued, then end the thread. What cannot be written is told so."""
        with self._state:
            self._stopping = True
            self._state.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def stopping(self) -> bool:
        """The store closes, or has closed: nothing new is written."""
        return self._stopping

    @property
    def failing(self) -> bool:
        """Writing did not work the last time it was tried."""
        return self._began_failing > 0

    def _run(self) -> None:
        while self._wait():
            self._once()
        self._once()
        self._drop_connection()

    def _wait(self) -> bool:
        """Sleep until something is due; False when the store closes."""
        with self._state:
            while not self._work and not self._stopping:
                remaining = None if self._due is None else self._due - time.monotonic()
                if remaining is not None and remaining <= 0:
                    break
                self._state.wait(remaining)
            self._due = None
            return not self._stopping

    def _once(self) -> None:
        try:
            while self._work:
                self._work.popleft()()
            while self._flush() and self._stopping and not self.failing:
                pass
        except Exception:
            # A fault in our own code must not end the thread that every lease waits for.
            log.exception("the store writer met an unexpected error")

    def _flush(self) -> bool:
        """Commit what is queued once; False when nothing was."""
        batches = [(each, batch) for each in tuple(self._participants) if (batch := each.take()) is not None]
        if not batches:
            return False
        error = self._commit(batches)
        if error is not None and len(batches) > 1 and not self._faulted:
            # Not the disk but the content of one batch: the others are stored without it.
            for pair in batches:
                self._settle(*pair, self._commit([pair]))
            return True
        for each, batch in batches:
            self._settle(each, batch, error)
        return True

    def _commit(self, batches: list[tuple[Participant, Any]]) -> BootcartError | None:
        def work(connection: Connection) -> None:
            for each, batch in batches:
                each.write(connection, batch)

        try:
            self._transaction(work)
        except BootcartError as error:
            return error
        except Exception as error:
            log.exception("a batch could not be written")
            return self._explain(error)
        return None

    def _settle(self, participant: Participant, batch: Any, error: BootcartError | None) -> None:
        try:
            participant.settle(batch, error)
        except Exception:
            log.exception("what followed a commit failed")

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        self._faulted = False
        try:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection.begin():
                result = work(self._connection)
        except DBAPIError as error:
            said = self._explain(error)
            # SQLite's driver has no class of its own for a damaged file.
            if isinstance(error, OperationalError) or type(error) is DatabaseError:
                # After a failed write or fsync nothing the connection holds in memory is to be believed.
                self._faulted = True
                self._drop_connection()
                self._note(said)
            raise said from error
        self._note(None)
        return result

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except Exception:
            log.exception("a failed connection could not be closed")

    def _note(self, error: BootcartError | None) -> None:
        if error is None and self._began_failing:
            seconds, self._began_failing = time.monotonic() - self._began_failing, 0.0
            if self.on_health is not None:
                self.on_health(None, seconds)
        elif error is not None and not self._began_failing:
            self._began_failing = time.monotonic()
            if self.on_health is not None:
                self.on_health(error, 0.0)
