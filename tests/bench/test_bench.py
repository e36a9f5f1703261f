"""The benchmarks in short: nothing lost, nothing wrong, and the requirements that are met stay met."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.full, pytest.mark.timing, pytest.mark.timeout(900)]

MISSED = frozenset(
    (
        "DORA/s to Kea",
        "DORA/s to dnsmasq",
        "storm of 1000, CPU of a machine to that of the first 100",
    )
)
"""What is not met, or not by every host, as docs/benchmarks.md says."""


@pytest.mark.parametrize("name", ["dhcp", "tftp", "http", "script", "storm", "fuzz"])
def test_what_must_be_met_is(name: str, tmp_path: Path) -> None:
    said: list[str] = []
    verdicts = importlib.import_module(f"tests.bench.{name}").bench(tmp_path, 3, 2.0, said.append)
    lines = [str(verdict) for verdict in verdicts]
    print("", *said, *lines, sep="\n")  # noqa: T201 - the figures, for who reads with pytest -s
    assert not [verdict.note for verdict in verdicts if verdict.note and verdict.what not in MISSED], lines
    missed = [verdict for verdict in verdicts if not verdict.met]
    assert {verdict.what for verdict in missed} <= MISSED, lines
    if missed:
        pytest.xfail("; ".join(map(str, missed)))
