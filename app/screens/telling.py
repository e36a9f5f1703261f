"""What is told to the operator: good news for a moment, errors until they are acknowledged, whoever raised them."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.app import ReturnType as ResultT
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import Worker, WorkerState

from app.errors import BootcartError
from app.screens.areas.area import Area
from app.screens.enduring import Enduring, drawn
from app.screens.failures import Failure
from app.screens.profile import ConsoleProfile

if TYPE_CHECKING:
    from app.screens.session import Session

NEWS = 5
"""Seconds good news stays."""


class TellingApp(Enduring, App[ResultT]):
    """An application with an error line. A part of it that raises is told there, and the rest goes on."""

    profile: ConsoleProfile
    session: Session
    _news_left = 0

    def __init__(self) -> None:
        super().__init__()
        self.failures: deque[Failure] = deque(maxlen=50)
        self.news = ""
        self._kept: set[str] = set()

    @property
    def here(self) -> Area | None:
        """The area that is seen, a dialog over it or not."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Area)), None)

    def chrome(self) -> None:
        """Show what is told, and the rest of the bars."""
        if (area := self.here) is not None:
            area.chrome()

    def say(self, text: str) -> None:
        """Good news, for a moment."""
        self.news, self._news_left = text, NEWS
        self.chrome()

    def forget_news(self) -> None:
        """A second has passed."""
        if self._news_left:
            self._news_left -= 1
            if not self._news_left:
                self.news = ""

    def fail(self, error: BaseException, doing: str = "") -> None:
        """An error, until it is acknowledged; a fault that comes again and again is told once."""
        failure = Failure.of(error, doing)
        if failure.trace and any(one.trace and one.reason == failure.reason for one in self.failures):
            return
        self.failures.append(failure)
        if failure.trace and failure.reason not in self._kept:
            self._kept.add(failure.reason)
            self.call_later(lambda: self.flow(self._keep(failure), "having a fault kept"))
        # Not here and now: it may be the drawing of the bars that failed.
        self.call_later(self.chrome)

    async def _keep(self, failure: Failure) -> None:
        """Have the engine keep a fault of ours, which ends with this terminal otherwise."""
        where = self.here
        told = {
            "id": failure.id,
            "screen": where.area if where is not None else type(self.screen).__name__,
            "doing": failure.doing,
            "error": failure.reason,
            "trace": failure.trace,
        }
        # Without an engine it stands on the error line alone.
        with contextlib.suppress(BootcartError):
            await self.session.client.tell_fault(told)

    def fault(self, error: Exception, doing: str = "") -> None:
        """Something of ours raised: tell it. What cannot be drawn is hidden, or each repaint would raise again."""
        if not any(isinstance(screen, Area) and screen.is_mounted for screen in self._screens_now()):
            # There is nothing yet to tell it on.
            super()._handle_exception(error)
            return
        if (widget := drawn(error)) is not None:
            widget.styles.visibility = "hidden"
            doing = doing or f"drawing {type(widget).__name__}"
        self.fail(error, doing)

    def _screens_now(self) -> list[Screen[Any]]:
        return list(self.screen_stack) if self.is_running and self._screen_stacks[self.current_mode] else []

    def _handle_exception(self, error: Exception) -> None:
        self.fault(error)

    def flow(self, work: Coroutine[Any, Any, Any], doing: str) -> Worker[Any]:
        """Run in the background; what goes wrong is shown, never fatal."""
        return self.run_worker(work, name=doing, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A background task failed."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.fail(event.worker.error, event.worker.name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the error line are only taken while there is one and nothing is being typed or asked."""
        if action == "failure":
            return bool(self.failures) and isinstance(self.screen, Area) and not isinstance(self.focused, Input)
        return True

    def action_failure(self, what: str) -> None:
        """Details, copy id, acknowledge."""
        from app.screens.dialogs.pages import failure_page

        failure = self.failures[0]
        if what == "copy":
            if not self.profile.console:
                self.copy_to_clipboard(failure.id)
            self.say(f"error id {failure.id}" + ("" if self.profile.console else " copied"))
            return
        self.failures.popleft()
        if what == "details":
            self.push_screen(failure_page(failure))
        self.chrome()
