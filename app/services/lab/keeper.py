"""The lab's keeper: the one process that makes a lab, stays as long as it does, and takes it down."""

from __future__ import annotations

import itertools
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import BootcartError, InvalidError, TimedOutError
from app.services.lab import account as accounts
from app.services.lab import engine, machine, network, reap, state
from app.services.lab.plan import LabPlan
from app.services.lab.process import Process, identify, myself

READY_SECONDS = 90.0
STOP_GRACE = 7.0
"""Seconds the engine gets to drain: its supervisor waits 6."""

_TICK = 0.1
_SOCKET_PATH_MAX = 107


class Stopped(Exception):
    """Somebody asked for the lab to end."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the keeper is to make. `leash` is the command the lab dies with: it holds the other end of `lifeline`."""

    plan: LabPlan
    directory: Path
    leash: Process | None = None
    lifeline: int | None = None
    kvm: bool | None = None
    """Hardware virtualisation: None takes it where the account may use it."""


class Keeper:
    """Holds the lab's lock, its state file and its child processes."""

    def __init__(self, orders: Orders, say: Callable[[str], None], configure: Callable[[LabPlan, Path], None]) -> None:
        self.orders = orders
        self.plan = orders.plan
        self._say = say
        self._configure = configure
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lifeline = orders.lifeline
        self._account = accounts.choose(os.environ)
        self._kvm = False
        self.folder = orders.directory / self.plan.name
        self.state = state.LabState(self.plan.name, state.STARTING, self.plan.namespaces)

    def run(self, up: Callable[[], None]) -> None:
        """Make the lab, call `up`, keep it until asked to end, take it down.

        Raises BootcartError when it cannot be made, or when its engine ends.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _noted)
        # Python writes the number of each signal here, so that a select sees it whenever it came.
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        _check_paths(self.plan, self.folder)
        self.folder, lock = state.claim(self.orders.directory, self.plan.name)
        try:
            try:
                self._make()
                up()
                while True:
                    self._pause(1.0)
                    self._look()
            except Stopped:
                self._say("taking the lab down")
            finally:
                self._save(phase=state.STOPPING)
                reap.clean(self.folder, self.state, STOP_GRACE)
                for child in self._children.values():
                    child.wait()
        finally:
            lock.release()

    def _save(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # pyright: ignore[reportArgumentType]
        state.write(self.folder, self.state)

    def _pause(self, seconds: float) -> None:
        """Wait; raises Stopped when a signal came or the lifeline ended."""
        watched = [self._wake_out] if self._lifeline is None else [self._wake_out, self._lifeline]
        readable, _, _ = select.select(watched, [], [], seconds)
        # The other end never writes: readable means that it is closed.
        if readable:
            raise Stopped

    def _make(self) -> None:
        places = engine.Places(self.folder / "engine")
        self._set_account()
        # Everything that will exist is on record before it does, so that whoever reaps after a kill finds it.
        self._save(
            keeper=myself(),
            leash=self.orders.leash,
            socket=str(places.socket),
            cidr=str(self.plan.cidr),
            user=self._account.name,
            created=time.time(),
            machines=tuple(machine.describe(self.folder, spec) for spec in self.plan.machines),
        )
        self._pause(0)
        self._say(f"namespaces {self.plan.engine_namespace} and {self.plan.lan_namespace}")
        network.build(self.plan)
        self._pause(0)
        self._start_engine(places)
        self._configure(self.plan, places.socket)
        taps = (f"tap{number}" for number in itertools.count())
        for spec in self.plan.machines:
            self._pause(0)
            machine.prepare(self.folder, spec, self._account)
            mine = list(itertools.islice(taps, len(spec.macs)))
            child, record = machine.power_on(self.folder, self.plan, spec, mine, self._account, kvm=self._kvm)
            self._children[spec.name] = child
            self._save(machines=self.state.with_machine(record).machines)
            self._say(f"{spec.name} is powered on ({spec.mac})")
        self._save(phase=state.UP)

    def _set_account(self) -> None:
        group = accounts.kvm_group() if self.orders.kvm is not False else None
        if self.orders.kvm and group is None:
            hint = "give its group read and write, or leave --accel out"
            raise InvalidError("no unprivileged account may use /dev/kvm", hint=hint, field="accel")
        self._kvm = group is not None
        if group:
            self._account = replace(self._account, groups=(group,))

    def _start_engine(self, places: engine.Places) -> None:
        places.folder.mkdir()
        places.data.mkdir()
        shelter = self.folder / "shelter"
        for folder in (shelter, shelter / "program", shelter / "python"):
            folder.mkdir()
        # What is inside comes first: once the folder is the account's, its content may be a link to anything.
        for path, mode in ((places.data, 0o700), (places.folder, 0o711)):
            path.chmod(mode)
            os.chown(path, self._account.uid, self._account.gid)
        readable = accounts.can_read(self._account, [engine.PROGRAM / "app/__main__.py", Path(sys.executable)])
        program = engine.this_program(readable, shelter)
        self._say(f"engine as {self._account.name} on {self.plan.engine_address}/{self.plan.cidr.prefixlen}")
        child = subprocess.Popen(
            engine.command(self.plan, self._account, program, places),
            env=engine.environment(self.plan, program, places, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
        )
        self._children["engine"] = child
        self._save(engine=identify(child.pid))
        self._wait_ready(child, places)

    def _wait_ready(self, child: subprocess.Popen[bytes], places: engine.Places) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            log = places.log.read_text(errors="replace") if places.log.exists() else ""
            if places.socket.exists() and any("ready" in line for line in log.splitlines()):
                return
            if child.poll() is not None:
                said = child.stderr.read().decode(errors="replace") if child.stderr is not None else ""
                why = _last(log) or _last(said) or child.returncode
                raise BootcartError(f"the lab's engine did not start: {why}", hint=_tail(log))
            if time.monotonic() > deadline:
                why = f"the lab's engine is not ready after {READY_SECONDS:.0f} s: {_last(log)}"
                raise TimedOutError(why, hint=_tail(log))
            self._pause(_TICK)

    def _look(self) -> None:
        """Record machines whose QEMU has ended, and end the lab when its engine has."""
        for name, child in self._children.items():
            if child.poll() is None:
                continue
            if name == "engine":
                raise BootcartError("the lab's engine has ended", hint="start the lab again; see its last words above")
            record = next(one for one in self.state.machines if one.name == name)
            if not record.ended:
                spec = next(one for one in self.plan.machines if one.name == name)
                ended = replace(record, ended=machine.said(machine.files_of(self.folder, spec)))
                self._save(machines=self.state.with_machine(ended).machines)


def _noted(number: int, frame: object) -> None:
    """A handler so that the signal reaches the wake-up file instead of ending us."""


def _check_paths(plan: LabPlan, folder: Path) -> None:
    sockets = [engine.Places(folder / "engine").socket]
    sockets += [machine.files_of(folder, spec).console for spec in plan.machines]
    longest = max(sockets, key=lambda path: len(os.fsencode(path)))
    if len(os.fsencode(longest)) > _SOCKET_PATH_MAX:
        why = f"the socket path {longest} is longer than {_SOCKET_PATH_MAX} bytes"
        raise InvalidError(why, hint="give a shorter BOOTCART_LAB_DIR")


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _tail(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-3:])
