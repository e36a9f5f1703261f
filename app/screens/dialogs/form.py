"""A form: labelled fields, help and errors beside the field they are about, saved by the engine or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from app.errors import BootcartError, UnreachableError
from app.screens.dialogs.frame import Dialog
from app.screens.dialogs.optionassist import OptionAssist
from app.screens.enduring import Enduring
from app.screens.widgets.bars import Bar, Choices
from app.screens.widgets.lines import Line, Lines, line
from app.screens.words import fit, safe

LABEL = 16


@dataclass(frozen=True, slots=True)
class Field:
    """One input. `choices` make it a pick of words; `fixed` fields are shown, not changed."""

    name: str
    label: str
    help: str = ""
    value: str = ""
    choices: tuple[str, ...] = ()
    fixed: bool = False
    options: bool = False
    """It takes DHCP options: they are completed and explained as they are typed."""


class Pick(Lines):
    """One of a few words: Left and Right, or Space, go through them."""

    SCROLLBAR = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", show=False),
        Binding("right,space", "turn(1)", show=False),
        Binding("enter,down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, choices: Sequence[str], value: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.choices = list(choices) if value in choices or not value else [*choices, value]
        self.place = self.choices.index(value) if value in self.choices else 0

    @property
    def value(self) -> str:
        """The word picked."""
        return self.choices[self.place] if self.choices else ""

    def count(self) -> int:
        return 1

    def at(self, index: int, width: int) -> Line:
        text = f"< {safe(self.value)} >"
        return line((text, "cursor" if self.has_focus else "key"))

    def action_turn(self, by: int) -> None:
        """The next or previous word."""
        self.place = (self.place + by) % max(1, len(self.choices))
        self.touch()
        self.post_message(Input.Changed(Input(), self.value))

    def on_focus(self) -> None:
        """Livelier."""
        self.touch()

    def on_blur(self) -> None:
        """Quieter."""
        self.touch()


class Entry(Enduring, Input):
    """A one-line input; Enter, Up and Down go between the fields."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]


class Row(Enduring, Horizontal):
    """Label, input, and what is to be said about it."""

    def __init__(self, field: Field) -> None:
        super().__init__(classes="row")
        self.field = field
        self.label = Bar()
        self.label.add_class("label")
        self.label.shown = line((fit(field.label, LABEL), ""))
        self.beside = Bar()
        self.beside.add_class("beside")
        self.error = ""
        self.remedy = ""
        """The whole of the error: what is wrong, and what to do."""
        self.bracketed = False
        self.assist = OptionAssist() if field.options else None
        self.input: Entry | Pick | Bar
        if field.fixed:
            self.input = Bar()
            self.input.shown = line((safe(field.value), "dim"))
        elif field.choices:
            self.input = Pick(field.choices, field.value)
        else:
            self.input = Entry(field.value, compact=True, select_on_focus=False, suggester=self.assist)
        self.input.add_class("input")

    def compose(self) -> ComposeResult:
        # Without a background of its own an empty input cannot be seen.
        self.bracketed = self.label.profile.console and isinstance(self.input, Entry)
        if self.bracketed:
            self.label.shown = line(fit(self.field.label, LABEL), ("[", "key"))
            self.beside.shown = line(("]", "key"))
        yield self.label
        yield self.input
        yield self.beside

    @property
    def value(self) -> str:
        """What stands in it."""
        return self.field.value if isinstance(self.input, Bar) else self.input.value.strip()

    @property
    def told(self) -> str:
        """What the line below the fields says of it while it has the focus."""
        if self.remedy or self.error:
            return self.remedy or self.error
        return (self.assist.about(self.value) if self.assist is not None else "") or self.field.help

    def tell(self, *, focused: bool) -> None:
        """Error, or help while it has the focus."""
        end = ("] " if self.bracketed else " ", "key")
        if self.error:
            self.beside.set(line(end, ("! ", "bad"), (safe(self.error), "warn")))
        else:
            self.beside.set(line(end, (safe(self.field.help) if focused else "", "dim")))


Values = Mapping[str, str]


