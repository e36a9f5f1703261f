"""The service around the state machine: nothing is acknowledged before it is stored, nothing stops the loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from app.errors import ConflictError
from app.model.engine import Interface
from app.model.event import EventDraft, Level
from app.model.subnet import Lease, LeaseState
from app.netboot.exchange import Answer, Arrival, Policy
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType
from app.services.dhcp import DhcpService, ProxyDhcpService
from tests.netboot.dhcpworld import MAC, OTHER, SERVER, World, machine, pxe, request

ADDRESS = IPv4Address("10.7.0.100")
ARRIVAL = Arrival("lo", (IPv4Interface("10.7.0.1/24"),), frozenset({SERVER}))
NOW = 1_000_000.0


class FakeClock:
    def __init__(self) -> None:
        self.wall, self.mono = NOW, 500.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


class FakeJournal:
    """Holds commits until told what becomes of them."""

    def __init__(self, *leases: Lease) -> None:
        self.stored = list(leases)
        self.queue: list[tuple[Sequence[Lease], Callable[[BaseException | None], None]]] = []

    def load(self) -> list[Lease]:
        return self.stored

    def commit(self, leases: Sequence[Lease], done: Callable[[BaseException | None], None]) -> None:
        self.queue.append((leases, done))

    def write(self, error: BaseException | None = None) -> None:
        leases, done = self.queue.pop(0)
        if error is None:
            self.stored += leases
        done(error)


class Service(DhcpService):
    """Keeps what it would send."""

    def __init__(self, journal: FakeJournal, world: World, **more: Any) -> None:
        self.sent: list[DhcpPacket] = []
        self.events: list[EventDraft] = []
        self.told: list[Lease] = []
        self.asked: list[IPv4Address] = []
        self.clock = FakeClock()
        super().__init__(
            view=world,
            journal=journal,
            leases=journal.load,
            interfaces=more.pop("interfaces", list[Interface]),
            emit=self.events.append,
            clock=self.clock,
            policy=Policy(),
            port=more.pop("port", 0),
            on_leases=self.told.extend,
            probe_seconds=more.pop("probe_seconds", 0),
            **more,
        )

    def send(self, answer: Answer) -> bool:
        if answer.reply is not None:
            self.sent.append(answer.reply)
        return answer.reply is not None

    async def do(self, function: Callable[..., None], *arguments: object) -> None:
        """Call something in the service's loop and wait for it."""
        done = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                function(*arguments)
            finally:
                loop.call_soon_threadsafe(done.set_result, None)

        self.post(work)
        await asyncio.wait_for(done, 10)

    async def take(self, packet: DhcpPacket) -> None:
        await self.do(self.handle, packet, ARRIVAL)

    async def time_is_up(self, address: IPv4Address) -> None:
        """Nobody answered for an address in time."""
        wait, _ = self._conflicts._held.get(address, (0, None))
        await self.do(self._unclaimed, address, wait)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@asynccontextmanager
async def running(journal: FakeJournal, world: World | None = None, **more: Any) -> AsyncIterator[Service]:
    service = Service(journal, world or World(), **more)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def selecting(mac: str = MAC) -> DhcpPacket:
    options = {opt.REQUESTED_ADDRESS: ADDRESS.packed, opt.SERVER_ID: SERVER.packed}
    return request(MessageType.REQUEST, mac, options)


def renewing() -> DhcpPacket:
    return request(MessageType.REQUEST, ciaddr=ADDRESS)


async def test_no_ack_before_the_lease_is_stored() -> None:
    journal = FakeJournal()
    async with running(journal) as service:
        await service.take(request())
        await service.take(selecting())
        assert [packet.message for packet in service.sent] == [MessageType.OFFER]
        assert "dhcp.ack" not in service.kinds
        # Another client that wants the same address meanwhile is refused.
        await service.take(selecting(OTHER))
        assert service.sent[-1].message is MessageType.NAK

        journal.write()
        await service.do(lambda: None)
        assert service.sent[-1].message is MessageType.ACK
        assert service.sent[-1].yiaddr == ADDRESS
        assert service.kinds[-1] == "dhcp.ack"
        assert [lease.address for lease in service.told] == [ADDRESS]


