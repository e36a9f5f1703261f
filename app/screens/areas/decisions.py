"""Decisions: what DHCP was asked, what it answered and why, live; from each the packets themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from app.model.event import Event
from app.model.query import Query, parse_filter
from app.screens.areas.area import Area, bindings
from app.screens.registry import Action
from app.screens.widgets.bars import Bar
from app.screens.widgets.decisionlog import DecisionLog, concerns
from app.screens.widgets.eventlog import EventLog
from app.screens.widgets.lines import line
from app.screens.words import safe

KINDS = ("dhcp.", "proxy.")
LOADED = 500
_SILENT = "kind=dhcp.silent"


class DecisionsArea(Area):
    """The log over the whole screen; the line below says all of the decision the cursor is on."""

    area = "decisions"
    BINDINGS = bindings("decisions")

    def __init__(self) -> None:
        super().__init__()
        self.log_pane = DecisionLog(lambda event: self.app.session.name_of(event), id="log")
        self.about_bar = Bar(id="about")
        self._loaded = False

    def body(self) -> Iterable[Widget]:
        yield self.log_pane
        yield self.about_bar

    def main(self) -> Widget | None:
        return self.log_pane

    def trail(self) -> tuple[str, ...]:
        return (f"{len(self.log_pane.shown)} of {len(self.log_pane.all)}",)

    async def load(self) -> None:
        # Asked for each time: what the session remembers of all events may not go back to when this was last seen.
        events = self.app.session.client.events
        pages = [await events.list(Query(sort="-id", limit=LOADED), kind=kind) for kind in KINDS]
        found = sorted((event for page in pages for event in page.items), key=lambda event: event.id)
        if self._loaded:
            self.log_pane.add(found)
        else:
            self.log_pane.load(found)
            self._loaded = True
        self.log_pane.add([event for event in self.app.session.events if concerns(event)])
        self._tell()

    def take(self, events: Sequence[Event]) -> None:
        if self._loaded:
            self.log_pane.add([event for event in events if concerns(event)])
            self._tell()

    def refilter(self) -> None:
        self.log_pane.filter(parse_filter(self.sought))
        self._tell()

    def on_decision_log_moved(self) -> None:
        """The cursor is on another."""
        self._tell()
        self.keys.offer(self.actions())

    def _tell(self) -> None:
        event = self.log_pane.current
        if event is None:
            self.about_bar.set(line(""))
            return
        told = (event.interface, event.mac, f"xid {event.data['xid']}" if "xid" in event.data else "")
        where = ", ".join(filter(None, told))
        self.about_bar.set(line((f"  {safe(event.message)}  ", ""), (f"({safe(where)})", "dim")))

    def valid(self, action: Action) -> bool:
        if action.id in ("next_match", "previous_match", "only_matches"):
            return bool(self.log_pane.terms)
        event = self.log_pane.current
        if action.id in ("to_machine", "capture", "this_client"):
            return event is not None and bool(event.mac)
        return event is not None or action.id not in ("open", "this_interface")

    # Actions

    def do_follow(self) -> None:
        """`G`."""
        self.log_pane.follow()
        self._tell()

    def do_pause(self) -> None:
        """`p`."""
        if self.log_pane.following:
            self.log_pane.pause()
        else:
            self.do_follow()

    def do_next_match(self) -> None:
        """`n`."""
        self.app.say(self.log_pane.next_match(1))
        self._tell()

    def do_previous_match(self) -> None:
        """`N`."""
        self.app.say(self.log_pane.next_match(-1))
        self._tell()

    def do_only_matches(self) -> None:
        """`a`."""
        self.log_pane.filter(self.log_pane.terms, only=not self.log_pane.only)

    def do_only_silent(self) -> None:
        """`s`."""
        self._narrow(_SILENT)

    def do_this_client(self) -> None:
        """`o`."""
        if (event := self.log_pane.current) is not None and event.mac:
            self._narrow(f"mac={event.mac}")

    def do_this_interface(self) -> None:
        """`i`."""
        if (event := self.log_pane.current) is not None and event.interface:
            self._narrow(f"interface={event.interface}")

    def _narrow(self, term: str) -> None:
        """Add a term to the filter, or take it away."""
        terms = self.sought.split()
        self.sought = " ".join([one for one in terms if one != term] if term in terms else [*terms, term])

    def do_to_machine(self) -> None:
        """`m`."""
        if (event := self.log_pane.current) is not None and event.mac:
            machine = next((one for one in self.app.session.machines.values() if event.mac in one.macs), None)
            if machine is None:
                self.app.say(f"{event.mac} is no machine we know: it was only heard")
            else:
                self.app.open_machine(str(machine.id))

    async def do_capture(self) -> None:
        """`C`."""
        from app.screens.areas.inspect import write_capture

        if (event := self.log_pane.current) is not None:
            await write_capture(self.app, event.mac)

    def on_event_log_chosen(self, event: EventLog.Chosen) -> None:
        """The packets."""
        self.app.open_exchange(event.event)
