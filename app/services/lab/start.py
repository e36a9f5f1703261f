"""Starts a lab's keeper and hears from it; ends it again, politely or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from app.errors import BY_CODE, BootcartError
from app.services.lab import reap, state
from app.services.lab.build import write
from app.services.lab.engine import PROGRAM
from app.services.lab.keeper import Keeper, Orders
from app.services.lab.plan import LabPlan
from app.services.lab.process import Process, end, myself

STOP_SECONDS = 20.0
_POLL = 0.05

Say = Callable[[str], None]
Configure = Callable[[LabPlan, Path], None]


@dataclass(slots=True)
class Started:
    """A lab that is up. As a context it is taken down at the end, unless it stays."""

    folder: Path
    state: state.LabState
    say: Say
    child: subprocess.Popen[bytes]
    stays: bool
    _restore: dict[int, Any] = field(default_factory=dict[int, Any])

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.stays:
            finish(self.folder, self.child, self.say)
        elif self.child.stdout is not None:
            self.child.stdout.close()
        for number, handler in self._restore.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def start(plan: LabPlan, accel: str, *, stays: bool, say: Say) -> Started:
    """Make a lab and wait until it is up. Raises what its keeper raised; nothing is left of the lab then.

    Unless it `stays`, the lab ends with this process, however this process ends.
    """
    argv = [sys.executable, "-m", "app", "lab", "keep", plan.name, "--cidr", str(plan.cidr), "--accel", accel]
    argv += ["--machines", ",".join(write(machine.build) for machine in plan.machines)]
    if not stays:
        leash = myself()
        argv += ["--leash", f"{leash.pid}:{leash.started}"]
    restore: dict[int, Any] = {}
    if not stays:
        # The lab must come down by the same path whichever way we are asked to end.
        restore = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if stays else subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A traceback of the keeper belongs before the operator's eyes; one that stays keeps no terminal open.
        stderr=subprocess.DEVNULL if stays else None,
        start_new_session=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(PROGRAM)},
    )
    folder = plan.directory / plan.name
    try:
        _hear(child, say)
        found = state.read(folder)
        if found is None:
            raise BootcartError(f"lab {plan.name} went away as soon as it was up", hint="did somebody take it down?")
        return Started(folder, found, say, child, stays, restore)
    except BaseException:
        finish(folder, child, say)
        raise


def _hear(child: subprocess.Popen[bytes], say: Say) -> None:
    if child.stdout is None:
        raise BootcartError("the lab's keeper has no voice")
    for line in child.stdout:
        try:
            told = cast("dict[str, Any]", json.loads(line))
        except ValueError:
            say(line.decode(errors="replace").rstrip())
            continue
        if "failed" in told:
            raise BY_CODE.get(told["code"], BootcartError)(told["failed"], hint=told["hint"], field=told["field"])
        if told.get("up"):
            return
        say(str(told.get("say", "")))
    raise BootcartError(f"the lab's keeper ended (exit code {child.wait()})", hint="see its words above")


def finish(folder: Path, child: subprocess.Popen[bytes], say: Say) -> None:
    """Take down the lab this process started: by asking; by force on a second Ctrl-C or when it takes too long."""
    if child.stdin is not None:
        child.stdin.close()
    else:
        child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        say("the lab does not go down by itself: by force then")
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
    _remove(folder)


def _remove(folder: Path) -> reap.Reaped | None:
    """Remove what is left of a lab without a keeper; None when nothing is."""
    lock = state.Lock(folder)
    if not state.is_lab(folder) or not lock.take():
        return None
    try:
        return reap.clean(folder, state.read(folder))
    finally:
        lock.release()


def stop(directory: Path, name: str, say: Say) -> None:
    """Take down a lab somebody else started, or what is left of it."""
    folder = directory / name
    found = state.read(folder)
    keeper = found.keeper if found is not None else None
    if keeper is not None:
        # The engine gets its seconds to drain; a keeper that hangs does not get more.
        end([keeper], STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        if _remove(folder) is not None:
            break
        time.sleep(_POLL)
    if folder.exists():
        raise BootcartError(f"lab {name} is being made or taken down by another command", hint="try again in a moment")
    say(f"lab {name} is down")


def keep(plan: LabPlan, accel: str, leash: str, configure: Configure) -> int:
    """Be the keeper: it speaks in JSON lines on standard output; a leash makes standard input its lifeline."""
    # Whoever listened may go; a line that nobody reads must not end the lab.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def tell(**words: object) -> None:
        try:
            sys.stdout.write(json.dumps(words) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    held: Process | None = None
    if leash:
        pid, _, started = leash.partition(":")
        held = Process(int(pid), int(started))
    lifeline = sys.stdin.fileno() if held else None
    orders = Orders(plan, plan.directory, held, lifeline, {"auto": None, "tcg": False, "kvm": True}[accel])
    try:
        Keeper(orders, lambda text: tell(say=text), configure).run(lambda: tell(up=True))
    except BootcartError as error:
        tell(failed=error.message, code=error.code, hint=error.hint, field=error.field)
        return error.exit_code
    return 0
