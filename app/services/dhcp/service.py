"""The DHCP service: port 67, leases on the disk before they are acknowledged, expiry, a clock that may be set."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address

from app.clock import Clock
from app.model.engine import Interface
from app.model.event import EventDraft, Level
from app.model.subnet import Lease
from app.netboot.allocate import LeaseTable
from app.netboot.answer import answer
from app.netboot.clockset import TOLD_SECONDS, excess, reclocked, way
from app.netboot.conflicts import PROBE_SECONDS, Conflicts, Held, quarantined
from app.netboot.exchange import Answer, Arrival, Policy
from app.netboot.foresee import STAGES, Asked, Foreseen, foresee
from app.netboot.unstored import kept, refused
from app.netboot.view import NetworkView
from app.netboot.wire.dhcp4 import ZERO, DhcpPacket
from app.services.dhcp.arp import ArpProbe
from app.services.dhcp.journal import LeaseJournal, ignore_learned, ignore_leases
from app.services.dhcp.quick import Quick
from app.services.dhcp.responder import Emit, Interfaces, Responder
from app.services.dhcp.sockets import Datagram

log = logging.getLogger(__name__)

SWEEP_SECONDS = 5.0
# A wall clock further off than this was set; less is the drift that time keeping corrects.
_CLOCK_SET_SECONDS = 2.0
# While the store fails: one group of the journal is tried, and nobody waits behind it.
_TRIES_MAX = 64


class DhcpService(Responder):
    """Answers on port 67 as each subnet's mode and the run's ceiling allow.

    `leases` gives every stored lease; it is called at each start. `on_leases` is told of every change after it is
    durable, `on_learned` of addresses that another server gave; both in the service's thread, and must not block.
    An OFFER of an address nobody had for a while waits `probe_seconds` for somebody who uses it; 0: none waits.
    """

    name = "dhcp"

    def __init__(
        self,
        *,
        view: NetworkView,
        journal: LeaseJournal,
        leases: Callable[[], Iterable[Lease]],
        interfaces: Interfaces,
        emit: Emit,
        clock: Clock,
        policy: Policy,
        port: int = 67,
        allowed: Collection[str] = (),
        on_leases: Callable[[Sequence[Lease]], None] = ignore_leases,
        on_learned: Callable[[str, IPv4Address], None] = ignore_learned,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        super().__init__(port=port, interfaces=interfaces, emit=emit, clock=clock, allowed=allowed, raw=True)
        self._view = view
        self._journal = journal
        self._policy = policy
        self._on_leases = on_leases
        self._on_learned = on_learned
        self._leases = leases
        self._table = LeaseTable()
        self._quick = Quick(view, policy)
        self._conflicts = Conflicts()
        self._arp = ArpProbe(self._claimed)
        self._probe_seconds = probe_seconds
        self._anchor = clock.now() - clock.monotonic()
        self._shifted = 0.0
        self._telling = threading.Lock()
        self._settling: list[tuple[Answer, BaseException | None, float]] = []
        # By how much stored leases began after now, at the start.
        self._behind: list[float] = []
        # Why the store cannot be written, as far as is known; and how many leases are tried meanwhile.
        self._away, self._tries = "", 0
        self.counters |= dict.fromkeys(("acks", "offers", "naks", "not_stored", "leases", "probes", "conflicts"), 0)

    @property
    def policy(self) -> Policy:
        """What this run may do."""
        return self._policy

    def forget(self, address: IPv4Address) -> None:
        """The operator deleted the lease of an address: it is nobody's from now on. From any thread."""
        self.post(self._forget, address)

    def _forget(self, address: IPv4Address) -> None:
        self._table.forget(address)
        self._conflicts.forget(address)

    def restore(self, lease: Lease) -> None:
        """The operator took the deletion of a lease back, and it is stored again. From any thread."""
        self.post(self._restore, lease)

    def _restore(self, lease: Lease) -> None:
        if self._table.at(lease.address) is None:
            self._table.commit([lease])

    def foresee(self, mac: str, asked: Sequence[Asked], interface: str, relay: IPv4Address = ZERO) -> list[Foreseen]:
        """Each firmware's stages as they would be answered now on this interface; changes nothing. Not from the loop.

        Raises UnavailableError when the service's thread does not answer in time.
        """
        # One at a time: a large table takes milliseconds, and machines wait behind each.
        return [
            self.ask(partial(self._foresee, mac, each, stage, interface, relay)) for each in asked for stage in STAGES
        ]

    def _foresee(self, mac: str, asked: Asked, stage: str, interface: str, relay: IPv4Address) -> Foreseen:
        arrival = self.arrival(interface, relay)
        return foresee(mac, asked, stage, arrival, self._view, self._table, self._policy, self.now(), relay=relay)

    def offered(self) -> tuple[int, ...]:
        """The addresses that are offered now. Not from the loop."""
        return self.ask(lambda: self._table.offers())

    def now(self) -> float:
        """Epoch seconds that follow the monotonic clock: a wall clock that is set ends no lease."""
        return self._anchor + self._clock.monotonic()

    async def stop(self) -> None:
        """Stop answering and give the port back; offers that wait are not made."""
        await super().stop()
        self._arp.close()

    async def prepare(self) -> None:
        """Rebuild the index from what is stored: whatever was on its way when we stopped was never acknowledged."""
        self._anchor = self._clock.now() - self._clock.monotonic()
        stored = await asyncio.to_thread(self._leases)
        self._table = LeaseTable([self._bounded(lease) for lease in stored])
        self._conflicts = Conflicts()
        self._away, self._tries = "", 0
        self.counters["leases"] = len(self._table)

    def _bounded(self, lease: Lease) -> Lease:
        """A lease as it is, or, where the clock is behind, as long as it may have been given for."""
        over = excess(lease, self._view, self.now())
        if not over:
            return lease
        self._behind.append(lease.since - self.now())
        return lease.model_copy(update={"expires": lease.expires - over})

    def begin(self) -> None:
        """Start to sweep; tell of a clock that went back while we did not run."""
        with self._telling:
            # What the journal told of while nobody listened was answered by nobody; the table has it where it counts.
            self._settling = []
        if self._probe_seconds:
            self._arp.open()
        self._sweep()
        if self._behind:
            leases = [lease for lease in self._table.leases() if lease.expires > self.now()]
            self._store(leases)
            self._on_leases(leases)
            self._tell_clock(
                -max(self._behind),
                f"{len(self._behind)} leases were given later than now, and last no longer than they may",
                len(self._behind),
            )
            self._behind = []

    def handle(self, packet: DhcpPacket, arrival: Arrival) -> None:
        """Answer one message; what changes a lease waits for the journal."""
        found = self._quick.ask(packet, arrival, self._table, self.now())
        if found.learned is not None:
            self._on_learned(*found.learned)
        if not found.lease_changes:
            self._offer(found, packet, arrival)
        else:
            self._change(found)

    def quick(self, datagram: Datagram, interface: Interface) -> bool:
        """Answer a message of a kind that was answered before; what must wait for something is not among them."""
        if self._away:
            return False
        now, on = self.now(), interface.addresses

        def doubtful(address: IPv4Address) -> bool:
            return bool(self._probe_seconds) and self._conflicts.doubts(address, on, self._table, now)

        found = self._quick.cut(datagram, self.known, self.own, self._table, now, doubtful)
        if found is not None:
            (self._change if found.lease_changes else self._finish)(found)
        return found is not None

    def _change(self, found: Answer) -> None:
        if self._away:
            self._without_store(found)
            return
        shifted = self._shifted
        self._journal.commit(found.lease_changes, lambda error: self._journaled(found, error, shifted))

    def _journaled(self, found: Answer, error: BaseException | None, shifted: float) -> None:
        """From any thread: the journal is done with a lease. Leases come in groups, and one call wakes for a group."""
        with self._telling:
            self._settling.append((found, error, shifted))
            first = len(self._settling) == 1
        if first:
            self.post(self._settle)

    def _settle(self) -> None:
        with self._telling:
            group, self._settling = self._settling, []
        for found, error, shifted in group:
            try:
                self._settled(found, error, shifted)
            except Exception:
                # The others of the group are on the disk all the same.
                self.counters["errors"] += 1
                log.exception("what followed a stored lease failed")

    def _offer(self, found: Answer, packet: DhcpPacket, arrival: Arrival) -> None:
        """Answer what changes no lease: at once, or once it is clear that nobody uses the address it offers."""
        if not self._probe_seconds or not self._conflicts.doubtful(found, arrival, self._table, self.now()):
            self._finish(found)
            return
        # What came in is told now, what goes out when it does.
        self.emit(found.events[:-1])
        held = Held(replace(found, events=found.events[-1:]), packet, arrival)
        wait = self._conflicts.hold(held)
        if not wait:
            return
        self.counters["probes"] += 1
        if self._asked(held, wait):
            self.later(self._probe_seconds / 2, partial(self._asked, held, wait))
            self.later(self._probe_seconds, partial(self._unclaimed, held.address, wait))
        elif self._conflicts.release(held.address) is not None:
            self._finish(held.found)

    def _asked(self, held: Held, wait: int) -> bool:
        """Ask who uses an address, as long as its OFFER waits; a frame may be lost."""
        if not self._conflicts.waits(held.address, wait):
            return False
        return self._arp.ask(held.address, self.interface(held.arrival.interface))

    def _unclaimed(self, address: IPv4Address, wait: int) -> None:
        now = self.now()
        held = self._conflicts.unclaimed(address, wait, now)
        if held is None:
            return
        if self._table.taken(address, now):
            self._again(held)
            return
        events = tuple(event.model_copy(update={"time": now}) for event in held.found.events)
        self._finish(replace(held.found, events=events))

    def _claimed(self, address: IPv4Address, mac: str, interface: str) -> None:
        """Somebody answers for an address: it is kept back, and the client is offered another."""
        if self._table.taken(address, self.now()):
            # A machine that comes before this client asked for it meanwhile; the lease is the newer word.
            held = self._conflicts.release(address)
            if held is not None:
                self._again(held)
            return
        held = self._conflicts.claimed(address, mac, interface, self._view, self.now())
        if held is None:
            return
        self.counters["conflicts"] += 1
        last = not self._conflicts.believed(mac)
        found = quarantined(held, mac, self._view.subnets(), self._table, self.now(), last)
        if not found.lease_changes:
            self._finish(replace(held.found, events=(*found.events, *held.found.events)))
            return
        shifted = self._shifted
        self._journal.commit(
            found.lease_changes, lambda error: self.post(self._quarantined, held, found, error, shifted)
        )

    def _quarantined(self, held: Held, found: Answer, error: BaseException | None, shifted: float) -> None:
        self._settled(found, error, shifted)
        if error is None:
            self._again(held)

    def _again(self, held: Held) -> None:
        """Offer the client of an OFFER that waited what it would get now."""
        found = answer(held.request, held.arrival, self._view, self._table, self._policy, self.now())
        events = tuple(event for event in found.events if event.kind != "dhcp.discover")
        self._offer(replace(found, events=events), held.request, held.arrival)

    def _finish(self, found: Answer) -> None:
        if not found.speaks and not found.events:
            self.counters["ignored"] += 1
            return
        self.send(found)
        for event in found.events:
            names = {"dhcp.offer": "offers", "proxy.offer": "offers", "dhcp.ack": "acks", "dhcp.nak": "naks"}
            name = names.get(event.kind)
            if name is not None:
                self.counters[name] += 1
        self.emit(found.events)

    def _settled(self, found: Answer, error: BaseException | None, shifted: float) -> None:
        """The journal has stored a lease, or could not."""
        if error is not None:
            self._not_stored(found.unpacked(), error)
            return
        self._away = ""
        changes = found.lease_changes
        if shifted != self._shifted:
            # The clock was set while it was on its way: what is left of it stays as it was.
            moved = self._shifted - shifted
            changes = tuple(reclocked(item, moved) for item in changes)
            self._store(changes)
        self._committed(changes)
        if found.events:
            self._finish(found)

    def _committed(self, leases: Sequence[Lease]) -> None:
        self._table.commit(leases)
        self.counters["leases"] = len(self._table)
        self._on_leases(leases)

    def _not_stored(self, found: Answer, error: BaseException) -> None:
        """No acknowledgement of what is not on the disk; a lease that already is may be used to its end."""
        # The class alone: the text of a database's error may hold values.
        self._away = f"the lease could not be stored ({type(error).__name__})"
        self._refuse(found)

    def _refuse(self, found: Answer) -> None:
        now = self.now()
        self.counters["not_stored"] += 1
        self._table.abandon(found.lease_changes, now)
        if not found.events:
            # It was answered before.
            return
        renewed = kept(found, self._table, now, self._away)
        if renewed is not None:
            self._finish(renewed)
        else:
            self.emit(refused(found, self._away))

    def _without_store(self, found: Answer) -> None:
        """The store fails: who has a lease is told so at once, and a few leases are tried, to see it come back."""
        renewed = kept(found, self._table, self.now(), self._away)
        if renewed is not None:
            self._finish(renewed)
            found = replace(found, reply=None, events=())
        if self._tries >= _TRIES_MAX:
            self._refuse(found)
            return
        self._tries += 1
        shifted = self._shifted
        self._journal.commit(found.lease_changes, lambda error: self.post(self._tried, found, error, shifted))

    def _tried(self, found: Answer, error: BaseException | None, shifted: float) -> None:
        self._tries -= 1
        self._settled(found, error, shifted)

    def _store(self, leases: Sequence[Lease]) -> None:
        """Store changes nobody waits for."""
        self._journal.commit(leases, lambda error: self.post(self._count_not_stored) if error is not None else None)

    def _count_not_stored(self) -> None:
        self.counters["not_stored"] += 1

    def _sweep(self) -> None:
        """Mark what ran out, and follow a wall clock that was set."""
        self.later(SWEEP_SECONDS, self._sweep)
        drift = self._clock.now() - self.now()
        if abs(drift) > _CLOCK_SET_SECONDS:
            self._clock_was_set(drift)
        else:
            self._anchor += drift
        ended = self._table.lapsed(self.now())
        if ended:
            self._store(ended)
            self._committed(ended)

    def _clock_was_set(self, seconds: float) -> None:
        moved = self._table.shift(seconds, self.now())
        self._conflicts.shift(seconds)
        self._anchor += seconds
        self._shifted += seconds
        if moved:
            self._store(moved)
            self._on_leases(moved)
        if abs(seconds) >= TOLD_SECONDS:
            self._tell_clock(seconds, f"{len(moved)} leases keep their time", len(moved))

    def _tell_clock(self, seconds: float, what: str, leases: int = 0) -> None:
        message = f"the host's clock was set {way(seconds)}; {what}"
        data = {"seconds": seconds, "leases": leases}
        self.emit([EventDraft(time=self.now(), kind="clock.set", message=message, level=Level.WARNING, data=data)])
