"""The service as a state machine, judged from its clients' side.

Whatever they say, whatever fails, however clocks are set and engines die: nobody is acknowledged what is not on the
disk, and no address is two clients' at once by what they were told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.errors import UnavailableError
from app.model.engine import Interface
from app.model.event import EventDraft
from app.model.subnet import Lease, LeaseState, Range
from app.netboot.exchange import Answer, Arrival, Policy
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType
from app.services.dhcp import DhcpService
from tests.netboot.dhcpworld import SERVER, World, extending, rebooting, request, selecting, subnet

ARRIVAL = Arrival("eth0", (IPv4Interface("10.7.0.1/24"),), frozenset({SERVER}))
RANGE = Range(start=IPv4Address("10.7.0.100"), end=IPv4Address("10.7.0.102"))
MACS = [f"52:54:00:00:00:{number:02x}" for number in range(5)]
LEASE_SECONDS = 600
# An ACK says whole seconds.
ROUNDED = 1.0

macs = st.sampled_from(MACS)
addresses = st.integers(int(RANGE.start), int(RANGE.end)).map(IPv4Address)


@dataclass
class Host:
    """What a service finds when it starts: clocks, and a disk that outlives it."""

    wall: float = 1_000_000.0
    mono: float = 500.0
    disk: dict[IPv4Address, Lease] = field(default_factory=dict[IPv4Address, Lease])

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono


class Journal:
    """Commits wait until it is told what becomes of them."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.queue: list[tuple[Sequence[Lease], Callable[[BaseException | None], None]]] = []

    def commit(self, leases: Sequence[Lease], done: Callable[[BaseException | None], None]) -> None:
        self.queue.append((leases, done))

    def write(self, *, fails: bool) -> None:
        leases, done = self.queue.pop(0)
        if not fails:
            self.host.disk.update({lease.address: lease for lease in leases})
        done(UnavailableError("the disk is full") if fails else None)


class Service(DhcpService):
    """Without a port and a thread: what it would do later, elsewhere or on the wire is done when the test says so."""

    def __init__(self, host: Host, world: World, heard: Callable[[DhcpPacket], None]) -> None:
        self.events: list[EventDraft] = []
        self.posted: list[Callable[[], None]] = []
        self.timers: list[Callable[[], object]] = []
        self.journal = Journal(host)
        self._heard = heard
        super().__init__(
            view=world,
            journal=self.journal,
            leases=lambda: list(host.disk.values()),
            interfaces=list[Interface],
            emit=self.events.append,
            clock=host,
            policy=Policy(),
            probe_seconds=0,
        )

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        self.posted.append(lambda: function(*arguments))

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        self.timers.append(function)

    def send(self, answer: Answer) -> bool:
        if answer.reply is not None:
            self._heard(answer.reply)
        return True

    def work(self) -> None:
        """The loop comes to what was posted."""
        posted, self.posted = self.posted, []
        for each in posted:
            each()

    def tick(self) -> None:
        """The sweep is due."""
        timers, self.timers = self.timers, []
        for each in timers:
            each()


