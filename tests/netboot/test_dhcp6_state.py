"""IPv6 leases as a state machine, and messages of any octets: no address is two clients' at once, nothing raises."""

from __future__ import annotations

import contextlib
from ipaddress import IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6
from app.netboot.dhcp6.answer import answer
from app.netboot.dhcp6.exchange import Arrival
from app.netboot.dhcp6.table import Holder, Lease6Table
from app.netboot.wire import dhcp6
from app.netboot.wire.dhcp6 import DhcpError, Kind, Message, RelayMessage, unwrap, wrap
from app.netboot.wire.icmp6 import link_local
from tests.netboot.dhcp6world import MAC, OWN, SERVER_DUID, Bench6, World6, duid, firmware, ia, ipxe, subnet6

FIRST = int(IPv6Address("fd00:7::100"))
SUBNET = subnet6(ranges=["fd00:7::100-fd00:7::102"])
SECONDS = 100.0
HOLDERS = [Holder(f"{number:04x}", iaid, f"52:54:00:00:00:{number % 3:02x}" if number % 4 else "", known=number == 1)
           for number in range(5) for iaid in (1, 2)]  # fmt: skip
holders = st.sampled_from(HOLDERS)


class Leasing(RuleBasedStateMachine):
    """Clients ask, take, release, decline; commits fail; time passes; the server restarts; the clock is set."""

    @initialize()
    def begin(self) -> None:
        self.now = 1_000_000.0
        self.disk: dict[IPv6Address, Lease6] = {}
        self.table = Lease6Table()
        self.queue: list[Lease6] = []
        self.told: dict[IPv6Address, Lease6] = {}

    @rule(holder=holders, hint=st.integers(FIRST - 1, FIRST + 3))
    def take(self, holder: Holder, hint: int) -> None:
        number = self.table.offer(holder, SUBNET, self.now, [IPv6Address(hint)])
        if number is None:
            return
        assert FIRST <= number <= FIRST + 2
        lease = Lease6(
            address=IPv6Address(number),
            mac=holder.mac,
            client_id=holder.duid,
            iaid=holder.iaid,
            since=self.now,
            expires=self.now + SECONDS,
        )
        self.table.pend(lease)
        self.queue.append(lease)

    @rule(holder=holders)
    def only_ask(self, holder: Holder) -> None:
        self.table.offer(holder, SUBNET, self.now)

    @rule(fails=st.booleans())
    def store(self, fails: bool) -> None:
        leases, self.queue = self.queue, []
        for lease in leases:
            if fails:
                self.table.abandon([lease], self.now)
                continue
            before = self.told.get(lease.address)
            live = before is not None and before.state is LeaseState.BOUND and before.expires > self.now
            if live and before is not None:
                same = (before.client_id, before.iaid) == (lease.client_id, lease.iaid)
                assert same or (before.mac and before.mac == lease.mac), f"{lease} was {before}"
            self.disk[lease.address] = self.told[lease.address] = lease
            self.table.commit([lease])

    @rule(holder=holders, declined=st.booleans())
    def end(self, holder: Holder, declined: bool) -> None:
        for lease in self.table.held(holder, self.now):
            state = LeaseState.DECLINED if declined else LeaseState.RELEASED
            ended = lease.model_copy(update={"state": state, "expires": self.now + (2 * SECONDS if declined else 0)})
            self.disk[lease.address] = self.told[lease.address] = ended
            self.table.pend(ended)
            self.table.commit([ended])

    @rule(seconds=st.sampled_from([1.0, 61.0, 101.0, 500.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for lease in self.table.lapsed(self.now):
            self.disk[lease.address] = self.told[lease.address] = lease

    @rule()
    def restart(self) -> None:
        self.queue = []
        self.table = Lease6Table(self.disk.values())

    @rule(seconds=st.sampled_from([-5000.0, 5000.0]))
    def set_clock(self, seconds: float) -> None:
        if self.queue:
            return
        for lease in self.table.shift(seconds, self.now):
            self.disk[lease.address] = self.told[lease.address] = lease
        self.now += seconds

    @invariant()
    def nobody_has_what_another_was_told(self) -> None:
        for address, lease in getattr(self, "told", {}).items():
            if lease.state is LeaseState.DECLINED and lease.expires > self.now:
                assert not any(self.table.may_have(each, SUBNET, int(address), self.now) for each in HOLDERS)


Leasing.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_leases = Leasing.TestCase

_ADDRESS = IPv6Address("fd00:7::100")
_RELAY = RelayMessage(
    Kind.RELAY_FORWARD,
    0,
    IPv6Address("fd00:7::9"),
    link_local(MAC),
    (
        (dhcp6.INTERFACE_ID, b"port 3"),
        (dhcp6.CLIENT_LINK_ADDRESS, bytes.fromhex("0001525400000007")),
        (dhcp6.RELAY_MESSAGE, Message(Kind.SOLICIT, 1, ((dhcp6.CLIENT_ID, duid()), ia(), *firmware(7))).encode()),
    ),
)
SEEDS = [
    *(Message(kind, 7, ((dhcp6.CLIENT_ID, duid()), (dhcp6.SERVER_ID, SERVER_DUID), ia(1, _ADDRESS), *ipxe())).encode()
      for kind in (Kind.REQUEST, Kind.RENEW, Kind.RELEASE, Kind.DECLINE)),
    *(Message(kind, 7, ((dhcp6.CLIENT_ID, duid()), ia(1, _ADDRESS), *firmware(16, "HTTPClient"))).encode()
      for kind in (Kind.SOLICIT, Kind.REBIND, Kind.CONFIRM)),
    Message(Kind.INFORMATION_REQUEST, 7, ((dhcp6.CLIENT_ID, duid()), *firmware(7))).encode(),
    _RELAY.encode(),
]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 400)),
)
def test_m08_mutated_messages_are_answered_or_dropped_and_nothing_raises(
    seed: bytes, changes: list[tuple[int, int]], cut: int | None
) -> None:
    octets = bytearray(seed)
    for at, value in changes:
        octets[at % len(octets)] = value
    bench = Bench6(World6())
    with contextlib.suppress(DhcpError):
        message, relays = unwrap(bytes(octets[:cut]))
        arrival = Arrival("eth0", OWN, link_local(MAC))
        found = answer(message, relays, arrival, bench.world, bench.table, bench.policy, SERVER_DUID, bench.now)
        if found.reply is not None:
            assert unwrap(found.reply.encode()) == (found.reply, ())
            assert wrap(found.reply, relays)
