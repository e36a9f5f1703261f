"""What many threads want done at once, done together by one of them at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Ticket(Generic[T]):
    """One that waits; `turn` comes when it is done, or is to do it for all that wait."""

    __slots__ = ("done", "item", "turn")

    def __init__(self, item: T) -> None:
        self.item = item
        self.turn = threading.Event()
        self.done = False


class Turns(Generic[T]):
    """Whoever comes while nobody works, works; who comes meanwhile waits, and one of them does all of theirs next."""

    def __init__(self, work: Callable[[Sequence[T]], None]) -> None:
        """`work` does some of them, in the order in which they came; what comes of each is for it to keep."""
        self._work = work
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[T]] = []
        self._busy = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def do(self, item: T) -> None:
        """Have it done; returns when it is. May raise what `work` raises."""
        ticket = _Ticket(item)
        with self._lock:
            self._waiting.append(ticket)
            if self._busy:
                wait = True
            else:
                wait, self._busy = False, True
        if wait:
            ticket.turn.wait()
            if ticket.done:
                return
        with self._lock:
            taken, self._waiting = self._waiting, []
        try:
            self._work([each.item for each in taken])
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._busy = following is not None
            for each in taken:
                each.done = True
                each.turn.set()
            if following is not None:
                following.turn.set()
