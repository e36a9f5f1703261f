"""The way to the first rows: what is put off until they are shown, and what is painted without waiting for a frame."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.screen import Screen

_SOON = 0.005


def hurry() -> None:
    """No collection of garbage for now: imports make objects by the ten thousand and hardly any garbage.

    Looking through them again and again takes a fifth of the time to the first rows.
    """
    gc.disable()


def settle() -> None:
    """Collect garbage from now on; what was imported stays for good and is never looked through again."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def paint(screen: Screen[Any]) -> None:
    """Send what has changed on this screen to the terminal now; nothing else is drawn again.

    Textual would do so with its next frame, on a console (ten frames a second) up to a tenth of a second later.
    """
    if screen.app._batch_count:  # noqa: SLF001
        # Textual is at work on its widgets and would draw nothing.
        screen.set_timer(_SOON, partial(paint, screen))
        return
    # A widget tells its screen that it changed with a message, which has not come yet when it changed just now.
    screen._dirty_widgets.update(screen.query())  # noqa: SLF001 - Textual has no way to paint out of turn
    screen._on_timer_update()  # noqa: SLF001
