"""What one machine fetches again and again: told a few times, then counted, so that it pushes nothing out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.model.event import Level
from app.services.boothttp.connections import Address

TOLD_MAX = 10
"""Events about the same within a second."""
SECOND = 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """An event to come: `times` is how often that happened beside what is told already."""

    kind: str
    words: str
    peer: Address
    mac: str
    facts: dict[str, Any]
    level: Level = Level.INFO


class Repeats:
    """Counts by who does what. Belongs to one loop."""

    def __init__(self, tell: Callable[[Said], None]) -> None:
        self._tell = tell
        self._counts: dict[tuple[Address, str, int], int] = {}
        self._last: dict[tuple[Address, str, int], Callable[[], Said]] = {}

    def happened(self, peer: Address, path: str, status: int, said: Callable[[], Said]) -> None:
        """Tell it, or count it: `said` is asked for the event where there is to be one."""
        key = (peer, path, status)
        if not self._counts:
            asyncio.get_running_loop().call_later(SECOND, self.flush)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count <= TOLD_MAX:
            self._tell(said())
        else:
            self._last[key] = said

    def flush(self) -> None:
        """A second is over: one event for what was only counted."""
        counts, last = self._counts, self._last
        self._counts, self._last = {}, {}
        for key, make in last.items():
            said, times = make(), counts[key] - TOLD_MAX
            words = f"{said.words}; {times} times within a second"
            self._tell(replace(said, words=words, facts={**said.facts, "times": times}))
