"""Which offers wait for somebody who uses their address, and what an answer changes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from app.model.event import Level
from app.model.subnet import Lease, LeaseState, Reservation
from app.netboot.conflicts import CARD_MAX, QUIET_SECONDS, Conflicts, Held, quarantined
from app.netboot.exchange import Answer, Arrival
from app.netboot.wire.dhcp4 import MessageType
from tests.netboot.dhcpworld import MAC, OTHER, SERVER, THIRD, Bench, World, machine, rebooting, request, subnet

ARRIVAL = Arrival("eth0", (IPv4Interface("10.7.0.1/24"),), frozenset({SERVER}))
ADDRESS = IPv4Address("10.7.0.100")


def offered(bench: Bench, mac: str = MAC, **fields: Any) -> Held:
    asked = request(mac=mac, **fields)
    return Held(bench.ask(asked), asked, ARRIVAL)


def doubtful(bench: Bench, conflicts: Conflicts, found: Answer, arrival: Arrival = ARRIVAL) -> bool:
    return conflicts.doubtful(found, arrival, bench.table, bench.now)


def test_an_offer_of_an_address_nobody_had_waits() -> None:
    bench = Bench()

    assert doubtful(bench, Conflicts(), offered(bench).found)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("behind a router", (IPv4Interface("10.9.0.1/24"),)),
        ("no address of our own", ()),
    ],
)
def test_only_the_segment_can_be_asked(name: str, addresses: tuple[IPv4Interface, ...]) -> None:
    bench = Bench()

    assert not doubtful(bench, Conflicts(), offered(bench).found, replace(ARRIVAL, addresses=addresses))


def test_behind_a_relay_nobody_is_asked() -> None:
    bench = Bench(World(nets=[subnet()]))
    found = bench.ask(request(giaddr=IPv4Address("10.7.0.254"))).reply

    assert found is not None
    assert not doubtful(bench, Conflicts(), Answer(reply=found))


def test_what_is_no_offer_does_not_wait() -> None:
    bench = Bench()
    bench.bind()

    assert not doubtful(bench, Conflicts(), bench.ask(rebooting("10.7.0.100")))
    assert not doubtful(bench, Conflicts(), bench.ask(request(MessageType.INFORM, ciaddr=ADDRESS)))
    assert not doubtful(bench, Conflicts(), Answer("silence"))


@pytest.mark.parametrize(
    ("name", "passed", "waits"),
    [("leased now", 60, False), ("ended lately", 3600 + 1800, False), ("ended long ago", 3600 + 3601, True)],
)
def test_an_address_that_was_ours_to_give_lately(name: str, passed: float, waits: bool) -> None:
    bench = Bench()
    bench.bind()
    bench.now += passed

    assert doubtful(bench, Conflicts(), offered(bench).found) == waits


def test_nobody_is_asked_twice_within_the_hour() -> None:
    bench, conflicts = Bench(), Conflicts()
    held = offered(bench)
    wait = conflicts.hold(held)
    assert conflicts.unclaimed(ADDRESS, wait, bench.now) is held

    bench.now += QUIET_SECONDS - 1
    assert not doubtful(bench, conflicts, offered(bench).found)
    bench.now += 1
    assert doubtful(bench, conflicts, offered(bench).found)


@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0])
def test_a_clock_that_is_set_makes_no_hour_longer_or_shorter(seconds: float) -> None:
    bench, conflicts = Bench(), Conflicts()
    held = offered(bench)
    conflicts.unclaimed(ADDRESS, conflicts.hold(held), bench.now)
    conflicts.shift(seconds)
    bench.now += seconds

    bench.now += QUIET_SECONDS - 1
    assert not doubtful(bench, conflicts, held.found)
    bench.now += 1
    assert doubtful(bench, conflicts, held.found)


def test_an_address_that_is_cleared_is_asked_for_again() -> None:
    bench, conflicts = Bench(), Conflicts()
    conflicts.unclaimed(ADDRESS, conflicts.hold(offered(bench)), bench.now)
    conflicts.forget(ADDRESS)

    assert doubtful(bench, conflicts, offered(bench).found)


def test_a_discover_sent_again_does_not_begin_the_wait_anew() -> None:
    bench, conflicts = Bench(), Conflicts()
    first, second = offered(bench), offered(bench, xid=0x22)

    wait = conflicts.hold(first)
    assert wait
    assert not conflicts.hold(second)
    # It is the newer one that is answered.
    assert conflicts.unclaimed(ADDRESS, wait, bench.now) is second
    assert conflicts.unclaimed(ADDRESS, wait, bench.now) is None


def test_a_wait_that_begins_after_another_was_over_has_its_own_time() -> None:
    """Somebody answered, the operator cleared the address, and it is offered again before the first time was up."""
    bench, conflicts = Bench(), Conflicts()
    first, second = offered(bench), offered(bench, xid=0x22)
    before = conflicts.hold(first)
    assert conflicts.claimed(ADDRESS, OTHER, "eth0", bench.world, bench.now) is first
    wait = conflicts.hold(second)

    assert conflicts.unclaimed(ADDRESS, before, bench.now) is None
    assert not conflicts.waits(ADDRESS, before)
    assert conflicts.waits(ADDRESS, wait)
    assert conflicts.unclaimed(ADDRESS, wait, bench.now) is second


def test_a_flood_does_not_wait() -> None:
    bench = Bench(World(nets=[subnet(cidr="10.0.0.0/8", ranges=("10.1.0.0-10.1.255.255",))]))
    arrival = replace(ARRIVAL, addresses=(IPv4Interface("10.7.0.1/8"),))
    conflicts = Conflicts()
    waiting = 0
    for number in range(1100):
        asked = request(mac=f"52:54:00:99:{number >> 8:02x}:{number & 255:02x}")
        found = bench.ask(asked)
        if conflicts.doubtful(found, arrival, bench.table, bench.now):
            waiting += bool(conflicts.hold(Held(found, asked, arrival)))

    assert (waiting, len(conflicts)) == (1024, 1024)


def test_somebody_answers() -> None:
    bench, conflicts = Bench(), Conflicts()
    held = offered(bench)
    wait = conflicts.hold(held)

    assert conflicts.claimed(ADDRESS, OTHER, "eth0", bench.world, bench.now) is held
    assert conflicts.unclaimed(ADDRESS, wait, bench.now) is None


@pytest.mark.parametrize(
    ("name", "address", "mac", "interface"),
    [
        ("the client itself", ADDRESS, MAC, "eth0"),
        ("the client's other card", ADDRESS, THIRD, "eth0"),
        ("on another segment", ADDRESS, OTHER, "eth1"),
        ("for an address nobody asked for", IPv4Address("10.7.0.101"), OTHER, "eth0"),
    ],
)
def test_answers_that_change_nothing(name: str, address: IPv4Address, mac: str, interface: str) -> None:
    bench, conflicts = Bench(World(machines=[machine(macs=(MAC, THIRD))])), Conflicts()
    held = offered(bench)
    wait = conflicts.hold(held)

    assert conflicts.claimed(address, mac, interface, bench.world, bench.now) is None
    assert conflicts.unclaimed(ADDRESS, wait, bench.now) is held


def test_a_card_that_answers_for_everything_is_not_believed_for_long() -> None:
    bench, conflicts = Bench(World(nets=[subnet(ranges=("10.7.0.100-10.7.0.199",))])), Conflicts()

    def ask(number: int) -> bool:
        held = offered(bench, f"52:54:00:77:00:{number:02x}")
        conflicts.hold(held)
        return conflicts.claimed(held.address, OTHER, "eth0", bench.world, bench.now) is not None

    assert [ask(number) for number in range(CARD_MAX)] == [True] * CARD_MAX
    assert not conflicts.believed(OTHER)
    assert not ask(50)
    assert conflicts.believed(THIRD)
    bench.now += QUIET_SECONDS + 1
    assert ask(51)


def test_the_address_is_kept_back_and_that_is_told() -> None:
    bench = Bench()
    held = offered(bench)
    found = quarantined(held, OTHER, bench.world.nets, bench.table, bench.now, last=False)

    assert found.lease_changes == (
        Lease(
            address=ADDRESS,
            mac=OTHER,
            subnet="rack7",
            state=LeaseState.DECLINED,
            since=bench.now,
            expires=bench.now + 86_400,
            interface="eth0",
        ),
    )
    [event] = found.events
    assert (event.kind, event.level, event.mac, event.address) == ("dhcp.conflict", Level.WARNING, MAC, "10.7.0.100")
    assert event.message == f"10.7.0.100 is used by {OTHER}, which has no lease of it: it is not given out for 24 h"
    assert (event.data["device"], event.data["subnet"]) == (OTHER, "rack7")
    assert found.reply is None

    bench.table.commit(found.lease_changes)
    assert bench.offer().yiaddr == IPv4Address("10.7.0.101")
    bench.table.forget(ADDRESS)
    assert bench.offer(mac=OTHER, options={50: ADDRESS.packed}).yiaddr == ADDRESS


def test_v11_many_cards_never_take_the_last_quarter_of_the_pool() -> None:
    """Each answers for one address; who comes then is offered one all the same, and an operator reads why."""
    bench = Bench()
    kept, found = list[float](), Answer()
    for number in range(9):
        held = offered(bench, f"52:54:00:77:00:{number:02x}")
        found = quarantined(held, f"52:54:00:66:00:{number:02x}", bench.world.nets, bench.table, bench.now, last=False)
        bench.table.commit(found.lease_changes)
        kept += [lease.expires - bench.now for lease in found.lease_changes]

    assert kept == [86_400.0] * 5 + [600.0] * 2
    [event] = found.events
    assert (event.kind, event.level) == ("dhcp.conflict", Level.WARNING)
    assert "three quarters of the addresses of subnet rack7 are in quarantine" in event.message
    # An operator who clears one makes room for another.
    bench.table.forget(ADDRESS)
    held = offered(bench, options={50: ADDRESS.packed})
    assert quarantined(held, THIRD, bench.world.nets, bench.table, bench.now, last=False).lease_changes
    bench.now += 601
    assert bench.offer(THIRD).yiaddr


def test_v11_a_known_machines_decline_is_believed_longest() -> None:
    bench = Bench(World(machines=[machine(registered=True)]))
    for number in range(7):
        bench.table.commit(
            [Lease(address=ADDRESS + number, mac=OTHER, state=LeaseState.DECLINED, expires=bench.now + 99)]
        )
    states: list[LeaseState] = []
    for mac in (THIRD, MAC):
        address = bench.bind(mac=mac).yiaddr
        words = {50: address.packed, 54: SERVER.packed}
        [changed] = bench.ask(request(MessageType.DECLINE, mac, words)).lease_changes
        states.append(changed.state)

    assert states == [LeaseState.RELEASED, LeaseState.DECLINED]
    assert "three quarters" in next(event.message for event in bench.events if event.kind == "dhcp.decline")


def test_a_reserved_address_in_use_gives_way_to_one_of_the_range() -> None:
    bench = Bench(World(reserved=[Reservation(address=IPv4Address("10.7.0.50"), mac=MAC)]))
    held = offered(bench)
    assert held.address == IPv4Address("10.7.0.50")
    bench.table.commit(quarantined(held, OTHER, bench.world.nets, bench.table, bench.now, last=False).lease_changes)

    assert bench.offer().yiaddr == ADDRESS


def test_who_answers_for_everything_is_named_once() -> None:
    bench = Bench()
    found = quarantined(offered(bench), OTHER, bench.world.nets, bench.table, bench.now, last=True)

    assert found.why.endswith(f"{OTHER} answers for 8 addresses, as a proxy does, and is not believed any more")
