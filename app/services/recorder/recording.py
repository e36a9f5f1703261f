"""What is kept of whom, and for how long: bounded for each boot, each machine, and in all."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from app.netboot.wire.dhcp6 import Kind
from app.services.recorder.packet import ACK, DISCOVER, Entry, HeardDhcp, dhcp_stage, dhcp_type

BOOTS = 3
"""Boots kept of each machine."""
FIRST, LAST = 160, 48
"""Packets kept of each boot: those it began with, and the newest; what lies between is counted."""
FIRST_OCTETS = 96 << 10
"""No more of the first are kept than this; the newest take over."""
OVERHEAD = 400
"""Octets of memory a packet takes beside its own."""
_HANDOVER = 180.0
# Silence after which a DISCOVER begins another boot (seconds), as in app.netboot.timeline.


class Boot:
    """The packets of one boot."""

    __slots__ = ("_first", "_first_octets", "_last", "last", "omitted", "progressed", "rom", "size", "started")

    def __init__(self, started: float, rom: bool) -> None:
        self.started = self.last = started
        self.rom = rom
        """Firmware asked first; false: iPXE in the card did, or an operating system."""
        self.progressed = False
        """It got beyond asking for an address."""
        self.omitted = 0
        self.size = 0
        self._first: list[Entry] = []
        self._first_octets = 0
        self._last: deque[Entry] = deque()

    def add(self, entry: Entry) -> None:
        """Keep one more; in a long boot an earlier one of the newest gives way."""
        size = entry.size + OVERHEAD
        self.last = entry.time
        self.size += size
        if not self._last and len(self._first) < FIRST and self._first_octets < FIRST_OCTETS:
            self._first.append(entry)
            self._first_octets += size
            return
        self._last.append(entry)
        if len(self._last) > LAST:
            self.size -= self._last.popleft().size + OVERHEAD
            self.omitted += 1

    def __iter__(self) -> Iterator[Entry]:
        yield from self._first
        yield from self._last

    def __len__(self) -> int:
        return len(self._first) + len(self._last)


class Recording:
    """The last boots of one machine, oldest first."""

    __slots__ = ("boots", "size")

    def __init__(self) -> None:
        self.boots: deque[Boot] = deque()
        self.size = OVERHEAD

    def add(self, entry: Entry) -> int:
        """Keep one more; returns by how many octets of memory it grew."""
        before = self.size
        octets, asks, gave = _said(entry)
        if not self.boots or (asks and self._begins(entry.time, dhcp_stage(octets))):
            self.boots.append(Boot(entry.time, dhcp_stage(octets) == "rom"))
            self.size += OVERHEAD
            if len(self.boots) > BOOTS:
                self.size -= self.boots.popleft().size + OVERHEAD
        boot = self.boots[-1]
        self.size -= boot.size
        boot.add(entry)
        self.size += boot.size
        boot.progressed = boot.progressed or gave
        return self.size - before

    def _begins(self, time: float, stage: str) -> bool:
        """Does a DISCOVER begin another boot?"""
        boot = self.boots[-1]
        silent = time - boot.last > _HANDOVER
        if stage == "rom":
            return silent or boot.progressed or not boot.rom
        if stage == "ipxe" and not boot.rom:
            return silent or boot.progressed
        # iPXE asks after the loader it came in, an operating system after both; what was unpacked meanwhile took time.
        return silent


def _said(entry: Entry) -> tuple[bytes, bool, bool]:
    """A DHCP message (else nothing), whether it asks for an address anew, and whether it takes a boot further."""
    if isinstance(entry, HeardDhcp):
        kind = dhcp_type(entry.octets)
        return entry.octets, entry.incoming and kind == DISCOVER, not entry.incoming and kind == ACK
    if entry.protocol != "dhcp6" or not isinstance(entry.told, bytes):
        return b"", False, True
    kind = entry.told[0] if entry.told else 0
    return entry.told, entry.incoming and kind == Kind.SOLICIT, not entry.incoming and kind == Kind.REPLY


class Shelf:
    """Recordings within `limit` octets of memory; whoever was not heard for longest gives way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Recording] = OrderedDict()
        self.size = 0

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Recording | None:
        """What is kept of a machine."""
        return self._kept.get(key)

    def add(self, key: str, entry: Entry) -> None:
        """Keep one more packet of a machine."""
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = Recording()
            self.size += found.size
        else:
            self._kept.move_to_end(key)
        self.size += found.add(entry)
        while self.size > self._limit and len(self._kept) > 1:
            self.size -= self._kept.popitem(last=False)[1].size

    def take(self, key: str) -> Recording | None:
        """Take a machine's recording away."""
        found = self._kept.pop(key, None)
        self.size -= found.size if found is not None else 0
        return found

    def put(self, key: str, recording: Recording) -> None:
        """Keep what another shelf held."""
        self._kept[key] = recording
        self.size += recording.size
