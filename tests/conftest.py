"""What holds for the whole run: signals, and the table of what booted at its end."""

from __future__ import annotations

import signal
from dataclasses import asdict
from typing import Any

import pytest

from tests.lab import matrix


def pytest_configure() -> None:
    """Programs the tests start can be interrupted, also in a run that a shell put in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes hands what it booted to the one that reports."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["booted"] = [asdict(row) for row in matrix.ROWS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A process is done; one that crashed (`error`) has nothing to hand over."""
    handed: list[dict[str, Any]] = getattr(node, "workeroutput", {}).get("booted", [])
    matrix.ROWS.extend(matrix.Row(**row) for row in handed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    if matrix.ROWS:
        terminalreporter.section("what booted, in seconds")
        for line in matrix.table(matrix.ROWS):
            terminalreporter.write_line(line)
