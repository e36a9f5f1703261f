"""Requests that wait until one of the transfers that run is over: all of them are alive, so none gives way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from app.services.tftp.sockets import Address

T = TypeVar("T")

QUEUE_MAX = 4096
PATIENCE = 10.0
"""Seconds after which a reader that has not asked again is not waiting any more."""


class Queue(Generic[T]):
    """By who asks, in the order in which they came."""

    def __init__(self, time: Callable[[], float]) -> None:
        """`time` in seconds, of the loop this belongs to."""
        self._time = time
        self._waiting: OrderedDict[Address, tuple[T, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, peer: Address, asked: T) -> bool:
        """Have it wait; False: too many do."""
        if len(self._waiting) >= QUEUE_MAX:
            return False
        self._waiting[peer] = asked, self._time()
        return True

    def again(self, peer: Address, asks: Callable[[T], bool]) -> bool:
        """The same reader asked again; False where it does not wait, or waited for something else."""
        found = self._waiting.get(peer)
        if found is None:
            return False
        if not asks(found[0]):
            del self._waiting[peer]
            return False
        self._waiting[peer] = found[0], self._time()
        return True

    def take(self) -> T | None:
        """The one that has waited for longest and still does."""
        late = self._time() - PATIENCE
        while self._waiting:
            asked, heard = self._waiting.popitem(last=False)[1]
            if heard >= late:
                return asked
        return None