async def test_f04_a_lease_that_cannot_be_stored_is_not_acknowledged() -> None:
    journal = FakeJournal()
    async with running(journal) as service:
        await service.take(selecting())
        journal.write(OSError("disk full"))
        await service.do(lambda: None)

        assert service.sent == []
        last = service.events[-1]
        assert (last.kind, last.level, last.data["reason"]) == ("dhcp.silent", Level.ERROR, "not-stored")
        assert last.message == "no answer: the lease could not be stored (OSError)"
        assert service.counters["not_stored"] == 1
        # Its address is free again.
        await service.take(selecting(OTHER))
        journal.write()
        await service.do(lambda: None)
        assert service.sent[-1].mac == OTHER


async def test_f04_a_renewal_that_cannot_be_stored_gets_what_is_left() -> None:
    lease = Lease(address=ADDRESS, mac=MAC, since=NOW, expires=NOW + 1000)
    journal = FakeJournal(lease)
    async with running(journal) as service:
        service.clock.pass_by(400)
        await service.take(renewing())
        journal.write(OSError("disk full"))
        await service.do(lambda: None)

        ack = service.sent[-1]
        assert ack.message is MessageType.ACK
        assert (opt.number(ack.options[opt.LEASE_TIME]), opt.number(ack.options[opt.RENEWAL_TIME])) == (600, 300)
        assert service.events[-1].data["lease_time"] == 600
        assert "shortened to 600 s" in service.events[-1].message


async def test_f11_while_the_store_is_known_to_fail_nobody_waits_for_it() -> None:
    lease = Lease(address=ADDRESS, mac=MAC, since=NOW, expires=NOW + 1000)
    journal = FakeJournal(lease)
    async with running(journal) as service:

        async def asked(*packets: DhcpPacket) -> None:
            for packet in packets:
                await service.take(packet)

        def wish(number: int) -> DhcpPacket:
            options = {opt.REQUESTED_ADDRESS: (ADDRESS + 1 + number).packed, opt.SERVER_ID: SERVER.packed}
            return request(MessageType.REQUEST, f"52:54:00:77:00:{number:02x}", options)

        await asked(wish(0))
        journal.write(OSError("locked"))
        await service.do(lambda: None)
        service.events.clear()

        # Who has a lease is told what is left of it, with nothing stored; a few commits are tried meanwhile.
        service.clock.pass_by(400)
        await asked(renewing(), renewing())
        assert [opt.number(ack.options[opt.LEASE_TIME]) for ack in service.sent] == [600, 600]
        assert len(journal.queue) == 2
        # Strangers are told nothing, and no more of them wait than share one commit.
        await asked(*(wish(number % 8) for number in range(80)))
        assert len(service.sent) == 2
        assert len(journal.queue) == 64
        assert service.kinds.count("dhcp.silent") == 80 - 62

        # It is back: those who wait are answered, the renewals are on the disk, and the next waits for its own commit.
        while journal.queue:
            journal.write()
        await service.do(lambda: None)
        await service.do(lambda: None)
        assert [packet.message for packet in service.sent[2:]] == [MessageType.ACK] * 62
        kept = service._table.at(ADDRESS)
        assert kept is not None
        assert kept.expires == pytest.approx(NOW + 400 + 3600)
        await asked(renewing())
        assert len(service.sent) == 64
        assert len(journal.queue) == 1


async def test_a_release_is_told_when_it_is_stored() -> None:
    journal = FakeJournal(Lease(address=ADDRESS, mac=MAC, since=NOW, expires=NOW + 1000))
    async with running(journal) as service:
        await service.take(request(MessageType.RELEASE, options={opt.SERVER_ID: SERVER.packed}, ciaddr=ADDRESS))
        assert service.kinds == []
        journal.write()
        await service.do(lambda: None)
        assert service.kinds == ["dhcp.release"]
        assert service.told[-1].state is LeaseState.RELEASED
        assert service.sent == []


