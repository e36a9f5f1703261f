"""A live log of DHCP decisions: who asked what, what was answered, and why."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from textual.message import Message

from app.model.event import Event, Level
from app.screens.widgets.eventlog import LEVELS, EventLog
from app.screens.widgets.lines import Line, Span, line
from app.screens.words import clock, fit, safe

ASKING = {"dhcp.discover": "DISCOVER", "dhcp.request": "REQUEST", "dhcp.inform": "INFORM"}
"""Events that tell what was asked: no decision yet, and shown beside the one that follows."""
ANSWERS = {
    "dhcp.offer": ("OFFER", "good"),
    "dhcp.ack": ("ACK", "good"),
    "dhcp.nak": ("NAK", "warn"),
    "dhcp.silent": ("SILENT", "warn"),
    "dhcp.release": ("-", "dim"),
    "dhcp.decline": ("-", "warn"),
    "dhcp.malformed": ("DROPPED", "bad"),
    "dhcp.exhausted": ("SILENT", "bad"),
    "dhcp.conflict": ("-", "warn"),
    "dhcp.foreign": ("-", "warn"),
    "dhcp.option": ("-", "warn"),
    "proxy.offer": ("OFFER", "good"),
    "proxy.ack": ("ACK", "good"),
}
"""What was answered, and its style."""
_IMPLIED = {
    "dhcp.offer": "DISCOVER",
    "dhcp.ack": "REQUEST",
    "dhcp.nak": "REQUEST",
    "dhcp.release": "RELEASE",
    "dhcp.decline": "DECLINE",
    "dhcp.malformed": "?",
    "dhcp.exhausted": "DISCOVER",
    "proxy.offer": "DISCOVER",
    "proxy.ack": "BOOT",
}
# DHCPv6 has words of its own for the same (RFC 8415 section 7.3).
_WORDS6 = {"DISCOVER": "SOLICIT", "INFORM": "INFO-REQ", "OFFER": "ADVERT", "ACK": "REPLY", "NAK": "REFUSED"}
_REMEMBERED = 1000
_WIDE = 110


def concerns(event: Event) -> bool:
    """The event is about what DHCP was asked or answered."""
    return event.kind in ANSWERS or event.kind in ASKING


def _worded(event: Event, word: str) -> str:
    return _WORDS6.get(word, word) if event.data.get("family") == 6 else word


def why(event: Event) -> str:
    """What was given, or why nothing was."""
    data = event.data
    reason = str(data.get("why", ""))
    if event.kind in ("dhcp.silent", "dhcp.nak", "dhcp.malformed"):
        return safe(reason or event.message)
    if event.kind.rpartition(".")[2] in ("offer", "ack"):
        address = str(data.get("address", ""))
        given = str(data.get("bootfile", ""))
        file = given.rpartition("/")[2] if given else f"no boot file: {reason}" if reason else "no boot file"
        return safe("  ".join(filter(None, (address, file))))
    return safe(event.message)


class DecisionLog(EventLog):
    """One line a decision, the newest last."""

    class Moved(Message):
        """The cursor is on another line."""

    def __init__(self, name_of: Callable[[Event], str], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(name_of, title="decisions", id=id)
        self._asked: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._asks: dict[int, str] = {}

    def load(self, events: Iterable[Event]) -> None:
        super().load(self._decisions(events))

    def add(self, events: Iterable[Event]) -> None:
        last = self.all[-1].id if self.all else 0
        super().add(self._decisions(event for event in events if event.id > last))

    def _decisions(self, events: Iterable[Event]) -> list[Event]:
        """Without what only tells what was asked; that is remembered for the answer."""
        found: list[Event] = []
        for event in events:
            exchange = (event.mac, str(event.data.get("xid", "")))
            if event.kind in ASKING:
                self._asked[exchange] = ASKING[event.kind]
                self._asked.move_to_end(exchange)
                if len(self._asked) > _REMEMBERED:
                    self._asked.popitem(last=False)
            elif event.kind in ANSWERS:
                found.append(event)
                if event.kind == "dhcp.silent" and exchange in self._asked:
                    self._asks[event.id] = self._asked[exchange]
        return found

    def _drop(self, count: int) -> None:
        super()._drop(count)
        self._asks = {event.id: self._asks[event.id] for event in self.all if event.id in self._asks}

    def asked(self, event: Event) -> str:
        """What was asked, as far as it is known."""
        return _worded(event, self._asks.get(event.id) or _IMPLIED.get(event.kind, ""))

    def head(self, width: int) -> tuple[Line, ...]:
        where = f"{'INTERFACE':<11} " if width >= _WIDE else ""
        titles = f"{'TIME':<10} {'MACHINE':<18} {'ASKED':<8} {'ANSWER':<7} {where}WHAT, OR WHY NOT"
        return (*super().head(width), line((fit(titles, width), "head")))

    def at(self, index: int, width: int) -> Line:
        if not self.shown:
            return line(("no decision yet" if not self.terms else "nothing matches", "dim"))
        event = self.shown[index]
        word, style = ANSWERS[event.kind]
        word = _worded(event, word)
        glyph, _ = LEVELS[event.level]
        quiet = event.level is Level.DEBUG
        loud = style if style in ("warn", "bad") and not quiet else ""
        spans: list[Span] = [
            (clock(event.time), "dim"),
            (f" {'!' if loud else glyph} ", loud),
            # Names of machines nobody has named differ in their last letters only: they are never cut.
            (fit(safe(self.name_of(event)), 18) + " ", ""),
            (fit(self.asked(event), 8) + " ", "dim"),
            (fit(word, 7) + " ", "dim" if quiet else style),
        ]
        if width >= _WIDE:
            spans.append((fit(safe(event.interface), 11) + " ", "dim"))
        marked = "match" if self.terms and not self.only and self._hit(index) else ""
        spans.append((why(event), marked or loud or ("dim" if quiet else "")))
        here = index == self.cursor and self.has_focus and not self.following
        return Line(tuple(spans), "cursor" if here else "")

    def action_move(self, by: int) -> None:
        """By lines, and say so."""
        super().action_move(by)
        self.post_message(self.Moved())

    @property
    def current(self) -> Event | None:
        """The one the cursor is on, or the newest."""
        return self.shown[min(self.cursor, len(self.shown) - 1)] if self.shown else None
