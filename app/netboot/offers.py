"""Soft offers: addresses set aside for clients that may not come back for them; never stored, bounded in number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.netboot.firmware import Firmware


@dataclass(frozen=True, slots=True)
class Offer:
    """One address (an integer) set aside for one client until a time (epoch seconds)."""

    address: int
    key: str
    known: bool
    expires: float
    xid: int = 0
    firmware: Firmware | None = None
    """Who asked: some firmware does not say so again in its REQUEST."""


class Offers:
    """The offers that stand, oldest first: one per client, one per address."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_address: OrderedDict[int, Offer] = OrderedDict()
        self._by_key: dict[str, int] = {}

    def copy(self) -> Offers:
        """The same offers, apart from these."""
        made = Offers(self._most)
        made._by_address, made._by_key = OrderedDict(self._by_address), dict(self._by_key)
        return made

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._by_address))

    def __contains__(self, address: int) -> bool:
        return address in self._by_address

    def at(self, address: int) -> Offer | None:
        """The offer of an address."""
        return self._by_address.get(address)

    def of(self, key: str) -> Offer | None:
        """The offer of a client."""
        address = self._by_key.get(key)
        return None if address is None else self._by_address[address]

    def drop(self, address: int) -> bool:
        """Take an offer back; true when there was one."""
        offer = self._by_address.pop(address, None)
        if offer is None:
            return False
        if self._by_key.get(offer.key) == address:
            del self._by_key[offer.key]
        return True

    def put(self, offer: Offer) -> list[int]:
        """Make an offer. Returns what that frees: the client's former address, the oldest offers beyond the bound."""
        freed: list[int] = []
        former = self.of(offer.key)
        if former is not None and former.address != offer.address:
            self.drop(former.address)
            freed.append(former.address)
        self.drop(offer.address)
        self._by_address[offer.address] = offer
        self._by_key[offer.key] = offer.address
        while len(self._by_address) > self._most:
            oldest = next(iter(self._by_address))
            self.drop(oldest)
            freed.append(oldest)
        return freed

    def yielding(self, known: bool, until: float) -> Iterator[tuple[int, str]]:
        """Addresses of offers that give way to another client, oldest first, and why they do.

        To a known machine a stranger's does at once; to its like, one does that expires before `until`. Nothing may be
        offered while it is looked through: a flood asks thousands of times a second, and mostly the first tells all.
        """
        offers = self._by_address.values()
        if known:
            yield from ((offer.address, "offered to a stranger") for offer in offers if not offer.known)
        for offer in offers:
            if offer.expires > until:
                # They stand in the order they were made: the others are younger.
                return
            if offer.known == known:
                yield offer.address, "offered and never taken"

    def lapse(self, now: float) -> list[int]:
        """Drop the offers whose time is over; returns their addresses."""
        freed: list[int] = []
        while self._by_address:
            address, offer = next(iter(self._by_address.items()))
            if offer.expires > now:
                break
            self.drop(address)
            freed.append(address)
        return freed

    def shift(self, seconds: float) -> None:
        """The clock was set by `seconds`."""
        for address, offer in self._by_address.items():
            self._by_address[address] = replace(offer, expires=offer.expires + seconds)
