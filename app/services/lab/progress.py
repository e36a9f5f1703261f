"""A boot's progress in lines and, at its end, a table; from timelines, without IO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.model.timeline import Hop, HopState, Timeline
from app.netboot.words import plain

GOALS = ("inventory", "local")
COLUMNS = ("discover", "ack", "loader", "ipxe", "script", "kernel", "initrd", "agent", "inventory")
"""Hops shown in the table; the others pass within milliseconds of these."""


@dataclass(slots=True)
class Watched:
    """What is known of one machine's way to the goal; times are epoch seconds."""

    name: str
    firmware: str
    powered_on: float
    reported: set[tuple[float, str]] = field(default_factory=set[tuple[float, str]])
    ended: dict[str, float] = field(default_factory=dict[str, float])
    """When each hop of the first boot was done."""
    waiting_for: str = ""
    failed: str = ""
    inventory: float | None = None
    asked_local: float | None = None
    local: float | None = None

    def done(self, goal: str) -> bool:
        """It has reached the goal."""
        return (self.local if goal == "local" else self.inventory) is not None

    def lines(self, timeline: Timeline) -> list[str]:
        """What is new since the last look, one line per hop, and remember it."""
        fresh: list[str] = []
        for hop in timeline.hops:
            if hop.state not in (HopState.DONE, HopState.FAILED) or hop.ended is None:
                continue
            key = (hop.ended, hop.name)
            if key in self.reported:
                continue
            self.reported.add(key)
            fresh.append(self._line(hop))
            if self.asked_local is None and hop.state is HopState.DONE:
                self.ended.setdefault(hop.name, hop.ended)
        current = next((hop for hop in timeline.hops if hop.name == timeline.at), None)
        self.waiting_for = self.failed = ""
        if current is not None:
            self.waiting_for = plain(current.waiting_for or current.title)
            self.failed = plain(current.detail or current.title) if current.state is HopState.FAILED else ""
        return fresh

    def _line(self, hop: Hop) -> str:
        since = (hop.ended or 0.0) - self.powered_on
        mark = "FAILED " if hop.state is HopState.FAILED else ""
        return f"{self.name:<10} {since:7.1f} s  {mark}{hop.title:<22} {plain(hop.detail)}".rstrip()

    def result(self, goal: str) -> str:
        """One or a few words for the table."""
        if self.done(goal):
            return "ok"
        if self.failed:
            return f"failed: {self.failed}"
        silent = "its own disk to speak" if self.asked_local is not None else "its firmware to ask for an address"
        return f"timed out waiting for {self.waiting_for or silent}"

    def total(self, goal: str) -> float | None:
        """Seconds from power-on to the goal."""
        end = self.local if goal == "local" else self.inventory
        return None if end is None else end - self.powered_on


def exit_code(watched: Iterable[Watched], goal: str) -> int:
    """0 when all reached the goal, 1 when one failed, 7 when one merely was not there in time."""
    late = [one for one in watched if not one.done(goal)]
    if any(one.failed for one in late):
        return 1
    return 7 if late else 0


def table(watched: Sequence[Watched], goal: str) -> list[str]:
    """The table at the end: seconds each hop took, the first from power-on; the sum; how it ended."""
    hops = (*COLUMNS, "local") if goal == "local" else COLUMNS
    header = ["MACHINE", "FIRMWARE", *(name.upper() for name in hops), "TOTAL", "RESULT"]
    rows: list[list[str]] = []
    for one in watched:
        seconds: dict[str, float] = {}
        before = one.powered_on
        for name in COLUMNS:
            if name in one.ended:
                seconds[name] = one.ended[name] - before
                before = one.ended[name]
        if one.local is not None:
            seconds["local"] = one.local - before
        cells = [_seconds(seconds.get(name)) for name in hops]
        rows.append([one.name, one.firmware, *cells, _seconds(one.total(goal)), one.result(goal)])
    return columns([header, *rows], right=range(2, len(header) - 1))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def columns(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows as lines with aligned columns; those in `right` are flush right."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    flush = set(right)

    def cell(row: Sequence[str], number: int) -> str:
        return row[number].rjust(widths[number]) if number in flush else row[number].ljust(widths[number])

    return ["  ".join(cell(row, number) for number in range(len(widths))).rstrip() for row in rows]
