"""The newest boot of each machine: in memory while it happens, read from the event ring when asked for later."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from app.model.event import Event
from app.model.machine import machine_id_for
from app.services.machines.status import Standing

StandingOf = Callable[[Sequence[Event], float], Standing]
"""How the newest boot stands, of a machine's events, oldest first, and the time now."""
Recall = Callable[[uuid.UUID], Sequence[Event]]
"""The newest stored events of a machine, oldest first."""

EVENTS_MAX = 200
BUSY_MAX = 1024
HELD_MAX = 20_000
"""Events of all that are busy together: a thousand booting machines have fewer, made-up ones any number."""
KNOWN_MAX = 50_000
IDLE_MAX = 20_000


def of_machine(event: Event) -> bool:
    """The machine did it, or something was done to it; an entry about it is no sign of life."""
    return not event.kind.startswith(("audit.", "diagnosis."))


@dataclass(slots=True)
class _Track:
    events: deque[Event] = field(default_factory=lambda: deque[Event](maxlen=EVENTS_MAX))
    whole: bool = False
    """The events from before this track began have been read from the ring."""
    boot: Standing | None = None


class Activity:
    """How each machine's boot stands, by its id. Thread-safe; `saw` never reads the disk, `boot` may."""

    def __init__(
        self, standing: StandingOf, recall: Recall, listed: Callable[[uuid.UUID], bool] = lambda _: True
    ) -> None:
        """Of machines that are not `listed` nothing is worked out ahead of being asked for."""
        self._standing = standing
        self._recall = recall
        self._listed = listed
        self._lock = threading.Lock()
        self._busy: OrderedDict[uuid.UUID, _Track] = OrderedDict()
        self._held = 0
        self._idle: OrderedDict[uuid.UUID, tuple[Standing, float]] = OrderedDict()
        self._known: set[uuid.UUID] | None = None

    def knows(self, machines: Iterable[uuid.UUID]) -> None:
        """The ring holds events of these machines alone, so that another's first event is its first."""
        with self._lock:
            self._known = set(machines)

    def saw(self, event: Event) -> None:
        """A new event; those of no machine, and what we say about one ourselves, are left aside."""
        if event.machine is None or not of_machine(event):
            return
        with self._lock:
            track = self._busy.get(event.machine)
            if track is None:
                # A rack that boots for the first time is not looked up in the ring machine by machine.
                # What was heard of a card before its machine was on record is filed under an id of the card's.
                whole = self._is_new(event.machine) and event.machine == machine_id_for(event.mac)
                track = self._busy[event.machine] = _Track(whole=whole)
                self._idle.pop(event.machine, None)
            self._busy.move_to_end(event.machine)
            self._held += len(track.events) < EVENTS_MAX
            track.events.append(event)
            track.boot = None
            while len(self._busy) > BUSY_MAX or self._held > HELD_MAX:
                key, left = self._busy.popitem(last=False)
                self._held -= len(left.events)
                if left.whole and self._listed(key):
                    newest = left.events[-1].time
                    self._rest(key, self._current(left, newest), newest)

    def _is_new(self, machine: uuid.UUID) -> bool:
        if self._known is None or machine in self._known:
            return False
        self._known.add(machine)
        if len(self._known) > KNOWN_MAX:
            self._known = None  # somebody makes machines up
        return True

    def boot(self, machine: uuid.UUID, now: float) -> tuple[Standing, float]:
        """The machine's newest boot and when its newest event was (0: never)."""
        with self._lock:
            track = self._busy.get(machine)
            if track is None and machine in self._idle:
                return self._idle[machine]
            if track is not None and track.whole:
                return self._current(track, now), track.events[-1].time
        earlier = self._recall(machine)
        with self._lock:
            track = self._busy.get(machine)
            if track is None:
                known = self._standing(earlier, now), earlier[-1].time if earlier else 0.0
                self._rest(machine, *known)
                return known
            self._complete(track, earlier)
            return self._current(track, now), track.events[-1].time

    def events(self, machine: uuid.UUID) -> Sequence[Event]:
        """The machine's newest events, oldest first, without what we said about it ourselves."""
        with self._lock:
            track = self._busy.get(machine)
            if track is not None and track.whole:
                return tuple(track.events)
        earlier = self._recall(machine)
        with self._lock:
            track = self._busy.get(machine)
            if track is None:
                return earlier
            self._complete(track, earlier)
            return tuple(track.events)

    def forget(self, machine: uuid.UUID) -> None:
        """Read the ring again at the next call: what belongs to the machine has changed."""
        with self._lock:
            track = self._busy.pop(machine, None)
            self._held -= len(track.events) if track is not None else 0
            self._idle.pop(machine, None)
            if self._known is not None:
                self._known.add(machine)

    def _complete(self, track: _Track, earlier: Sequence[Event]) -> None:
        """Lay what the ring kept before what came since; what came in while it was read is in both."""
        if not track.whole:
            merged = {event.id: event for event in (*earlier, *track.events)}
            self._held -= len(track.events)
            track.events = deque((merged[key] for key in sorted(merged)), maxlen=EVENTS_MAX)
            self._held += len(track.events)
            track.whole = True
            track.boot = None

    def _current(self, track: _Track, now: float) -> Standing:
        if track.boot is None:
            track.boot = self._standing(tuple(track.events), now)
        return track.boot

    def _rest(self, machine: uuid.UUID, boot: Standing, seen: float) -> None:
        self._idle[machine] = (boot, seen)
        if len(self._idle) > IDLE_MAX:
            self._idle.popitem(last=False)
