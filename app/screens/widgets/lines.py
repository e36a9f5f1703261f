"""A view of lines that draws each line itself and, when told to look again, repaints only the cells that differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from app.screens.enduring import Enduring, report
from app.screens.profile import ConsoleProfile
from app.screens.words import fit

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

Span = tuple[str, str]
"""Text and the name of its style (`""`: plain)."""

STYLES = ("head", "dim", "key", "busy", "calm", "warn", "bad", "good", "mark", "match", "chip", "lamp")


@dataclass(frozen=True, slots=True)
class Line:
    """What stands on one line; `row` is a style laid over all of it."""

    spans: tuple[Span, ...] = ()
    row: str = ""


def line(*spans: Span | str, row: str = "") -> Line:
    """A line of spans; a bare string is plain."""
    return Line(tuple((one, "") if isinstance(one, str) else one for one in spans), row)


EMPTY = Line()
FAULTY = line(("! this line cannot be drawn", "warn"))


class Lines(Enduring, Widget, can_focus=True):
    """Scrolls by whole lines. Subclasses say `count` and `at`; `head` lines stay on top."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{name}" for name in (*STYLES, "cursor", "blurred")}
    SCROLLBAR: ClassVar[bool] = True

    app: BootcartApp  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.top = 0
        self._painted: dict[int, Line] = {}

    # What subclasses provide

    def count(self) -> int:
        """How many lines there are to scroll through."""
        return 0

    def at(self, index: int, width: int) -> Line:
        """The line with this index."""
        return EMPTY

    def head(self, width: int) -> tuple[Line, ...]:
        """Lines that do not scroll."""
        return ()

    # Geometry

    @property
    def profile(self) -> ConsoleProfile:
        """What kind of terminal this is."""
        return getattr(self.app, "profile", ConsoleProfile())

    @property
    def room(self) -> int:
        """How many scrolling lines are visible."""
        return max(0, self.size.height - len(self.head(self.size.width)))

    def clamp(self) -> None:
        """Keep the view inside what there is."""
        self.top = max(0, min(self.top, self.count() - self.room))

    def scroll_lines(self, by: int) -> None:
        """Move the view by some lines; negative is up."""
        self.top += by
        self.touch()

    def scroll_to_line(self, index: int) -> None:
        """Move the view as little as needed to show this line."""
        if index < self.top:
            self.top = index
        elif index >= self.top + self.room:
            self.top = index - self.room + 1

    # Drawing

    def _line(self, y: int) -> Line:
        try:
            return self._made(y)
        except Exception as error:
            report(self, error, f"drawing {type(self).__name__}")
            return FAULTY

    def _made(self, y: int) -> Line:
        width = self.size.width
        head = self.head(width)
        if y < len(head):
            return head[y]
        row, count, room = y - len(head), self.count(), self.room
        bar = self.SCROLLBAR and count > room
        inner = width - 1 if bar else width
        found = self.at(self.top + row, inner) if self.top + row < count else EMPTY
        if not bar:
            return found
        length = max(1, room * room // count)
        start = 0 if count <= room else round((room - length) * self.top / (count - room))
        glyph = self.profile.thumb if start <= row < start + length else self.profile.track
        return Line((*_cut(found.spans, inner), (glyph, "dim")), found.row)

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        found = self._line(y)
        self._painted[y] = found
        base = self.rich_style
        over = self.get_component_rich_style(f"line--{found.row}", partial=True) if found.row else Style.null()
        segments: list[Segment] = []
        left = self.size.width
        for text, name in found.spans:
            if left <= 0:
                break
            if cell_len(text) > left:
                text = fit(text, left)
            style = base
            if name:
                style += self.get_component_rich_style(f"line--{name}", partial=True)
            segments.append(Segment(text, style + over))
            left -= cell_len(text)
        if left > 0:
            segments.append(Segment(" " * left, base + over))
        return Strip(segments, self.size.width)

    def touch(self) -> None:
        """Look again: repaint the cells that differ from what was painted."""
        self.clamp()
        width = self.size.width
        regions: list[Region] = []
        for y in range(self.size.height):
            new = self._line(y)
            old = self._painted.get(y)
            if old is None:
                regions.append(Region(0, y, width, 1))
            elif old != new:
                start, end = _differing(old, new, width)
                regions.append(Region(start, y, end - start, 1))
        if regions:
            dx, dy = self.gutter.left, self.gutter.top
            self.refresh(*(region.translate((dx, dy)) for region in regions))

    def on_resize(self, event: events.Resize) -> None:
        """Everything is drawn anew at the new size."""
        self._painted.clear()
        self.clamp()
        self.refresh()

    def notify_style_update(self) -> None:
        """A theme or focus change repaints all."""
        self._painted.clear()
        super().notify_style_update()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines at a time."""
        self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines at a time."""
        self.scroll_lines(-3)


def _cut(spans: Iterable[Span], width: int) -> list[Span]:
    """Spans cut and padded to `width` cells."""
    kept: list[Span] = []
    for text, name in spans:
        if width <= 0:
            break
        if cell_len(text) > width:
            text = fit(text, width)
        kept.append((text, name))
        width -= cell_len(text)
    if width > 0:
        kept.append((" " * width, ""))
    return kept


def _cells(found: Line, width: int) -> list[tuple[str, str]]:
    cells: list[tuple[str, str]] = []
    for text, name in found.spans:
        for char in text:
            size = cell_len(char)
            if size:
                cells.append((char, name))
                cells.extend([("", name)] * (size - 1))
    cells = cells[:width]
    return cells + [(" ", "")] * (width - len(cells))


def _differing(old: Line, new: Line, width: int) -> tuple[int, int]:
    """First differing cell and the one after the last."""
    if old.row != new.row:
        return 0, width
    before, after = _cells(old, width), _cells(new, width)
    changed = [x for x in range(width) if before[x] != after[x]]
    if not changed:
        return 0, width
    return changed[0], changed[-1] + 1
