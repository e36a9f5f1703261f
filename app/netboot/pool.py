"""Which address of a subnet's ranges comes next: the fresh ones in order, then the one unused for longest."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from app.model.subnet import Picker, Range, Subnet
from app.netboot.choice import Choice

# A lap over the ranges finds every free address; what became free in a way nobody told us of is found by the next lap.
_LAP_SECONDS = 10.0

Usable = Callable[[int], bool]


class Pool:
    """The free addresses of one subnet, handed out in amortised constant time.

    An address that is refused by the caller's test, or handed out, is out of the pool until `put` brings it back.
    Addresses are integers here; times are epoch seconds.
    """

    def __init__(self, subnet: Subnet) -> None:
        self.ranges: tuple[Range, ...] = subnet.ranges
        self.size = sum(span.size for span in subnet.ranges)
        self._spans = [(int(span.start), int(span.end)) for span in subnet.ranges]
        self._span = 0
        self._next = self._spans[0][0] if self._spans else 0
        self._next_lap = 0.0
        self._back: dict[int, None] = {}
        self._stale: list[tuple[float, int]] = []
        self._ended: dict[int, float] = {}

    def copy(self) -> Pool:
        """A pool that hands out the same addresses next, apart from this one."""
        made = copy.copy(self)
        vars(made).update(_back=dict(self._back), _stale=list(self._stale), _ended=dict(self._ended))
        return made

    def __contains__(self, address: int) -> bool:
        return any(first <= address <= last for first, last in self._spans)

    def put(self, address: int, unused_since: float | None) -> None:
        """An address of the ranges is free: never leased (None), or its lease ended at that time."""
        if unused_since is None:
            self._back[address] = None
        elif self._ended.get(address) != unused_since:
            self._ended[address] = unused_since
            heapq.heappush(self._stale, (unused_since, address))

    def lap_is_due(self, now: float) -> bool:
        """The ranges have been walked through and may be walked again."""
        return self._span >= len(self._spans) and now >= self._next_lap

    def begin_lap(self, now: float, ended: Iterable[tuple[float, int]]) -> None:
        """Walk the ranges again; `ended` are the leases that ended, with the time each did."""
        self._span = 0
        self._next = self._spans[0][0] if self._spans else 0
        self._next_lap = now + _LAP_SECONDS
        self._back.clear()
        self._stale = [(when, address) for when, address in ended if address in self]
        self._ended = {address: when for when, address in self._stale}
        heapq.heapify(self._stale)

    def take(self, picker: Picker, fresh: Usable, usable: Usable) -> Choice | None:
        """The address that a picker finds; `fresh`: it was never leased."""
        if picker is Picker.NEXT_FREE and (found := self.take_fresh(fresh)) is not None:
            return Choice(found, "free")
        if picker is Picker.MOST_EXPIRED and (found := self.take_stale(usable)) is not None:
            return Choice(found, "unused for longest")
        return None

    def take_fresh(self, usable: Usable) -> IPv4Address | None:
        """The next address that was never leased."""
        while self._back:
            address = next(iter(self._back))
            del self._back[address]
            if usable(address):
                return IPv4Address(address)
        while self._span < len(self._spans):
            address, last = self._next, self._spans[self._span][1]
            if address < last:
                self._next += 1
            else:
                self._span += 1
                self._next = self._spans[self._span][0] if self._span < len(self._spans) else 0
            if usable(address):
                return IPv4Address(address)
        return None

    def take_stale(self, usable: Usable) -> IPv4Address | None:
        """The address whose lease ended longest ago."""
        while self._stale:
            when, address = heapq.heappop(self._stale)
            if self._ended.get(address) != when:
                continue  # it was leased and ended again since
            del self._ended[address]
            if usable(address):
                return IPv4Address(address)
        return None
