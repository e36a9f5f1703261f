"""The one line typed into at the bottom: `/` filters, `:` commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from app.screens.enduring import Enduring

Completer = Callable[[str], tuple[str, str]]
"""Gives the line completed, and what to say of the choices."""


class PromptInput(Enduring, Input):
    """An input without a border that completes with Tab and remembers what was typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", show=False),
        Binding("up", "history(-1)", show=False),
        Binding("down", "history(1)", show=False),
        Binding("escape", "leave", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self.complete: Completer | None = None
        self.history: list[str] = []
        self.back = 0

    def action_complete(self) -> None:
        """Complete the last word; show the choices where there are several."""
        if self.complete is not None:
            value, said = self.complete(self.value)
            self.value = value
            self.cursor_position = len(value)
            if said:
                self.post_message(Prompt.Said(said))

    def action_history(self, by: int) -> None:
        """Earlier and later lines."""
        self.back = max(0, min(len(self.history), self.back - by))
        self.value = self.history[-self.back] if self.back else ""
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        """Give up."""
        self.post_message(Prompt.Left())


class Prompt(Enduring, Horizontal):
    """A sign and an input; hidden until it is opened."""

    class Said(Message):
        """Something to tell while typing."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """Esc was pressed."""

    class Entered(Message):
        """Enter was pressed."""

        def __init__(self, sign: str, text: str) -> None:
            super().__init__()
            self.sign = sign
            self.text = text

    class Typed(Message):
        """The text changed."""

        def __init__(self, sign: str, text: str) -> None:
            super().__init__()
            self.sign = sign
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.sign = ""
        self.input = PromptInput()

    def compose(self) -> ComposeResult:
        yield Static("", id="sign", markup=False)
        yield self.input

    @property
    def is_open(self) -> bool:
        """Something is being typed."""
        return bool(self.sign)

    def open(
        self, sign: str, text: str = "", *, history: list[str], complete: Callable[[str], tuple[str, str]] | None
    ) -> None:
        """Show with this sign and text."""
        self.sign = sign
        self.input.history, self.input.back, self.input.complete = history, 0, complete
        with self.prevent(Input.Changed):
            self.input.value = text
        self.input.cursor_position = len(text)
        self.query_one("#sign", Static).update(sign)
        # At once, not with the next look at the style sheets: a widget that is not shown cannot have the focus.
        self.styles.display = "block"
        self.input.focus()

    def close(self) -> None:
        """Hide."""
        self.sign = ""
        self.styles.display = "none"

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass on what is typed."""
        event.stop()
        if self.sign:
            self.post_message(self.Typed(self.sign, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Pass on what was entered."""
        event.stop()
        if event.value.strip() and (not self.input.history or self.input.history[-1] != event.value):
            self.input.history.append(event.value)
        self.post_message(self.Entered(self.sign, event.value))
