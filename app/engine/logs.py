"""The engine's log: one line for each record, ready for the journal, each subsystem at its own level."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from app.config import LOG_SUBSYSTEMS, log_levels
from app.engine.outlet import Outlet

LINE_MAX = 16_000
"""Characters; the journal splits a line of more than 48 KiB (journald.conf(5), LineMax)."""

# sd-daemon(3): the priorities of syslog, read by the journal from the head of a line.
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7

# Each names every request it sees; our own events already do.
_TALKATIVE = ("httpx", "httpcore", "uvicorn", "aiohttp", "asyncio", "alembic", "h11", "multipart")


def to_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether `stream` goes to the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    told = environment.get("JOURNAL_STREAM", "")
    if not told:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{status.st_dev}:{status.st_ino}"


def visible(text: str) -> str:
    """`text` on one line: what could move a cursor or forge a line is written as an escape."""
    lines = " | ".join(text.splitlines())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in lines[:LINE_MAX])
    return shown if len(lines) <= LINE_MAX else shown + " …"


class Lines(logging.Formatter):
    """A record on one line: with its priority for the journal, else with the time."""

    def __init__(self, *, journal: bool) -> None:
        head = "" if journal else "%(asctime)s %(levelname)s "
        super().__init__(head + "%(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        text = visible(super().format(record))
        if not self._journal:
            return text
        return f"<{next((p for level, p in _PRIORITIES if record.levelno >= level), _DEBUG)}>{text}"


def apply_levels(text: str) -> None:
    """Set the levels that `text` names, the default for all others; safe while the engine runs. Raises InvalidError."""
    default, named = log_levels(text)
    logging.getLogger().setLevel(default.upper())
    for subsystem, loggers in LOG_SUBSYSTEMS.items():
        level = named.get(subsystem, "")
        for name in loggers:
            logging.getLogger(name).setLevel(level.upper() or logging.NOTSET)


def set_up(text: str, stream: TextIO | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Log to `stream` (standard error) from now on, at the levels `text` names. Raises InvalidError."""
    chosen = sys.stderr if stream is None else stream
    handler = Outlet(chosen)
    handler.setFormatter(Lines(journal=to_journal(chosen, os.environ if environment is None else environment)))
    logging.basicConfig(handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    apply_levels(text)


def drain() -> bool:
    """Wait a moment for what was logged to be written; false where nobody takes it."""
    return all(handler.drain() for handler in logging.getLogger().handlers if isinstance(handler, Outlet))
