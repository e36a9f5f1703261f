"""Watches over the threads that matter: whether each still answers, and what the service manager hears of it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.engine.notify import notify

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
LATE_ROUNDS = 8
"""A thread that has not answered for so many rounds hangs. Rounds, not seconds: a suspended host counts none."""

Beat = Callable[[Callable[[], None]], None]
"""Calls what it is given in the thread it stands for, soon; returns at once."""


def watchdog_seconds(environment: Mapping[str, str]) -> float:
    """How long the service manager waits for a sign of life (sd_watchdog_enabled(3)); 0 where it does not."""
    told = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", "")
    if not told.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(told) / 1_000_000


@dataclass(slots=True)
class _Watched:
    beat: Beat
    wanted: Callable[[], bool]
    asked: bool = False
    missed: int = 0


class Watch:
    """Asks each thread once a round; runs in the main loop, whose own life it proves by running."""

    def __init__(
        self,
        late: Callable[[str], None],
        back: Callable[[str], None],
        watchdog: float = 0.0,
        tell: Callable[[str], object] = notify,
    ) -> None:
        """`late` is told once that a thread hangs, `back` that it answers again. `watchdog`: see watchdog_seconds.

        `tell` says that we live; false where that was not taken: it is said again the next round.
        """
        self._late = late
        self._back = back
        self._watchdog = watchdog
        self._tell = tell
        self._round = min(ROUND_SECONDS, watchdog / 4) if watchdog else ROUND_SECONDS
        self._told = float("-inf")
        self._watched: dict[str, _Watched] = {}

    def over(self, name: str, beat: Beat, wanted: Callable[[], bool] = lambda: True) -> None:
        """Watch a thread; while it is not `wanted` (its service is stopped) nothing is asked of it."""
        self._watched[name] = _Watched(beat, wanted)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(self._round)

    def look(self) -> None:
        """One round: count what is missing, ask anew, and say that we live where nothing is."""
        for name, watched in self._watched.items():
            self._ask(name, watched)
        now = time.monotonic()
        # The round after this one would be too late for half of the time the manager gives.
        due = self._watchdog and now - self._told + self._round > self._watchdog / 2
        if due and not self.hanging() and self._tell("WATCHDOG=1") is not False:
            self._told = now

    def hanging(self) -> list[str]:
        """Those that have not answered for more than a round."""
        return [name for name, watched in self._watched.items() if watched.missed > 1]

    def _ask(self, name: str, watched: _Watched) -> None:
        if not watched.wanted():
            watched.asked, watched.missed = False, 0
            return
        if watched.asked:
            watched.missed += 1
            if watched.missed == LATE_ROUNDS:
                log.error("%s has not answered for %.0f s", name, LATE_ROUNDS * self._round)
                self._late(name)
        else:
            if watched.missed >= LATE_ROUNDS:
                log.warning("%s answers again", name)
                self._back(name)
            watched.asked, watched.missed = True, 0

        def answered() -> None:
            watched.asked = False

        # Asked anew each round: a thread that was started again knows nothing of earlier questions.
        watched.beat(answered)
