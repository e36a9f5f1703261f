"""Ends the answering of machines at the time an operator set: a laptop must not serve on in the next network."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from app.clock import Clock
from app.model.event import EventDraft, Level
from app.model.serving import SERVE_UNTIL, ending
from app.services.commands.layer import CommandLayer

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_ACTOR = "engine"


class Preferences(Protocol):
    """Where the moment is kept."""

    def preference(self, name: str) -> str: ...


class Closing:
    """Turns the hold switch when the time is over: one of the wall clock, which outlasts sleep and restart."""

    def __init__(
        self, preferences: Preferences, layer: CommandLayer, emit: Callable[[EventDraft], None], clock: Clock
    ) -> None:
        self._preferences = preferences
        self._layer = layer
        self._emit = emit
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Hold everything if it is time to."""
        moment = ending(self._preferences.preference(SERVE_UNTIL))
        if moment is not None and self._clock.now() >= moment:
            await asyncio.to_thread(self._close, moment)

    def _close(self, moment: float) -> None:
        self._layer.hold(_ACTOR, True)
        # It is over; whoever lifts the hold means to go on.
        self._layer.update(_ACTOR, "prefs", SERVE_UNTIL, {"value": ""})
        until = time.strftime("%H:%M", time.localtime(moment))
        words = f"nobody is answered any more: served until {until}, as told; H, or bootcart release, to go on"
        log.warning("%s", words)
        self._emit(
            EventDraft(
                time=self._clock.now(), kind="engine.held", level=Level.WARNING, message=words, data={"until": moment}
            )
        )
