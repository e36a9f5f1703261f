"""The newest events in memory, and readers that follow them without anybody waiting for them."""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from app.model.event import Event

TAIL = 2000
CHUNK = 500


class Follower:
    """One reader in its loop; it holds no events, only the news that there are some."""

    def __init__(self) -> None:
        """Made inside the loop that reads."""
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._told = False

    def tell(self) -> bool:
        """There is something new; from any thread. False when the loop is closed."""
        if self._told:
            return True
        self._told = True
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:
            return False
        return True

    def reset(self) -> None:
        """Call it before looking for events, so that one published while looking is told."""
        self._told = False
        self._news.clear()

    async def wait(self) -> None:
        """Until told."""
        await self._news.wait()


class Tail:
    """The newest published events without a gap, and who follows them. Thread-safe."""

    def __init__(self, newest: Sequence[Event], size: int = TAIL) -> None:
        self._lock = threading.Lock()
        self._size = size
        self._events = deque(newest)
        # Everything after this id is here; what comes before is on the disk alone.
        self._start = newest[0].id - 1 if len(newest) >= size else 0
        self._followers: set[Follower] = set()

    @property
    def last_id(self) -> int:
        """The id of the newest event, 0 when there is none."""
        with self._lock:
            return self._events[-1].id if self._events else 0

    def publish(self, events: Sequence[Event]) -> None:
        """Show these, newer than all before, to everyone who follows."""
        with self._lock:
            self._events.extend(events)
            while len(self._events) > self._size:
                self._start = self._events.popleft().id
        self.tell()

    def tell(self) -> None:
        """Wake all followers."""
        with self._lock:
            followers = tuple(self._followers)
        gone = [follower for follower in followers if not follower.tell()]
        for follower in gone:
            self.leave(follower)

    def enter(self, follower: Follower) -> None:
        """Begin to be told."""
        with self._lock:
            self._followers.add(follower)

    def leave(self, follower: Follower) -> None:
        """Be told no more."""
        with self._lock:
            self._followers.discard(follower)

    def newest(self, limit: int) -> tuple[Event, ...]:
        """The newest events, oldest first."""
        with self._lock:
            return tuple(self._events)[-limit:] if limit > 0 else ()

    def after(self, cursor: int, limit: int = CHUNK) -> tuple[tuple[Event, ...], int]:
        """Events after `cursor`, oldest first, and 0; or nothing and the id up to which the disk must be read first."""
        with self._lock:
            if cursor < self._start:
                return (), self._start
            if not self._events or cursor >= self._events[-1].id:
                return (), 0
            events = tuple(self._events)
        first = bisect_right(events, cursor, key=lambda event: event.id)
        return events[first : first + limit], 0
