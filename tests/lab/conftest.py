"""The table of what booted, at the end of a run that booted anything."""

from __future__ import annotations

import pytest

from tests.lab import matrix


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if matrix.ROWS:
        terminalreporter.section("what booted, in seconds")
        for line in matrix.table(matrix.ROWS):
            terminalreporter.write_line(line)