async def test_a_restart_forgets_what_was_never_stored() -> None:
    journal = FakeJournal()
    async with running(journal) as service:
        await service.take(selecting())
        await service.stop()
        journal.write(OSError("too late"))
        await service.start()
        await service.take(selecting(OTHER))
        journal.write()
        await service.do(lambda: None)
        assert [packet.mac for packet in service.sent] == [OTHER]


async def test_the_sweep_marks_what_ran_out() -> None:
    journal = FakeJournal(Lease(address=ADDRESS, mac=MAC, since=NOW, expires=NOW + 60))
    async with running(journal) as service:
        service.clock.pass_by(61)
        await service.do(service._sweep)
        assert [(lease.address, lease.state) for lease in service.told] == [(ADDRESS, LeaseState.EXPIRED)]
        assert [leases[0].state for leases, _ in journal.queue] == [LeaseState.EXPIRED]


@pytest.mark.parametrize("seconds", [315_360_000.0, -86_400.0, 3600.0])
async def test_f10_a_clock_that_is_set_ends_no_lease(seconds: float) -> None:
    journal = FakeJournal(Lease(address=ADDRESS, mac=MAC, since=NOW, expires=NOW + 1000))
    async with running(journal) as service:
        await service.take(selecting(OTHER))  # NAKed: it is MAC's
        service.clock.wall += seconds
        await service.do(service._sweep)
        assert service.told[-1].expires == pytest.approx(NOW + seconds + 1000)
        [told] = [event for event in service.events if event.kind == "clock.set"]
        assert (told.data["seconds"], told.data["leases"]) == (pytest.approx(seconds, abs=1), 1)
        assert ("forward" if seconds > 0 else "back") in told.message
        await service.take(selecting(OTHER))
        assert [packet.message for packet in service.sent] == [MessageType.NAK, MessageType.NAK]


async def test_f10_a_clock_that_went_back_while_nobody_looked_makes_no_lease_immortal() -> None:
    """The host comes up in 1970 with leases of today; then its clock is set."""
    journal = FakeJournal(Lease(address=ADDRESS, mac=MAC, since=NOW + 1e9, expires=NOW + 1e9 + 1000, subnet="rack7"))
    async with running(journal) as service:
        await service.do(lambda: None)
        [lease] = service._table.leases()
        # It may have been given for as long as the subnet's are.
        assert lease.expires == pytest.approx(NOW + 3600, abs=1)
        assert journal.queue[-1][0] == [lease]
        [told] = [event for event in service.events if event.kind == "clock.set"]
        assert told.data["seconds"] == pytest.approx(-1e9, abs=1)
        service.clock.wall += 1e9
        await service.do(service._sweep)
        assert service.told[-1].expires == pytest.approx(NOW + 1e9 + 3600, abs=1)
        service.clock.pass_by(3601)
        await service.do(service._sweep)
        assert service.told[-1].state is LeaseState.EXPIRED


async def test_f10_a_clock_that_was_set_back_costs_no_lease_its_time_at_the_next_start() -> None:
    """It was given for an hour, then the clock was set back by a day: it began tomorrow, and has an hour."""
    kept = Lease(address=ADDRESS, mac=MAC, since=NOW + 86_400, expires=NOW + 3500, subnet="rack7")
    async with running(FakeJournal(kept)) as service:
        await service.do(lambda: None)
        assert list(service._table.leases()) == [kept]
        assert service.kinds == []


async def test_f10_a_lease_under_way_when_the_clock_is_set_keeps_its_length() -> None:
    journal = FakeJournal()
    async with running(journal) as service:
        await service.take(selecting())
        service.clock.wall += 100_000
        await service.do(service._sweep)
        journal.write()
        await service.do(lambda: None)
        assert service.told[-1].expires == pytest.approx(NOW + 100_000 + 3600)
        assert journal.queue[-1][0] == [service.told[-1]] or journal.queue[-1][0] == (service.told[-1],)


async def test_a_forgotten_lease_is_nobodys() -> None:
    journal = FakeJournal(Lease(address=ADDRESS, mac=MAC, since=NOW, expires=NOW + 1000))
    async with running(journal) as service:
        service.forget(ADDRESS)
        await service.take(selecting(OTHER))
        journal.write()
        await service.do(lambda: None)
        assert service.sent[-1].message is MessageType.ACK


