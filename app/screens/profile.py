"""What kind of terminal we draw on: a capable one, or the console of a crash cart."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

_CONSOLE_TTY = re.compile(r"^/dev/(tty[0-9]+|ttyS[0-9]+|ttyAMA[0-9]+|ttyUSB[0-9]+|hvc[0-9]+|console)$")
_CONSOLE_TERMS = frozenset({"linux", "vt100", "vt102", "vt220", "ansi"})

ADVICE = (
    "Bootcart's full-screen interface needs a terminal that can place its cursor; this one cannot.\n"
    "Use the command line instead, for example:\n"
    "  bootcart machines list\n"
    "  bootcart events watch\n"
    "  bootcart --help\n"
    "or set TERM to what your terminal is (linux, vt100, xterm-256color ...)."
)


@dataclass(frozen=True, slots=True)
class ConsoleProfile:
    """How to draw. A console gets ASCII glyphs, 16 colours, no animation and no mouse."""

    console: bool = False
    reason: str = ""

    @property
    def mouse(self) -> bool:
        """Mouse reports are asked of the terminal; a VT would print them."""
        return not self.console

    @property
    def rule(self) -> str:
        """The character horizontal lines are made of."""
        return "-" if self.console else "─"

    @property
    def thumb(self) -> str:
        """The part of a scroll bar that shows where you are."""
        return "#" if self.console else "█"

    @property
    def track(self) -> str:
        """The rest of a scroll bar."""
        return "|" if self.console else "│"

    def environment(self) -> dict[str, str]:
        """Variables to set before Textual is imported; it reads them once."""
        common = {"TEXTUAL_ANIMATIONS": "none", "TEXTUAL_SMOOTH_SCROLL": "0"}
        if not self.console:
            return common
        return common | {"TEXTUAL_DISABLE_KITTY_KEY": "1", "TEXTUAL_FPS": "10", "TEXTUAL_COLOR_SYSTEM": "standard"}


def detect(
    environment: Mapping[str, str] | None = None, tty: str | None = None, forced: bool | None = None
) -> ConsoleProfile:
    """The profile for this terminal; `forced` is `--console` (true) or `--no-console` (false)."""
    environment = os.environ if environment is None else environment
    if forced is not None:
        return ConsoleProfile(forced, "--console" if forced else "--no-console")
    if tty and _CONSOLE_TTY.match(tty):
        return ConsoleProfile(True, tty)
    term = environment.get("TERM", "")
    if term in _CONSOLE_TERMS or term.split("-")[0] in _CONSOLE_TERMS:
        return ConsoleProfile(True, f"TERM={term}")
    return ConsoleProfile(False, "")


def usable(environment: Mapping[str, str] | None = None) -> bool:
    """A full-screen interface can be drawn here: both ends are terminals and TERM can place a cursor."""
    environment = os.environ if environment is None else environment
    if environment.get("TERM", "dumb") in ("dumb", "unknown", ""):
        return False
    return all(os.isatty(stream) for stream in (0, 1, 2))


def terminal_name() -> str | None:
    """The device standard input is, for example `/dev/tty1`; None where it is none."""
    try:
        return os.ttyname(0)
    except OSError:
        return None
