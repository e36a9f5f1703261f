"""The screen in a file, as text or as a picture; and drawing it again on a terminal of unknown size."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_state_path
from textual import events
from textual.geometry import Size

from app.errors import UnavailableError

if TYPE_CHECKING:
    from app.screens.app import BootcartApp


def folder() -> Path:
    """Where shots go: `BOOTCART_SHOTS`, else the user's state directory, else the temporary one."""
    wanted = os.environ.get("BOOTCART_SHOTS")
    place = Path(wanted) if wanted else user_state_path("bootcart")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir())
    return place if os.access(place, os.W_OK) else Path(tempfile.gettempdir())


def write(suffix: str, content: str | bytes, name: str = "bootcart") -> Path:
    """Write into a new file of the folder. Raises UnavailableError where it cannot be written."""
    start = time.strftime(f"{name}-%Y%m%d-%H%M%S")
    octets = content.encode() if isinstance(content, str) else content
    for number in range(100):
        path = folder() / f"{start}{f'-{number}' if number else ''}.{suffix}"
        try:
            # Never over another's file, never through a link left in a shared directory.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(octets)
        except FileExistsError:
            continue
        except OSError as error:
            raise UnavailableError(
                f"the file is not written: {error.strerror} ({path})",
                hint="set BOOTCART_SHOTS to a directory of yours before you open the interface",
            ) from error
        return path
    raise UnavailableError(f"there are a hundred files of this second in {folder()}", hint="try again")


def dump_text(app: BootcartApp) -> Path:
    """The screen's text. Raises UnavailableError where it cannot be written."""
    return write("txt", "\n".join(row.rstrip() for row in app.screen_rows()) + "\n")


def dump_svg(app: BootcartApp) -> Path:
    """The screen as SVG. Raises UnavailableError where it cannot be written."""
    return write("svg", app.export_screenshot(title="Bootcart"))


FARTHEST = "\x1b7\x1b[999;999H\x1b[6n\x1b8"
"""Save the cursor, send it to the last cell, ask where it is (DSR 6, ECMA-48 8.3.35), put it back."""
LARGEST = 1000
"""Columns and rows no terminal has: an answer beyond is none."""


def unsized() -> bool:
    """The system does not know how large the terminal is, as on a serial line."""
    try:
        return 0 in os.get_terminal_size(1)
    except OSError:
        return False


def remeasure(app: BootcartApp) -> None:
    """Ask the system for the size again, and the terminal itself, which alone knows it on a serial line; paint all."""
    if not app.is_headless and app._driver is not None:  # noqa: SLF001 - Textual has no way of its own to ask
        app._driver.write(FARTHEST)  # noqa: SLF001
        app._driver.flush()  # noqa: SLF001
        try:
            width, height = os.get_terminal_size(1)
        except OSError:
            width, height = 0, 0
        if width and height and measured(app, width, height):
            return
    app.refresh(layout=True)
    app.screen.refresh(layout=True)


def measured(app: BootcartApp, width: int, height: int) -> bool:
    """The terminal is this large; true where that was not known, and all is drawn at the new size."""
    size = Size(width, height)
    if size == app.size or not (1 < width <= LARGEST and 1 < height <= LARGEST):
        return False
    app.post_message(events.Resize(size, size))
    return True