class Form(Dialog[Any]):
    """Fields in a box. `save` is given the texts and gives the object saved; a BootcartError stays in the form."""

    WIDE = True

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        save: Callable[[Values], Awaitable[Any]],
        *,
        lines: Sequence[Line | str] = (),
        verb: str = "Save",
        error: BootcartError | None = None,
    ) -> None:
        super().__init__(title, lines)
        self.rows = [Row(field) for field in fields]
        self.save = save
        self.answers = Choices((("", verb, "save"), ("escape", "Cancel", "")), id="answers")
        self.said = Bar(id="said")
        self.asked_to_leave = False
        self.saving = False
        self.error = error

    def rest(self) -> Iterable[Widget]:
        """Rows, the whole of an error, answers."""
        with VerticalScroll(id="rows", can_focus=False):
            yield from self.rows
        yield self.said
        yield self.answers

    def on_mount(self) -> None:
        """The first field that can be changed has the focus."""
        super().on_mount()
        self.query_one("#rows").styles.height = min(
            len(self.rows), max(3, self.app.size.height - 7 - len(self.page.lines))
        )
        first = next((row for row in self.rows if not row.field.fixed), None)
        (first.input if first else self.answers).focus()
        if self.error is not None:
            self.call_after_refresh(self.blame, self.error)
        if any(row.assist is not None for row in self.rows):
            self.run_worker(self._learn(), exit_on_error=False)

    async def _learn(self) -> None:
        """Which DHCP options there are; without them they are typed as well, unaided."""
        with suppress(BootcartError):
            known = await self.app.session.known_options()
            for row in self.rows:
                if row.assist is not None:
                    row.assist.options = known
            self.on_descendant_focus()

    @property
    def values(self) -> dict[str, str]:
        """Name and text of each field."""
        return {row.field.name: row.value for row in self.rows}

    def on_descendant_focus(self) -> None:
        """Help of the field that has the focus."""
        for row in self.rows:
            row.tell(focused=row.input.has_focus)
        if (row := next((row for row in self.rows if row.input.has_focus), None)) is not None:
            self.said.set(line((safe(row.told), "warn" if row.error else "dim")))
        elif not any(row.error for row in self.rows):
            self.said.set(Line())

    def on_input_changed(self) -> None:
        """What is typed anew is not in error any more."""
        self.asked_to_leave = False
        for row in self.rows:
            if row.input.has_focus and row.error:
                row.error = row.remedy = ""
                row.tell(focused=True)
            if row.input.has_focus and row.assist is not None:
                self.said.set(line((safe(row.told), "dim")))

    def on_choices_taken(self, event: Choices.Taken) -> None:
        """Save or cancel."""
        if event.value == "save":
            if not self.saving:
                self.saving = True
                self.app.flow(self._save(), f"saving: {self.heading}")
        else:
            self.action_cancel()

    async def _save(self) -> None:
        for row in self.rows:
            row.error = row.remedy = ""
            row.tell(focused=row.input.has_focus)
        self.said.set(line(("saving ...", "dim")))
        try:
            saved = await self.save(self.values)
        except UnreachableError as error:
            self.said.set(line(("! ", "bad"), (safe(str(error)), "warn")))
        except BootcartError as error:
            self.blame(error)
        else:
            self.dismiss(saved)
        finally:
            self.saving = False

    def blame(self, error: BootcartError) -> None:
        """Show an error beside its field, and put the focus there."""
        first = error.field.split(".")[0]
        row = next((row for row in self.rows if row.field.name in (error.field, first)), None)
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        if row is not None:
            row.error, row.remedy = error.message, text
            row.tell(focused=True)
            if not row.field.fixed:
                row.input.focus()
        else:
            text = f"{error.field}: {text}" if error.field else text
        self.said.set(line(("! ", "bad"), (safe(text), "warn")))

    def action_cancel(self) -> None:
        """Esc: at once when nothing was changed, else on the second time."""
        changed = any(row.value != row.field.value for row in self.rows if not row.field.choices)
        if changed and not self.asked_to_leave:
            self.asked_to_leave = True
            self.said.set(line(("! ", "warn"), "what you typed is not saved: Esc again drops it"))
            return
        self.dismiss(None)


def listed(text: str) -> list[str]:
    """Words separated by commas or blanks."""
    return [word for word in text.replace(",", " ").split() if word]