class Acknowledging(RuleBasedStateMachine):
    """Clients with a memory of their own, and a service that is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.host = Host()
        self.world = World(nets=[subnet(ranges=(RANGE,), lease_time=LEASE_SECONDS)])
        self.loop = asyncio.new_event_loop()
        self.offers: dict[str, DhcpPacket] = {}
        self.waits: dict[str, tuple[int, float]] = {}
        """The transaction each client waits for an answer to, and when it asked."""
        self.held: dict[IPv4Address, tuple[str, float]] = {}
        """Who was told that an address is theirs, and until when on a clock that nobody sets."""
        self.wrong: list[AssertionError] = []
        self.xid = 1

    def teardown(self) -> None:
        self.loop.close()

    @initialize()
    def start(self) -> None:
        self.service = Service(self.host, self.world, self.hear)
        self.loop.run_until_complete(self.service.prepare())
        self.service.begin()

    # --- the clients --------------------------------------------------------------------------------------------

    def hear(self, reply: DhcpPacket) -> None:
        # The service goes on after an exception, as it should: what is wrong is kept and told after the step.
        try:
            self.judge(reply)
        except AssertionError as error:
            self.wrong.append(error)

    @invariant()
    def nothing_is_wrong(self) -> None:
        for error in self.wrong:
            raise error
        assert self.service.counters["errors"] == 0

    def judge(self, reply: DhcpPacket) -> None:
        mac = reply.chaddr.hex(":")
        xid, asked = self.waits.get(mac, (0, 0.0))
        if xid != reply.xid:
            # It has given that up, and does not listen.
            return
        if reply.message is MessageType.OFFER:
            self.offers[mac] = reply
        elif reply.message is MessageType.NAK:
            self.drops(mac)
        elif reply.message is MessageType.ACK:
            # A client counts from when it asked (RFC 2131 §4.4.1), however long the disk took.
            until = asked + int.from_bytes(reply.options[opt.LEASE_TIME], "big")
            owner, theirs = self.held.get(reply.yiaddr, (mac, 0.0))
            assert owner == mac or theirs <= self.host.mono, f"{reply.yiaddr} is {owner}'s and now {mac}'s"
            self.held[reply.yiaddr] = (mac, until)
            self.check(reply, mac, until)

    def check(self, reply: DhcpPacket, mac: str, until: float) -> None:
        """There is a committed row for all that an ACK promises."""
        row = self.host.disk.get(reply.yiaddr)
        assert row is not None
        assert (row.mac, row.state) == (mac, LeaseState.BOUND)
        # Where the clock was set while it was on its way, the row with the new clock's time follows at once.
        follow = [each for leases, _ in self.service.journal.queue for each in leases if each.address == row.address]
        ends = max(each.expires for each in [row, *follow]) - self.service.now() + self.host.mono
        assert ends >= until - ROUNDED, f"{reply.yiaddr} was promised to {mac} until {until}, and is stored to {ends}"

    def drops(self, mac: str) -> list[IPv4Address]:
        """It has no address any more."""
        dropped = [address for address, (owner, _) in self.held.items() if owner == mac]
        for address in dropped:
            del self.held[address]
        return dropped

    def say(self, mac: str, build: Callable[[int], DhcpPacket]) -> None:
        self.xid += 1
        self.waits[mac] = (self.xid, self.host.mono)
        self.service.handle(build(self.xid), ARRIVAL)

    @rule(mac=macs, hint=st.none() | addresses)
    def discover(self, mac: str, hint: IPv4Address | None) -> None:
        options = {opt.REQUESTED_ADDRESS: hint.packed} if hint else {}
        self.say(mac, lambda xid: request(mac=mac, options=options, xid=xid))

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        mac = data.draw(st.sampled_from(sorted(self.offers)))
        offer = self.offers.pop(mac)
        self.say(mac, lambda xid: selecting(offer, mac, xid=xid))

    @rule(mac=macs, fails=st.sampled_from([False, False, True]))
    def lease(self, mac: str, fails: bool) -> None:
        """All four messages without a pause: what other rules then disturb."""
        self.all_is_done()
        self.say(mac, lambda xid: request(mac=mac, xid=xid))
        if mac in self.offers:
            offer = self.offers.pop(mac)
            self.say(mac, lambda xid: selecting(offer, mac, xid=xid))
            while self.service.journal.queue:
                self.service.journal.write(fails=fails)
            self.service.work()

    @rule(mac=macs)
    def renew_its_own(self, mac: str) -> None:
        for address, (owner, until) in list(self.held.items()):
            if owner == mac and until > self.host.mono:
                self.say(mac, lambda xid, address=address: extending(str(address), mac, xid=xid))

    @rule(mac=macs, address=addresses)
    def begin_again(self, mac: str, address: IPv4Address) -> None:
        self.say(mac, lambda xid: rebooting(str(address), mac, xid=xid))

    @rule(mac=macs, address=addresses)
    def renew(self, mac: str, address: IPv4Address) -> None:
        self.say(mac, lambda xid: extending(str(address), mac, xid=xid))

    @rule(mac=macs)
    def release(self, mac: str) -> None:
        for address in self.drops(mac):
            options = {opt.SERVER_ID: SERVER.packed}
            self.say(
                mac,
                lambda xid, address=address, options=options: request(
                    MessageType.RELEASE, mac, options, ciaddr=address, xid=xid
                ),
            )

    @rule(mac=macs)
    def decline(self, mac: str) -> None:
        for address in self.drops(mac):
            options = {opt.SERVER_ID: SERVER.packed, opt.REQUESTED_ADDRESS: address.packed}
            self.say(mac, lambda xid, options=options: request(MessageType.DECLINE, mac, options, xid=xid))

    # --- the host -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.service.journal.queue)
    @rule(fails=st.sampled_from([False, False, False, True]))
    def write(self, fails: bool) -> None:
        self.service.journal.write(fails=fails)

    @rule()
    def work(self) -> None:
        self.service.work()

    @rule()
    def all_is_done(self) -> None:
        while self.service.journal.queue or self.service.posted:
            while self.service.journal.queue:
                self.service.journal.write(fails=False)
            self.service.work()

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 301.0, 601.0, 90_000.0]))
    def wait(self, seconds: float) -> None:
        self.host.mono += seconds
        self.host.wall += seconds
        self.service.tick()

    @rule(seconds=st.sampled_from([-86_400.0, -3600.0, 3600.0, 3e8]))
    def clock_is_set(self, seconds: float) -> None:
        self.host.wall += seconds
        self.service.tick()
        # A kill before the new times are stored would leave the old ones, which mean something else by now.
        self.all_is_done()

    @rule(seconds=st.sampled_from([0.0, 0.0, 30.0, -3600.0]))
    def killed(self, seconds: float) -> None:
        """kill -9 and a start; the clock may have gone back meanwhile (forward, every lease ends, as it must)."""
        self.host.wall += seconds
        self.host.mono += max(0.0, seconds)
        self.start()


Acknowledging.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAcknowledging = Acknowledging.TestCase
