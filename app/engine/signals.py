"""Signals of the engine: the first asks it to end, at whatever moment it comes; the next ends it at once.

Imports nothing of the program, so that it can be the first thing an engine does.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
from collections.abc import Callable
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)

DRAIN_SECONDS = 5
"""An engine that was asked to end and is there after this long ends at once, with what each thread was doing."""


def drain() -> None:
    """Bound the time that ending may take; `drained` takes it back. Works while every thread of ours is stuck."""
    with contextlib.suppress(RuntimeError):  # without a standard error
        faulthandler.dump_traceback_later(DRAIN_SECONDS, exit=True)


def drained() -> None:
    """Ending came to an end by itself."""
    faulthandler.cancel_dump_traceback_later()


class Signals:
    """Keeps the wish to end until somebody can follow it. Belongs to the main thread."""

    def __init__(self) -> None:
        self.why = ""
        """The name of the signal that came; empty while none did."""
        self._tell: Callable[[str], object] | None = None

    def install(self) -> None:
        """From here on a signal ends the process well: before `hand_to` with exit code 0, as nothing was begun."""
        # A watchdog's SIGABRT, and a fault in a library, end with every thread's stack in the log.
        with contextlib.suppress(RuntimeError):  # without a standard error
            faulthandler.enable()
        for number in ENDING:
            signal.signal(number, self._asked)

    def hand_to(self, tell: Callable[[str], object]) -> None:
        """Somebody can end in order now: `tell` gets the signal's name, also when it came already."""
        self._tell = tell
        if self.why:
            tell(self.why)

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        # The kernel's own answer to the next one: it needs no interpreter that still turns.
        for each in ENDING:
            signal.signal(each, signal.SIG_DFL)
        self.why = signal.Signals(number).name
        if self._tell is None:
            # Where an importer swallows it, `hand_to` finds the name.
            raise SystemExit(0)
        self._tell(self.why)
