"""Errors kept until the operator has seen them: one line with reason and hint, details on request."""

from __future__ import annotations

import dataclasses
import secrets
import time
import traceback
from dataclasses import dataclass

from app.errors import BootcartError
from app.screens.widgets.bars import Bar
from app.screens.widgets.lines import Line
from app.screens.words import fit, safe


@dataclass(frozen=True, slots=True)
class Failure:
    """One error as shown."""

    reason: str
    hint: str = ""
    field: str = ""
    doing: str = ""
    trace: str = ""
    time: float = dataclasses.field(default_factory=time.time)
    id: str = dataclasses.field(default_factory=lambda: "E-" + secrets.token_hex(3))

    @classmethod
    def of(cls, error: BaseException, doing: str = "") -> Failure:
        """From an exception; one that is not ours is a fault of the interface and keeps its trace."""
        if isinstance(error, BootcartError):
            return cls(error.message, error.hint, error.field, doing)
        trace = "".join(traceback.format_exception(error))
        reason = f"the interface failed: {type(error).__name__}: {error}"
        return cls(reason, "the engine goes on, and keeps it (ui.failed)", "", doing, trace)


class Notice(Bar):
    """The line above the keys: good news for a moment, errors until they are acknowledged."""

    def __init__(self) -> None:
        super().__init__(id="notice")
        self.failures: tuple[Failure, ...] = ()
        self.news = ""

    def present(self, failures: tuple[Failure, ...], news: str) -> None:
        """Show the oldest error on two lines, else the news on one, else nothing."""
        changed = bool(failures) != bool(self.failures)
        self.failures, self.news = failures, news
        self.set_class(bool(failures or news), "shown")
        if changed:
            self.styles.height = self.count()
        self.touch()

    def count(self) -> int:
        return 2 if self.failures else 1

    def at(self, index: int, width: int) -> Line:
        if not self.failures:
            return Line(((" " + safe(self.news), "good"),))
        failure = self.failures[0]
        if index == 0:
            more = f" (1 of {len(self.failures)})" if len(self.failures) > 1 else ""
            return Line((("! ERROR", "bad"), (more, "key"), (" " + safe(failure.reason), "warn")))
        tail = "  Enter details  y copy id  Esc ok "
        return Line(((fit("  " + safe(failure.hint), max(10, width - len(tail))), ""), (tail, "key")))
