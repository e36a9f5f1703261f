"""The DHCPv6 service: port 547, leases on the disk before they are told, expiry, a clock that may be set."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from ipaddress import IPv6Address, IPv6Interface
from typing import Protocol

from app.clock import Clock
from app.errors import BootcartError
from app.model.engine import Interface
from app.model.event import EventDraft, Level
from app.model.subnet6 import Lease6
from app.netboot.dhcp6.answer import answer, shortened
from app.netboot.dhcp6.exchange import CLIENT_PORT, SERVER_PORT, Answer, Arrival, View
from app.netboot.dhcp6.table import Lease6Table
from app.netboot.exchange import Policy
from app.netboot.wire import dhcp6
from app.netboot.wire.dhcp6 import DhcpError, RelayMessage
from app.services.dhcp6.sockets import Datagram, Port
from app.services.dhcp6.tap import Tap, no_tap
from app.services.listening import has_ipv6

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
_BATCH = 64
_TELL_SECONDS = 60.0
_TRACE_SECONDS = 1.0
# A wall clock further off than this was set; less is the drift that time keeping corrects.
_CLOCK_SET_SECONDS = 2.0
_COUNTERS = "received malformed ignored elsewhere silent errors sent send_failed replies not_stored leases"

Emit = Callable[[EventDraft], None]
Addresses = Callable[[], Mapping[str, Sequence[IPv6Interface]]]


class Journal(Protocol):
    """Makes leases durable."""

    def load(self) -> Iterable[Lease6]: ...

    def duid(self) -> bytes: ...

    def commit(self, leases: Sequence[Lease6], done: Callable[[BaseException | None], None]) -> None:
        """Store all of `leases` or none; returns at once. `done` is called once, from any thread."""
        ...


class Dhcp6Service:
    """Answers on port 547 as each subnet says; everything runs in the loop it is started in."""

    name = "dhcp6"

    def __init__(
        self,
        *,
        view: View,
        journal: Journal,
        interfaces: Callable[[], Sequence[Interface]],
        addresses: Addresses,
        emit: Emit,
        clock: Clock,
        policy: Policy,
        port: int = SERVER_PORT,
        allowed: Collection[str] = (),
        on_interfaces: Callable[[], None] = lambda: None,
    ) -> None:
        """`addresses` tells the IPv6 addresses of each interface now. `allowed` empty: all interfaces.

        `on_interfaces` is called in the service's loop when it serves others than before.
        """
        self._on_interfaces = on_interfaces
        self._view = view
        self._journal = journal
        self._interfaces = interfaces
        self._addresses = addresses
        self._emit = emit
        self._clock = clock
        self._policy = policy
        self._wanted_port = port
        self._allowed = frozenset(allowed)
        self.listening: tuple[str, ...] = ()
        self.tap: Tap = no_tap
        self.counters: dict[str, int] = dict.fromkeys(_COUNTERS.split(), 0)
        self._table = Lease6Table()
        self._duid = b""
        self._port: Port | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tick: asyncio.Task[None] | None = None
        self._here: Mapping[str, Sequence[IPv6Interface]] = {}
        self._names: dict[int, str] = {}
        self._anchor = 0.0
        self._malformed = 0
        self._told = self._traced = float("-inf")

    async def start(self) -> None:
        """Take the port. Raises BootcartError when it cannot be had, or this host has no IPv6."""
        if not has_ipv6():
            raise BootcartError("this host has no IPv6", hint="allow it (sysctl net.ipv6.conf.all.disable_ipv6=0)")
        self._anchor = self._clock.now() - self._clock.monotonic()
        self._duid = await asyncio.to_thread(self._journal.duid)
        self._table = Lease6Table(await asyncio.to_thread(self._journal.load))
        self._port = Port(self._wanted_port)
        self._loop = asyncio.get_running_loop()
        self._follow()
        self._loop.add_reader(self._port.sock, self._readable, self._port)
        self._tick = asyncio.create_task(self._ticking(), name="dhcp6")

    async def stop(self) -> None:
        """Stop answering and give the port back."""
        tick, self._tick = self._tick, None
        if tick is not None:
            tick.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tick
        port, self._port = self._port, None
        if port is not None and self._loop is not None:
            self._loop.remove_reader(port.sock)
            port.close()
        self._loop = None
        self.listening = ()

    def now(self) -> float:
        """Epoch seconds that follow the monotonic clock: a wall clock that is set ends no lease."""
        return self._anchor + self._clock.monotonic()

    def forget(self, address: IPv6Address) -> None:
        """The operator deleted the lease of an address: it is nobody's from now on. From any thread."""
        self._post(lambda: self._table.forget(address))

    def restore(self, lease: Lease6) -> None:
        """The operator took the deletion of a lease back, and it is stored again. From any thread."""
        self._post(lambda: self._table.commit([lease]) if self._table.at(lease.address) is None else None)

    def _post(self, work: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None:
            # The loop may close between the look and the call: then nobody waits for this any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(work)

    # --- interfaces, clock, expiry --------------------------------------------------------------------------------

    async def _ticking(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._follow()
                self._mind_clock()
                if ended := self._table.lapsed(self.now()):
                    self._store(ended)
                self.counters["leases"] = len(self._table)
            except Exception:
                self.counters["errors"] += 1
                log.exception("looking after the IPv6 leases failed")

    def _follow(self) -> None:
        """Hear the groups on the interfaces that are to be served and are there."""
        if self._port is None:
            return
        self._here, before = self._addresses(), self._port.interfaces
        present = [each for each in self._interfaces() if each.kind != "loopback" and each.name in self._here]
        self._names = {each.index: each.name for each in present if self._serves(each.name)}
        self._port.follow((each.index, each.name) for each in present if each.index in self._names and each.up)
        names = " ".join(sorted(self._port.interfaces))
        if self._port.interfaces != before:
            self._on_interfaces()
        self.listening = (f"udp [::]:{self._port.number}" + (f" {names}" if names else ""),)

    def _serves(self, name: str) -> bool:
        """It is among the chosen interfaces; where none was chosen, some subnet is on it."""
        if self._allowed:
            return name in self._allowed
        own = [each.ip for each in self._here.get(name, ())]
        return any(
            subnet.interface == name or (not subnet.interface and any(address in subnet.cidr for address in own))
            for subnet in self._view.subnets6()
        )

    def _mind_clock(self) -> None:
        seconds = self._clock.now() - self.now()
        if abs(seconds) < _CLOCK_SET_SECONDS:
            return
        moved = self._table.shift(seconds, self.now())
        self._anchor += seconds
        self._store(moved)

    def _store(self, leases: Sequence[Lease6]) -> None:
        if leases:
            self._journal.commit(leases, lambda _: None)

    # --- messages -------------------------------------------------------------------------------------------------

    def _readable(self, port: Port) -> None:
        for _ in range(_BATCH):
            datagram = port.receive()
            if datagram is None:
                return
            self.counters["received"] += 1
            try:
                self._received(datagram)
            except Exception:
                self.counters["errors"] += 1
                if self._clock.monotonic() - self._traced >= _TRACE_SECONDS:
                    self._traced = self._clock.monotonic()
                    log.exception("a message of %d octets from %s failed", len(datagram.payload), datagram.source)

    def _received(self, datagram: Datagram) -> None:
        name = self._names.get(datagram.index)
        if name is None:
            self.counters["elsewhere"] += 1
            return
        try:
            request, relays = dhcp6.unwrap(datagram.payload)
        except DhcpError as error:
            self._tell_tap(True, datagram.payload, datagram, datagram.port, "")
            self._count_malformed(str(error), name)
            return
        arrival = Arrival(
            interface=name,
            addresses=tuple(self._here.get(name, ())),
            source=datagram.source,
            port=datagram.port,
            destination=datagram.destination,
            others=tuple(own for other, held in self._here.items() if other != name for own in held),
        )
        now = self.now()
        found = answer(request, relays, arrival, self._view, self._table, self._policy, self._duid, now)
        self._tell_tap(True, datagram.payload, datagram, datagram.port, _whose(found))
        if not found.lease_changes:
            self._finish(found, relays, datagram)
            return
        loop = asyncio.get_running_loop()

        def journaled(error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._settled, found, relays, datagram, error)

        self._journal.commit(found.lease_changes, journaled)

    def _settled(
        self, found: Answer, relays: tuple[RelayMessage, ...], datagram: Datagram, error: BaseException | None
    ) -> None:
        if error is None:
            self._table.commit(found.lease_changes)
            self._finish(found, relays, datagram)
            return
        self.counters["not_stored"] += 1
        self._table.abandon(found.lease_changes, self.now())
        left = self._left(found)
        if left > 0:
            self._finish(shortened(found, left, f"the lease cannot be stored: {error}"), relays, datagram)
        else:
            self.counters["silent"] += 1
            for event in found.events:
                self._emit(_unsaid(event, str(error)) if event.kind == "dhcp.ack" else event)

    def _left(self, found: Answer) -> float:
        """Seconds left of what is stored already of leases that could not be extended; 0 where one is new."""
        stored = [self._table.at(lease.address) for lease in found.lease_changes]
        same = all(
            record is not None and (record.client_id, record.iaid, record.state) == (new.client_id, new.iaid, new.state)
            for record, new in zip(stored, found.lease_changes, strict=True)
        )
        return (
            min((record.expires for record in stored if record is not None), default=0.0) - self.now() if same else 0.0
        )

    def _finish(self, found: Answer, relays: tuple[RelayMessage, ...], datagram: Datagram) -> None:
        if found.reply is None or self._port is None:
            self.counters["silent" if found.events else "ignored"] += 1
        else:
            port, octets = _back_to(relays, datagram), dhcp6.wrap(found.reply, relays)
            self._tell_tap(False, octets, datagram, port, _whose(found))
            if self._port.send(octets, datagram, port):
                self.counters["sent"] += 1
                self.counters["replies"] += found.reply.kind is dhcp6.Kind.REPLY
            else:
                self.counters["send_failed"] += 1
        for event in found.events:
            self._emit(event)

    def _tell_tap(self, incoming: bool, octets: bytes, asked: Datagram, port: int, mac: str) -> None:
        """`port`: the other end's."""
        name, own = self._names.get(asked.index, ""), asked.destination
        if own.is_multicast and not incoming:
            own = next((each.ip for each in self._here.get(name, ()) if each.ip.is_link_local), own)
        ends = (str(asked.source), port), (str(own), self._port.number if self._port is not None else SERVER_PORT)
        self.tap("dhcp6", incoming, octets, *ends, mac=mac, interface=name)

    def _count_malformed(self, why: str, interface: str) -> None:
        self.counters["malformed"] += 1
        self._malformed += 1
        if self._clock.monotonic() - self._told < _TELL_SECONDS:
            return
        self._told = self._clock.monotonic()
        count, self._malformed = self._malformed, 0
        words = f"{count} malformed DHCPv6 message{'s' if count > 1 else ''} on {interface}, the last one: {why}"
        self._emit(
            EventDraft(
                time=self._clock.now(),
                kind="dhcp.malformed",
                message=words,
                level=Level.WARNING,
                interface=interface,
                data={"count": count, "why": why},
            )
        )


def _whose(found: Answer) -> str:
    """The hardware address of who asked, where it is known."""
    return found.events[0].mac if found.events else ""


def _back_to(relays: tuple[RelayMessage, ...], datagram: Datagram) -> int:
    """Clients are answered on port 546; relays on 547, unless they say that they use another (RFC 8357)."""
    if not relays:
        return CLIENT_PORT
    return datagram.port if relays[0].get(dhcp6.RELAY_SOURCE_PORT) is not None else SERVER_PORT


def _unsaid(event: EventDraft, why: str) -> EventDraft:
    """What is told in place of an answer whose lease could not be stored."""
    words = f"no answer: its lease cannot be stored: {why}"
    facts = {"reason": "not-stored", "why": words, "subnet": event.data.get("subnet", "")}
    kept = {name: event.data[name] for name in ("xid", "stage", "family")}
    update = {"kind": "dhcp.silent", "message": words, "level": Level.ERROR, "data": {**kept, **facts}}
    return event.model_copy(update=update)
