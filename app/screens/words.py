"""Words and figures as an operator reads them: times, spans, sizes, names made safe to draw."""

from __future__ import annotations

import time
import unicodedata
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from app.model.inert import inert

if TYPE_CHECKING:
    from app.model.machine import Machine
    from app.model.subnet import Range
    from app.model.subnet6 import AnySubnet, Range6

# What a VT's font (CP437) or a serial line is sure to have; anything else is replaced on a console.
CP437 = frozenset("─│┌┐└┘├┤┬┴┼═║░▒▓█▄▀▌▐■√»«·≡±▲▼►◄○•↑↓→←")
_ASCII_FOR = {
    "…": ".", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x", "●": "*", "◐": "*", "✓": "+",
    "⚠": "!", "╭": "+", "╮": "+", "╯": "+", "╰": "+", "▁": "_", "▔": "-", "▊": "|", "▎": "|", "▏": "|",
}  # fmt: skip


def safe(text: object, limit: int = 1000) -> str:
    """`text` as inert text (see app.model.inert): nothing in it can steer a terminal."""
    return inert(str(text)[:limit])


def console_text(text: str) -> str:
    """`text` with every glyph a VT lacks replaced, cell for cell."""
    if text.isascii():
        return text
    mapped = "".join(char if char.isascii() or char in CP437 else _for_console(char) for char in text)
    # What is joined into one glyph falls apart here; the columns after it must not move.
    width = cell_len(text)
    return mapped if cell_len(mapped) == width else set_cell_size(mapped, width)


def _for_console(char: str) -> str:
    width = cell_len(char)
    if width == 1 and (known := _ASCII_FOR.get(char)):
        return known
    bare = unicodedata.normalize("NFKD", char)[0]
    if width == 1 and bare.isascii() and bare.isprintable():
        return bare
    return "?" * width


def fit(text: str, width: int) -> str:
    """`text` cut or padded to exactly `width` cells; `~` ends what was cut."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "~"
    return set_cell_size(text, width)


def clock(when: float) -> str:
    """HH:MM:SS, local time."""
    return time.strftime("%H:%M:%S", time.localtime(when)) if when else "--:--:--"


def stamp(when: float) -> str:
    """Date and time, local."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when)) if when else "-"


def span(seconds: float) -> str:
    """A length of time in at most five characters: `00:12`, `59:59`, `2h`, `3d`."""
    seconds = max(0, int(seconds))
    if seconds < 3600:
        return f"{seconds // 60:02d}:{seconds % 60:02d}"
    if seconds < 86_400:
        return f"{seconds // 3600}h"
    return f"{seconds // 86_400}d"


def age(seconds: float) -> str:
    """A length of time that changes once a minute at most: `<1m`, `5m`, `2h`, `3d`."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return "<1m"
    return f"{seconds // 60}m" if seconds < 3600 else span(seconds)


def long_span(seconds: float) -> str:
    """A length of time in words: `12 s`, `5 min`, `2 h`, `3 d`."""
    seconds = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def delta(seconds: float | None) -> str:
    """Time since the hop before: `+0.12s`, `+12s`, `+3m20`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"+{seconds:.2f}s"
    if seconds < 100:
        return f"+{seconds:.1f}s"
    return f"+{int(seconds) // 60}m{int(seconds) % 60:02d}"


def speed(megabits: int) -> str:
    """Link speed: `1G`, `100M`, `-` where unknown."""
    if not megabits:
        return "-"
    return f"{megabits / 1000:g}G" if megabits >= 1000 else f"{megabits}M"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 machine`, `3 machines`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def ranges(subnet: AnySubnet) -> str:
    """The ranges of a subnet as an operator types them."""
    return ", ".join(span_text(one) for one in subnet.ranges)


def span_text(one: Range | Range6) -> str:
    """A range as an operator types it."""
    return f"{one.start}-{one.end}"


def agent_listens(machine: Machine, now: float) -> bool:
    """Its agent was heard within three heartbeats (ten seconds each)."""
    return bool(machine.heartbeat) and now - machine.heartbeat <= 30
