"""Addresses somebody uses without a lease: an OFFER waits until nobody answers for its address (RFC 2131 2.2, 5227).

A record of its own of what was asked on the wire; who asks, and with what, is the service's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from app.model.event import Level
from app.model.subnet import Lease, LeaseState, Subnet
from app.netboot.allocate import LeaseTable
from app.netboot.exchange import Answer, Arrival
from app.netboot.quarantine import not_kept, span
from app.netboot.view import NetworkView
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType

PROBE_SECONDS = 0.15
"""How long an OFFER waits for somebody to answer for its address; a host on the segment takes milliseconds."""
QUIET_SECONDS = 3600.0
"""An address that was ours to give, or that nobody answered for, is not asked for again within this."""
CARD_MAX = 8
"""Addresses one card may answer for within QUIET_SECONDS: one that answers for all of them would use up the pool."""
_HELD_MAX = 1024
_QUIET_MAX = 65_536
_CARDS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Held:
    """An OFFER that waits, and what it answers."""

    found: Answer
    request: DhcpPacket
    arrival: Arrival

    @property
    def address(self) -> IPv4Address:
        """The address it offers."""
        return _offered(self.found) or IPv4Address(0)


def _offered(found: Answer) -> IPv4Address | None:
    """The address of an OFFER."""
    packet = found.reply
    if packet is None or packet.message is not MessageType.OFFER or packet.yiaddr.is_unspecified:
        return None
    return packet.yiaddr


class Conflicts:
    """The offers that wait, and the addresses that need not. Not thread-safe: it belongs to the loop that answers."""

    def __init__(self) -> None:
        self._held: dict[IPv4Address, tuple[int, Held]] = {}
        self._waits = 0
        self._quiet: dict[IPv4Address, float] = {}
        self._cards: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def doubtful(self, found: Answer, arrival: Arrival, table: LeaseTable, now: float) -> bool:
        """An answer is an OFFER that has to wait (see `doubts`). Behind a relay there is no asking."""
        address, packet = _offered(found), found.reply
        if address is None or packet is None or not packet.giaddr.is_unspecified:
            return False
        return self.doubts(address, arrival.addresses, table, now)

    def doubts(self, address: IPv4Address, addresses: Sequence[IPv4Interface], table: LeaseTable, now: float) -> bool:
        """An address is on the segment of `addresses`, and nobody had it, or was asked for it, for a while.

        Where a thousand offers wait already, no more do: that is a flood, or a rack that was switched on, and both are
        better off with an answer.
        """
        if not any(address in own.network for own in addresses):
            return False
        record = table.at(address)
        if record is not None and record.state is not LeaseState.DECLINED and record.expires > now - QUIET_SECONDS:
            return False
        if self._quiet.get(address, float("-inf")) > now - QUIET_SECONDS:
            return False
        return address in self._held or len(self._held) < _HELD_MAX

    def hold(self, held: Held) -> int:
        """Keep an OFFER back. The number of its wait, when its address is to be asked for now; else 0.

        A DISCOVER sent again waits no longer than the first.
        """
        waits = self._held.get(held.address)
        if waits is not None:
            self._held[held.address] = (waits[0], held)
            return 0
        self._waits += 1
        self._held[held.address] = (self._waits, held)
        return self._waits

    def waits(self, address: IPv4Address, wait: int) -> bool:
        """The OFFER of an address waits still, and not for another time."""
        return self._held.get(address, (0,))[0] == wait

    def release(self, address: IPv4Address) -> Held | None:
        """The OFFER of an address, which waits no longer: it could not be asked for."""
        return self._held.pop(address, (0, None))[1]

    def unclaimed(self, address: IPv4Address, wait: int, now: float) -> Held | None:
        """The OFFER of an address, which goes out: nobody answered in time."""
        held = self.release(address) if self.waits(address, wait) else None
        if held is not None:
            self._quiet.pop(address, None)
            self._quiet[address] = now
            if len(self._quiet) > _QUIET_MAX:
                del self._quiet[next(iter(self._quiet))]
        return held

    def claimed(self, address: IPv4Address, mac: str, interface: str, view: NetworkView, now: float) -> Held | None:
        """The card `mac` answers for an address: the OFFER that must not go out; None where that changes nothing.

        A machine may answer for its own address, with any of its cards. A card that answers for one address after the
        other is a proxy or means harm, and is no longer believed.
        """
        _, held = self._held.get(address, (0, None))
        if held is None or held.arrival.interface != interface or _same(held.request.mac, mac, view):
            return None
        began, count = self._cards.get(mac, (now, 0))
        if now - began > QUIET_SECONDS:
            began, count = now, 0
        if count >= CARD_MAX:
            return None
        self._cards.pop(mac, None)
        self._cards[mac] = (began, count + 1)
        if len(self._cards) > _CARDS_MAX:
            del self._cards[next(iter(self._cards))]
        return self.release(address)

    def believed(self, mac: str) -> bool:
        """The card may answer for one more address."""
        return self._cards.get(mac, (0.0, 0))[1] < CARD_MAX

    def forget(self, address: IPv4Address) -> None:
        """The operator cleared an address: it is asked for before it is offered again."""
        self._quiet.pop(address, None)

    def shift(self, seconds: float) -> None:
        """The clock was set by `seconds`."""
        self._quiet = {address: when + seconds for address, when in self._quiet.items()}
        self._cards = {mac: (began + seconds, count) for mac, (began, count) in self._cards.items()}


def _same(ours: str, theirs: str, view: NetworkView) -> bool:
    """Two hardware addresses of one machine."""
    if ours == theirs:
        return True
    machine = view.machine_by_mac(ours) if ours else None
    return machine is not None and theirs in machine.macs


def quarantined(held: Held, mac: str, subnets: Sequence[Subnet], table: LeaseTable, now: float, last: bool) -> Answer:
    """What follows from the answer of the card `mac`: its address is kept from everybody for a while, and that is told.

    Without a lease that changes it is not, and its OFFER goes out. `last`: the card is not believed any more.
    """
    address = held.address
    subnet = next((each for each in subnets if address in each.cidr), None)
    seconds = table.quarantine_seconds(subnet, address, now) if subnet is not None else QUIET_SECONDS
    lease = Lease(
        address=address,
        mac=mac,
        subnet=subnet.name if subnet is not None else "",
        state=LeaseState.DECLINED,
        since=now,
        expires=now + seconds,
        interface=held.arrival.interface,
    )
    what = not_kept(subnet) if subnet is not None and not seconds else f"it is not given out for {span(seconds)}"
    words = f"{address} is used by {mac}, which has no lease of it: {what}"
    if last:
        words += f"; {mac} answers for {CARD_MAX} addresses, as a proxy does, and is not believed any more"
    offer = held.found.events[-1]
    data = {"xid": offer.data.get("xid", ""), "stage": offer.data.get("stage", ""), "address": str(address)}
    event = offer.model_copy(
        update={
            "time": now,
            "kind": "dhcp.conflict",
            "message": words,
            "level": Level.WARNING,
            "address": str(address),
            "data": {**data, "subnet": lease.subnet, "device": mac},
        }
    )
    return Answer("in-use", words, lease_changes=(lease,) if seconds else (), events=(event,))
