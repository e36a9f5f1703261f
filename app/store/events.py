"""The event log: published without waiting, numbered and stored by the writer, followed from any event on."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from sqlalchemy.engine import Connection

from app.clock import Clock
from app.errors import BootcartError
from app.model.event import Event, EventDraft, Level
from app.model.machine import machine_id_for
from app.model.query import Page, Query
from app.store import event_rows
from app.store.database import Database
from app.store.directory import Directory
from app.store.event_rows import Numbered, Selection
from app.store.ring import Ring
from app.store.stream import CHUNK, TAIL, Follower, Tail
from app.store.writer import RETRY_SECONDS

log = logging.getLogger(__name__)

QUEUE_MAX = 10_000
BATCH = 512
UNSTORED_MAX = 1000
LINGER_SECONDS = 0.02

Observer = Callable[[Event], None]


class EventLog:
    """Takes event drafts from any thread; an event has its id, and is shown to anyone, once it is stored.

    While the disk fails, up to UNSTORED_MAX events are shown before they are stored, so that the failure itself can be
    read. Ids leave room for them: none is given twice even when the engine dies in that state.
    """

    def __init__(self, database: Database, directory: Directory, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[EventDraft] = deque()
        self._words: deque[EventDraft] = deque()
        """What the store says of itself, written before all that wait: it says why they wait."""
        self._dropped_untold = 0
        self.dropped = 0
        """How many events were dropped since the start: they came faster than they could be stored."""
        self._unstored: tuple[Numbered, ...] = ()
        self._insert = event_rows.insert(database.engine.dialect)
        self._observers: deque[Observer] = deque()
        self._closed = False
        with database.read() as connection:
            self._ring = Ring(connection)
            self._tail = Tail(event_rows.read(connection, Selection(), limit=TAIL, newest=True))
        newest = self._tail.last_id
        self._shown = newest
        self._next = newest + 1 + (UNSTORED_MAX if newest and database.unclean else 0)
        database.writer.join(self)
        database.writer.on_health = self._on_health
        for doubt in database.doubts:
            self._own("store.doubt", doubt, Level.WARNING, reason=doubt)

    @property
    def last_id(self) -> int:
        """The id of the newest event, 0 when there is none."""
        return self._tail.last_id

    def emit(self, draft: EventDraft) -> None:
        """Publish an event; returns at once, from any thread. When too many wait, this one is dropped and counted."""
        with self._lock:
            if len(self._queue) >= QUEUE_MAX or self._closed:
                self._dropped_untold += 1
                self.dropped += 1
                return
            first = not self._queue
            self._queue.append(draft)
        # Whoever was first has told the writer, which takes all.
        if first:
            self._queued()

    def observe(self, observer: Observer) -> None:
        """Call `observer` with each event from now on, in order, in the writer thread, once it is stored.

        It must be quick and must not wait for the store; it may emit.
        """
        self._observers.append(observer)

    def machines(self) -> set[uuid.UUID]:
        """Every machine the ring holds events of. Reads the disk."""
        with self._database.read() as connection:
            return event_rows.machines(connection)

    def tail(self, limit: int = TAIL) -> tuple[Event, ...]:
        """The newest events, oldest first, from memory."""
        return self._tail.newest(limit)

    def list(
        self,
        query: Query | None = None,
        machine: str = "",
        kind: str = "",
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> Page[Event]:
        """A page of events, oldest first: the newest `limit`, or with `after` those that follow it. Reads the disk.

        `machine` is an id or a MAC, `kind` a prefix such as `dhcp.`; `limit` stands in for the query's. Events that
        could not be stored yet are at the end of the newest page; a search that sorts by anything else is for others.
        """
        query = query or Query()
        if limit is not None:
            query = Query(query.filter, query.sort, limit, query.offset)
        wanted = self._selection(machine, kind, after, before)
        # Looked at first: what is stored meanwhile is on the disk.
        unstored = self._unstored
        with self._database.read() as connection:
            page = event_rows.search(connection, wanted, query)
        return event_rows.continued(page, [each.event for each in unstored], wanted, query) if unstored else page

    def subscribe(self, after_id: int | None = None, machine: str = "", kind: str = "") -> AsyncGenerator[Event, None]:
        """Every event after `after_id` (None: from this call on), stored ones first, then live, until the log closes.

        For any asyncio loop. A slow reader delays nobody: what it missed it reads from the ring, in order, none twice.
        """
        return self._follow(self.last_id if after_id is None else after_id, machine, kind)

    def close(self) -> None:
        """End every stream and take no more events; what is queued is still written when the database closes."""
        with self._lock:
            self._closed = True
        self._tail.tell()

    async def _follow(self, cursor: int, machine: str, kind: str) -> AsyncGenerator[Event, None]:
        follower = Follower()
        self._tail.enter(follower)
        try:
            while True:
                follower.reset()
                closed = self._closed
                chunk, from_disk_to = self._tail.after(cursor)
                if from_disk_to:
                    chunk = await asyncio.to_thread(self._stored, cursor, from_disk_to)
                # Resolved each time: a machine may have gained a MAC.
                wanted = self._selection(machine, kind, None, None)
                for event in chunk:
                    cursor = event.id
                    if wanted.matches(event):
                        yield event
                if chunk:
                    continue
                if from_disk_to:
                    # The ring keeps nothing between the cursor and the tail.
                    cursor = from_disk_to
                elif closed:
                    return
                else:
                    await follower.wait()
        finally:
            self._tail.leave(follower)

    def _stored(self, cursor: int, last: int) -> Sequence[Event]:
        with self._database.read() as connection:
            return event_rows.read(connection, Selection(after=cursor, before=last + 1), limit=CHUNK)

    def _selection(self, machine: str, kind: str, after: int | None, before: int | None) -> Selection:
        macs: tuple[str, ...] = ()
        if machine:
            try:
                record = self._directory.machine(uuid.UUID(machine))
                macs = record.macs if record is not None else ()
            except ValueError:
                macs = (machine.lower(),)
        return Selection(machine=machine.lower(), macs=macs, kind=kind, after=after, before=before)

    # Called by the writer, in its thread.

    def take(self) -> Sequence[Numbered] | None:
        """What could not be stored before, and what came since."""
        # One place is left for the word about those that were dropped.
        room = max(0, min(BATCH, UNSTORED_MAX - len(self._unstored) - 1))
        with self._lock:
            drafts: list[EventDraft] = []
            for source in (self._words, self._queue):
                drafts += [source.popleft() for _ in range(min(room - len(drafts), len(source)))]
            left = bool(self._words or self._queue)
            dropped = self._dropped_untold if drafts else 0
            self._dropped_untold -= dropped
        if left and room > 0:
            self._database.writer.wake(0)
        if dropped:
            drafts.append(self._dropped_draft(dropped))
        return [*self._unstored, *self._number(drafts)] or None

    def write(self, connection: Connection, batch: Sequence[Numbered]) -> None:
        """Into the open transaction."""
        self._insert.run(connection, [event_rows.row(each) for each in batch])
        if self._ring.due():
            self._ring.prune(connection)

    def settle(self, batch: Sequence[Numbered], error: BootcartError | None) -> None:
        """Show what was stored; while the disk fails, show it all the same and try again."""
        if error is None:
            self._unstored = ()
            if self._ring.due():
                self._ring.pruned()
            self._ring.added([each.event for each in batch])
            if self._words or self._queue:
                # What came while there was no room.
                self._queued()
        elif self._database.writer.failing:
            self._unstored = tuple(batch)
            self._database.writer.wake(RETRY_SECONDS)
        else:
            # Something in the batch cannot be stored at all; trying again would hold up all that follow.
            self._unstored = ()
            with self._lock:
                self.dropped += len(batch)
                self._dropped_untold += len(batch)
            self._database.writer.wake(RETRY_SECONDS)
        fresh = [each.event for each in batch if each.event.id > self._shown]
        if not fresh:
            return
        self._shown = fresh[-1].id
        self._tail.publish(fresh)
        for observer in self._observers:
            for event in fresh:
                try:
                    observer(event)
                except Exception:
                    log.exception("an observer of events failed at %s", event.kind)

    def _number(self, drafts: Iterable[EventDraft]) -> Iterable[Numbered]:
        for draft in drafts:
            yield event_rows.number(draft, self._next, self._machine_of(draft.mac) if draft.mac else None)
            self._next += 1

    def _machine_of(self, mac: str) -> uuid.UUID:
        record = self._directory.machine_by_mac(mac)
        return record.id if record is not None else machine_id_for(mac)

    def _on_health(self, error: BootcartError | None, seconds: float) -> None:
        if error is not None:
            self._own("store.failed", error.message, Level.ERROR, reason=error.message, hint=error.hint)
        else:
            said = f"the store can be written again after {seconds:.0f} s"
            self._own("store.recovered", said, Level.INFO, seconds=round(seconds, 1))

    def _dropped_draft(self, count: int) -> EventDraft:
        said = f"{count} events came too fast to be kept and were dropped"
        return EventDraft(
            time=self._clock.now(), kind="events.dropped", message=said, level=Level.WARNING, data={"count": count}
        )

    def _own(self, kind: str, message: str, level: Level, **data: object) -> None:
        draft = EventDraft(time=self._clock.now(), kind=kind, message=message, level=level, data=data)
        with self._lock:
            self._words.append(draft)
        self._queued()

    def _queued(self) -> None:
        writer = self._database.writer
        writer.wake(RETRY_SECONDS if writer.failing else LINGER_SECONDS)
