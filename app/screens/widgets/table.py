"""The one table: fed with objects and keys, updated in place, drawn line by line however many rows there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from app.screens.widgets.lines import Line, Lines, Span, line
from app.screens.words import fit, safe

T = TypeVar("T")
Cell = str | Span
MEASURED = 150
"""Rows looked at when column widths are chosen: so many at the start, at the end and spread between."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column: its title, how to make a cell, and how much room it wants.

    A column with a high `rank` goes first when the terminal is narrow; rank 0 never goes. `grow` takes what is left.
    """

    title: str
    cell: Callable[[T], Cell]
    least: int = 1
    most: int = 20
    rank: int = 0
    grow: bool = False


class Table(Lines, Generic[T]):
    """Rows with a cursor and, where wanted, marks. The cursor stays on its object, whatever comes and goes."""

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
        """Enter, or a click on the row the cursor is on."""

        def __init__(self, table: Table[Any], item: Any) -> None:
            super().__init__()
            self.table = table
            self.item = item

        @property
        def control(self) -> Table[Any]:
            """The table."""
            return self.table

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: Table[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Table[Any]:
            """The table."""
            return self.table

    def __init__(
        self,
        columns: Sequence[Column[T]],
        key: Callable[[T], str],
        *,
        markable: bool = False,
        empty: str = "nothing here",
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.key = key
        self.markable = markable
        self.empty = empty
        self.told = ""
        """Why there is no row, when it is not for want of objects."""
        self.items: Sequence[T] = ()
        self.keys: list[str] = []
        self.cursor = 0
        self.marks: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._widths: list[int] = []
        self._layout: tuple[int, list[tuple[Column[T], int]]] = (-1, [])

    # Feeding

    def feed(self, items: Sequence[T]) -> None:
        """Show these; rows are told apart by key, the cursor stays on its key."""
        at = self.current_key
        self.items = items
        self.keys = [self.key(item) for item in items]
        self._places = {key: place for place, key in enumerate(self.keys)}
        if at is not None and at in self._places:
            moved = self._places[at] - self.cursor
            self.cursor = self._places[at]
            # The view moves with the row, so that it stays at the same height on the screen.
            if self.top:
                self.top += moved
        self._measure()
        self.cursor = max(0, min(self.cursor, len(items) - 1))
        self.clamp()
        self.scroll_to_line(self.cursor)
        self.touch()

    def replace(self, item: T) -> bool:
        """Put this object in the place of the one with its key; false where there is none."""
        place = self._places.get(self.key(item))
        if place is None:
            return False
        items = list(self.items)
        items[place] = item
        self.feed(items)
        return True

    @property
    def current_key(self) -> str | None:
        """The key under the cursor."""
        return self.keys[self.cursor] if 0 <= self.cursor < len(self.keys) else None

    @property
    def current(self) -> T | None:
        """The object under the cursor."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def go(self, key: str) -> bool:
        """Put the cursor on a key; false where no row has it."""
        if key not in self._places:
            return False
        self._move(self._places[key])
        return True

    # Marks

    def chosen(self) -> list[T]:
        """Marked objects that are shown, in order; without marks the one under the cursor."""
        if self.marks:
            return [item for item, key in zip(self.items, self.keys, strict=True) if key in self.marks]
        return [self.current] if self.current is not None else []

    def mark(self, places: Iterable[int], label: Callable[[T], str], on: bool | None = None) -> None:
        """Mark, unmark or (None) toggle the rows at these places."""
        for place in places:
            key = self.keys[place]
            wanted = key not in self.marks if on is None else on
            if wanted:
                self.marks[key] = label(self.items[place])
            else:
                self.marks.pop(key, None)
        self.touch()

    def hidden_marks(self) -> int:
        """How many marked objects are not among the rows."""
        return sum(1 for key in self.marks if key not in self._places)

    # Columns

    def _measure(self) -> None:
        # Widths only grow, so that columns do not dance while rows come and go.
        widths = list(self._widths) or [max(c.least, len(c.title)) for c in self.columns]
        spread = self.items[:: max(1, len(self.items) // MEASURED)]
        for item in (*self.items[:MEASURED], *spread, *self.items[-MEASURED:]):
            for number, column in enumerate(self.columns):
                if widths[number] < column.most:
                    cell = column.cell(item)
                    text = cell if isinstance(cell, str) else cell[0]
                    widths[number] = min(column.most, max(widths[number], cell_len(safe(text))))
        if widths != self._widths:
            self._layout = (-1, [])
        self._widths = widths

    def _columns(self, width: int) -> list[tuple[Column[T], int]]:
        """Columns that fit and their widths."""
        if self._layout[0] == width and self._layout[1]:
            return self._layout[1]
        widths = self._widths or [max(c.least, len(c.title)) for c in self.columns]
        kept = list(zip(self.columns, widths, strict=True))
        room = width - self.indent

        def needed() -> int:
            return sum(size + 1 for _, size in kept) - 1

        # A column that grows asks for its least only: it takes what is left, and drives no other away.
        kept = [(column, max(column.least, len(column.title)) if column.grow else size) for column, size in kept]
        while needed() > room and (worst := max(kept, key=lambda pair: pair[0].rank))[0].rank:
            kept.remove(worst)
        over = needed() - room
        for number, (column, size) in sorted(enumerate(kept), key=lambda pair: -pair[1][1]):
            # What still does not fit is taken from the widest columns.
            if over <= 0:
                break
            less = min(over, size - max(column.least, 4)) if size > max(column.least, 4) else 0
            kept[number] = (column, size - less)
            over -= less
        left = room - needed()
        growing = [number for number, (column, _) in enumerate(kept) if column.grow]
        if left > 0 and growing:
            column, size = kept[growing[-1]]
            kept[growing[-1]] = (column, size + left)
        self._layout = (width, kept)
        return kept

    @property
    def indent(self) -> int:
        """Cells before the first column: cursor sign, mark."""
        return 4 if self.markable else 2

    # Lines

    def head(self, width: int) -> tuple[Line, ...]:
        titles = " ".join(fit(column.title, size) for column, size in self._columns(width))
        start = "  M " if self.markable else "  "
        return (line((fit(start + titles, width), "head")),)

    def count(self) -> int:
        return max(1, len(self.items))

    def at(self, index: int, width: int) -> Line:
        if not self.items:
            return line(("  " + safe(self.told or self.empty), "dim"))
        item, key = self.items[index], self.keys[index]
        here = index == self.cursor
        spans: list[Span] = [("> " if here else "  ", "key" if here else "")]
        if self.markable:
            spans.append(("* ", "mark") if key in self.marks else ("  ", ""))
        for column, size in self._columns(width):
            cell = column.cell(item)
            text, style = (cell, "") if isinstance(cell, str) else cell
            spans += [(fit(safe(text), size), style), (" ", "")]
        return Line(tuple(spans), ("cursor" if self.has_focus else "blurred") if here else "")

    # Moving

    def _move(self, place: int) -> None:
        place = max(0, min(place, len(self.items) - 1))
        if place != self.cursor:
            self.cursor = place
            self.post_message(self.Moved(self))
        self.scroll_to_line(self.cursor)
        self.touch()

    def action_move(self, by: int) -> None:
        """By rows."""
        self._move(self.cursor + by)

    def action_page(self, way: int) -> None:
        """By pages."""
        self._move(self.cursor + way * max(1, self.room - 1))

    def action_edge(self, end: int) -> None:
        """To the first or last row."""
        self._move(len(self.items) - 1 if end else 0)

    def action_choose(self) -> None:
        """Say that the row was chosen."""
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; one on the cursor's row chooses it."""
        place = self.top + event.y - 1
        if 0 <= place < len(self.items):
            if place == self.cursor and self.has_focus:
                self.action_choose()
            self._move(place)

    def on_focus(self) -> None:
        """The cursor's row looks livelier."""
        self.touch()

    def on_blur(self) -> None:
        """The cursor's row steps back."""
        self.touch()
