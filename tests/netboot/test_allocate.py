"""Allocation: the order of preference, identity, quarantine, floods."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from app.model.subnet import Lease, LeaseState, Range, Reservation, Subnet
from app.netboot.allocate import LeaseTable
from app.netboot.choice import Refusal
from app.netboot.identity import Client, distinctive
from app.netboot.token import Claims, TokenKind, mint, verify
from app.netboot.wire import options as opt
from tests.netboot.dhcpworld import MAC, OTHER, SERVER, THIRD, Bench, World, machine, request, subnet

NOW = 1_000_000.0
GONE = LeaseState.RELEASED


def at(last: int) -> IPv4Address:
    return IPv4Address(f"10.7.0.{last}")


def lease(last: int, mac: str = MAC, **changes: Any) -> Lease:
    fields: dict[str, Any] = {"address": at(last), "mac": mac, "since": NOW - 10, "expires": NOW + 3600, **changes}
    return Lease(**fields)


def small(first: int = 100, last: int = 102, **changes: Any) -> Subnet:
    return subnet(ranges=(Range(start=at(first), end=at(last)),), **changes)


def choose(
    table: LeaseTable, mac: str = MAC, world: World | None = None, now: float = NOW, **more: Any
) -> tuple[Any, str]:
    world = world or World()
    client = Client(mac, more.pop("client_id", ""), more.pop("known", False))
    choice = table.offer(client, world.nets[0], world, now, excluded=frozenset({SERVER}), **more)
    return choice.address, choice.how or choice.refusal.value


def stranger(number: int) -> str:
    return f"52:54:00:01:{number >> 8:02x}:{number & 255:02x}"


@pytest.mark.parametrize(
    ("name", "leases", "world", "hint", "expected"),
    [
        ("the first free one", [], World(), None, (at(100), "free")),
        ("A15 the one asked for", [], World(), at(105), (at(105), "asked for")),
        ("A16 one from elsewhere", [], World(), IPv4Address("192.168.1.5"), (at(100), "free")),
        ("one outside the range", [], World(), at(50), (at(100), "free")),
        ("C09 one that another has", [lease(105, OTHER)], World(), at(105), (at(100), "free")),
        ("the one it has, whatever it asks for", [lease(104)], World(), at(105), (at(104), "lease")),
        ("C04 the one it had", [lease(104, state=GONE, expires=NOW - 5)], World(), None, (at(104), "lease")),
        ("the one that ran out", [lease(104, expires=NOW - 5)], World(), None, (at(104), "lease")),
        ("its live one of several", [lease(103, expires=NOW - 5), lease(106)], World(), None, (at(106), "lease")),
        (
            "its reservation, outside the range",
            [lease(104)],
            World(reserved=[Reservation(address=at(50), mac=MAC)]),
            None,
            (at(50), "reservation"),
        ),
        (
            "its reservation is still leased to another",
            [lease(50, OTHER)],
            World(reserved=[Reservation(address=at(50), mac=MAC)]),
            None,
            (at(100), "free"),
        ),
        (
            "nothing reserved for another",
            [],
            World(reserved=[Reservation(address=at(100), mac=OTHER)]),
            at(100),
            (at(101), "free"),
        ),
        (
            "not its old one, now reserved for another",
            [lease(100)],
            World(reserved=[Reservation(address=at(100), mac=OTHER)]),
            None,
            (at(101), "free"),
        ),
        ("not its old one, no longer in the range", [lease(150)], World(), None, (at(100), "free")),
        ("C01 not a declined one", [lease(100, state=LeaseState.DECLINED)], World(), at(100), (at(101), "free")),
        (
            "a declined one after its quarantine",
            [lease(100, OTHER, state=LeaseState.DECLINED, expires=NOW)],
            World(nets=[small(100, 100)]),
            None,
            (at(100), "unused for longest"),
        ),
        (
            "the one unused for longest",
            [lease(100, OTHER, expires=NOW - 5), lease(101, THIRD, expires=NOW - 50), lease(102, stranger(1))],
            World(nets=[small()]),
            None,
            (at(101), "unused for longest"),
        ),
        ("reservations only", [], World(nets=[subnet(reservations_only=True)]), at(100), (None, "reservations-only")),
        ("never the server's own", [], World(nets=[small(1, 1)]), at(1), (None, "pool-exhausted")),
        ("no range at all", [], World(nets=[subnet(ranges=())]), None, (None, "pool-exhausted")),
    ],
)  # fmt: skip
def test_choice(
    name: str, leases: list[Lease], world: World, hint: IPv4Address | None, expected: tuple[Any, str]
) -> None:
    assert choose(LeaseTable(leases), world=world, hint=hint) == expected


def test_a17_the_same_offer_again_and_none_twice() -> None:
    table = LeaseTable()

    assert choose(table) == (at(100), "free")
    assert choose(table) == (at(100), "offer")
    assert choose(table, OTHER) == (at(101), "free")


def test_offers_lapse() -> None:
    table, world = LeaseTable(), World(nets=[small(100, 100)])

    assert choose(table, world=world) == (at(100), "free")
    assert choose(table, OTHER, world) == (None, "pool-exhausted")
    assert choose(table, OTHER, world, NOW + 60) == (at(100), "free")


def test_offers_are_bounded_in_number() -> None:
    table = LeaseTable(offers_max=3)
    for number in range(5):
        choose(table, stranger(number))

    world = World()
    refusals = [table.refusal(Client(MAC), world.nets[0], world, at(last), NOW) for last in range(100, 110)]
    assert refusals.count(Refusal.OFFERED) == 3
    assert refusals.count(Refusal.NONE) == 7


def test_v11_a_known_machine_gets_through_a_flood() -> None:
    table, world = LeaseTable([lease(101, expires=NOW - 5)]), World(nets=[small()])
    for number in range(50):
        choose(table, stranger(number), world)

    assert choose(table, OTHER, world) == (None, "pool-exhausted")
    assert choose(table, OTHER, world, known=True) == (at(100), "offered to a stranger")
    # One that was offered its own former address by name takes it back from the stranger.
    assert choose(table, MAC, world, known=True) == (at(101), "lease")


def test_v11_strangers_that_take_their_leases_leave_what_is_kept() -> None:
    net = subnet(ranges=(Range(start=at(100), end=at(107)),), kept_for_known=2)
    bench = Bench(World(nets=[net], machines=[machine()]))
    taken = [str(bench.bind(stranger(number)).yiaddr) for number in range(6)]
    refused = bench.ask(request(mac=OTHER, options={opt.REQUESTED_ADDRESS: at(107).packed}))

    assert (refused.reply, refused.reason) == (None, "pool-exhausted")
    assert refused.why == "subnet rack7 has no free address left of 8, 2 of them kept for machines on record"
    given = str(bench.bind(MAC).yiaddr)
    assert {given, *taken} == {str(at(last)) for last in range(100, 107)}
    # One that asks for a kept address by name, as after a restart, is refused it.
    assert bench.table.refusal(Client(OTHER), net, bench.world, at(107), bench.now) is Refusal.KEPT


def test_f14_a_flood_does_not_keep_strangers_out() -> None:
    """The oldest offers nobody took give way, once whoever they were made to would have taken them."""
    table, world = LeaseTable(), World(nets=[small()])
    choose(table, MAC, world, known=True)
    for number in range(50):
        choose(table, stranger(number), world, now=NOW + number / 100)

    assert choose(table, OTHER, world, now=NOW + 9) == (None, "pool-exhausted")
    assert choose(table, OTHER, world, now=NOW + 10.5) == (at(101), "offered and never taken")
    # What a known machine was offered stays, and so does what was offered just now, to whom it was offered.
    assert choose(table, THIRD, world, now=NOW + 10.5) == (at(102), "offered and never taken")
    assert choose(table, stranger(60), world, now=NOW + 20) == (None, "pool-exhausted")
    client = Client(OTHER)
    assert table.refusal(client, world.nets[0], world, at(101), NOW + 20) is Refusal.NONE
    assert table.refusal(Client(stranger(0)), world.nets[0], world, at(101), NOW + 20) is Refusal.OFFERED


def test_f14_known_machines_take_turns_when_strangers_have_nothing_to_give() -> None:
    table, world = LeaseTable(), World(nets=[small(100, 100)])
    choose(table, OTHER, world, known=True)

    assert choose(table, MAC, world, now=NOW + 11) == (None, "pool-exhausted")
    assert choose(table, MAC, world, now=NOW + 11, known=True) == (at(100), "offered and never taken")


def test_a_known_machine_does_not_take_what_another_known_one_was_offered() -> None:
    table, world = LeaseTable(), World(nets=[small(100, 100)])
    choose(table, OTHER, world, known=True)

    assert choose(table, MAC, world, known=True) == (None, "pool-exhausted")


def test_exhaustion_is_noted_once_until_it_is_over() -> None:
    table, world = LeaseTable([lease(100, OTHER)]), World(nets=[small(100, 100)])
    net = world.nets[0]

    assert choose(table, world=world) == (None, "pool-exhausted")
    assert [table.first_exhausted(net), table.first_exhausted(net)] == [True, False]
    choose(table, OTHER, world)  # its own address: the pool is as dry as before
    assert not table.first_exhausted(net)
    table.commit([lease(100, OTHER, state=LeaseState.RELEASED, expires=NOW)])
    assert choose(table, world=world) == (at(100), "unused for longest")
    assert table.first_exhausted(net)


def test_pending_addresses_are_nobody_elses() -> None:
    table, world = LeaseTable(), World(nets=[small(100, 100)])
    table.pend(lease(100, OTHER))

    assert choose(table, world=world) == (None, "pool-exhausted")
    assert table.refusal(Client(MAC), world.nets[0], world, at(100), NOW) is Refusal.OTHERS
    table.abandon([lease(100, OTHER)], NOW)
    assert choose(table, world=world) == (at(100), "free")


def test_a_changed_range_counts_at_once() -> None:
    table, world = LeaseTable([lease(100, OTHER)]), World(nets=[small(100, 100)])
    assert choose(table, world=world) == (None, "pool-exhausted")
    world.nets[0] = small(100, 101)

    assert choose(table, world=world) == (at(101), "free")


def test_a_reservation_that_is_deleted_frees_its_address_within_a_lap() -> None:
    table, world = LeaseTable(), World(nets=[small(100, 100)], reserved=[Reservation(address=at(100), mac=OTHER)])
    assert choose(table, world=world) == (None, "pool-exhausted")
    world.reserved.clear()

    assert choose(table, world=world, now=NOW + 10) == (at(100), "free")


def test_lapsed_leases_are_reported_once() -> None:
    table = LeaseTable([lease(100), lease(101, OTHER, expires=NOW + 10)])

    assert table.lapsed(NOW) == []
    ended = table.lapsed(NOW + 10)
    assert [(item.address, item.state) for item in ended] == [(at(101), LeaseState.EXPIRED)]
    assert table.lapsed(NOW + 11) == []


def test_forgotten_leases_are_nobodys() -> None:
    table = LeaseTable([lease(105)])
    table.forget(at(105))

    assert table.at(at(105)) is None
    assert choose(table) == (at(100), "free")


def test_f10_a_set_clock_ends_no_lease() -> None:
    table = LeaseTable([lease(100), lease(101, OTHER, expires=NOW - 1)])
    year = 365 * 86400.0
    assert len(table.lapsed(NOW)) == 1
    moved = table.shift(year, NOW)

    assert [(item.address, item.expires) for item in moved] == [(at(100), NOW + year + 3600)]
    assert choose(table, THIRD, now=NOW + year, hint=at(100)) == (at(102), "free")
    assert table.lapsed(NOW + year + 3599) == []


@pytest.mark.parametrize("seconds", [86_400, -30, -3600, -86_400])
def test_f10_a_set_clock_leaves_what_was_given_for_a_lease(seconds: float) -> None:
    """Tokens are for the lease that began at a time, of whichever clock."""
    began = NOW - 60
    held = lease(100, since=began)
    table = LeaseTable([held])
    claims = Claims(TokenKind.MACHINE, held.mac, held.address, NOW + 100_000, began, "6b1f7e0a")
    token = mint(claims, b"k" * 32)
    table.shift(seconds, NOW)

    after = table.at(held.address)
    assert after is not None
    assert after.expires - held.expires == seconds
    assert verify(token, b"k" * 32, now=NOW + seconds, address=held.address, lease=after) == claims


CLONED = "ff56504d9800020000ab11deadbeef"


@pytest.mark.parametrize(
    ("name", "client_id", "world", "same"),
    [
        ("A20 RFC 4361: another card of one client", CLONED, World(), True),
        ("a machine known with both cards", CLONED, World(machines=[machine(macs=(MAC, OTHER))]), True),
        ("the holder is a known machine", CLONED, World(machines=[machine(OTHER)]), False),
        ("the one that asks is a known machine", CLONED, World(machines=[machine(MAC)]), False),
        ("seen only", CLONED, World(machines=[machine(OTHER, registered=False)]), True),
        ("the holder has a reservation", CLONED, World(reserved=[Reservation(address=at(60), mac=OTHER)]), False),
        ("a firmware's UUID", "00" + "12" * 16, World(), False),
        ("M09 empty", "", World(), False),
        ("M09 one octet", "01", World(), False),
        ("all zero", "00" * 7, World(), False),
        ("all ones", "ff" * 7, World(), False),
    ],
)
def test_the_same_client_id_from_another_card(name: str, client_id: str, world: World, same: bool) -> None:
    table = LeaseTable([lease(104, OTHER, client_id=client_id)])
    address, _ = choose(table, world=world, client_id=client_id)

    assert (address == at(104)) is same


def test_a21_one_card_keeps_its_address_whatever_client_id_it_sends() -> None:
    table = LeaseTable([lease(104, client_id="0052540000aa07"), lease(105, OTHER, client_id=CLONED)])

    assert choose(table, client_id=CLONED) == (at(104), "lease")


def test_a29_without_a_hardware_address_the_client_id_counts() -> None:
    table = LeaseTable([lease(104, "", client_id="ffaabbccdd01")])

    assert choose(table, "", client_id="ffaabbccdd01") == (at(104), "lease")
    assert choose(table, "", client_id="ffaabbccdd02") == (at(100), "free")


@pytest.mark.parametrize(("client_id", "expected"), [(CLONED, True), ("01525400000007", True), ("0000000001", True)])
def test_distinctive(client_id: str, expected: bool) -> None:
    assert distinctive(client_id) is expected


def test_a_large_range_costs_no_more_than_a_small_one() -> None:
    net = Subnet.model_validate({"name": "big", "cidr": "10.0.0.0/8", "ranges": ["10.0.0.10-10.255.255.200"]})
    world, table = World(nets=[net]), LeaseTable()

    assert choose(table, world=world)[0] == IPv4Address("10.0.0.10")
    assert choose(table, OTHER, world)[0] == IPv4Address("10.0.0.11")
