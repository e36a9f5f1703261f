"""The table of what booted, at the end of a run that booted anything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from tests.lab import matrix


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
