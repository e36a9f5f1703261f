"""The roster: every machine as an operator sees it, on record or only seen on the wire, with its status."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence

from app.clock import Clock
from app.errors import NotFoundError
from app.model.event import Event, EventDraft
from app.model.machine import Machine, machine_id_for
from app.model.timeline import Timeline
from app.netboot.decide import bootenv_of
from app.services.machines.activity import EVENTS_MAX, Activity, of_machine
from app.services.machines.addresses import current_address
from app.services.machines.sightings import KEEP, Sightings, is_netboot
from app.services.machines.status import FRESH_SECONDS, Heard, standing_of, status_of
from app.store.directory import Directory
from app.store.events import EventLog

REBOOT_SECONDS = 300.0
TimelineOf = Callable[[Sequence[Event], float], Timeline]
"""`app.netboot.timeline.timeline`: a machine's events, oldest first, and the time now."""
PasswordOf = Callable[[uuid.UUID, float], str]
"""Root's password on the console of a machine that registered at that time; may be set after the roster is made."""


class Roster:
    """Merges the directory's records with sightings, heartbeats and boots.

    It is fed by `observe`; `replay` once at the start brings back the sightings of the run before. Thread-safe.
    """

    def __init__(self, directory: Directory, events: EventLog, clock: Clock, timeline: TimelineOf) -> None:
        self._directory = directory
        self._events = events
        self._clock = clock
        self._timeline = timeline
        self.password_of: PasswordOf = lambda machine, issued: ""
        self._lock = threading.Lock()
        self._sightings = Sightings()
        self._activity = Activity(
            lambda events, now: standing_of(timeline(events, now)),
            self._recall,
            lambda key: directory.machine(key) is not None,
        )
        self._heartbeats: dict[uuid.UUID, float] = {}
        self._rebooting: dict[uuid.UUID, float] = {}
        self.problem_of: Callable[[uuid.UUID], str] = lambda _: ""
        """A machine's foremost problem in a few words; whoever diagnoses sets it."""
        self.loader_of: Callable[[Machine], str] = lambda _: ""
        """The boot loader it is given instead of the standard one, in words; whoever chooses sets it."""

    def replay(self) -> None:
        """See the newest stored DISCOVERs again, so that machines nobody has named yet are still listed."""
        self._activity.knows(self._events.machines())
        for event in self._events.list(kind="dhcp.discover", limit=KEEP).items:
            if is_netboot(event) and self._directory.machine_by_mac(event.mac) is None:
                self._sightings.saw(event)

    def observe(self, event: Event) -> None:
        """An event was stored; called in the writer thread."""
        self._activity.saw(event)
        if not is_netboot(event):
            return
        if event.machine is not None:
            with self._lock:
                self._rebooting.pop(event.machine, None)
        if self._directory.machine_by_mac(event.mac) is None and self._sightings.saw(event):
            self._events.emit(
                EventDraft(
                    time=event.time,
                    kind="machine.seen",
                    message=f"a machine nobody has named asks to boot: {event.mac}",
                    mac=event.mac,
                    interface=event.interface,
                )
            )

    def known(self) -> Sequence[Machine]:
        """Records, then sightings, without status."""
        directory = self._directory
        strangers = [
            machine
            for machine in self._sightings.all()
            if directory.machine(machine.id) is None and directory.machine_by_mac(machine.macs[0]) is None
        ]
        return (*directory.machines(), *strangers)

    def all(self) -> list[Machine]:
        """Every machine with its status, address and heartbeat as they are now."""
        return [self.seen(machine) for machine in self.known()]

    def seen(self, machine: Machine) -> Machine:
        """One machine with its status, address and heartbeat as they are now."""
        now = self._clock.now()
        boot, newest = self._activity.boot(machine.id, now)
        heard = Heard(event=newest, heartbeat=self.heartbeat(machine))
        kept = [each for mac in machine.macs for each in self._directory.reservations_for(mac)]
        never_boot = any(reservation.never_boot for reservation in kept)
        held = [lease for mac in machine.macs if (lease := self._directory.lease_of(mac)) is not None]
        status = status_of(machine, boot, heard, now, never_boot=never_boot)
        return machine.model_copy(
            update={
                "status": status.model_copy(
                    update={
                        "diagnosis": self.problem_of(machine.id),
                        "boots": self._boots(machine),
                        "loader": self.loader_of(machine),
                    }
                ),
                "address": current_address(machine, held, self._directory),
                "heartbeat": heard.heartbeat,
                "reboot_wanted": machine.reboot_wanted or self._reboots(machine.id),
            }
        )

    def find(self, key: uuid.UUID) -> Machine | None:
        """One machine by its id, with its heartbeat, without status."""
        machine = self._directory.machine(key) or self._sightings.get(key)
        return machine.model_copy(update={"heartbeat": self.heartbeat(machine)}) if machine is not None else None

    def events(self, key: uuid.UUID) -> Sequence[Event]:
        """A machine's newest events, oldest first. May read the disk."""
        return self._activity.events(key)

    def timeline(self, machine: Machine) -> Timeline:
        """The newest boot of a machine, made anew from its stored events. Reads the disk."""
        return self._timeline(self._recall(machine.id), self._clock.now())

    def alive(self, machine: uuid.UUID) -> bool:
        """Its agent heartbeats."""
        record = self._directory.machine(machine)
        return record is not None and self._clock.now() - self.heartbeat(record) <= FRESH_SECONDS

    def heartbeat(self, machine: Machine) -> float:
        """When its agent was last heard, epoch seconds; 0: never."""
        with self._lock:
            return max(self._heartbeats.get(machine.id, 0.0), machine.heartbeat)

    def forget(self, machine: uuid.UUID) -> None:
        """Drop what is remembered of a machine that was deleted, or only seen on the wire."""
        self._sightings.forget([machine])
        self._activity.forget(machine)
        with self._lock:
            self._heartbeats.pop(machine, None)
            self._rebooting.pop(machine, None)

    def revealed(self, machine: Machine) -> Machine:
        """The machine with the password of its console, which is shown to whoever asks for this one machine."""
        if machine.access is None:
            return machine
        password = self.password_of(machine.id, machine.access.issued)
        return machine.model_copy(update={"access": machine.access.model_copy(update={"password": password})})

    # What follows is for the registrar.

    def beat(self, machine: uuid.UUID) -> None:
        """Its agent was heard now."""
        with self._lock:
            self._heartbeats[machine] = self._clock.now()

    def rebooting(self, machine: uuid.UUID) -> None:
        """Its agent was told to reboot it; shown as wanted until the machine appears again."""
        with self._lock:
            self._rebooting[machine] = self._clock.now()

    def registered(self, machine: Machine) -> None:
        """It is on record, under these MACs, and has just come up."""
        ids = {machine_id_for(mac) for mac in machine.macs}
        self._sightings.forget(ids)
        if ids != {machine.id}:
            # Events under its other addresses are its own now.
            self._activity.forget(machine.id)
        with self._lock:
            self._rebooting.pop(machine.id, None)
        self.beat(machine.id)

    def _boots(self, machine: Machine) -> str:
        if machine.bootenv or not machine.macs:
            return machine.bootenv
        return bootenv_of(machine.macs[0], self._directory)[0]

    def _reboots(self, machine: uuid.UUID) -> bool:
        with self._lock:
            told = self._rebooting.get(machine)
        return told is not None and self._clock.now() - told <= REBOOT_SECONDS

    def _recall(self, machine: uuid.UUID) -> Sequence[Event]:
        found = self._events.list(machine=str(machine), limit=EVENTS_MAX).items
        return tuple(event for event in found if of_machine(event))


def record_of(directory: Directory, key: uuid.UUID) -> Machine:
    """The stored machine of this id. Raises NotFoundError."""
    record = directory.machine(key)
    if record is None:
        raise NotFoundError(f"no machine {key}", hint="it was deleted; boot it again to register it")
    return record
