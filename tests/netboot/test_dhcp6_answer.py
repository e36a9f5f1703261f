"""The DHCPv6 server as a state machine, message by message (RFC 8415 sections 16 and 18.3)."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface
from typing import Any

import pytest

from app.model.subnet import LeaseState, SubnetMode
from app.netboot.dhcp6.answer import answer, shortened
from app.netboot.dhcp6.exchange import Arrival
from app.netboot.dhcp6.table import Holder
from app.netboot.exchange import Policy
from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import Kind, RelayMessage
from app.netboot.wire.icmp6 import link_local
from app.netboot.wire.options6 import Status
from tests.netboot.dhcp6world import (
    FIRST,
    MAC,
    OTHER,
    OWN,
    SERVER,
    SERVER_DUID,
    Bench6,
    World6,
    duid,
    given,
    ia,
    statuses,
    subnet6,
)
from tests.netboot.dhcpworld import machine

ELSEWHERE = IPv6Address("fd00:8::5")


def test_n20_solicit_advertise_request_reply() -> None:
    bench = Bench6()
    advertise = bench.say(Kind.SOLICIT, ia(), (dhcp6.OPTION_REQUEST, bytes.fromhex("00170018"))).reply
    assert advertise is not None
    assert (advertise.kind, advertise.xid) == (Kind.ADVERTISE, 0x123456)
    assert advertise.get(dhcp6.CLIENT_ID) == duid()
    assert advertise.get(dhcp6.SERVER_ID) == SERVER_DUID
    assert advertise.get(dhcp6.DNS) == IPv6Address("fd00:7::2").packed
    assert advertise.get(dhcp6.DOMAIN_LIST) == b"\4rack\4test\0"
    assert given(advertise) == [(FIRST, 3600)]
    assert bench.stored == []
    reply = bench.say(Kind.REQUEST, ia(1, FIRST)).reply
    assert reply is not None
    assert reply.kind is Kind.REPLY
    assert given(reply) == [(FIRST, 3600)]
    found = options6.ia(reply.get(dhcp6.IA_NA) or b"")
    assert (found.iaid, found.t1, found.t2) == (1, 1800, 2880)
    (stored,) = bench.stored
    assert (stored.address, stored.mac, stored.state, stored.expires) == (FIRST, MAC, LeaseState.BOUND, 4600.0)
    assert [event.kind for event in bench.events] == ["dhcp.discover", "dhcp.offer", "dhcp.request", "dhcp.ack"]
    assert {event.data["family"] for event in bench.events} == {6}


def test_n20_rapid_commit_is_one_exchange() -> None:
    bench = Bench6()
    reply = bench.say(Kind.SOLICIT, ia(), (dhcp6.RAPID_COMMIT, b"")).reply
    assert reply is not None
    assert (reply.kind, reply.get(dhcp6.RAPID_COMMIT)) == (Kind.REPLY, b"")
    assert [lease.address for lease in bench.stored] == [FIRST]


def test_n20_renew_and_rebind_extend_what_is_held() -> None:
    bench = Bench6()
    bench.lease()
    for kind in (Kind.RENEW, Kind.REBIND):
        bench.now += 1000
        assert given(bench.say(kind, ia(1, FIRST)).reply) == [(FIRST, 3600)]
        assert bench.stored[-1].expires == bench.now + 3600
        assert bench.stored[-1].since == 1000.0


def test_n20_renew_of_nothing_is_no_binding_and_rebind_of_nothing_is_not_answered() -> None:
    bench = Bench6()
    assert statuses(bench.say(Kind.RENEW, ia(1, FIRST)).reply) == [Status.NO_BINDING]
    assert bench.say(Kind.REBIND, ia(1, FIRST)).reason == "no-binding"


@pytest.mark.parametrize("kind", [Kind.RENEW, Kind.REBIND])
def test_n20_an_address_of_another_link_ends(kind: Kind) -> None:
    assert given(Bench6().say(kind, ia(1, ELSEWHERE)).reply) == [(ELSEWHERE, 0)]


def test_n20_a_lease_outside_the_ranges_ends_when_renewed() -> None:
    bench = Bench6()
    bench.lease()
    bench.world.nets6 = [subnet6(ranges=["fd00:7::200-fd00:7::203"])]
    assert given(bench.say(Kind.RENEW, ia(1, FIRST)).reply) == [(FIRST, 0)]


def test_n20_confirm_tells_whether_the_link_is_right() -> None:
    bench = Bench6()
    for address, status in ((FIRST, Status.SUCCESS), (ELSEWHERE, Status.NOT_ON_LINK)):
        reply = bench.say(Kind.CONFIRM, ia(1, address)).reply
        assert reply is not None
        assert options6.status_of(reply.options) is status
    assert bench.say(Kind.CONFIRM, ia()).reply is None


def test_n20_release_counts_from_the_holder_alone() -> None:
    bench = Bench6()
    bench.lease()
    other = bench.say(Kind.RELEASE, ia(1, FIRST), mac=OTHER).reply
    assert statuses(other) == [Status.NO_BINDING]
    assert other is not None
    assert options6.status_of(other.options) is Status.SUCCESS
    reply = bench.say(Kind.RELEASE, ia(1, FIRST)).reply
    assert reply is not None
    assert dhcp6.every(reply.options, dhcp6.IA_NA) == []
    assert bench.stored[-1].state is LeaseState.RELEASED


def test_n20_a_declined_address_is_kept_back_for_a_day() -> None:
    bench = Bench6()
    bench.lease()
    bench.say(Kind.DECLINE, ia(1, FIRST))
    assert (bench.stored[-1].state, bench.stored[-1].expires) == (LeaseState.DECLINED, 1000 + 86_400)
    assert bench.lease() == FIRST + 1
    assert bench.lease(mac=OTHER) == FIRST + 2


def test_n20_information_request_is_answered_without_addresses() -> None:
    reply = Bench6().say(Kind.INFORMATION_REQUEST, (dhcp6.OPTION_REQUEST, b"\0\x17"), client=None).reply
    assert reply is not None
    assert [code for code, _ in reply.options] == [dhcp6.SERVER_ID, dhcp6.DNS]


def test_n20_temporary_addresses_and_prefixes_are_refused_with_their_status() -> None:
    bench = Bench6()
    prefix = (9).to_bytes(4, "big") + bytes(8)
    reply = bench.say(Kind.SOLICIT, ia(), (dhcp6.IA_TA, b"\0\0\0\7"), (dhcp6.IA_PREFIX_DELEGATION, prefix)).reply
    assert reply is not None
    temporary = reply.get(dhcp6.IA_TA) or b""
    assert temporary[:4] == b"\0\0\0\7"
    assert options6.status_of(dhcp6.split(temporary[4:])) is Status.NO_ADDRESSES
    delegated = options6.ia(reply.get(dhcp6.IA_PREFIX_DELEGATION) or b"")
    assert delegated.iaid == 9
    assert options6.status_of(delegated.options) is Status.NO_PREFIX


SILENT: list[tuple[str, Kind, dict[str, Any], str]] = [
    ("SOLICIT without a client", Kind.SOLICIT, {"client": None}, "no-identity"),
    ("a client identifier too short", Kind.SOLICIT, {"client": b"\0\3"}, "no-identity"),
    ("a client identifier too long", Kind.SOLICIT, {"client": bytes(131)}, "no-identity"),
    ("SOLICIT that names a server", Kind.SOLICIT, {"server": SERVER_DUID}, "malformed"),
    ("CONFIRM that names a server", Kind.CONFIRM, {"server": SERVER_DUID}, "malformed"),
    ("REBIND that names a server", Kind.REBIND, {"server": SERVER_DUID}, "malformed"),
    ("REQUEST without a server", Kind.REQUEST, {"server": None}, "malformed"),
    ("RENEW without a server", Kind.RENEW, {"server": None}, "malformed"),
    ("RELEASE without a server", Kind.RELEASE, {"server": None}, "malformed"),
    ("DECLINE without a server", Kind.DECLINE, {"server": None}, "malformed"),
    ("REQUEST to another", Kind.REQUEST, {"server": b"\0\3\0\1other"}, "other-server"),
    ("INFORMATION-REQUEST to another", Kind.INFORMATION_REQUEST, {"server": b"\0\3\0\1other"}, "other-server"),
    ("INFORMATION-REQUEST for an address", Kind.INFORMATION_REQUEST, {}, "malformed"),
    ("ADVERTISE", Kind.ADVERTISE, {}, "not-for-a-server"),
    ("REPLY", Kind.REPLY, {}, "not-for-a-server"),
    ("RECONFIGURE", Kind.RECONFIGURE, {}, "not-for-a-server"),
]


@pytest.mark.parametrize(("name", "kind", "how", "reason"), SILENT, ids=[each[0] for each in SILENT])
def test_n21_what_is_dropped(name: str, kind: Kind, how: dict[str, Any], reason: str) -> None:
    found = Bench6().say(kind, ia(1, FIRST), **how)
    assert (found.reply, found.reason, found.events) == (None, reason, ())


def test_n21_a_request_to_another_server_takes_our_offer_back() -> None:
    bench = Bench6(World6(nets6=[subnet6(ranges=["fd00:7::100-fd00:7::100"])]))
    bench.say(Kind.SOLICIT, ia())
    assert statuses(bench.say(Kind.SOLICIT, ia(), mac=OTHER).reply) == [Status.NO_ADDRESSES]
    bench.say(Kind.REQUEST, ia(1, ELSEWHERE), server=b"\0\3\0\1other")
    assert given(bench.say(Kind.SOLICIT, ia(), mac=OTHER).reply) == [(FIRST, 3600)]


@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.RENEW, Kind.RELEASE, Kind.DECLINE])
def test_n21_what_is_sent_to_us_alone_is_told_to_use_multicast(kind: Kind) -> None:
    bench = Bench6()
    reply = bench.say(kind, ia(1, FIRST), destination=SERVER).reply
    assert reply is not None
    assert reply.kind is Kind.REPLY
    assert options6.status_of(reply.options) is Status.USE_MULTICAST
    assert [code for code, _ in reply.options] == [dhcp6.CLIENT_ID, dhcp6.SERVER_ID, dhcp6.STATUS_CODE]
    assert bench.stored == []


@pytest.mark.parametrize("kind", [Kind.SOLICIT, Kind.CONFIRM, Kind.REBIND])
def test_n21_what_may_never_be_sent_to_us_alone_is_not_heard(kind: Kind) -> None:
    assert Bench6().say(kind, ia(1, FIRST), destination=SERVER).reason == "unicast"


CLOSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("disabled", {"enabled": False}, "authoritative", "off"),
    ("off", {"mode": SubnetMode.OFF}, "authoritative", "off"),
    ("the run's ceiling", {}, "off", "off"),
    ("held", {"hold": "why"}, "authoritative", "subnet-held"),
    ("another interface", {"interface": "eth1"}, "authoritative", "no-subnet"),
    ("another network", {"cidr": "fd00:8::/64", "ranges": ["fd00:8::1-fd00:8::2"]}, "authoritative", "no-subnet"),
]


@pytest.mark.parametrize(("name", "fields", "ceiling", "reason"), CLOSED, ids=[each[0] for each in CLOSED])
def test_where_nobody_is_answered(name: str, fields: dict[str, Any], ceiling: str, reason: str) -> None:
    bench = Bench6(World6(nets6=[subnet6(**fields)]), policy=Policy(ceiling))
    found = bench.say(Kind.SOLICIT, ia())
    assert (found.reply, found.reason) == (None, reason)


def test_on_hold_nobody_is_answered() -> None:
    assert Bench6(World6(hold=True)).say(Kind.SOLICIT, ia()).reason == "holding"


def test_an_interface_without_an_address_of_the_network_serves_what_names_it() -> None:
    bench = Bench6(World6(nets6=[subnet6(interface="eth0")]))
    found = bench.say(Kind.SOLICIT, ia(), addresses=(IPv6Interface("fe80::1/64"),))
    assert given(found.reply) == [(FIRST, 3600)]


def _relay(link: str, *options: tuple[int, bytes], peer: str = "fe80::99") -> RelayMessage:
    return RelayMessage(Kind.RELAY_FORWARD, 0, IPv6Address(link), IPv6Address(peer), options)


def test_n20_the_relay_next_to_the_client_names_the_link() -> None:
    bench = Bench6(
        World6(nets6=[subnet6(), subnet6(name="far", cidr="fd00:8::/64", ranges=["fd00:8::100-fd00:8::1ff"])])
    )
    for relays in (
        (_relay("fd00:8::1"),),
        (_relay("fd00:7::1"), _relay("fd00:8::1")),
        (_relay("fd00:8::1"), _relay("::")),
        (_relay("fd00:8::1"), _relay("fe80::1")),
    ):
        found = bench.say(Kind.SOLICIT, ia(), relays=relays, source=IPv6Address("fd00:7::9"), destination=SERVER)
        assert given(found.reply)[0][0] in IPv6Interface("fd00:8::/64").network
    assert bench.say(Kind.SOLICIT, ia(), relays=(_relay("fd00:9::1"),)).reason == "no-subnet"
    assert bench.say(Kind.SOLICIT, ia(), relays=(_relay("::"),)).reason == "no-subnet"


IDENTITY: list[tuple[str, dict[str, Any], str, bool]] = [
    ("its address", {"client": duid(kind=4)}, MAC, True),
    ("its address before its DUID", {"client": duid(OTHER)}, MAC, True),
    ("DUID-LL", {"source": IPv6Address("fe80::1234")}, MAC, False),
    ("DUID-LLT", {"source": IPv6Address("fe80::1234"), "client": duid(kind=1)}, MAC, False),
    ("nothing", {"source": IPv6Address("fe80::1234"), "client": duid(kind=4)}, "", False),
    (
        "its relay",
        {
            "relays": (_relay("fd00:7::1", (dhcp6.CLIENT_LINK_ADDRESS, bytes.fromhex("0001525400000007"))),),
            "client": duid(OTHER),
        },
        MAC,
        True,
    ),
    (
        "the relay next to it",
        {"relays": (_relay("fd00:7::1"), _relay("fd00:7::1", peer="fe80::5054:ff:fe00:7")), "client": duid(OTHER)},
        MAC,
        True,
    ),
]


@pytest.mark.parametrize(("name", "how", "mac", "proven"), IDENTITY, ids=[each[0] for each in IDENTITY])
def test_n25_who_it_is(name: str, how: dict[str, Any], mac: str, proven: bool) -> None:
    bench = Bench6()
    bench.say(Kind.SOLICIT, ia(), (dhcp6.RAPID_COMMIT, b""), **how)
    assert [(lease.mac, lease.proven) for lease in bench.stored] == [(mac, proven)]


def test_a_machine_keeps_its_address_from_firmware_to_system_though_its_duid_changes() -> None:
    bench = Bench6()
    addresses = {bench.lease(client=client) for client in (duid(kind=4), duid(kind=1), duid(kind=3))}
    assert addresses == {FIRST}


def test_what_firmware_released_its_loader_gets_though_its_association_is_another() -> None:
    bench = Bench6()
    bench.lease()
    bench.say(Kind.RELEASE, ia(1, FIRST))
    assert given(bench.say(Kind.SOLICIT, ia(2)).reply) == [(FIRST, 3600)]


def test_two_associations_of_one_client_are_two_addresses() -> None:
    reply = Bench6().say(Kind.SOLICIT, ia(1), ia(2)).reply
    assert [address for address, _ in given(reply)] == [FIRST, FIRST + 1]


def test_a_dry_pool_says_so_once_and_known_machines_come_first() -> None:
    bench = Bench6(World6(nets6=[subnet6(ranges=["fd00:7::100-fd00:7::101"])]))
    bench.lease()
    bench.say(Kind.SOLICIT, ia(), mac="52:54:00:00:00:11")
    for number in range(0x12, 0x15):
        refused = bench.say(Kind.SOLICIT, ia(), mac=f"52:54:00:00:00:{number:02x}").reply
        assert statuses(refused) == [Status.NO_ADDRESSES]
    assert [event.kind for event in bench.events].count("dhcp.exhausted") == 1
    bench.world.machines = [machine(OTHER)]
    assert bench.lease(mac=OTHER) == FIRST + 1


def test_a_lease_that_ran_out_is_given_to_another_and_told_to_be_stored() -> None:
    bench = Bench6(World6(nets6=[subnet6(ranges=["fd00:7::100-fd00:7::100"])]))
    bench.lease()
    bench.now += 3601
    assert [(lease.address, lease.state) for lease in bench.table.lapsed(bench.now)] == [(FIRST, LeaseState.EXPIRED)]
    assert bench.table.lapsed(bench.now) == []
    assert bench.lease(mac=OTHER) == FIRST


def test_a_clock_that_is_set_leaves_leases_what_is_left_of_them() -> None:
    bench = Bench6()
    bench.lease()
    (moved,) = bench.table.shift(86_400, bench.now)
    assert moved.expires == 4600 + 86_400
    assert bench.table.lapsed(bench.now + 86_400) == []


def test_what_cannot_be_stored_is_told_for_what_is_left() -> None:
    bench = Bench6()
    bench.lease()
    found = shortened(bench.say(Kind.RENEW, ia(1, FIRST)), 120.5, "the disk is full")
    assert given(found.reply) == [(FIRST, 120)]
    assert found.lease_changes == ()
    assert "120 s: the disk is full" in found.events[-1].message


def test_an_abandoned_lease_leaves_its_address_free() -> None:
    bench = Bench6(World6(nets6=[subnet6(ranges=["fd00:7::100-fd00:7::100"])]))
    message = dhcp6.Message(Kind.SOLICIT, 1, ((dhcp6.CLIENT_ID, duid()), ia(), (dhcp6.RAPID_COMMIT, b"")))
    arrival = Arrival("eth0", OWN, link_local(MAC))
    found = answer(message, (), arrival, bench.world, bench.table, bench.policy, SERVER_DUID, bench.now)
    assert len(found.lease_changes) == 1
    assert statuses(bench.say(Kind.SOLICIT, ia(), mac=OTHER).reply) == [Status.NO_ADDRESSES]
    bench.table.abandon(found.lease_changes, bench.now)
    bench.table.withdraw(Holder(duid().hex(), 1))
    assert given(bench.say(Kind.SOLICIT, ia(), mac=OTHER).reply) == [(FIRST, 3600)]
