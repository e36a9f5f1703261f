"""What kind of terminal we draw on: a capable one, or the console of a crash cart."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.model.inert import inert

_CONSOLE_TTY = re.compile(r"^/dev/(tty[0-9]+|ttyS[0-9]+|ttyAMA[0-9]+|ttyUSB[0-9]+|hvc[0-9]+|console)$")
_CONSOLE_TERMS = frozenset({"linux", "vt100", "vt102", "vt220", "ansi"})

COMMAND_LINE = """\
Use the command line instead, for example:
  bootcart machines list
  bootcart events watch
  bootcart --help"""

ADVICE = (
    "Bootcart's full-screen interface needs a terminal that can place its cursor; this one cannot.\n"
    f"{COMMAND_LINE}\n"
    "or set TERM to what your terminal is (linux, vt100, xterm-256color ...)."
)

# What an operator wrote to redirect each stream.
_STREAMS = (
    ("standard input", "comes from", "without `<` and without a pipe before it"),
    ("standard output", "goes to", "without `>` and without a pipe behind it"),
    ("standard error", "goes to", "without `2>`"),
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


def obstacle(environment: Mapping[str, str] | None = None) -> str:
    """Why no full-screen interface can be drawn here, and what to do: a stream that is none, a TERM that cannot."""
    redirected = [stream for stream in range(len(_STREAMS)) if not os.isatty(stream)]
    if redirected:
        said = [f"{_STREAMS[stream][0]} {_STREAMS[stream][1]} {_target(stream)}" for stream in redirected]
        undo = " and ".join(dict.fromkeys(_STREAMS[stream][2] for stream in redirected))
        lines = (
            "Bootcart's full-screen interface needs a terminal on standard input, output and error:",
            *(f"  {each}" for each in said),
            f"Start it {undo}; over ssh with `ssh -t`.",
        )
        return "\n".join((*lines, COMMAND_LINE))
    environment = os.environ if environment is None else environment
    return ADVICE if environment.get("TERM", "dumb") in ("dumb", "unknown", "") else ""


def _target(stream: int) -> str:
    """Where a stream that is no terminal leads: a file by its path, else what kind of thing it is."""
    try:
        name = os.readlink(f"/proc/self/fd/{stream}")
    except OSError:
        return "nowhere: it is closed"
    kind = name.partition(":")[0]
    return inert(name) if name.startswith("/") else f"a {kind}"


def terminal_name() -> str | None:
    """The device standard input is, for example `/dev/tty1`; None where it is none."""
    try:
        return os.ttyname(0)
    except OSError:
        return None
