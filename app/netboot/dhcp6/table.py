"""Who has which IPv6 address: bindings in memory, soft offers, and the choice of an address (RFC 8415 section 13.1).

A lease counts only after `commit`; until then `pend` keeps its address from everybody else. Offers are never stored.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6, Range6, Subnet6
from app.netboot.offers import Offer, Offers

OFFER_SECONDS = 60.0
OFFERS_MAX = 4096
QUARANTINE_SECONDS = 24 * 3600.0
_DATED = (LeaseState.BOUND, LeaseState.DECLINED)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wants an address: one identity association of one client, and the card it is for where that is known."""

    duid: str
    iaid: int
    mac: str = ""
    known: bool = False
    """Registered or reserved: it may take what strangers were only offered."""

    @property
    def key(self) -> str:
        """What its lease is found by."""
        return f"{self.duid}/{self.iaid}"


class Lease6Table:
    """All IPv6 leases and offers of the engine. Not thread-safe: it belongs to the loop that answers."""

    def __init__(self, leases: Iterable[Lease6] = ()) -> None:
        self._records: dict[int, Lease6] = {}
        self._by_key: dict[str, dict[int, None]] = {}
        self._by_mac: dict[str, dict[int, None]] = {}
        self._pending: dict[int, tuple[str, int]] = {}
        self._offers = Offers(OFFERS_MAX)
        # By subnet: its ranges, and their addresses, the one that is free for longest first.
        self._free: dict[str, tuple[tuple[Range6, ...], OrderedDict[int, None]]] = {}
        self._ended: list[Lease6] = []
        self._exhausted: set[str] = set()
        self._due: list[tuple[float, int]] = []
        self.commit(list(leases))

    def __len__(self) -> int:
        return len(self._records)

    def leases(self) -> Sequence[Lease6]:
        """Every committed lease of any state."""
        return tuple(self._records.values())

    def at(self, address: IPv6Address) -> Lease6 | None:
        """The committed lease of an address, of any state."""
        return self._records.get(int(address))

    def bound(self, holder: Holder, address: IPv6Address, now: float) -> Lease6 | None:
        """The live lease of this address, where this very client holds it."""
        record = self._records.get(int(address))
        return record if record is not None and _live(record, now) and _key(record) == holder.key else None

    def held(self, holder: Holder, now: float) -> list[Lease6]:
        """The live leases of this identity association."""
        found = (self._records[number] for number in self._by_key.get(holder.key, ()))
        return [record for record in found if _live(record, now)]

    # Choosing

    def offer(self, holder: Holder, subnet: Subnet6, now: float, hints: Sequence[IPv6Address] = ()) -> int | None:
        """Choose an address (as a number) and set it aside; None: there is none left.

        What it has or had comes first, then what its machine has under another name (firmware, iPXE and systems make
        DUIDs of their own), what it was offered, what it asks for, and the address that is free for longest.
        """
        self._lapse(now)
        number = next(
            (each for each in self._wanted(holder, hints, now) if self.may_have(holder, subnet, each, now)), None
        )
        if number is None:
            number = self._unused(holder, subnet, now)
        if number is None and holder.known:
            strangers = (each for each, _ in self._offers.yielding(known=True, until=now))
            number = next((each for each in strangers if self._unleased(holder, subnet, each, now)), None)
        if number is not None:
            self._exhausted.discard(subnet.name)
            self._give_back(*self._offers.put(Offer(number, holder.key, holder.known, now + OFFER_SECONDS)))
        return number

    def _wanted(self, holder: Holder, hints: Sequence[IPv6Address], now: float) -> Iterable[int]:
        yield from tuple(self._by_key.get(holder.key, ()))
        for number in tuple(self._by_mac.get(holder.mac, ())) if holder.mac else ():
            # Two associations of one client are two addresses; another client on the same card is its next stage.
            record = self._records[number]
            if record.client_id != holder.duid or not _live(record, now):
                yield number
        offered = self._offers.of(holder.key)
        if offered is not None:
            yield offered.address
        yield from map(int, hints)

    def may_have(self, holder: Holder, subnet: Subnet6, number: int, now: float) -> bool:
        """This client may have this address of this subnet now."""
        if not self._unleased(holder, subnet, number, now):
            return False
        offered = self._offers.at(number)
        return offered is None or offered.key == holder.key or offered.expires <= now

    def _unleased(self, holder: Holder, subnet: Subnet6, number: int, now: float) -> bool:
        """Nobody else has a lease of this address of the subnet, or is about to."""
        if not _within(subnet.ranges, number):
            return False
        pending = self._pending.get(number)
        if pending is not None and pending[0] != holder.key:
            return False
        record = self._records.get(number)
        if record is not None and record.expires > now and record.state in _DATED:
            same_card = bool(holder.mac) and record.mac == holder.mac and record.client_id != holder.duid
            if record.state is LeaseState.DECLINED or not (_key(record) == holder.key or same_card):
                return False
        return True

    def _unused(self, holder: Holder, subnet: Subnet6, now: float) -> int | None:
        ranges, free = self._free.get(subnet.name, ((), OrderedDict[int, None]()))
        if ranges != subnet.ranges:
            numbers = (number for span in subnet.ranges for number in range(int(span.start), int(span.end) + 1))
            free = OrderedDict[int, None].fromkeys(numbers)
            self._free[subnet.name] = (subnet.ranges, free)
        while free:
            number, _ = free.popitem(last=False)
            if number not in self._offers and self.may_have(holder, subnet, number, now):
                return number
        return None

    # Changing

    def pend(self, lease: Lease6) -> None:
        """`lease` is on its way to the disk: nobody else gets its address meanwhile."""
        number = int(lease.address)
        self._pending[number] = (_key(lease), self._pending.get(number, ("", 0))[1] + 1)

    def commit(self, leases: Sequence[Lease6]) -> None:
        """`leases` are durable: they count from now on."""
        for lease in leases:
            number = int(lease.address)
            self._unindex(number)
            self._records[number] = lease
            self._by_key.setdefault(_key(lease), {})[number] = None
            if lease.mac:
                self._by_mac.setdefault(lease.mac, {})[number] = None
            self._unpend(number)
            self._offers.drop(number)
            if lease.state in _DATED:
                heapq.heappush(self._due, (lease.expires, number))
            else:
                self._give_back(number)

    def abandon(self, leases: Sequence[Lease6], now: float) -> None:
        """`leases` could not be stored: what was before still holds."""
        for lease in leases:
            number = int(lease.address)
            self._unpend(number)
            record = self._records.get(number)
            if record is None or not _live(record, now):
                self._give_back(number)

    def forget(self, address: IPv6Address) -> None:
        """The operator deleted a lease: the address is free and nobody's."""
        self._unindex(int(address))
        self._give_back(int(address))

    def withdraw(self, holder: Holder) -> None:
        """The client took another server's offer: ours is off."""
        offered = self._offers.of(holder.key)
        if offered is not None:
            self._offers.drop(offered.address)
            self._give_back(offered.address)

    def lapsed(self, now: float) -> list[Lease6]:
        """The leases that ran out, as they are to be stored; each is returned once."""
        self._lapse(now)
        ended, self._ended = self._ended, []
        return [lease for lease in ended if self._records.get(int(lease.address)) is lease]

    def shift(self, seconds: float, now: float) -> list[Lease6]:
        """The wall clock was set by `seconds`: what is left of each lease stays as it was. Returns the changed leases.

        `now` is the time before the change.
        """
        moved = [
            record.model_copy(update={"expires": record.expires + seconds})
            for record in self._records.values()
            if record.expires > now and record.state in _DATED
        ]
        self._offers.shift(seconds)
        self._due = []
        self.commit(moved)
        return moved

    def first_exhausted(self, subnet: Subnet6) -> bool:
        """Note that a subnet has no address left; true the first time, until it has one again."""
        if subnet.name in self._exhausted:
            return False
        self._exhausted.add(subnet.name)
        return True

    # Inside

    def _lapse(self, now: float) -> None:
        """Let offers and leases run out."""
        self._give_back(*self._offers.lapse(now))
        while self._due and self._due[0][0] <= now:
            expires, number = heapq.heappop(self._due)
            record = self._records.get(number)
            if record is None or record.expires != expires or record.state not in _DATED:
                continue
            if record.state is LeaseState.BOUND:
                ended = record.model_copy(update={"state": LeaseState.EXPIRED})
                self._records[number] = ended
                self._ended.append(ended)
            self._give_back(number)

    def _give_back(self, *numbers: int) -> None:
        for number in numbers:
            for ranges, free in self._free.values():
                if _within(ranges, number):
                    free[number] = None
                    free.move_to_end(number)

    def _unpend(self, number: int) -> None:
        key, count = self._pending.pop(number, ("", 0))
        if count > 1:
            self._pending[number] = (key, count - 1)

    def _unindex(self, number: int) -> None:
        record = self._records.pop(number, None)
        if record is None:
            return
        for index, key in ((self._by_key, _key(record)), (self._by_mac, record.mac)):
            held = index.get(key)
            if held is not None:
                held.pop(number, None)
                if not held:
                    del index[key]


def _within(ranges: Sequence[Range6], number: int) -> bool:
    return any(int(span.start) <= number <= int(span.end) for span in ranges)


def _key(lease: Lease6) -> str:
    return f"{lease.client_id}/{lease.iaid}"


def _live(record: Lease6, now: float) -> bool:
    return record.state is LeaseState.BOUND and record.expires > now
