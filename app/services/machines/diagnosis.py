"""Looks for the cause while machines boot: when their events arrive, and when a wait has grown long."""

from __future__ import annotations

import heapq
import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.clock import Clock
from app.model.diagnosis import Diagnosis, Finding, Severity
from app.model.event import Event, EventDraft, Level
from app.model.machine import Machine

log = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0
"""Events come in bursts; one look at their end is enough."""
PAUSE_SECONDS = 0.005
"""After each look: a thousand machines that boot at once wait a few seconds for theirs, DHCP does not wait at all."""
PAUSE_FACTOR = 4
"""And so many times as long as the look took: thousands that are stuck take a fifth of a processor, no more."""
REPLAY_SECONDS = 900.0
"""Machines heard this shortly before the engine started are looked at again."""
RECHECK_SECONDS = 30.0
"""A problem is looked at again this often: a heartbeat, or another machine, may have mended it without an event."""
WAITING_MAX = 10_000
"""Machines that wait for a look; where so many do, strangers are looked at with what they do next."""
OPEN_MAX = 4096
"""Machines of which it is remembered what was found: strangers that make up addresses are without number."""
_TOLD = {
    Severity.PROBLEM: ("diagnosis.found", Level.WARNING),
    Severity.WAIT: ("diagnosis.waiting", Level.INFO),
}
"""What stands on the machine's row, and the event that says so."""
_WATCHED = ("dhcp.", "proxy.", "tftp.", "http.", "agent.", "render.", "machine.assigned", "machine.loader")


class Judge(Protocol):
    """`app.netboot.diagnose.diagnose` over the facts as they are: findings, and when to look again."""

    def __call__(self, machine: Machine, events: Sequence[Event], now: float, /) -> tuple[Sequence[Finding], float]: ...


class Machines(Protocol):
    """The roster, as far as it is needed here."""

    def find(self, key: uuid.UUID) -> Machine | None: ...

    def events(self, key: uuid.UUID) -> Sequence[Event]: ...


@dataclass(frozen=True, slots=True)
class _Open:
    """What was found at a machine, and since when each of its problems is told."""

    findings: tuple[Finding, ...]
    began: Mapping[str, float]


