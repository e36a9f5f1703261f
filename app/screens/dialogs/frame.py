"""What every dialog is: a box with a title, something to read, and answers of which the safe one has the focus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from app.screens.enduring import Enduring
from app.screens.widgets.bars import Bar, Choices
from app.screens.widgets.lines import Line, line
from app.screens.widgets.text import TextView
from app.screens.words import safe

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

ResultT = TypeVar("ResultT")


class Dialog(Enduring, ModalScreen[ResultT]):
    """A box over the screen; Esc gives `None`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("ctrl+l", "app.redraw", show=False),
    ]
    WIDE = False
    SPARE = 6
    """Rows taken by border, title, answers and the like; the text scrolls in what is left."""

    app: BootcartApp  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, title: str, lines: Iterable[Line | str] = ()) -> None:
        super().__init__()
        self.heading = title
        self.page = TextView(id="body")
        self.page.lines = [line(safe(one)) if isinstance(one, str) else one for one in lines]

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="wide" if self.WIDE else ""):
            title = Bar(id="title")
            title.shown = line((safe(self.heading), "key"))
            yield title
            yield self.page
            yield from self.rest()

    def rest(self) -> Iterable[Widget]:
        """What stands under the text."""
        return ()

    def on_mount(self) -> None:
        """Measure."""
        self._fit()

    def on_resize(self) -> None:
        """Measure again."""
        self._fit()

    def _fit(self) -> None:
        room = max(1, self.app.size.height - self.SPARE)
        self.page.styles.height = min(len(self.page.lines), room)
        self.page.can_focus = len(self.page.lines) > room

    def tell(self, lines: Iterable[Line | str]) -> None:
        """Replace the text."""
        self.page.show(lines)
        self._fit()

    @property
    def width(self) -> int:
        """Cells a line of text has."""
        inner = self.app.size.width if self.WIDE else min(76, self.app.size.width)
        return max(20, inner - 5)

    def action_cancel(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class Ask(Dialog[str]):
    """A question with answers; the first answer is the safe one and has the focus. Gives the answer's value.

    Each answer is (key, label, value). With `typed`, answers other than the first are only taken once that text stands
    in the input: a name or a count, so that a hand that slips cannot confirm.
    """

    def __init__(
        self,
        title: str,
        lines: Sequence[Line | str],
        choices: Sequence[tuple[str, str, str]],
        *,
        typed: str = "",
        what: str = "name",
    ) -> None:
        super().__init__(title, lines)
        self.choices = tuple(choices)
        self.typed = typed
        self.what = what
        self.answers = Choices(self.choices, id="answers")
        self.note = Bar(id="note")
        if typed:
            self.SPARE = 9

    def rest(self) -> Iterable[Widget]:
        """Input where one must type, then the answers."""
        if self.typed:
            yield Bar(id="gap")
            self.note.shown = line(
                f"Type the {self.what} ", (safe(self.typed), "key"), f", then Enter = {safe(self.choices[1][1])}:"
            )
            yield self.note
            yield Input(id="typed", compact=True)
        yield self.answers

    def on_mount(self) -> None:
        """The safe answer has the focus; where one must type, the input."""
        super().on_mount()
        if self.typed:
            self.query_one("#typed").focus()
        else:
            self.answers.focus()

    def on_key(self, event: events.Key) -> None:
        """Letters of the answers."""
        if self.typed and self.focused is not None and self.focused.id == "typed":
            return
        for key, _, value in self.choices:
            if key and key in (event.key, event.character):
                event.stop()
                self._take(value)
                return

    def on_choices_taken(self, event: Choices.Taken) -> None:
        """An answer."""
        self._take(event.value)

    def on_input_submitted(self) -> None:
        """Enter after typing takes the second answer."""
        self._take(self.choices[1][2])

    def _take(self, value: str) -> None:
        if self.typed and value != self.choices[0][2]:
            found = self.query_one("#typed", Input).value.strip()
            if found != self.typed:
                self.note.set(line(("! ", "warn"), "that is not ", (safe(self.typed), "key"), ": nothing was done"))
                return
        self.dismiss(value or None)


class Page(Dialog[None]):
    """Something to read; any of Esc, Enter, q closes."""

    WIDE = True
    SPARE = 5
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,q,question_mark,f1", "cancel", show=False)]

    def __init__(self, title: str, lines: Sequence[Line | str], note: str = "") -> None:
        super().__init__(title, lines)
        self.foot = note or "Esc back  arrows, PgUp, PgDn scroll"

    def rest(self) -> Iterable[Widget]:
        """How to get out."""
        foot = Bar(id="foot")
        foot.shown = line((safe(self.foot), "dim"))
        yield foot

    def on_mount(self) -> None:
        """Scroll keys go to the text."""
        super().on_mount()
        self.page.can_focus = True
        self.page.focus()

    def _fit(self) -> None:
        super()._fit()
        self.page.can_focus = True