async def test_a_lease_whose_deletion_is_undone_is_its_holders_again() -> None:
    lease = Lease(address=ADDRESS, mac=MAC, since=NOW, expires=NOW + 1000)
    async with running(FakeJournal(lease)) as service:
        service.forget(ADDRESS)
        service.restore(lease)
        await service.take(selecting(OTHER))
        assert service.sent[-1].message is MessageType.NAK


@contextmanager
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made


def loopback() -> list[Interface]:
    index = socket.if_nametoindex("lo")
    return [Interface(name="lo", index=index, addresses=(IPv4Interface("10.7.0.1/24"),))]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_unexpected_error_is_counted_logged_once_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(World):
        def holding(self) -> bool:
            raise KeyError("no such thing")

    async with running(FakeJournal(), Broken(), interfaces=loopback) as service:
        port = int(service.listening[0].rpartition(":")[2])
        with udp() as client:
            for _ in range(5):
                client.sendto(request(options=pxe(7)).encode(), ("127.0.0.1", port))
            await until(lambda: service.counters["errors"] == 5)
            client.sendto(b"rubbish", ("127.0.0.1", port))
            await until(lambda: service.counters["malformed"] == 1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.records[0].exc_info is not None


async def test_f07_a_taken_port_is_an_error_with_a_remedy() -> None:
    async with running(FakeJournal()) as service:
        port = int(service.listening[0].rpartition(":")[2])
        other = Service(FakeJournal(), World(), port=port)
        with pytest.raises(ConflictError) as raised:
            await other.start()
        assert raised.value.message == f"UDP port {port} is taken by another program"
        assert raised.value.hint
    assert service.listening == ()
    await other.start()
    await other.stop()


async def test_the_boot_service_starts_and_stops_again() -> None:
    service = ProxyDhcpService(
        view=World(),
        interfaces=loopback,
        emit=lambda event: None,
        clock=FakeClock(),
        policy=Policy(),
        port=0,
    )
    for _ in range(2):
        await service.start()
        port = int(service.listening[0].rpartition(":")[2])
        before = service.counters["received"]
        with udp() as client:
            client.sendto(request(MessageType.REQUEST).encode(), ("127.0.0.1", port))
            await until(lambda before=before: service.counters["received"] == before + 1)
        await service.stop()
    assert service.counters["ignored"] == 2


@asynccontextmanager
async def asking(journal: FakeJournal, seconds: float = 60, **more: Any) -> AsyncIterator[Service]:
    """A service whose segment is always asked who uses an address, and never answers by itself."""
    async with running(journal, probe_seconds=seconds, **more) as service:
        service._arp.ask = lambda address, interface: service.asked.append(address) or True
        yield service


async def test_f15_offers_wait_side_by_side() -> None:
    async with asking(FakeJournal()) as service:
        macs = [f"52:54:00:00:15:{number:02x}" for number in range(10)]
        for mac in macs:
            await service.take(request(mac=mac))
        assert len(set(service.asked)) == len(macs)
        assert service.sent == []
        # What came in is told at once, what goes out when it does.
        assert service.kinds == ["dhcp.discover"] * len(macs)

        service.clock.pass_by(0.15)
        for address in service.asked:
            await service.time_is_up(address)
        assert [packet.mac for packet in service.sent] == macs
        assert service.kinds[len(macs) :] == ["dhcp.offer"] * len(macs)
        assert {event.time for event in service.events[len(macs) :]} == {NOW + 0.15}
        assert (service.counters["probes"], service.counters["offers"]) == (len(macs), len(macs))


async def test_f15_the_wait_ends_by_itself() -> None:
    async with asking(FakeJournal(), seconds=0.01) as service:
        await service.take(request())
        await service.take(request(xid=0x2222))
        async with asyncio.timeout(10):
            while not service.sent:
                await asyncio.sleep(0.01)

        # Asked for with the first DISCOVER, and again for a frame that was lost; the newer one is answered.
        assert [packet.xid for packet in service.sent] == [0x2222]
        assert set(service.asked) == {ADDRESS}
        # Within the hour nobody is asked again.
        await service.take(request(xid=0x3333))
        assert [packet.xid for packet in service.sent] == [0x2222, 0x3333]


async def test_f15_an_address_in_use_is_stored_before_another_is_offered() -> None:
    journal = FakeJournal()
    async with asking(journal) as service:
        await service.take(request())
        await service.do(service._claimed, ADDRESS, OTHER, "lo")
        # It is asked for no more, and nothing is offered before the quarantine is on the disk.
        assert service.sent == []
        journal.write()
        await service.do(lambda: None)
        assert service.asked == [ADDRESS, ADDRESS + 1]
        await service.time_is_up(ADDRESS + 1)

        assert [packet.yiaddr for packet in service.sent] == [ADDRESS + 1]
        assert service.kinds == ["dhcp.discover", "dhcp.conflict", "dhcp.offer"]
        [told] = service.told
        assert (told.address, told.mac, told.state) == (ADDRESS, OTHER, LeaseState.DECLINED)
        assert service.counters["conflicts"] == 1

        # The operator clears it: the next client that asks for it may have it, if nobody answers.
        service.forget(ADDRESS)
        await service.take(request(mac=OTHER, options={opt.REQUESTED_ADDRESS: ADDRESS.packed}))
        assert service.asked[-1] == ADDRESS


async def test_v11_a_crowd_of_cards_is_not_believed_for_ever() -> None:
    """The pool has ten addresses, and somebody answers for each that is offered, with another card each time."""
    journal = FakeJournal()
    async with asking(journal) as service:
        for number in range(3):
            await service.take(request(mac=f"52:54:00:77:00:{number:02x}"))
            for _ in range(10):
                if service.sent:
                    break
                asked = service.asked[-1]
                await service.do(service._claimed, asked, f"52:54:00:66:{number:02x}:{len(service.asked):02x}", "lo")
                while journal.queue:
                    journal.write()
                    await service.do(lambda: None)
            [offer] = service.sent
            assert offer.message is MessageType.OFFER
            service.sent.clear()

        kept = [lease for lease in service._table.leases() if lease.state is LeaseState.DECLINED]
        assert len(kept) == 7
        assert "three quarters" in next(
            event.message for event in reversed(service.events) if event.kind == "dhcp.conflict"
        )


async def test_f15_a_quarantine_that_cannot_be_stored_leaves_the_client_unanswered() -> None:
    journal = FakeJournal()
    async with asking(journal) as service:
        await service.take(request())
        await service.do(service._claimed, ADDRESS, OTHER, "lo")
        journal.write(OSError("disk full"))
        await service.do(lambda: None)

        assert service.sent == []
        assert service.kinds == ["dhcp.discover", "dhcp.silent"]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("answers", [False, True])
async def test_f15_an_address_that_is_leased_while_its_offer_waits(stored: bool, answers: bool) -> None:
    """A registered machine may have what a stranger was only offered, and answers for it: it is no squatter."""
    journal = FakeJournal()
    async with asking(journal, world=World(machines=[machine(OTHER)])) as service:
        await service.take(request())
        await service.take(selecting(OTHER))
        if stored:
            journal.write()
        if answers:
            await service.do(service._claimed, ADDRESS, OTHER, "lo")
        else:
            await service.time_is_up(ADDRESS)
        if not stored:
            journal.write()
        await service.time_is_up(ADDRESS + 1)

        assert [(packet.mac, packet.yiaddr) for packet in service.sent] == [(OTHER, ADDRESS), (MAC, ADDRESS + 1)]
        assert [lease.state for lease in service.told] == [LeaseState.BOUND]
        assert journal.queue == []
        assert service.counters["conflicts"] == 0


async def test_f15_where_nobody_can_be_asked_nobody_waits() -> None:
    async with running(FakeJournal(), probe_seconds=60) as service:
        await service.take(request())

        assert [packet.yiaddr for packet in service.sent] == [ADDRESS]
