"""Help, the details of an error or event, and the page that says the terminal is too small."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from app.screens.dialogs.frame import Page
from app.screens.enduring import Enduring
from app.screens.registry import ACTIONS, AREAS, Action, key_word
from app.screens.widgets.lines import Line, line
from app.screens.widgets.text import TextView, facts, wrapped
from app.screens.words import safe, stamp

if TYPE_CHECKING:
    from app.model.event import Event
    from app.screens.failures import Failure

LEAST = (60, 16)
"""Columns and rows below which screens cannot be laid out."""


def help_lines(area: str, actions: Iterable[Action], width: int) -> list[Line]:
    """Keys that work on this screen, grouped, then what `:` takes."""
    groups: dict[str, list[Action]] = {}
    for action in actions:
        groups.setdefault(action.group, []).append(action)
    lines: list[Line] = []
    for group, members in groups.items():
        pairs = ((" ".join(key_word(key) for key in one.keys), one.help) for one in members)
        lines += [line((group, "key")), *_columns(pairs, 14, width), line("")]
    if area == "wizard":
        return lines[:-1]
    lines += [line(("Areas", "key")), *_columns(((key, f"{name}: {what}") for key, name, what in AREAS), 14, width)]
    lines += [line(""), line(("Command line (:), Tab completes, Up recalls", "key"))]
    for action in ACTIONS:
        forms = [form for form in (action.words, *action.aliases) if form]
        lines += [line(("  " + safe(form), "busy")) for form in forms[:-1]]
        lines += _columns([(form, action.help) for form in forms[-1:]], 32, width)
    return [*lines, *_columns([("NAME OF AN AREA", "go there")], 32, width)]


def _columns(pairs: Iterable[tuple[str, str]], label: int, width: int) -> list[Line]:
    """Key or form on the left, what it does on the right, wrapped there."""
    lines: list[Line] = []
    for name, text in pairs:
        room = max(12, width - label - 4)
        over = len(name) > label
        if over:
            lines.append(line(("  " + safe(name), "busy")))
        for number, part in enumerate(textwrap.wrap(safe(text), room)):
            lines.append(line((f"  {'' if number or over else name:<{label}} ", "busy"), part))
    return lines


def help_page(area: str, actions: Iterable[Action], width: int) -> Page:
    """The help of a screen on a terminal this wide."""
    return Page(f"Keys here: {area}", help_lines(area, actions, width - 6))


def event_page(event: Event, name: str) -> Page:
    """All that is known of an event."""
    pairs = [
        ("event", event.id),
        ("time", stamp(event.time)),
        ("kind", event.kind),
        ("level", event.level.value),
        ("machine", name),
        ("mac", event.mac),
        ("address", event.address),
        ("interface", event.interface),
        ("actor", event.actor),
    ]
    lines = [*wrapped(event.message, 72), line(""), *facts(pairs, 72)]
    if event.data:
        lines += [line(""), line(("facts", "key"))]
        lines += facts(
            ((key, value if isinstance(value, str) else json.dumps(value)) for key, value in event.data.items()), 72
        )
    return Page(f"Event {event.id}", lines)


def failure_page(failure: Failure) -> Page:
    """All that is known of an error."""
    lines: list[Line] = [*wrapped(failure.reason, 72, "warn")]
    if failure.hint:
        lines += [line(""), line(("What to do", "key")), *wrapped(failure.hint, 72)]
    lines += [
        line(""),
        *facts(
            (("id", failure.id), ("time", stamp(failure.time)), ("while", failure.doing), ("field", failure.field)), 72
        ),
    ]
    if failure.trace:
        lines += [line(""), line(("Trace", "key")), *(line(safe(one)) for one in failure.trace.splitlines())]
    return Page(f"Error {failure.id}", lines, "Esc back: the error counts as read  y copies the id")


class TooSmall(Enduring, ModalScreen[None]):
    """Says what is needed and what there is; any key goes on anyway."""

    def compose(self) -> ComposeResult:
        self.page = TextView()
        yield self.page

    def on_mount(self) -> None:
        """Say it."""
        self._tell()

    def on_resize(self) -> None:
        """Say it again, or leave when there is room."""
        width, height = self.app.size
        if width >= LEAST[0] and height >= LEAST[1]:
            self._leave()
        else:
            self._tell()

    def _tell(self) -> None:
        width, height = self.app.size
        self.page.show(wrapped(f"need 80x24, have {width}x{height}, any key to continue", max(10, width - 2)))

    def on_key(self, event: events.Key) -> None:
        """Any key goes on."""
        event.stop()
        self._leave()

    def _leave(self) -> None:
        # Several resizes may come before the screen has gone.
        if self.is_current:
            self.dismiss(None)
