"""The flight recorder in an engine: what it knows of machines, and what operators read of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.clock import Clock
from app.errors import NotFoundError
from app.model.engine import Interface
from app.model.event import Event
from app.model.machine import Machine
from app.model.packets import Dissection, Exchange, Packet
from app.model.query import Query
from app.services.recorder import Recorder
from app.services.recorder.packet import Address
from app.services.recorder.reader import Reader
from app.store.store import Store
from app.version import VERSION

_DECISIONS = ("dhcp.", "proxy.")
_LOOKED_AT = 500


class Recordings:
    """The recorder and its reader. What is asked of it blocks: call it from a worker thread."""

    def __init__(
        self,
        store: Store,
        mac_of: Callable[[Address], str],
        interfaces: Callable[[], Sequence[Interface]],
        clock: Clock,
    ) -> None:
        self._store = store
        self.recorder = Recorder(self._known, mac_of, clock)
        self._reader = Reader(self.recorder, interfaces, self._decisions, f"Bootcart {VERSION}")

    def start(self) -> None:
        """Begin to sort what is heard."""
        self.recorder.start()

    def stop(self) -> None:
        """End the recorder's thread."""
        self.recorder.stop()

    def packets(self, machine: Machine) -> Sequence[Packet]:
        """What is kept of a machine's boots, oldest first."""
        return self._reader.packets(machine)

    def packet(self, machine: Machine, number: int) -> Dissection:
        """One of them, taken apart. Raises NotFoundError for a number none has."""
        return self._reader.packet(machine, number)

    def capture(self, machine: Machine, boots: int) -> bytes:
        """Its last boots (0: all that is kept) as a pcapng file. Raises NotFoundError where nothing is kept."""
        return self._reader.capture(machine, boots)

    def exchange(self, event: int) -> Exchange:
        """The packets behind an event. Raises NotFoundError for a number no kept event has."""
        kept = self._store.events.list(after=event - 1, before=event + 1, limit=1).items
        found = next((one for one in (*kept, *self._store.events.tail()) if one.id == event), None)
        if found is None:
            raise NotFoundError(f"no event {event} is kept", hint="see: bootcart events list")
        return self._reader.exchange(found)

    def _known(self, mac: str) -> bool:
        directory = self._store.directory
        return directory.machine_by_mac(mac) is not None or bool(directory.reservations_for(mac))

    def _decisions(self, mac: str, since: float) -> Sequence[Event]:
        events = self._store.events
        found = [
            event
            for kind in _DECISIONS
            for event in events.list(Query(limit=_LOOKED_AT), machine=mac, kind=kind).items
            if event.time >= since
        ]
        return sorted(found, key=lambda event: event.id)
