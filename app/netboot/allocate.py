"""Who has which address: leases in memory, soft offers, and the choice of an address (RFC 2131 section 4.3.1).

A lease counts only after `commit`; until then `pend` keeps its address from everybody else. Offers are never stored.
Identity is explained in docs/adr/0002-dhcp-identity.md.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence, Set
from ipaddress import IPv4Address
from itertools import takewhile

from app.model.subnet import Lease, LeaseState, Picker, Subnet
from app.netboot.choice import Choice, Refusal, peer
from app.netboot.clockset import reclocked
from app.netboot.firmware import Firmware
from app.netboot.identity import Client, holds, lease_key, owns, same
from app.netboot.offers import Offer, Offers
from app.netboot.pool import Pool
from app.netboot.quarantine import QUARANTINE_SECONDS, kept_back
from app.netboot.reserved import reservation_of
from app.netboot.view import NetworkView

OFFER_SECONDS = 60.0
OFFERS_MAX = 4096
RECLAIM_SECONDS = 10.0
"""Age at which an offer nobody took gives way where the pool is dry: firmware takes one sooner, and asks for longer."""
# Ways of finding an address that show the pool is not dry.
_FROM_POOL = frozenset({"asked for", "free", "unused for longest"})


class LeaseTable:
    """All leases and offers of the engine. Not thread-safe: it belongs to the loop that answers DHCP."""

    def __init__(
        self, leases: Iterable[Lease] = (), *, offer_seconds: float = OFFER_SECONDS, offers_max: int = OFFERS_MAX
    ) -> None:
        self._offer_seconds = offer_seconds
        self._records: dict[int, Lease] = {}
        self._by_key: dict[str, dict[int, None]] = {}
        self._by_client_id: dict[str, dict[int, None]] = {}
        self._pending: dict[int, tuple[Lease, int]] = {}
        self._offers = Offers(offers_max)
        self._pools: dict[str, Pool] = {}
        self._due: list[tuple[float, int]] = []
        self._lapsed: dict[int, None] = {}
        self._declined: set[int] = set()
        self._exhausted: set[str] = set()
        self.commit(list(leases))

    # Reading

    def trial(self) -> LeaseTable:
        """A table that stands where this one does, to try an exchange on: offers made there are not made here.

        It shares the leases, so it is good until this table changes, and takes no `commit`.
        """
        made = LeaseTable(offer_seconds=self._offer_seconds)
        made._records, made._by_key, made._by_client_id = self._records, self._by_key, self._by_client_id
        made._pending, made._offers = dict(self._pending), self._offers.copy()
        made._pools = {name: pool.copy() for name, pool in self._pools.items()}
        made._lapsed, made._declined = dict(self._lapsed), self._declined
        made._due, made._exhausted = list(self._due), set(self._exhausted)
        return made

    def __len__(self) -> int:
        return len(self._records)

    def leases(self) -> Sequence[Lease]:
        """Every committed lease of any state."""
        return tuple(self._records.values())

    def at(self, address: IPv4Address) -> Lease | None:
        """The committed lease of an address, of any state."""
        return self._records.get(int(address))

    def taken(self, address: IPv4Address, now: float) -> bool:
        """Somebody has a lease of an address, or will once it is on the disk."""
        record = self._records.get(int(address))
        return int(address) in self._pending or (record is not None and _live(record, now))

    def find(self, client: Client, subnet: Subnet, view: NetworkView, now: float) -> Lease | None:
        """The lease this client has or had in a subnet: the live one if any, else the newest; never a declined one."""
        held = [
            record
            for address in self._by_key.get(client.key, ())
            if (record := self._records[address]).address in subnet.cidr and (not client.by_id or same(record, client))
        ]
        if not held and client.client_id:
            held = [
                record
                for address in self._by_client_id.get(client.client_id, ())
                if (record := self._records[address]).address in subnet.cidr and holds(record, client, view)
            ]
        held = [record for record in held if record.state is not LeaseState.DECLINED]
        return max(held, key=lambda record: (_live(record, now), record.expires), default=None)

    def offered(self, client: Client, now: float) -> Offer | None:
        """What this client was offered last, while it stands."""
        self._lapse(now)
        return self._offers.of(client.key)

    def offers(self) -> tuple[int, ...]:
        """The addresses that are set aside."""
        return tuple(self._offers)

    def used(self, subnet: Subnet, now: float) -> tuple[int, int]:
        """How many addresses of a subnet's ranges are leased now, and how many there are."""
        pool = self._pool(subnet, now)
        return sum(1 for address, record in self._records.items() if address in pool and _live(record, now)), pool.size

    def quarantine_seconds(self, subnet: Subnet, address: IPv4Address, now: float) -> float:
        """How long an address that somebody else uses is kept back; 0: not at all."""
        pool = self._pool(subnet, now)
        kept = sum(1 for each in self._declined if each in pool and self._records[each].expires > now)
        return kept_back(kept + 1, pool.size) if int(address) in pool else QUARANTINE_SECONDS

    # Choosing

    def offer(
        self,
        client: Client,
        subnet: Subnet,
        view: NetworkView,
        now: float,
        *,
        hint: IPv4Address | None = None,
        via: IPv4Address | None = None,
        excluded: Set[IPv4Address] = frozenset(),
        xid: int = 0,
        firmware: Firmware | None = None,
    ) -> Choice:
        """Choose an address and set it aside for `client`.

        In this order: its reservation, the address it has or had, what it was offered before; then what the subnet's
        pickers find: what it asks for, one never leased, the one unused for longest, the other end of the link of
        `via`. Where all are set aside, the oldest of the offers that were not taken: for a known machine one of a
        stranger's at once, else one that is RECLAIM_SECONDS old.
        """
        self._lapse(now)
        choice = self._choose(client, subnet, view, now, hint, via, excluded)
        if choice.address is not None:
            until = now + self._offer_seconds
            freed = self._offers.put(Offer(int(choice.address), client.key, client.known, until, xid, firmware))
            self._give_back(*freed)
            if choice.how in _FROM_POOL:
                self._exhausted.discard(subnet.name)
        return choice

    def _choose(
        self,
        client: Client,
        subnet: Subnet,
        view: NetworkView,
        now: float,
        hint: IPv4Address | None,
        via: IPv4Address | None,
        excluded: Set[IPv4Address],
    ) -> Choice:
        candidates: list[tuple[IPv4Address, str]] = []
        reservation = reservation_of(client, subnet, view)
        if reservation is not None:
            candidates.append((reservation.address, "reservation"))
        record = self.find(client, subnet, view, now)
        if record is not None:
            candidates.append((record.address, "lease"))
        offer = self._offers.of(client.key)
        if offer is not None:
            candidates.append((IPv4Address(offer.address), "offer"))
        for address, how in candidates:
            if not self.refusal(client, subnet, view, address, now, excluded=excluded):
                return Choice(address, how)
        if subnet.reservations_only:
            return Choice(None, refusal=Refusal.RESERVATIONS_ONLY)
        pickers = tuple(takewhile(lambda picker: picker is not Picker.NONE, subnet.pickers))
        named = {
            Picker.HINT: (hint, "asked for"),
            Picker.POINT_TO_POINT: (None if via is None else peer(via), "point to point"),
        }
        pool = self._pool(subnet, now)

        def usable(address: int) -> bool:
            if address in self._offers or address in self._pending:
                return False
            return not self.refusal(client, subnet, view, IPv4Address(address), now, excluded=excluded)

        def fresh(address: int) -> bool:
            return address not in self._records and usable(address)

        def picked(picker: Picker) -> Choice | None:
            if picker in named:
                found, how = named[picker]
                if found is None or self.refusal(client, subnet, view, found, now, excluded=excluded):
                    return None
                return Choice(found, how)
            return pool.take(picker, fresh, usable)

        for picker in pickers:
            if (choice := picked(picker)) is not None:
                return choice
        pooled = [picker for picker in pickers if picker not in named]
        if not pooled:
            return Choice(None, refusal=Refusal.NOT_PICKED)
        if pool.lap_is_due(now):
            pool.begin_lap(now, self._ended(now))
            for picker in pooled:
                if (choice := picked(picker)) is not None:
                    return choice
        if client.known and (kept := next(filter(usable, subnet.kept), None)) is not None:
            return Choice(IPv4Address(kept), "kept for machines on record")
        for number, how in self._offers.yielding(client.known, now + self._offer_seconds - RECLAIM_SECONDS):
            address = IPv4Address(number)
            if self.refusal(client, subnet, view, address, now, excluded=excluded) in (Refusal.NONE, Refusal.OFFERED):
                return Choice(address, how)
        return Choice(None, refusal=Refusal.EXHAUSTED)

    def refusal(
        self,
        client: Client,
        subnet: Subnet,
        view: NetworkView,
        address: IPv4Address,
        now: float,
        *,
        excluded: Set[IPv4Address] = frozenset(),
    ) -> Refusal:
        """Why this client may not have this address of this subnet now; falsy when it may."""
        if address not in subnet.cidr:
            return Refusal.WRONG_NETWORK
        owner = view.reservation_at(address)
        if owner is not None and not owns(owner, client):
            return Refusal.RESERVED
        if owner is None:
            if address in excluded or not any(address in span for span in subnet.ranges):
                return Refusal.OUTSIDE
            if subnet.reservations_only:
                return Refusal.RESERVATIONS_ONLY
            if subnet.kept_for_known and not client.known and int(address) in subnet.kept:
                return Refusal.KEPT
        number = int(address)
        pending = self._pending.get(number)
        if pending is not None and not same(pending[0], client):
            return Refusal.OTHERS
        record = self._records.get(number)
        if record is not None and _live(record, now) and not holds(record, client, view):
            return Refusal.OTHERS
        if record is not None and record.state is LeaseState.DECLINED and record.expires > now:
            return Refusal.QUARANTINED
        offer = self._offers.at(number)
        if offer is not None and offer.key != client.key and offer.expires > now and not (client.known > offer.known):
            return Refusal.OFFERED
        return Refusal.NONE

    # Changing

    def pend(self, lease: Lease) -> None:
        """`lease` is on its way to the disk: nobody else gets its address meanwhile."""
        number = int(lease.address)
        self._pending[number] = (lease, self._pending.get(number, (lease, 0))[1] + 1)

    def commit(self, leases: Sequence[Lease]) -> None:
        """`leases` are durable: they count from now on."""
        for lease in leases:
            number = int(lease.address)
            self._unindex(number)
            self._records[number] = lease
            self._by_key.setdefault(lease_key(lease), {})[number] = None
            if lease.client_id:
                self._by_client_id.setdefault(lease.client_id, {})[number] = None
            self._lapsed.pop(number, None)
            self._unpend(lease)
            self._offers.drop(number)
            if lease.state in (LeaseState.BOUND, LeaseState.DECLINED):
                heapq.heappush(self._due, (lease.expires, number))
                if lease.state is LeaseState.DECLINED:
                    self._declined.add(number)
            else:
                self._give_back(number)
        if len(self._due) > 2 * len(self._records) + 1024:
            self._rebuild_due(float("-inf"))

    def abandon(self, leases: Sequence[Lease], now: float) -> None:
        """`leases` could not be stored: what was before still holds."""
        for lease in leases:
            self._unpend(lease)
            record = self._records.get(int(lease.address))
            if record is None or not _live(record, now):
                self._give_back(int(lease.address))

    def withdraw(self, client: Client) -> None:
        """The client took another server's offer: ours is off."""
        offer = self._offers.of(client.key)
        if offer is not None:
            self._offers.drop(offer.address)
            self._give_back(offer.address)

    def forget(self, address: IPv4Address) -> None:
        """The operator deleted a lease: the address is free and nobody's."""
        number = int(address)
        self._unindex(number)
        self._lapsed.pop(number, None)
        self._give_back(number)

    def lapsed(self, now: float) -> list[Lease]:
        """Leases that ran out and whose records still say bound, as they should be stored; each is returned once."""
        self._lapse(now)
        ended = [number for number in self._lapsed if number not in self._pending]
        for number in ended:
            del self._lapsed[number]
        return [self._records[number].model_copy(update={"state": LeaseState.EXPIRED}) for number in ended]

    def shift(self, seconds: float, now: float) -> list[Lease]:
        """The wall clock was set by `seconds`: what is left of each lease stays as it was. Returns the changed leases.

        `now` is the time before the change.
        """
        for number, record in self._records.items():
            self._records[number] = reclocked(record, seconds)
        moved = [record for record in self._records.values() if record.expires > now + seconds]
        self._offers.shift(seconds)
        self._rebuild_due(now + seconds)
        self._pools.clear()
        return moved

    def first_exhausted(self, subnet: Subnet) -> bool:
        """Note that a subnet has no address left; true the first time, until it has one again."""
        if subnet.name in self._exhausted:
            return False
        self._exhausted.add(subnet.name)
        return True

    # Inside

    def _pool(self, subnet: Subnet, now: float) -> Pool:
        pool = self._pools.get(subnet.name)
        if pool is None or (pool.ranges is not subnet.ranges and pool.ranges != subnet.ranges):
            pool = self._pools[subnet.name] = Pool(subnet)
            pool.begin_lap(now, self._ended(now))
        return pool

    def _ended(self, now: float) -> Iterable[tuple[float, int]]:
        return ((record.expires, number) for number, record in self._records.items() if record.expires <= now)

    def _give_back(self, *numbers: int) -> None:
        for number in numbers:
            record = self._records.get(number)
            for pool in self._pools.values():
                if number in pool:
                    pool.put(number, None if record is None else record.expires)

    def _unpend(self, lease: Lease) -> None:
        number = int(lease.address)
        pending = self._pending.get(number)
        whose = None if pending is None else (pending[0].mac, pending[0].client_id)
        if pending is not None and lease.state is LeaseState.BOUND and whose == (lease.mac, lease.client_id):
            if pending[1] > 1:
                self._pending[number] = (pending[0], pending[1] - 1)
            else:
                del self._pending[number]

    def _unindex(self, number: int) -> None:
        record = self._records.pop(number, None)
        if record is None:
            return
        self._declined.discard(number)
        for index, key in ((self._by_key, lease_key(record)), (self._by_client_id, record.client_id)):
            held = index.get(key)
            if held is not None:
                held.pop(number, None)
                if not held:
                    del index[key]

    def _lapse(self, now: float) -> None:
        """Let offers and leases run out whose time has come."""
        self._give_back(*self._offers.lapse(now))
        while self._due and self._due[0][0] <= now:
            expires, number = heapq.heappop(self._due)
            record = self._records.get(number)
            if record is None or record.expires != expires:
                continue
            if record.state is LeaseState.BOUND:
                self._lapsed[number] = None
            self._give_back(number)

    def _rebuild_due(self, after: float) -> None:
        self._due = [
            (record.expires, number)
            for number, record in self._records.items()
            if record.state in (LeaseState.BOUND, LeaseState.DECLINED) and record.expires > after
        ]
        heapq.heapify(self._due)


def _live(record: Lease, now: float) -> bool:
    return record.state is LeaseState.BOUND and record.expires > now
