"""Allocation as a state machine: whatever clients do, whatever fails, no address is two clients' at once."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.model.subnet import Lease, LeaseState, Range, Reservation
from app.netboot.allocate import LeaseTable
from app.netboot.choice import Refusal
from app.netboot.identity import Client, holds
from app.netboot.quarantine import QUARANTINE_SECONDS
from tests.netboot.dhcpworld import SERVER, World, machine, subnet

FIRST, LAST = IPv4Address("10.7.0.100"), IPv4Address("10.7.0.102")
RESERVED = IPv4Address("10.7.0.50")
INSIDE = IPv4Address("10.7.0.102")
MACS = [f"52:54:00:00:00:{number:02x}" for number in range(5)]
LEASE_SECONDS = 100.0

macs = st.sampled_from(MACS)
ids = st.sampled_from(["", "", "ff0102030405", "ff0a0b0c0d0e"])
addresses = st.integers(int(FIRST) - 1, int(LAST) + 1).map(IPv4Address)


class Allocation(RuleBasedStateMachine):
    """Clients ask, take, release, decline; commits fail; time passes; the server restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.disk: dict[IPv4Address, Lease] = {}
        self.queue: list[Lease] = []
        self.acked: dict[IPv4Address, Lease] = {}
        self.world = World()

    @initialize(reserved=st.booleans(), known=st.sets(macs, max_size=2))
    def start(self, reserved: bool, known: set[str]) -> None:
        self.world = World(
            nets=[subnet(ranges=(Range(start=FIRST, end=LAST),))],
            reserved=[Reservation(address=RESERVED, mac=MACS[0]), Reservation(address=INSIDE, mac=MACS[1])]
            if reserved
            else [],
            machines=[machine(mac, name=f"m{mac[-2:]}") for mac in sorted(known)],
        )
        self.table = LeaseTable(offers_max=4)

    def client(self, mac: str, client_id: str) -> Client:
        known = self.world.machine_by_mac(mac) is not None or bool(self.world.reservations_for(mac))
        return Client(mac, client_id, known)

    @rule(mac=macs, client_id=ids, hint=st.none() | addresses)
    def discover(self, mac: str, client_id: str, hint: IPv4Address | None) -> None:
        client = self.client(mac, client_id)
        choice = self.table.offer(
            client, self.world.nets[0], self.world, self.now, hint=hint, excluded=frozenset({SERVER})
        )
        if choice.address is None:
            assert choice.refusal is Refusal.EXHAUSTED
            return
        assert choice.address in self.world.nets[0].ranges[0] or choice.address == RESERVED
        owner = self.world.reservation_at(choice.address)
        assert owner is None or owner.mac == mac
        for lease in self.live():
            assert lease.address != choice.address or holds(lease, client, self.world)

    @rule(mac=macs, client_id=ids, address=addresses | st.just(RESERVED))
    def take(self, mac: str, client_id: str, address: IPv4Address) -> None:
        client = self.client(mac, client_id)
        if self.table.refusal(client, self.world.nets[0], self.world, address, self.now, excluded=frozenset({SERVER})):
            return
        lease = Lease(address=address, mac=mac, client_id=client_id, since=self.now, expires=self.now + LEASE_SECONDS)
        self.table.pend(lease)
        self.queue.append(lease)

    @rule(pair=st.lists(macs, min_size=2, max_size=2, unique=True), address=addresses)
    def b18_two_take_one_address(self, pair: list[str], address: IPv4Address) -> None:
        for mac in pair:
            self.take(mac, "", address)
        for _ in range(len(self.queue)):
            self.write(fails=False)

    @rule(mac=macs, client_id=ids)
    def take_the_offer(self, mac: str, client_id: str) -> None:
        offer = self.table.offered(self.client(mac, client_id), self.now)
        if offer is not None:
            self.take(mac, client_id, IPv4Address(offer.address))

    @rule(fails=st.sampled_from([False, False, False, True]))
    def write(self, fails: bool) -> None:
        if not self.queue:
            return
        lease = self.queue.pop(0)
        if fails:
            self.table.abandon([lease], self.now)
            return
        before = self.table.at(lease.address)
        if before is not None and before in self.live() and lease.state is LeaseState.BOUND:
            assert holds(before, Client(lease.mac, lease.client_id), self.world)
        self.disk[lease.address] = lease
        self.table.commit([lease])
        if lease.state is LeaseState.BOUND:
            self.acked[lease.address] = lease

    @rule(mac=macs)
    def release(self, mac: str) -> None:
        for lease in [item for item in self.live() if item.mac == mac]:
            self.queue.append(lease.model_copy(update={"state": LeaseState.RELEASED, "expires": self.now}))

    @rule(mac=macs)
    def decline(self, mac: str) -> None:
        for lease in [item for item in self.live() if item.mac == mac][:1]:
            ends = self.now + QUARANTINE_SECONDS
            self.queue.append(lease.model_copy(update={"state": LeaseState.DECLINED, "expires": ends}))

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 101.0, 90000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        for lease in self.table.lapsed(self.now):
            assert lease.expires <= self.now
            self.disk[lease.address] = lease
            self.table.commit([lease])

    @rule()
    def restart(self) -> None:
        self.queue.clear()
        self.table = LeaseTable(list(self.disk.values()), offers_max=4)

    @rule(seconds=st.sampled_from([-86400.0, 3600.0, 1e8]))
    def clock_is_set(self, seconds: float) -> None:
        for lease in self.table.shift(seconds, self.now):
            self.disk[lease.address] = lease
            if lease.address in self.acked and lease.state is LeaseState.BOUND:
                self.acked[lease.address] = lease
        self.queue = [item.model_copy(update={"expires": item.expires + seconds}) for item in self.queue]
        self.now += seconds

    def live(self) -> list[Lease]:
        return [item for item in self.table.leases() if item.state is LeaseState.BOUND and item.expires > self.now]

    @invariant()
    def every_live_lease_is_on_the_disk_and_inside(self) -> None:
        for lease in self.live():
            assert self.disk[lease.address] == lease
            assert lease.address in self.world.nets[0].ranges[0] or lease.address == RESERVED

    @invariant()
    def what_was_acknowledged_still_holds(self) -> None:
        # Each ACK stands until its time is over or its own client (same card, or same trusted identifier) changes it.
        for address, lease in self.acked.items():
            record = self.table.at(address)
            assert record is not None
            if lease.expires > self.now and record.mac != lease.mac:
                assert holds(lease, Client(record.mac, record.client_id), self.world)


Allocation.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestAllocation = Allocation.TestCase
