"""The benchmarks: `python -m tests.bench dhcp|tftp|http|script|storm|fuzz|all`, as root (docs/benchmarks.md)."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

NAMES = ("dhcp", "tftp", "http", "script", "storm")
FUZZ = "fuzz"
"""Compares with nobody, and takes long: no part of all."""


def main() -> int:
    """Run what is asked for; 1 when a must is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, FUZZ, "all"))
    parser.add_argument("--rounds", type=int, default=5, help="alternations of ours and the peers")
    parser.add_argument("--quick", action="store_true", help="short runs")
    told = parser.parse_args()
    # On a host that does other things too: for all sides alike.
    if told.name != FUZZ:
        os.nice(-10)
    missed = 0

    def say(line: object) -> None:
        print(line, flush=True)  # noqa: T201 - the figures are this command's output

    for name in NAMES if told.name == "all" else (told.name,):
        bench = importlib.import_module(f"tests.bench.{name}").bench
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as made:
            say(name)
            for verdict in bench(Path(made), told.rounds, 2.0 if told.quick else 5.0, say):
                say(verdict)
                missed += not verdict.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
