"""Hears every boot service, sorts what it heard by machine, and finds it again."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from app.clock import Clock
from app.services.recorder.packet import (
    Address,
    Entry,
    Heard,
    HeardDhcp,
    Packet,
    dhcp6_xid,
    dhcp_mac,
    dhcp_type,
    dhcp_xid,
)
from app.services.recorder.recording import Recording, Shelf
from app.services.recorder.summaries import fault

log = logging.getLogger(__name__)

KNOWN_OCTETS, STRANGER_OCTETS = 12 << 20, 3 << 20
"""Memory for the recordings of known machines, and of strangers: a flood of them costs other strangers alone."""
INBOX = 4096
"""Packets that wait to be sorted; more within one turn, and the oldest of them are lost."""
MALFORMED = 64
"""Datagrams kept that were no DHCP messages at all."""
TURN_SECONDS = 0.2
# The clock of leases and the clock of packets may differ a little, and so do an event and its packet.
_NEAR = 2.5
_SLACK = 0.05

ASKS = {
    "dhcp.discover": (1,),
    "dhcp.offer": (1,),
    "proxy.offer": (1,),
    "dhcp.exhausted": (1,),
    "dhcp.request": (3,),
    # Of an INFORM, and of a DISCOVER by a client that takes rapid commit, too.
    "dhcp.ack": (1, 3, 8),
    "dhcp.nak": (3,),
    "dhcp.decline": (4,),
    "dhcp.release": (7,),
    "dhcp.inform": (8,),
}
ANSWERS = {"dhcp.offer": (2,), "proxy.offer": (2,), "dhcp.ack": (5,), "proxy.ack": (5,), "dhcp.nak": (6,)}
"""Message types of what a client asked, and of what was answered, by the kind of event that tells of it."""
_SILENT = frozenset({"dhcp.silent", "dhcp.decline", "dhcp.release", "dhcp.exhausted"})


@dataclass(frozen=True, slots=True)
class Kept:
    """The packets of one boot, oldest first; `omitted` of them lay between and are gone."""

    packets: tuple[Packet, ...]
    omitted: int


class Recorder:
    """Keeps what went over the wire, in memory alone: it ends with the engine.

    `known` tells whether a hardware address is a machine's of ours, `mac_of` whose an address is; both from the
    recorder's own thread.
    """

    def __init__(self, known: Callable[[str], bool], mac_of: Callable[[Address], str], clock: Clock) -> None:
        self._known = known
        self._mac_of = mac_of
        self._clock = clock
        self._inbox: deque[Entry] = deque(maxlen=INBOX)
        self._lock = threading.Lock()
        self._machines = Shelf(KNOWN_OCTETS)
        self._strangers = Shelf(STRANGER_OCTETS)
        self._malformed: deque[HeardDhcp] = deque(maxlen=MALFORMED)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # What services call, in their own threads

    def dhcp(self, port: int) -> Callable[[str, bytes, object], None]:
        """The tap of a DHCP port (app.services.dhcp.tap): keeps its values and returns."""
        now, keep = self._clock.now, self._inbox.append

        def tap(interface: str, octets: bytes, way: object) -> None:
            keep(HeardDhcp(now(), port, interface, octets, way))

        return tap

    def heard(
        self,
        protocol: str,
        incoming: bool,
        octets: bytes | Callable[[], bytes],
        machine: tuple[str, int],
        our: tuple[str, int],
        *,
        skipped: int = 0,
        note: str = "",
        mac: str = "",
        interface: str = "",
    ) -> None:
        """The tap of DHCPv6, TFTP and HTTP: address and port of both ends; see Heard and Packet for the rest.

        `octets` is a call where they are to be made only once somebody looks.
        """
        self._inbox.append(
            Heard(self._clock.now(), protocol, incoming, octets, machine, our, skipped, note, mac, interface)
        )

    # The thread that sorts

    def start(self) -> None:
        """Begin to sort."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sort no more; what was kept can still be read."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2.0)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.wait(TURN_SECONDS):
            try:
                if self._inbox:
                    self.sort()
            except Exception:
                log.exception("what was heard could not be sorted")

    def sort(self) -> None:
        """File what was heard so far."""
        with self._lock:
            for _ in range(len(self._inbox)):
                entry = self._inbox.popleft()
                if isinstance(entry, Heard):
                    key: str | None = entry.mac or self._mac_of(entry.address) or str(entry.address)
                else:
                    key = dhcp_mac(entry.octets)
                if key is not None:
                    self._file(key, entry)
                elif isinstance(entry, HeardDhcp):
                    self._malformed.append(entry)

    def _file(self, key: str, entry: Entry) -> None:
        if key not in self._machines:
            if not self._known(key):
                self._strangers.add(key, entry)
                return
            if (found := self._strangers.take(key)) is not None:
                self._machines.put(key, found)
        self._machines.add(key, entry)

    # What operators ask

    @property
    def size(self) -> int:
        """Octets of memory the recordings take, about."""
        return self._machines.size + self._strangers.size

    def boots(self, macs: Iterable[str], address: Address | None = None) -> tuple[Kept, ...]:
        """The last boots of a machine, oldest first, over all its cards.

        With what came from its address while nobody knew whose that was.
        """
        self.sort()
        keys = [*macs, *([str(address)] if address is not None else [])]
        with self._lock:
            found = [boot for key in keys if (one := self._find(key)) is not None for boot in one.boots]
            found.sort(key=lambda boot: boot.started)
            return tuple(Kept(tuple(entry.packet() for entry in boot), boot.omitted) for boot in found)

    def exchange(self, mac: str, xid: str, kind: str, time: float) -> tuple[Packet | None, Packet | None]:
        """The request and the reply an event of this kind is about; None for what is not kept, or was never sent."""
        self.sort()
        with self._lock:
            found = self._find(mac)
            its = [] if found is None else [*_of(found, xid)]
        asks, answers = ASKS.get(kind), ANSWERS.get(kind)
        asked = [e for e in its if e.incoming and (asks is None or dhcp_type(e.octets) in asks)]
        before = [e for e in asked if e.time <= time + _SLACK]
        request = before[-1] if before else asked[0] if asked else None
        if request is None or kind in _SILENT:
            return (None if request is None else request.packet()), None
        after = [
            e
            for e in its
            if not e.incoming and e.time >= request.time and (not answers or dhcp_type(e.octets) in answers)
        ]
        reply = next(iter(after), None)
        return request.packet(), None if reply is None else reply.packet()

    def exchange6(self, mac: str, xid: str, time: float) -> tuple[Packet | None, Packet | None]:
        """The same of DHCPv6, where each request has a transaction of its own."""
        self.sort()
        with self._lock:
            found = self._find(mac)
            its = [] if found is None else [*_of6(found, xid)]
        before = [e for e in its if e.incoming and e.time <= time + _SLACK]
        if not before:
            return None, None
        reply = next((e for e in its if not e.incoming and e.time >= before[-1].time), None)
        return before[-1].packet(), None if reply is None else reply.packet()

    def malformed(self, time: float) -> Packet | None:
        """The newest datagram that could not be read, as it stood at `time`."""

        def broken(entry: Entry) -> bool:
            if not entry.incoming or abs(entry.time - time) > _NEAR:
                return False
            packet = entry.packet()
            return bool(fault(packet.protocol, packet.octets))

        self.sort()
        with self._lock:
            filed = [
                e for shelf in (self._machines, self._strangers) for one in shelf for boot in one.boots for e in boot
            ]
            near = [e for e in (*self._malformed, *filed) if broken(e)]
        found = [e for e in near if e.time <= time + _SLACK] or near
        return max(found, key=lambda e: e.time).packet() if found else None

    def _find(self, key: str) -> Recording | None:
        return self._machines.get(key) or self._strangers.get(key)


def _of(recording: Recording, xid: str) -> Iterator[HeardDhcp]:
    for boot in recording.boots:
        for entry in boot:
            if isinstance(entry, HeardDhcp) and dhcp_xid(entry.octets) == xid:
                yield entry


def _of6(recording: Recording, xid: str) -> Iterator[Heard]:
    for boot in recording.boots:
        for entry in boot:
            if isinstance(entry, Heard) and entry.protocol == "dhcp6" and dhcp6_xid(entry.packet().octets) == xid:
                yield entry
