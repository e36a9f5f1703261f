"""Choosing one of a list, with what each is beside it; what cannot be chosen says why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textual import events
from textual.widget import Widget

from app.screens.dialogs.frame import Dialog
from app.screens.widgets.bars import Bar
from app.screens.widgets.lines import Line, line
from app.screens.widgets.table import Column, Table
from app.screens.words import safe


@dataclass(frozen=True, slots=True)
class Option:
    """One row: its value, a name, what it is, and why it cannot be chosen (empty: it can)."""

    value: str
    name: str
    title: str = ""
    reason: str = ""


class Choose(Dialog[str]):
    """Gives the value of the option chosen; a letter goes to the next name that begins with it."""

    def __init__(self, title: str, options: Sequence[Option], lines: Sequence[Line | str] = (), at: str = "") -> None:
        super().__init__(title, lines)
        self.options = tuple(options)
        self.start = at
        self.table: Table[Option] = Table(
            (
                Column("NAME", lambda o: (o.name, "dim" if o.reason else ""), most=24),
                Column("", lambda o: (f"not now: {o.reason}", "warn") if o.reason else o.title, most=60, grow=True),
            ),
            key=lambda option: option.value or "-",
            id="options",
        )
        self.foot = Bar(id="foot")
        self.foot.shown = line(("Enter chooses  Esc cancels", "dim"))

    def rest(self) -> Iterable[Widget]:
        """The list and how to leave it."""
        yield self.table
        yield self.foot

    def on_mount(self) -> None:
        """Fill."""
        super().on_mount()
        self.table.feed(self.options)
        self.table.styles.height = max(2, min(len(self.options) + 1, self.app.size.height - 6 - len(self.page.lines)))
        self.table.go(self.start or "-")
        self.table.focus()

    def on_key(self, event: events.Key) -> None:
        """First letters."""
        letter = event.character or ""
        if not letter.isalnum():
            return
        names = [option.name for option in self.options]
        places = [*range(self.table.cursor + 1, len(names)), *range(self.table.cursor + 1)]
        for place in places:
            if names[place].lower().lstrip("(").startswith(letter.lower()):
                event.stop()
                self.table.go(self.options[place].value or "-")
                return

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Taken, where it can be."""
        event.stop()
        option = event.item
        if option.reason:
            self.foot.set(line(("! ", "warn"), f"{option.name}: {safe(option.reason)}"))
        else:
            self.dismiss(option.value)
