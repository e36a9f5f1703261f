"""One-line bars: breadcrumb, footer of keys, choices of a dialog, tabs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from app.screens.registry import Action, key_word
from app.screens.widgets.lines import Line, Lines, Span, line
from app.screens.words import safe


class Bar(Lines, can_focus=False):
    """One line that is set from outside."""

    SCROLLBAR = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.shown = Line()

    def set(self, found: Line) -> None:
        """Show this line."""
        self.shown = found
        self.touch()

    def count(self) -> int:
        return 1

    def at(self, index: int, width: int) -> Line:
        return self.shown


@dataclass(frozen=True, slots=True)
class Chip:
    """A piece of the breadcrumb. The highest `rank` goes first when room is short; `short` is tried before that."""

    text: str
    style: str = ""
    rank: int = 0
    short: str = ""


class Crumbs(Bar):
    """Where we are on the left, how the engine is on the right, on one line at any width."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.left: tuple[Chip, ...] = ()
        self.right: tuple[Chip, ...] = ()

    def chips(self, left: Iterable[Chip], right: Iterable[Chip]) -> None:
        """Show these."""
        self.left, self.right = tuple(left), tuple(right)
        self.touch()

    def at(self, index: int, width: int) -> Line:
        left, right = list(self.left), list(self.right)

        def needed() -> int:
            return sum(cell_len(chip.text) + 2 for chip in (*left, *right))

        while needed() > width and (candidates := [c for c in (*left, *right) if c.short or c.rank]):
            shrinkable = [chip for chip in candidates if chip.short]
            worst = max(shrinkable or candidates, key=lambda chip: chip.rank)
            side = left if worst in left else right
            place = side.index(worst)
            side[place : place + 1] = [Chip(worst.short, worst.style, worst.rank)] if worst.short else []
        spans: list[Span] = []
        for chip in left:
            spans += [(safe(chip.text), chip.style), ("  ", "")]
        tail: list[Span] = []
        for chip in right:
            tail += [("  ", ""), (safe(chip.text), chip.style)]
        used = sum(cell_len(text) for text, _ in spans)
        spans.append((" " * max(0, width - used - sum(cell_len(text) for text, _ in tail)), ""))
        return Line((*spans, *tail))


class KeyBar(Bar):
    """The keys that work here, the most wanted first, as many as fit; quit stays at the right."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.actions: tuple[Action, ...] = ()

    def offer(self, actions: Iterable[Action]) -> None:
        """Offer these."""
        self.actions = tuple(sorted((a for a in actions if a.footer), key=lambda a: -a.footer))
        self.touch()

    def at(self, index: int, width: int) -> Line:
        last = [action for action in self.actions if action.id in ("help", "quit")]
        tail = [(f"{key_word(action.keys[0])} {action.label}") for action in last]
        used = sum(len(text) + 2 for text in tail)
        spans: list[Span] = [(" ", "")]
        room = width - 1 - used
        for action in self.actions:
            if action in last:
                continue
            key, label = key_word(action.keys[0]), action.label
            if room < len(key) + len(label) + 3:
                continue
            spans += [(key, "key"), (f" {label}  ", "")]
            room -= len(key) + len(label) + 3
        spans.append((" " * max(0, room), ""))
        for action in last:
            spans += [(key_word(action.keys[0]), "key"), (f" {action.label}  ", "")]
        return Line(tuple(spans))


class Choices(Lines):
    """Answers on one line, `[ like this ]`; arrows move, Enter takes; the one Enter takes has `>` before it."""

    SCROLLBAR = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up,shift+tab", "move(-1)", show=False),
        Binding("right,down,tab", "move(1)", show=False),
        Binding("enter,space", "take", show=False),
    ]

    class Taken(Message):
        """An answer was taken."""

        def __init__(self, value: str) -> None:
            super().__init__()
            self.value = value

    def __init__(self, choices: Sequence[tuple[str, str, str]], *, at: int = 0, id: str | None = None) -> None:  # noqa: A002
        """`choices` are (key, label, value)."""
        super().__init__(id=id)
        self.choices = tuple(choices)
        self.first = at
        self.place = at

    def count(self) -> int:
        return 1

    def at(self, index: int, width: int) -> Line:
        spans: list[Span] = []
        for place, (key, label, _) in enumerate(self.choices):
            here = place == self.place and self.has_focus
            spans += [
                (">" if here else " ", "key"),
                ("[ ", "cursor" if here else ""),
                (f"{key_word(key)} " if key else "", "cursor" if here else "key"),
                (f"{safe(label)} ]", "cursor" if here else ""),
                (" ", ""),
            ]
        return line(*spans)

    def action_move(self, by: int) -> None:
        """To the next or previous answer; past the ends the focus moves on."""
        place = self.place + by
        if 0 <= place < len(self.choices):
            self.place = place
            self.touch()
        elif by > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    def action_take(self) -> None:
        """Take the answer."""
        self.post_message(self.Taken(self.choices[self.place][2]))

    def on_focus(self) -> None:
        """Show which one."""
        self.touch()

    def on_blur(self) -> None:
        """Show none; whoever comes back begins at the first again, not where they left."""
        self.place = self.first
        self.touch()

    def on_click(self, event: events.Click) -> None:
        """A click takes."""
        x = 0
        for key, label, value in self.choices:
            width = len(key_word(key)) + len(label) + (7 if key else 6)
            if x <= event.x < x + width:
                self.post_message(self.Taken(value))
                return
            x += width
