"""Faults of the interface itself: told on the error line, and outlived.

Textual ends the application when a handler or a drawing raises. An operator in the middle of an installation keeps the
rest of the screen instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget

DRAWING = frozenset({"render", "render_line", "render_lines", "_render", "_render_content"})
"""Functions of a widget that draw it."""


class Enduring(MessagePump):
    """A widget, screen or application that goes on after one of its handlers raised."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            report(self, error, f"{type(message).__name__} in {type(self).__name__}")


def report(part: MessagePump, error: Exception, doing: str) -> None:
    """Tell the application; one that does not outlive faults ends, as Textual has it."""
    told: Callable[[Exception, str], Any] | None = getattr(part.app, "fault", None)
    if told is None:
        raise error
    told(error, doing)


def drawn(error: Exception) -> Widget | None:
    """The innermost widget that was being drawn when this was raised."""
    found: Widget | None = None
    trace = error.__traceback__
    while trace is not None:
        part = trace.tb_frame.f_locals.get("self")
        if isinstance(part, Widget) and not isinstance(part, Screen) and trace.tb_frame.f_code.co_name in DRAWING:
            found = part
        trace = trace.tb_next
    return found
