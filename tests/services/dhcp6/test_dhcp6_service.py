"""The DHCPv6 service around its policy: a journal that fails, leases that end, a clock that is set, odd datagrams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Interface
from typing import Any

import pytest

from app.errors import ConflictError, UnavailableError
from app.model.engine import Interface
from app.model.event import EventDraft
from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6
from app.netboot.dhcp6.exchange import ALL_SERVERS
from app.netboot.exchange import Policy
from app.netboot.wire import dhcp6
from app.netboot.wire.dhcp6 import Kind, Message, RelayMessage
from app.netboot.wire.icmp6 import link_local
from app.services.dhcp6 import service as module
from app.services.dhcp6.service import Dhcp6Service
from app.services.dhcp6.sockets import Datagram, Port
from tests.netboot.dhcp6world import FIRST, MAC, OTHER, SERVER_DUID, World6, duid, firmware, given, ia

CARD = Interface(name="card0", index=1, up=True, link=True)


@dataclass
class Clock:
    """Two clocks a test can turn."""

    wall: float = 1_000_000.0
    ticks: float = 50.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks


@dataclass
class Journal:
    """Stores at once, or says why not."""

    stored: dict[IPv6Address, Lease6] = field(default_factory=dict[IPv6Address, Lease6])
    fault: Exception | None = None

    def load(self) -> list[Lease6]:
        return list(self.stored.values())

    def duid(self) -> bytes:
        return SERVER_DUID

    def commit(self, leases: Sequence[Lease6], done: Callable[[BaseException | None], None]) -> None:
        if self.fault is None:
            self.stored.update({lease.address: lease for lease in leases})
        done(self.fault)


@dataclass
class Rig:
    """A started service, what it sent, and what it told."""

    service: Dhcp6Service
    clock: Clock
    journal: Journal
    world: World6
    sent: list[tuple[Message, int]]
    events: list[EventDraft]

    async def say(self, kind: Kind, *options: tuple[int, bytes], mac: str = MAC, index: int = 1) -> Message | None:
        """A client says something; the answer, if there is one."""
        named = ((dhcp6.SERVER_ID, SERVER_DUID),) if kind in (Kind.REQUEST, Kind.RENEW, Kind.RELEASE) else ()
        message = Message(kind, 1, ((dhcp6.CLIENT_ID, duid(mac)), *named, *options))
        return await self.octets(message.encode(), mac=mac, index=index)

    async def octets(self, octets: bytes, *, mac: str = MAC, index: int = 1, port: int = 546) -> Message | None:
        before = len(self.sent)
        self.service._received(Datagram(octets, link_local(mac), port, index, ALL_SERVERS))  # pyright: ignore[reportPrivateUsage]
        # What the journal said comes in the loop's next turn.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.sent[-1][0] if len(self.sent) > before else None

    async def ticked(self) -> None:
        """The service has looked at clock and leases."""
        await asyncio.sleep(2 * module.TICK_SECONDS)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@asynccontextmanager
async def rig(monkeypatch: pytest.MonkeyPatch, journal: Journal | None = None) -> AsyncIterator[Rig]:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.02)
    sent: list[tuple[Message, int]] = []

    def send(port: Port, octets: bytes, asked: Datagram, to: int) -> bool:
        found = dhcp6.decode(octets)
        while isinstance(found, RelayMessage):
            found = dhcp6.decode(found.get(dhcp6.RELAY_MESSAGE) or b"")
        sent.append((found, to))
        return True

    monkeypatch.setattr(Port, "send", send)
    clock, events, world = Clock(), list[EventDraft](), World6()
    kept = journal or Journal()
    addresses = {"card0": [IPv6Interface("fe80::1/64"), IPv6Interface("fd00:7::1/64")]}
    service = Dhcp6Service(
        view=world,
        journal=kept,
        interfaces=lambda: (CARD,),
        addresses=lambda: addresses,
        emit=events.append,
        clock=clock,
        policy=Policy(),
        port=0,
    )
    await service.start()
    try:
        yield Rig(service, clock, kept, world, sent, events)
    finally:
        await service.stop()
        assert service.listening == ()


async def test_a_lease_is_stored_before_it_is_told_and_known_after_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as bench:
        assert bench.service.listening[0].endswith(" card0")
        assert given(await bench.say(Kind.REQUEST, ia(1, FIRST))) == [(FIRST, 3600)]
        assert bench.sent[-1][1] == 546
        assert bench.journal.stored[FIRST].state is LeaseState.BOUND
        journal = bench.journal
    async with rig(monkeypatch, journal) as again:
        assert given(await again.say(Kind.RENEW, ia(1, FIRST))) == [(FIRST, 3600)]
        assert given(await again.say(Kind.SOLICIT, ia(), mac=OTHER)) == [(FIRST + 1, 3600)]


async def test_while_the_store_is_away_nothing_new_is_promised_and_what_is_held_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig(monkeypatch) as bench:
        await bench.say(Kind.REQUEST, ia(1, FIRST), *firmware(7))
        bench.clock.ticks += 600
        bench.clock.wall += 600
        bench.journal.fault = UnavailableError("the disk is full", hint="free space")
        renewed = await bench.say(Kind.RENEW, ia(1, FIRST), *firmware(7))
        assert given(renewed) == [(FIRST, 3000)], "what is left of what is on the disk"
        assert await bench.say(Kind.REQUEST, ia(1, FIRST + 1), *firmware(7), mac=OTHER) is None
        silent = bench.events[-1]
        assert (silent.kind, silent.data["reason"]) == ("dhcp.silent", "not-stored")
        assert "the disk is full" in silent.message
        assert await bench.say(Kind.RELEASE, ia(1, FIRST)) is None
        bench.journal.fault = None
        assert given(await bench.say(Kind.REQUEST, ia(1, FIRST + 1), mac=OTHER)) == [(FIRST + 1, 3600)]


async def test_leases_end_and_are_stored_as_ended_and_a_clock_that_is_set_ends_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig(monkeypatch) as bench:
        await bench.say(Kind.REQUEST, ia(1, FIRST))
        bench.clock.wall += 86_400
        await bench.ticked()
        assert bench.journal.stored[FIRST].state is LeaseState.BOUND
        assert bench.journal.stored[FIRST].expires == bench.clock.wall + 3600
        bench.clock.wall += 3601
        bench.clock.ticks += 3601
        await bench.ticked()
        assert bench.journal.stored[FIRST].state is LeaseState.EXPIRED


async def test_what_an_operator_forgets_and_restores(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as bench:
        await bench.say(Kind.REQUEST, ia(1, FIRST))
        lease = bench.journal.stored[FIRST]
        bench.service.forget(FIRST)
        await bench.ticked()
        renewed = await bench.say(Kind.RENEW, ia(1, FIRST))
        assert given(renewed) == []
        bench.service.restore(lease)
        await bench.ticked()
        assert given(await bench.say(Kind.RENEW, ia(1, FIRST))) == [(FIRST, 3600)]


async def test_malformed_messages_are_counted_and_told_of_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as bench:
        for _ in range(5):
            assert await bench.octets(b"\x01\0\0") is None
        assert bench.service.counters["malformed"] == 5
        assert bench.kinds() == ["dhcp.malformed"]
        bench.clock.ticks += 61
        await bench.octets(b"")
        assert bench.events[-1].data["count"] == 5
        assert await bench.say(Kind.SOLICIT, ia(), index=9) is None, "an interface that is not served"
        assert bench.service.counters["elsewhere"] == 1
        bench.world.nets6 = []
        await bench.ticked()
        assert await bench.say(Kind.SOLICIT, ia()) is None
        assert " card0" not in bench.service.listening[0]


async def test_relays_are_answered_at_their_port(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Message(Kind.SOLICIT, 1, ((dhcp6.CLIENT_ID, duid()), ia())).encode()
    link = IPv6Address("fd00:7::9")
    async with rig(monkeypatch) as bench:
        for own, port in ((False, 547), (True, 10_547)):
            options: list[Any] = [(dhcp6.RELAY_MESSAGE, inner)]
            options += [(dhcp6.RELAY_SOURCE_PORT, b"\0\0")] if own else []
            relayed = RelayMessage(Kind.RELAY_FORWARD, 0, link, link_local(MAC), tuple(options))
            assert given(await bench.octets(relayed.encode(), port=10_547))
            assert bench.sent[-1][1] == port


async def test_a_port_that_is_taken_is_told_in_words() -> None:
    first = Port(0)
    try:
        with pytest.raises(ConflictError, match=f"UDP port {first.number} on :: is taken"):
            Port(first.number)
    finally:
        first.close()
