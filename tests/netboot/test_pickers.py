"""How a subnet's pickers find an address, in their order; links of two addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from app.model.subnet import Lease, Picker, Range
from app.netboot.allocate import LeaseTable
from app.netboot.identity import Client
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import MessageType
from tests.netboot.dhcpworld import MAC, OTHER, SERVER, THIRD, Bench, World, request, subnet

NOW = 1_000_000.0
HINT, FREE, EXPIRED, LINK, NONE = (
    Picker.HINT,
    Picker.NEXT_FREE,
    Picker.MOST_EXPIRED,
    Picker.POINT_TO_POINT,
    Picker.NONE,
)


def at(last: int) -> IPv4Address:
    return IPv4Address(f"10.7.0.{last}")


def ended(last: int, seconds: float, mac: str = OTHER) -> Lease:
    return Lease(address=at(last), mac=mac, since=NOW - 9999, expires=NOW - seconds)


def live(last: int, mac: str = OTHER) -> Lease:
    return Lease(address=at(last), mac=mac, since=NOW - 10, expires=NOW + 3600)


DRY = [live(100, OTHER), live(102, THIRD)]


@pytest.mark.parametrize(
    ("name", "pickers", "leases", "hint", "expected"),
    [
        ("the default takes a hint", (HINT, FREE, EXPIRED), [], at(102), (at(102), "asked for")),
        ("without hint", (FREE, EXPIRED), [], at(102), (at(100), "free")),
        ("no hint given", (HINT, FREE), [], None, (at(100), "free")),
        ("a hint that is taken", (HINT, FREE), [live(102)], at(102), (at(100), "free")),
        ("a hint that is taken, and nothing else", (HINT, NONE), [live(102)], at(102), (None, "no-picker")),
        ("a hint outside", (HINT, FREE), [], at(50), (at(100), "free")),
        ("a hint that has lapsed", (HINT, NONE), [ended(102, 5)], at(102), (at(102), "asked for")),
        ("what lapsed blocks the next free", (FREE,), [ended(100, 5)], None, (at(101), "free")),
        ("the oldest first", (EXPIRED,), [ended(100, 5), ended(101, 50)], None, (at(101), "unused for longest")),
        ("none has lapsed", (EXPIRED, FREE), [], None, (at(100), "free")),
        ("only what lapsed", (EXPIRED,), [], None, (None, "pool-exhausted")),
        ("none", (NONE,), [], at(102), (None, "no-picker")),
        ("none first", (NONE, FREE), [], at(102), (None, "no-picker")),
        ("none last", (FREE, NONE), [], None, (at(100), "free")),
        ("the pool is dry", (HINT, FREE, EXPIRED), [*DRY, live(101)], None, (None, "pool-exhausted")),
        ("the other end", (LINK,), [], at(102), (at(101), "point to point")),
        ("the other end is taken", (LINK,), [live(101)], None, (None, "no-picker")),
        ("the other end, else a free one", (LINK, FREE), [live(101)], None, (at(100), "free")),
        ("its own lease whatever the pickers", (NONE,), [live(101, MAC)], None, (at(101), "lease")),
        ("the one it had whatever the pickers", (NONE,), [ended(101, 5, MAC)], None, (at(101), "lease")),
    ],
)  # fmt: skip
def test_pickers(
    name: str,
    pickers: tuple[Picker, ...],
    leases: list[Lease],
    hint: IPv4Address | None,
    expected: tuple[Any, str],
) -> None:
    net = subnet(pickers=pickers, ranges=(Range(start=at(100), end=at(102)),))
    choice = LeaseTable(leases).offer(Client(MAC), net, World(nets=[net]), NOW, hint=hint, via=at(100))

    assert (choice.address, choice.how or choice.refusal.value) == expected


def test_reservations_only_is_another_matter() -> None:
    net = subnet(reservations_only=True, pickers=(HINT, FREE, EXPIRED))

    assert LeaseTable().offer(Client(MAC), net, World(nets=[net]), NOW, hint=at(100)).refusal == "reservations-only"


def test_no_picker_is_silence_that_says_so() -> None:
    bench = Bench(World(nets=[subnet(pickers=(NONE,))]))
    found = bench.ask(request())

    assert (found.reply, found.reason) == (None, "no-picker")
    assert found.why == "the pickers of subnet rack7 find no address for it"


def link(**changes: Any) -> Bench:
    fields: dict[str, Any] = {
        "cidr": IPv4Network("10.8.0.0/31"),
        "ranges": (Range(start=IPv4Address("10.8.0.0"), end=IPv4Address("10.8.0.1")),),
        "router": None,
        "dns": (),
        "pickers": (LINK,),
        **changes,
    }
    return Bench(World(nets=[subnet(**fields)]))


def test_a_link_of_two_addresses() -> None:
    bench = link()
    arrival = {"addresses": (IPv4Interface("10.8.0.1/31"),), "local": frozenset({IPv4Address("10.8.0.1")})}
    offer = bench.ask(request(options={opt.PARAMETERS: bytes((opt.BROADCAST,))}), **arrival).reply
    assert offer is not None
    taken = {opt.REQUESTED_ADDRESS: offer.yiaddr.packed, opt.SERVER_ID: offer.options[opt.SERVER_ID]}
    ack = bench.ask(request(MessageType.REQUEST, options=taken), **arrival).reply
    assert ack is not None

    assert str(offer.yiaddr) == str(ack.yiaddr) == "10.8.0.0"
    assert (ack.options[opt.SUBNET_MASK].hex(), ack.options[opt.ROUTER].hex()) == ("fffffffe", "0a080001")
    assert opt.BROADCAST not in offer.options


def test_links_behind_relays_in_one_subnet() -> None:
    bench = link(
        cidr=IPv4Network("10.8.0.0/24"), ranges=(Range(start=IPv4Address("10.8.0.2"), end=IPv4Address("10.8.0.9")),)
    )
    for number, mac in ((2, MAC), (5, OTHER)):
        offer = bench.ask(request(mac=mac, giaddr=IPv4Address(f"10.8.0.{number}"))).reply
        assert offer is not None

        assert int(offer.yiaddr) == int(IPv4Address(f"10.8.0.{number}")) ^ 1
        assert offer.options[opt.SUBNET_MASK].hex() == "fffffffe"
        assert offer.options[opt.ROUTER] == IPv4Address(f"10.8.0.{number}").packed
    assert bench.ask(request(mac=THIRD, giaddr=IPv4Address("10.8.0.2"))).reply is None


def test_the_servers_own_address_is_never_the_other_end() -> None:
    bench = link()
    found = bench.ask(request(), addresses=(IPv4Interface("10.8.0.0/31"), IPv4Interface("10.8.0.1/31")),
                      local=frozenset({IPv4Address("10.8.0.0"), IPv4Address("10.8.0.1"), SERVER}))  # fmt: skip

    assert found.reason == "no-picker"
