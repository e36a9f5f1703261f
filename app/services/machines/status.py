"""What a machine is doing, in one word: a pure function of its newest boot and its agent's heartbeat."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import NamedTuple

from app.model.machine import Machine, MachineState, MachineStatus
from app.model.timeline import Hop, HopState, Timeline

HEARTBEAT_SECONDS = 10.0
FRESH_SECONDS = 3 * HEARTBEAT_SECONDS
STALE_SECONDS = 120.0
# A kernel through a slow card's UNDI driver takes minutes and says nothing meanwhile.
SLOW_SECONDS = 600.0
# An installer says nothing between its first report and its last.
INSTALL_SECONDS = 7200.0
_INSTALLING = ("answer", "installer", "installed")


@dataclass(frozen=True, slots=True)
class Heard:
    """When something was last heard of a machine, in epoch seconds; 0 for never."""

    event: float = 0.0
    heartbeat: float = 0.0


class Halt(NamedTuple):
    """The hop a boot is at, as far as its machine's status tells of it."""

    name: str
    title: str
    state: HopState
    began: float | None
    detail: str
    waiting_for: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How the newest boot stands: what is kept of it for each machine, where its timeline would take 10 kB."""

    started: float | None = None
    complete: bool = False
    last: str = ""
    """The last hop that is done."""
    ended: float = 0.0
    """When the boot last got a hop further."""
    at: Halt | None = None
    """Where it is."""


def standing_of(boot: Timeline) -> Standing:
    """How a boot stands."""
    if boot.started is None:
        return Standing()
    return Standing(
        boot.started,
        boot.complete,
        next((sys.intern(hop.name) for hop in reversed(boot.hops) if hop.state is HopState.DONE), ""),
        max((hop.ended for hop in boot.hops if hop.ended is not None), default=boot.started),
        next((_halt(hop) for hop in boot.hops if hop.name == boot.at), None),
    )


def _halt(hop: Hop) -> Halt:
    title, waiting = sys.intern(hop.title), sys.intern(hop.waiting_for)
    return Halt(sys.intern(hop.name), title, hop.state, hop.began, hop.detail, waiting)


def status_of(machine: Machine, boot: Standing, heard: Heard, now: float, *, never_boot: bool = False) -> MachineStatus:
    """How the machine stands at `now`. `never_boot`: its reservation withholds the boot file."""
    seen = max(heard.event, heard.heartbeat)
    if machine.held or never_boot:
        why = "held by the operator" if machine.held else "its reservation says never to boot it"
        return MachineStatus(state=MachineState.HELD, since=boot.started or machine.created, seen=seen, reason=why)
    beats = heard.heartbeat > 0 and now - heard.heartbeat <= FRESH_SECONDS
    if boot.started is None:
        return _without_boot(machine, heard, seen, beats)
    hop = boot.at
    if hop is not None and hop.state is HopState.FAILED:
        return _failed(machine, hop, seen)
    # A boot younger than the last heartbeat means that the system which sent it is gone.
    if beats and heard.heartbeat >= boot.started:
        return MachineStatus(state=MachineState.READY, hop=boot.last, since=boot.ended, seen=seen)
    if boot.complete or hop is None:
        return _complete(boot, heard, seen, now)
    return _under_way(boot, hop, heard, seen, now)


def _without_boot(machine: Machine, heard: Heard, seen: float, beats: bool) -> MachineStatus:
    if beats:
        return MachineStatus(state=MachineState.READY, since=heard.heartbeat, seen=seen)
    if not machine.registered:
        return MachineStatus(state=MachineState.NEW, since=machine.created, seen=seen)
    why = "its agent is not heard any more" if heard.heartbeat else "it was not seen booting yet"
    return MachineStatus(state=MachineState.OFF, since=heard.heartbeat or machine.created, seen=seen, reason=why)


def _failed(machine: Machine, hop: Halt, seen: float) -> MachineStatus:
    # We stay silent towards a stranger for a reason: that is no fault of the machine.
    stranger = not machine.registered and hop.name in ("offer", "ack")
    return MachineStatus(
        state=MachineState.NEW if stranger else MachineState.FAIL,
        hop=hop.name,
        since=hop.began or seen,
        seen=seen,
        reason=f"{hop.title}: {hop.detail}" if hop.detail else hop.title,
    )


def _complete(boot: Standing, heard: Heard, seen: float, now: float) -> MachineStatus:
    last, ended = boot.last, boot.ended
    if last not in ("agent", "inventory"):
        return MachineStatus(state=MachineState.DONE, hop=last, since=ended, seen=seen)
    if now - ended <= FRESH_SECONDS:
        return MachineStatus(state=MachineState.READY, hop=last, since=ended, seen=seen)
    since = max(heard.heartbeat, ended)
    return MachineStatus(
        state=MachineState.OFF, hop=last, since=since, seen=seen, reason="its agent is not heard any more"
    )


def _under_way(boot: Standing, hop: Halt, heard: Heard, seen: float, now: float) -> MachineStatus:
    since = hop.began or boot.ended
    installing = hop.name in _INSTALLING
    patience = SLOW_SECONDS if installing or hop.state is HopState.ACTIVE else STALE_SECONDS
    patience = INSTALL_SECONDS if hop.name == "installed" else patience
    quiet = now - max(since, heard.event)
    stale = quiet > patience
    return MachineStatus(
        state=MachineState.STALE if stale else MachineState.INSTALL if installing else MachineState.BOOT,
        hop=hop.name,
        waiting_for=hop.waiting_for,
        since=since,
        seen=seen,
        reason=f"nothing heard for {int(quiet) // 60} min at {hop.title}" if stale else "",
    )
