"""An engine that is asked to end: at whatever moment, in order and in time; asked again, at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.model.event import Level
from tests import netns
from tests.engine.process import ROOT, STOP_SECONDS, Engine, environment, folder

ENDING = (signal.SIGTERM, signal.SIGINT)


def handled(pid: int, number: signal.Signals = signal.SIGTERM) -> bool:
    """The process has a handler of its own for a signal (SigCgt of proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << (number - 1))


# --- the engine ------------------------------------------------------------------------------------------------------

# From the first instruction of ours to the last step of the start.
MOMENTS: dict[str, Callable[[Engine], bool]] = {
    "its first moment": lambda engine: handled(engine.process.pid),
    "a data directory": lambda engine: engine.data_dir.exists(),
    "a database": lambda engine: (engine.data_dir / "bootcart.db").exists(),
    "an open store": lambda engine: (engine.data_dir / "bootcart.db-open").exists(),
    "a socket": lambda engine: (engine.data_dir / "api.sock").exists(),
}


@pytest.fixture(scope="module")
def alone() -> Iterator[str]:
    with netns.namespace("stop", ipv6=False) as ns:
        yield ns


@pytest.mark.root
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_start_is_ended_at_any_moment(alone: str, moment: str) -> None:
    with folder() as home:
        engine = Engine(alone, home / "data", "--disable", "probe")
        engine.begin()
        netns.until(lambda: MOMENTS[moment](engine), timeout=30, what=moment)
        # Exit code 0, in time, without a traceback, no socket left.
        engine.stop()
        if moment == "a database":
            # The most that can be half-way: it is opened as if nothing had been.
            engine.start()
        engine.close()


@pytest.mark.root
def test_the_next_run_tells_that_one_was_killed(alone: str) -> None:
    with folder() as home:
        engine = Engine(alone, home / "data", "--disable", "probe").start()
        try:
            assert engine.event("engine.started").data["after"] == ""
            engine.kill()
            engine.start()
            again = engine.event("engine.started", match=lambda event: bool(event.data["after"]))
            assert again.message.endswith("; the one before ended: not in order")
            assert again.level is Level.WARNING
            after = engine.newest()
            engine.stop()
            engine.start()
            assert engine.event("engine.started", after=after).data["after"] == ""
        finally:
            engine.close()


# --- the rule itself, on a program that does not end by itself -----------------------------------------------------

STUBBORN = """
import os, sys, threading, time
from app.engine import signals
signals.DRAIN_SECONDS = float(sys.argv[1])
mine = signals.Signals()
mine.install()
# Not by print: the signal may come while the line before is still being written.
mine.hand_to(lambda why: (os.write(1, f"asked {why}\\n".encode()), signals.drain()))
os.write(1, b"here\\n")
lock = threading.Lock()
lock.acquire()
while True:
    lock.acquire(timeout=60)
"""


class Stubborn:
    """A program with the engine's signals that only says that it was asked."""

    def __init__(self, program: str = STUBBORN, drain: float = 60) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(drain)],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == line + "\n"

    def __enter__(self) -> Stubborn:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=STOP_SECONDS)


@pytest.mark.parametrize("first", ENDING)
@pytest.mark.parametrize("second", ENDING)
def test_the_second_signal_ends_it_at_once(first: signal.Signals, second: signal.Signals) -> None:
    with Stubborn() as program:
        program.says("here")
        program.process.send_signal(first)
        program.says(f"asked {first.name}")
        program.process.send_signal(second)

        assert program.process.wait(STOP_SECONDS) == -second


def test_an_end_that_does_not_come_is_made_and_says_where_it_hung() -> None:
    with Stubborn(drain=0.2) as program:
        program.says("here")
        program.process.send_signal(signal.SIGTERM)
        _, said = program.process.communicate(timeout=STOP_SECONDS)

        assert program.process.returncode == 1
        assert "Timeout" in said
        assert 'File "<string>"' in said


SWALLOWED = """
from app.engine.signals import Signals
mine = Signals()
mine.install()
try:
    print("here", flush=True)
    while True:
        input()
except BaseException:
    pass
mine.hand_to(lambda why: print("asked", why, flush=True))
"""


def test_a_signal_that_an_importer_swallowed_is_not_lost() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SWALLOWED],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked SIGTERM\n"

    assert process.returncode == 0
