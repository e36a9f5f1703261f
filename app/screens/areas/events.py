"""Events: everything that happened, live; a filter that hides or highlights; going from match to match."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from app.model.event import Event
from app.model.query import parse_filter
from app.screens.areas.area import Area, bindings
from app.screens.dialogs.pages import event_page
from app.screens.registry import Action
from app.screens.widgets.eventlog import EventLog


class EventsArea(Area):
    """The log over the whole screen."""

    area = "events"
    BINDINGS = bindings("events")

    def __init__(self) -> None:
        super().__init__()
        self.log_pane = EventLog(lambda event: self.app.session.name_of(event), id="log")

    def body(self) -> Iterable[Widget]:
        yield self.log_pane

    def main(self) -> Widget | None:
        return self.log_pane

    def trail(self) -> tuple[str, ...]:
        return (f"{len(self.log_pane.shown)} of {len(self.log_pane.all)}",)

    async def load(self) -> None:
        if not self.log_pane.all:
            self.log_pane.load(self.app.session.events)
        self.log_pane.add(list(self.app.session.events))

    def take(self, events: Sequence[Event]) -> None:
        self.log_pane.add(events)

    def refilter(self) -> None:
        self.log_pane.filter(parse_filter(self.sought))

    def valid(self, action: Action) -> bool:
        if action.id == "inspect":
            return bool(self.log_pane.shown)
        return bool(self.log_pane.terms) or action.id not in ("next_match", "previous_match", "only_matches")

    def do_follow(self) -> None:
        """`G`."""
        self.log_pane.follow()

    def do_pause(self) -> None:
        """`p`."""
        if self.log_pane.following:
            self.log_pane.pause()
        else:
            self.log_pane.follow()

    def do_next_match(self) -> None:
        """`n`."""
        self.app.say(self.log_pane.next_match(1))

    def do_previous_match(self) -> None:
        """`N`."""
        self.app.say(self.log_pane.next_match(-1))

    def do_only_matches(self) -> None:
        """`a`."""
        self.log_pane.filter(self.log_pane.terms, only=not self.log_pane.only)

    def do_inspect(self) -> None:
        """`I`."""
        if self.log_pane.shown:
            self.app.open_exchange(self.log_pane.shown[self.log_pane.cursor])

    def on_event_log_chosen(self, event: EventLog.Chosen) -> None:
        """Details."""
        self.app.push_screen(event_page(event.event, self.app.session.name_of(event.event)))
