"""Keys one after the other: what a key opens has the next key, however fast they come.

Textual hands a key to the widget that has the focus when it arrives. On a slow line, or from a paste, several arrive at
once, and those after a `:` or after a key that opens a question would act on the list below.
"""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events
from textual.app import App
from textual.app import ReturnType as ResultT
from textual.message_pump import MessagePump

PATIENCE = 1.0
"""Seconds a key is waited for; a handler that takes longer does not hold back the next key for ever."""
LEAVES = 4096
"""Keys kept at most; what comes faster than it can be handled for so long is not typed by a person."""


class OrderedKeys(App[ResultT]):
    """An application in which a key is handled before the next is looked at."""

    _typed: deque[events.Key]
    _typist: asyncio.Task[None] | None = None

    @property
    def typing(self) -> bool:
        """Keys have come that are not handled yet."""
        return self._typist is not None and not self._typist.done()

    async def on_event(self, event: events.Event) -> None:
        """Keys queue up here; everything else goes its way."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        if self.typing:
            self._typed.append(event)
            return
        self._typed = deque([event], maxlen=LEAVES)
        self._typist = asyncio.create_task(self._hand_out(), name="keys")

    async def _hand_out(self) -> None:
        while self._typed:
            event = self._typed.popleft()
            target = self.focused or self.screen
            try:
                await super().on_event(event)
            except Exception as error:
                self._handle_exception(error)
            # It bubbles from the widget up to the application; what it does may lead to messages of its own.
            for node in (*target.ancestors_with_self, self):
                await _emptied(node)
            for node in (self, self.screen, self.focused):
                if node is not None:
                    await _emptied(node)


async def _emptied(node: MessagePump) -> None:
    """Until a node has handled what it has been sent so far."""
    handled = asyncio.Event()
    if node.call_later(handled.set):
        try:
            await asyncio.wait_for(handled.wait(), PATIENCE)
        except TimeoutError:
            return
