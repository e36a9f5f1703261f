"""Processes by pid and start time, so that a recycled pid is never mistaken for ours (proc(5))."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """A process for certain: its pid and when it started, in clock ticks since the host's boot."""

    pid: int
    started: int


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is no such process, or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command in parentheses may hold spaces and parentheses itself; what follows the last one is fixed.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def identify(pid: int) -> Process | None:
    """The running process of this pid, or None."""
    started = start_time(pid)
    return None if started is None else Process(pid, started)


def myself() -> Process:
    """This very process."""
    found = identify(os.getpid())
    if found is None:
        raise ProcessLookupError("/proc does not show this process")
    return found


def alive(process: Process) -> bool:
    """It still runs, and is not another one that got its pid."""
    return start_time(process.pid) == process.started


def send(process: Process, number: signal.Signals) -> bool:
    """Send a signal; False when the process is gone already."""
    if not alive(process):
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_gone(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait until all have ended; those that had not after `seconds`."""
    rest = list(processes)
    deadline = time.monotonic() + seconds
    while True:
        rest = [process for process in rest if alive(process)]
        if not rest or time.monotonic() >= deadline:
            return rest
        time.sleep(_POLL)


def end(processes: Iterable[Process], grace: float) -> int:
    """Ask them to end, wait `grace` seconds, kill what is left; how many were running."""
    running = [process for process in processes if send(process, signal.SIGTERM if grace > 0 else signal.SIGKILL)]
    for process in wait_gone(running, grace) if grace > 0 else ():
        send(process, signal.SIGKILL)
    wait_gone(running, 5.0)
    return len(running)