class Diagnoses:
    """What is found about each machine. Its thread sleeps until an event, or a moment a rule named, asks for a look.

    Only machines with something open have such a moment, so its cost follows what is stuck, not what is on record.
    """

    def __init__(self, machines: Machines, judge: Judge, emit: Callable[[EventDraft], None], clock: Clock) -> None:
        self._machines = machines
        self._judge = judge
        self._emit = emit
        self._clock = clock
        self._lock = threading.Condition()
        self._due: dict[uuid.UUID, float] = {}
        self._heap: list[tuple[float, uuid.UUID]] = []
        # The one that was looked at last stands last.
        self._found: OrderedDict[uuid.UUID, _Open] = OrderedDict()
        self._stopping = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, recent: Iterable[Event] = ()) -> None:
        """Begin to look; `recent` are the newest events of the run before."""
        for event in recent:
            if event.time >= self._clock.now() - REPLAY_SECONDS:
                self.observe(event)
        self._thread = threading.Thread(target=self._run, name="diagnosis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        with self._lock:
            self._stopping = True
            self._ended.set()
            self._lock.notify()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def observe(self, event: Event) -> None:
        """An event was stored; returns at once."""
        if event.machine is not None and event.kind.startswith(_WATCHED):
            self._look_at(event.machine, self._clock.monotonic() + SETTLE_SECONDS)

    def changed(self) -> None:
        """Subnets, reservations or machines were changed: what is open may be mended."""
        with self._lock:
            keys = list(self._found)
        for key in keys:
            self._look_at(key, self._clock.monotonic() + SETTLE_SECONDS)

    def problem(self, key: uuid.UUID) -> str:
        """The machine's foremost problem, or wait, in a row of a list; empty when there is none."""
        found = self._found.get(key)
        first = found.findings[0] if found is not None else None
        return first.row if first is not None and first.severity in _TOLD else ""

    def diagnosis(self, machine: Machine) -> Diagnosis:
        """All that is found about a machine, looked at now. Reads the disk."""
        now = self._clock.now()
        findings, _ = self._judge(machine, self._machines.events(machine.id), now)
        return Diagnosis(machine=machine.id, name=machine.name, at=now, findings=tuple(findings))

    # --- the thread -----------------------------------------------------------------------------------------------

    def _look_at(self, key: uuid.UUID, at: float) -> None:
        """Look at a machine at a moment (monotonic), or before."""
        if len(self._due) >= WAITING_MAX and key not in self._due and not self._on_record(key):
            return
        with self._lock:
            if at < self._due.get(key, float("inf")):
                self._due[key] = at
                heapq.heappush(self._heap, (at, key))
                self._lock.notify()

    def _on_record(self, key: uuid.UUID) -> bool:
        machine = self._machines.find(key)
        return machine is not None and machine.registered

    def _next(self) -> uuid.UUID | None:
        """Wait for the next machine to look at; None at the end."""
        with self._lock:
            while not self._stopping:
                now = self._clock.monotonic()
                if not self._heap:
                    self._lock.wait()
                    continue
                at, key = self._heap[0]
                if self._due.get(key) != at:
                    heapq.heappop(self._heap)  # a sooner look has taken its place
                elif at <= now:
                    heapq.heappop(self._heap)
                    del self._due[key]
                    return key
                else:
                    self._lock.wait(at - now)
        return None

    def _run(self) -> None:
        while (key := self._next()) is not None:
            began = time.thread_time()
            try:
                self._look(key)
            except Exception:
                log.exception("machine %s could not be diagnosed", key)
            self._ended.wait(max(PAUSE_SECONDS, PAUSE_FACTOR * (time.thread_time() - began)))

    def _look(self, key: uuid.UUID) -> None:
        machine = self._machines.find(key)
        if machine is None:
            self._keep(key, None)
            return
        now = self._clock.now()
        findings, again = self._judge(machine, self._machines.events(key), now)
        began = self._tell(machine, findings, now)
        self._keep(key, _Open(tuple(findings), began) if findings else None)
        if any(one.severity in _TOLD for one in findings):
            again = min(again, now + RECHECK_SECONDS)
        if again != float("inf"):
            self._look_at(key, self._clock.monotonic() + max(again - now, SETTLE_SECONDS))

    def _keep(self, key: uuid.UUID, found: _Open | None) -> None:
        with self._lock:
            if found is None:
                self._found.pop(key, None)
                return
            self._found[key] = found
            self._found.move_to_end(key)
            while len(self._found) > OPEN_MAX:
                self._found.popitem(last=False)

    def _tell(self, machine: Machine, findings: Sequence[Finding], now: float) -> dict[str, float]:
        """An event for each problem or wait that is new, or over; since when each that is open is told."""
        told = self._found.get(machine.id, _Open((), {}))
        before = {one.id: one for one in told.findings if one.severity in _TOLD}
        after = {one.id: one for one in findings if one.severity in _TOLD}
        for name, one in before.items():
            if name not in after:
                seconds = now - told.began.get(name, now)
                self._say(
                    machine,
                    "diagnosis.cleared",
                    f"{machine.name}: no longer {one.row}",
                    Level.INFO,
                    now,
                    {"rule": name, "seconds": round(seconds, 1)},
                )
        for name, one in after.items():
            if name in before and before[name].severity is one.severity:
                continue
            facts = one.model_dump(mode="json", include={"severity", "seen", "means", "do", "command", "since"})
            facts |= {"rule": name, "events": list(one.events)}
            kind, level = _TOLD[one.severity]
            self._say(machine, kind, f"{machine.name} {name}: {one.seen}; {one.means}", level, now, facts)
        return {name: told.began.get(name, now) for name in after}

    def _say(
        self, machine: Machine, kind: str, message: str, level: Level, now: float, facts: dict[str, object]
    ) -> None:
        self._emit(
            EventDraft(
                time=now,
                kind=kind,
                message=message[:300],
                level=level,
                mac=machine.macs[0] if machine.macs else "",
                machine=machine.id,
                data=facts,
            )
        )
