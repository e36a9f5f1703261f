"""A live log of events that follows the newest, and stays where the reader is once they scroll up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from app.model.event import Event, Level
from app.model.query import Query, apply
from app.screens.widgets.lines import Line, Lines, Span, line
from app.screens.words import clock, fit, safe

LEVELS = {Level.WARNING: ("!", "warn"), Level.ERROR: ("!", "bad"), Level.DEBUG: (".", "dim"), Level.INFO: (" ", "")}
KEPT = 2000


def _told(event: Event, name: str) -> str:
    """The message, without the name it begins with where that stands beside it already."""
    text = safe(event.message)
    for lead in (name, event.mac):
        rest = text.removeprefix(lead)
        if lead and rest != text and rest.startswith((": ", " ")):
            return rest.removeprefix(":").lstrip()
    return text


class EventLog(Lines):
    """Fixed fields, one line an event, newest last. `terms` are a filter; `only` hides what does not match."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """Enter on an event."""

        def __init__(self, event: Event) -> None:
            super().__init__()
            self.event = event

    def __init__(self, name_of: Callable[[Event], str], *, title: str = "events", id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_words = title
        self.name_of = name_of
        self.terms: tuple[str, ...] = ()
        self.only = True
        self.following = True
        self.unread = 0
        self.cursor = 0
        self.all: list[Event] = []
        self.shown: list[Event] = []
        self.hits: list[int] = []

    # Feeding

    def load(self, events: Iterable[Event]) -> None:
        """Start anew with these."""
        self.all = list(events)[-KEPT:]
        self._sift()

    def add(self, events: Iterable[Event]) -> None:
        """Newer ones; painted once however many they are."""
        fresh = [event for event in events if not self.all or event.id > self.all[-1].id]
        if not fresh:
            return
        self.all += fresh
        matching = self._matching(fresh)
        first = len(self.shown)
        self.shown += matching if self.only else fresh
        self.hits += [first + n for n, one in enumerate(self.shown[first:]) if one in matching] if self.terms else []
        if not self.following:
            self.unread += len(matching if self.only else fresh)
        if len(self.all) > KEPT:
            self._drop(len(self.all) - KEPT)
        self._settle()

    def _drop(self, count: int) -> None:
        gone = {event.id for event in self.all[:count]}
        self.all = self.all[count:]
        less = sum(1 for event in self.shown[:count] if event.id in gone)
        self.shown = self.shown[less:]
        self.hits = [place - less for place in self.hits if place >= less]
        self.top = max(0, self.top - less)
        self.cursor = max(0, self.cursor - less)

    def _matching(self, events: list[Event]) -> list[Event]:
        if not self.terms:
            return events
        found: list[Event] = []
        for start in range(0, len(events), 1000):
            found += apply(events[start : start + 1000], Query(filter=self.terms)).items
        return found

    def filter(self, terms: tuple[str, ...], *, only: bool | None = None) -> None:
        """Show only what matches (or all, with the matches highlighted)."""
        if only is not None:
            self.only = only
        self.terms = terms
        self._sift()

    def _sift(self) -> None:
        at = self.shown[self.cursor].id if self.cursor < len(self.shown) else None
        matching = self._matching(self.all)
        self.shown = list(matching) if self.only else list(self.all)
        ids = {event.id for event in matching}
        self.hits = [place for place, event in enumerate(self.shown) if event.id in ids] if self.terms else []
        if not self.following:
            self.cursor = next((n for n, one in enumerate(self.shown) if one.id == at), self.cursor)
        self._settle()

    def _settle(self) -> None:
        last = len(self.shown) - 1
        if self.following:
            self.cursor = max(0, last)
            self.top = len(self.shown)
        self.cursor = max(0, min(self.cursor, last))
        self.touch()

    # Following

    def follow(self) -> None:
        """To the newest, and stay there."""
        self.following, self.unread = True, 0
        self._settle()

    def pause(self) -> None:
        """Stay here."""
        self.following = False
        self.touch()

    def next_match(self, way: int) -> str:
        """To the next (1) or previous (-1) match; says which of how many."""
        if not self.terms:
            return "no filter: press / and type what to look for"
        if not self.hits:
            return "no match"
        ahead = [place for place in self.hits if (place > self.cursor if way > 0 else place < self.cursor)]
        wrapped = self.hits[0] if way > 0 else self.hits[-1]
        self.following = False
        self.cursor = (ahead[0] if way > 0 else ahead[-1]) if ahead else wrapped
        self.scroll_to_line(self.cursor)
        self.touch()
        return f"match {self.hits.index(self.cursor) + 1} of {len(self.hits)}"

    # Lines

    def head(self, width: int) -> tuple[Line, ...]:
        rule = self.profile.rule
        if self.following:
            state = " following "
        elif self.unread:
            state = f" {self.unread} new - G to follow "
        else:
            state = " paused - G to follow "
        left = rule * 3 + f" {self.border_words} "
        if self.terms:
            left += f"{rule} {len(self.hits)} of {len(self.all)} match "
        gap = width - len(left) - len(state) - 2
        return (line((left + rule * max(1, gap), "dim"), (state, "" if self.following else "warn"), (rule * 2, "dim")),)

    def count(self) -> int:
        return max(1, len(self.shown))

    def at(self, index: int, width: int) -> Line:
        if not self.shown:
            return line(("nothing yet" if not self.terms else "nothing matches", "dim"))
        event = self.shown[index]
        glyph, style = LEVELS[event.level]
        wide = width >= 100
        name = safe(self.name_of(event))
        # Names of machines nobody has named differ in their last letters only: they are never cut.
        kind = fit(event.kind, 16) if wide else fit(event.kind.partition(".")[0], 9)
        spans: list[Span] = [
            (clock(event.time), "dim"),
            (f" {glyph} ", style),
            (fit(name, 18) + " ", ""),
            (kind + " ", "dim"),
            (_told(event, name), style or ("match" if self.terms and not self.only and self._hit(index) else "")),
        ]
        here = index == self.cursor and self.has_focus and not self.following
        return Line(tuple(spans), "cursor" if here else "")

    def _hit(self, index: int) -> bool:
        return index in self.hits

    # Moving

    def action_move(self, by: int) -> None:
        """By lines; up stops following, down past the end follows again."""
        if self.following and by > 0:
            return
        if not self.following and by > 0 and self.cursor + by >= len(self.shown):
            self.follow()
            return
        self.following = False
        self.cursor = max(0, min(self.cursor + by, len(self.shown) - 1))
        self.scroll_to_line(self.cursor)
        self.touch()

    def action_page(self, way: int) -> None:
        """By pages."""
        self.action_move(way * max(1, self.room - 1))

    def action_edge(self, end: int) -> None:
        """To the oldest, or to the newest and follow."""
        if end:
            self.follow()
        else:
            self.action_move(-len(self.shown))

    def action_choose(self) -> None:
        """Say which event was chosen."""
        if self.shown:
            self.post_message(self.Chosen(self.shown[self.cursor]))

    def scroll_lines(self, by: int) -> None:
        """The wheel moves like the arrows."""
        self.action_move(by)

    def on_focus(self) -> None:
        """Show the cursor."""
        self.touch()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.touch()
