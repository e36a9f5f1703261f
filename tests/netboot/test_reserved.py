"""Reservations scoped, global and outside any subnet; for client identifiers; identity; links that subnets share."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from app.model.subnet import Identity, Range, Reservation, Scope, Subnet, SubnetMode
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import MessageType
from tests.netboot.dhcpworld import (
    MAC,
    OTHER,
    SERVER,
    Bench,
    World,
    extending,
    pxe,
    rebooting,
    request,
    selecting,
    subnet,
)

ANNEX = IPv4Address("10.9.0.50")
DUID = bytes.fromhex("ff00000001000200000ab11122334455667788")


def annex(**changes: Any) -> Subnet:
    fields: dict[str, Any] = {
        "name": "annex",
        "cidr": IPv4Network("10.9.0.0/24"),
        "ranges": (Range(start=IPv4Address("10.9.0.100"), end=IPv4Address("10.9.0.109")),),
        "router": IPv4Address("10.9.0.1"),
        "dns": (),
        **changes,
    }
    return subnet(**fields)


def kept(address: str = "10.9.0.50", **changes: Any) -> Reservation:
    fields: dict[str, Any] = {"address": address, "mac": MAC, **changes}
    return Reservation.model_validate(fields)


EVERYWHERE = {"scope": Scope.GLOBAL}
OUTSIDE = {"scope": Scope.GLOBAL, "prefix": 28, "router": "10.20.0.49"}


@pytest.mark.parametrize(
    ("name", "nets", "reserved", "expected"),
    [
        ("scoped, on its subnet", [subnet()], [kept("10.7.0.50")], "10.7.0.50"),
        ("scoped, elsewhere", [subnet(), annex()], [kept()], "10.7.0.100"),
        ("one for each subnet", [subnet(), annex()], [kept(), kept("10.7.0.50")], "10.7.0.50"),
        ("global, elsewhere", [subnet(), annex()], [kept(**EVERYWHERE)], "10.9.0.50"),
        ("scoped before global", [subnet(), annex()], [kept(**EVERYWHERE), kept("10.7.0.50")], "10.7.0.50"),
        ("outside any subnet", [subnet()], [kept("10.20.0.50", **OUTSIDE)], "10.20.0.50"),
        ("with no subnet at all", [], [kept("10.20.0.50", **OUTSIDE)], "10.20.0.50"),
        ("another's", [subnet(), annex()], [kept(mac=OTHER, **EVERYWHERE)], "10.7.0.100"),
        ("where the subnet gives none", [subnet(reservations_only=True), annex()], [kept(**EVERYWHERE)], "10.9.0.50"),
    ],
)
def test_which_counts(name: str, nets: list[Subnet], reserved: list[Reservation], expected: str) -> None:
    bench = Bench(World(nets=nets, reserved=reserved))

    assert str(bench.bind().yiaddr) == expected


@pytest.mark.parametrize("mode", [SubnetMode.PROXY, SubnetMode.OFF])
def test_none_counts_where_no_addresses_are_given(mode: SubnetMode) -> None:
    bench = Bench(World(nets=[subnet(mode=mode)], reserved=[kept("10.20.0.50", **OUTSIDE)]))
    found = bench.ask(request(options=pxe(7))).reply

    assert found is None or found.yiaddr.is_unspecified


def test_outside_any_subnet_its_machine_is_told_the_reservations_network() -> None:
    reserved = kept("10.20.0.50", **OUTSIDE, lease_time=900, options={"ntp-servers": "10.20.0.49"})
    bench = Bench(World(nets=[], reserved=[reserved]))
    asked = {**pxe(7), opt.PARAMETERS: bytes((1, 3, 28, 42))}
    ack = bench.bind(options=asked)

    assert ack.options[opt.SUBNET_MASK].hex() == "fffffff0"
    assert ack.options[opt.ROUTER] == IPv4Address("10.20.0.49").packed
    assert ack.options[opt.BROADCAST] == IPv4Address("10.20.0.63").packed
    assert ack.options[opt.LEASE_TIME] == opt.seconds(900)
    assert ack.options[42] == IPv4Address("10.20.0.49").packed
    assert ack.file == b"ipxe.efi"
    # Renewed by unicast, through a router; a stranger there is told nothing.
    renewed = bench.ask(extending("10.20.0.50"), destination=IPv4Address("10.7.0.1")).reply
    assert renewed is not None
    assert renewed.message is MessageType.ACK
    assert bench.ask(request(mac=OTHER)).reason == "no-subnet"


def test_a_machine_that_gets_one_elsewhere_moves() -> None:
    bench = Bench(World(nets=[subnet(), annex()]))
    bench.bind()
    bench.world.reserved = [kept(**EVERYWHERE)]
    renewed = bench.ask(extending("10.7.0.100"), destination=IPv4Address("10.7.0.1")).reply
    restarted = bench.ask(rebooting("10.7.0.100")).reply

    assert renewed is not None
    assert restarted is not None
    assert (renewed.message, restarted.message) == (MessageType.NAK, MessageType.NAK)
    assert str(bench.bind().yiaddr) == "10.9.0.50"


def test_one_for_a_client_identifier() -> None:
    reserved = Reservation(address=IPv4Address("10.7.0.50"), client_id=DUID.hex(":"), hostname="db-1")
    bench = Bench(World(reserved=[reserved]))
    options = {opt.CLIENT_ID: DUID, opt.PARAMETERS: bytes((opt.HOST_NAME,))}

    assert str(bench.offer(MAC).yiaddr) == "10.7.0.100"
    ack = bench.bind(OTHER, options)
    assert (str(ack.yiaddr), ack.options[opt.HOST_NAME]) == ("10.7.0.50", b"db-1")
    # RFC 6842: what it sent goes back.
    assert ack.options[opt.CLIENT_ID] == DUID
    # The address is nobody else's, whatever they ask for.
    other = bench.ask(request(mac=MAC, options={opt.REQUESTED_ADDRESS: IPv4Address("10.7.0.50").packed})).reply
    assert other is not None
    assert str(other.yiaddr) != "10.7.0.50"


def test_never_boot_and_the_boot_server() -> None:
    world = World(nets=[subnet(next_server=IPv4Address("10.7.0.3"))])
    bench = Bench(world)
    world.reserved = [kept("10.7.0.50", next_server="10.7.0.2")]
    own = bench.offer(options=pxe(0))
    world.reserved = [kept("10.7.0.50", never_boot=True)]
    never = bench.offer(options=pxe(0))
    world.reserved = []
    general = bench.offer(options=pxe(0))

    assert [str(found.siaddr) for found in (own, never, general)] == ["10.7.0.2", "0.0.0.0", "10.7.0.3"]
    assert (own.file, never.file) == (b"undionly.kpxe", b"")


def test_our_own_address_is_given_to_nobody() -> None:
    """Reserved before this host had it: two would use it. The reason is told, and others are answered."""
    bench = Bench(World(reserved=[kept(str(SERVER))]))
    found = bench.ask(request(options=pxe(0)))

    assert (found.reply, found.reason) == (None, "own-address")
    assert found.why == f"{SERVER} is reserved for it, and is this host's own address"
    assert str(bench.offer(OTHER).yiaddr) == "10.7.0.100"


@pytest.mark.parametrize(
    ("name", "net", "reserved", "asked", "expected"),
    [
        ("the subnet's", {}, [], None, 3600),
        ("for reservations", {"reserved_lease_time": 7200}, [kept("10.7.0.50")], None, 7200),
        ("not for others", {"reserved_lease_time": 7200}, [], None, 3600),
        ("its own", {"reserved_lease_time": 7200}, [kept("10.7.0.50", lease_time=600)], None, 600),
        ("what it asks for, if less", {}, [kept("10.7.0.50", lease_time=600)], 120, 120),
        ("never more", {}, [kept("10.7.0.50", lease_time=600)], 99999, 600),
    ],
)
def test_lease_times(
    name: str, net: dict[str, Any], reserved: list[Reservation], asked: int | None, expected: int
) -> None:
    bench = Bench(World(nets=[subnet(**net)], reserved=reserved))
    options = {} if asked is None else {opt.LEASE_TIME: opt.seconds(asked)}

    assert bench.bind(options=options).options[opt.LEASE_TIME] == opt.seconds(expected)


# Identity


def test_by_default_a_machine_is_one_whatever_it_calls_itself() -> None:
    bench = Bench()
    names = [b"\x00" + bytes(range(16)), b"\x01" + bytes.fromhex(MAC.replace(":", "")), DUID]

    assert {str(bench.bind(options={opt.CLIENT_ID: name}).yiaddr) for name in names} == {"10.7.0.100"}


def test_a_subnet_may_tell_clients_apart_by_their_identifier() -> None:
    bench = Bench(World(nets=[subnet(identity=Identity.CLIENT_ID)]))
    first = bench.bind(MAC, {opt.CLIENT_ID: DUID})
    moved = bench.bind(OTHER, {opt.CLIENT_ID: DUID})
    second = bench.bind(MAC, {opt.CLIENT_ID: DUID + b"\x01"})
    nameless = bench.bind(MAC)

    assert str(first.yiaddr) == str(moved.yiaddr) == "10.7.0.100"
    assert len({first.yiaddr, second.yiaddr, nameless.yiaddr}) == 3
    assert first.options[opt.CLIENT_ID] == DUID


def test_with_that_policy_a_lease_is_released_by_its_identifier_alone() -> None:
    bench = Bench(World(nets=[subnet(identity=Identity.CLIENT_ID)]))
    ack = bench.bind(MAC, {opt.CLIENT_ID: DUID})
    release = {opt.SERVER_ID: ack.options[opt.SERVER_ID]}

    def released(name: bytes) -> str:
        return bench.ask(request(MessageType.RELEASE, MAC, {**release, opt.CLIENT_ID: name}, ciaddr=ack.yiaddr)).reason

    assert released(DUID + b"\x01") == "not-its-lease"
    assert released(DUID) == "released"


# Shared networks


def shared(**first: Any) -> Bench:
    one = subnet(
        shared_network="floor", ranges=(Range(start=IPv4Address("10.7.0.100"), end=IPv4Address("10.7.0.100")),)
    )
    return Bench(World(nets=[one.model_copy(update=first), annex(shared_network="floor")]))


@pytest.mark.parametrize("relay", [None, IPv4Address("10.7.0.9")])
def test_where_one_subnet_of_a_link_is_full_another_serves(relay: IPv4Address | None) -> None:
    bench = shared()
    fields: dict[str, Any] = {} if relay is None else {"giaddr": relay}
    first, second = bench.bind(MAC, **fields), bench.offer(OTHER, **fields)

    assert (str(first.yiaddr), str(second.yiaddr)) == ("10.7.0.100", "10.9.0.100")
    assert second.options[opt.ROUTER] == IPv4Address("10.9.0.1").packed
    ack = bench.ask(selecting(second, OTHER, **fields)).reply
    assert ack is not None
    assert (ack.message, str(ack.yiaddr)) == (MessageType.ACK, "10.9.0.100")
    # It stays there.
    assert str(bench.offer(OTHER, **fields).yiaddr) == "10.9.0.100"


def test_a_reservation_on_either_subnet_of_a_link_counts() -> None:
    bench = shared()
    bench.world.reserved = [kept()]

    assert str(bench.bind(giaddr=IPv4Address("10.7.0.9")).yiaddr) == "10.9.0.50"


@pytest.mark.parametrize("changes", [{"enabled": False}, {"hold": "another server"}, {"mode": SubnetMode.PROXY}])
def test_a_sibling_that_is_not_served_does_not_step_in(changes: dict[str, Any]) -> None:
    bench = shared()
    bench.world.nets[1] = bench.world.nets[1].model_copy(update=changes)
    bench.bind(MAC)
    found = bench.ask(request(mac=OTHER), addresses=(IPv4Interface("10.7.0.1/24"),))

    assert (found.reply, found.reason) == (None, "pool-exhausted")
    assert bench.last("dhcp.exhausted").data["subnet"] == "rack7"
