"""A page of styled lines to read: help, details, scripts, inventories, timelines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType

from app.screens.widgets.lines import EMPTY, Line, Lines, line
from app.screens.words import safe


class TextView(Lines):
    """Shows lines; scrolls with arrows and page keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(1)", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.lines: list[Line] = []

    def show(self, lines: Iterable[Line | str], *, keep: bool = True) -> None:
        """Show these lines; `keep` stays where the reader is."""
        self.lines = [line(safe(one)) if isinstance(one, str) else one for one in lines]
        if not keep:
            self.top = 0
        self.touch()

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return "\n".join("".join(text for text, _ in one.spans) for one in self.lines)

    def count(self) -> int:
        return len(self.lines)

    def at(self, index: int, width: int) -> Line:
        return self.lines[index] if index < len(self.lines) else EMPTY

    def action_scroll(self, by: int) -> None:
        """By lines."""
        self.scroll_lines(by)

    def action_page(self, way: int) -> None:
        """By pages."""
        self.scroll_lines(way * max(1, self.room - 1))

    def action_edge(self, end: int) -> None:
        """To the first or last line."""
        self.top = self.count() if end else 0
        self.touch()


def wrapped(text: str, width: int, style: str = "", indent: int = 0) -> list[Line]:
    """Plain text broken at blanks, continuation lines indented."""
    pad = " " * indent
    found = textwrap.wrap(safe(text), max(8, width), initial_indent=pad, subsequent_indent=pad) or [""]
    return [line((one, style)) for one in found]


def facts(pairs: Iterable[tuple[str, object]], width: int, label: int = 14) -> list[Line]:
    """`name  value` lines; long values go on below themselves; empty values are left out."""
    lines: list[Line] = []
    for name, value in pairs:
        text = safe(value)
        if not text:
            continue
        for number, part in enumerate(textwrap.wrap(text, max(8, width - label - 1)) or [""]):
            lines.append(line(((name if not number else "").ljust(label), "dim"), part))
    return lines
