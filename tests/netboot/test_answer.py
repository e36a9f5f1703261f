"""DISCOVER, REQUEST and the rest against the checklist's items A, B and C (docs of each item: RFC 2131)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from app.model.event import Level
from app.model.subnet import LeaseState, Range, Reservation, SubnetMode
from app.netboot.answer import Policy
from app.netboot.exchange import Via
from app.netboot.quarantine import QUARANTINE_SECONDS, SHORT_QUARANTINE_SECONDS
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import ZERO, DhcpPacket, MessageType, decode
from tests.netboot.dhcpworld import (
    MAC,
    OTHER,
    SERVER,
    THIRD,
    Bench,
    World,
    extending,
    machine,
    pxe,
    rebooting,
    request,
    selecting,
    subnet,
)

FIRST = IPv4Address("10.7.0.100")
UNICAST: dict[str, Any] = {"source": FIRST, "destination": SERVER}
CLIENT_ONLY = {opt.REQUESTED_ADDRESS, opt.PARAMETERS, opt.MAX_SIZE}
CONFIGURATION = {opt.LEASE_TIME, opt.SUBNET_MASK, opt.ROUTER, opt.DNS, opt.RENEWAL_TIME, opt.REBINDING_TIME}


def ask_for(address: str) -> dict[int, bytes]:
    return {opt.REQUESTED_ADDRESS: IPv4Address(address).packed}


def test_a01_to_a11_an_offer() -> None:
    asked = request(flags=0x8000, secs=9, hops=0, options={opt.PARAMETERS: bytes((1, 3, 6, 28))})
    found = Bench().ask(asked).reply
    assert found is not None

    assert (found.op, found.htype, found.xid, found.chaddr, found.flags) == (2, 1, asked.xid, asked.chaddr, 0x8000)
    assert (found.hops, found.secs, found.ciaddr, found.giaddr, found.yiaddr) == (0, 0, ZERO, ZERO, FIRST)
    assert found.message is MessageType.OFFER
    assert found.address(opt.SERVER_ID) == SERVER
    assert not CLIENT_ONLY & set(found.options)
    assert found.address(opt.SUBNET_MASK) == IPv4Address("255.255.255.0")
    assert found.address(opt.ROUTER) == SERVER
    assert found.options[opt.DNS] == SERVER.packed
    assert found.address(opt.BROADCAST) == IPv4Address("10.7.0.255")
    times = [opt.number(found.options[code]) for code in (opt.RENEWAL_TIME, opt.REBINDING_TIME, opt.LEASE_TIME)]
    assert times == [1800, 3150, 3600]


def test_a05_a09_a12_octets_of_an_offer() -> None:
    found = Bench().ask(request())
    area = opt.split(found.octets()[240:])

    assert len(found.octets()) >= 300
    assert [code for code, _ in area][:5] == [
        opt.MESSAGE_TYPE,
        opt.SERVER_ID,
        opt.LEASE_TIME,
        opt.SUBNET_MASK,
        opt.ROUTER,
    ]
    assert len({code for code, _ in area}) == len(area)


@pytest.mark.parametrize(
    ("name", "fields", "via", "address"),
    [
        ("A13 A33 broadcast flag", {"flags": 0x8000}, Via.BROADCAST, "255.255.255.255"),
        ("A14 no flag", {}, Via.FRAME, "10.7.0.100"),
        ("A31 other flag bits are noise", {"flags": 0x7FFF}, Via.FRAME, "10.7.0.100"),
        ("A30 hops and secs", {"hops": 3, "secs": 65535}, Via.FRAME, "10.7.0.100"),
        ("A34 ciaddr set by mistake", {"ciaddr": IPv4Address("192.168.1.5")}, Via.FRAME, "10.7.0.100"),
    ],
)
def test_where_an_offer_goes(name: str, fields: dict[str, Any], via: Via, address: str) -> None:
    where = Bench().ask(request(**fields)).destination
    assert where is not None

    assert (where.via, str(where.address), where.port, where.source) == (via, address, 68, SERVER)
    assert where.hardware == (bytes.fromhex(MAC.replace(":", "")) if via is Via.FRAME else b"")


def test_a15_a16_the_address_asked_for() -> None:
    assert Bench().offer(options=ask_for("10.7.0.105")).yiaddr == IPv4Address("10.7.0.105")
    assert Bench().offer(options=ask_for("192.168.1.5")).yiaddr == FIRST


def test_a17_a32_each_client_keeps_its_offer_whatever_the_xid() -> None:
    bench = Bench()
    first, second = bench.offer(xid=1), bench.offer(OTHER, xid=1)

    assert (first.yiaddr, second.yiaddr) == (FIRST, FIRST + 1)
    assert bench.offer(xid=2).yiaddr == FIRST


def test_a18_a19_the_client_id_comes_back() -> None:
    bench = Bench()
    client_id = {opt.CLIENT_ID: b"\xff" + bytes(range(20))}

    assert bench.offer(options=client_id).options[opt.CLIENT_ID] == client_id[opt.CLIENT_ID]
    assert bench.bind(options=client_id).options[opt.CLIENT_ID] == client_id[opt.CLIENT_ID]
    refused = bench.ask(request(MessageType.REQUEST, options={**client_id, **ask_for("10.9.0.1")})).reply
    assert refused is not None
    assert (refused.message, refused.options[opt.CLIENT_ID]) == (MessageType.NAK, client_id[opt.CLIENT_ID])
    assert opt.CLIENT_ID not in bench.offer(OTHER).options


def test_a20_the_same_client_id_from_another_card() -> None:
    bench, client_id = Bench(), {opt.CLIENT_ID: bytes.fromhex("ff56504d9800020000ab11deadbeef")}
    given = bench.bind(options=client_id).yiaddr

    assert bench.bind(OTHER, client_id).yiaddr == given
    assert bench.table.at(given).mac == OTHER  # type: ignore[union-attr]


def test_a20_two_registered_machines_never_share() -> None:
    bench, client_id = Bench(), {opt.CLIENT_ID: bytes.fromhex("ff56504d9800020000ab11deadbeef")}
    bench.world.machines = [machine(MAC), machine(OTHER, name="node-08")]

    assert bench.bind(options=client_id).yiaddr != bench.bind(OTHER, client_id).yiaddr


def test_a21_one_card_through_firmware_ipxe_and_system() -> None:
    bench = Bench()
    ids = [b"\x00" + bytes(16), b"\x01\x52\x54\x00\x00\x00\x07", bytes.fromhex("ff56504d9800020000ab11deadbeef")]

    assert {bench.bind(options={opt.CLIENT_ID: item}).yiaddr for item in ids} == {FIRST}


def test_a22_a_wide_answer_fits_what_the_client_takes() -> None:
    bench = Bench(World(nets=[subnet(domain="d" * 200, dns=tuple(IPv4Address(f"10.7.0.{n}") for n in range(1, 60)))]))
    found = bench.ask(request(options={**pxe(7), opt.MAX_SIZE: b"\x02\x40", opt.PARAMETERS: bytes(range(1, 200))}))

    assert len(found.octets()) <= 548
    assert {opt.SERVER_ID, opt.LEASE_TIME, opt.SUBNET_MASK, opt.BOOT_FILE} <= set(decode(found.octets()).options)


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [
        ("A23 shorter", 300, 300),
        ("A23 a minute at least", 5, 60),
        ("longer", 90000, 3600),
        ("A24 infinity", 0xFFFFFFFF, 3600),
    ],
)
def test_lease_times(name: str, asked: int, given: int) -> None:
    found = Bench().offer(options={opt.LEASE_TIME: asked.to_bytes(4, "big")})

    assert opt.number(found.options[opt.LEASE_TIME]) == given


def test_a29_infiniband() -> None:
    found = Bench().ask(
        DhcpPacket(1, 7, b"", 32, flags=0x8000, options={opt.MESSAGE_TYPE: b"\1", opt.CLIENT_ID: b"\xff\x01\x02\x03"})
    )
    assert found.reply is not None
    assert found.destination is not None

    assert (found.reply.htype, found.reply.chaddr, found.destination.via) == (32, b"", Via.BROADCAST)
    assert found.reply.yiaddr == FIRST


def test_b01_b02_selecting() -> None:
    bench = Bench()
    offered = bench.offer()
    found = bench.ask(selecting(offered, secs=4))
    ack = found.reply
    assert ack is not None

    assert (ack.message, ack.yiaddr, ack.hops, ack.secs, ack.chaddr) == (MessageType.ACK, FIRST, 0, 0, offered.chaddr)
    assert {opt.LEASE_TIME, opt.SERVER_ID} <= set(ack.options)
    assert not CLIENT_ONLY & set(ack.options)
    [lease] = found.lease_changes
    assert (lease.address, lease.mac, lease.subnet, lease.interface) == (FIRST, MAC, "rack7", "eth0")
    assert (lease.since, lease.expires) == (bench.now, bench.now + 3600)
    # B03: what was offered is what is given.
    assert {k: v for k, v in ack.options.items() if k != 53} == {k: v for k, v in offered.options.items() if k != 53}


def test_b04_another_servers_offer_is_taken() -> None:
    bench = Bench()
    bench.offer()
    chosen = {**ask_for("10.7.0.33"), opt.SERVER_ID: bytes((10, 7, 0, 99))}
    found = bench.ask(request(MessageType.REQUEST, options=chosen))

    assert (found.reply, found.lease_changes, found.learned) == (None, (), (MAC, IPv4Address("10.7.0.33")))
    event = bench.last("dhcp.request")
    assert (event.data["server"], event.data["ours"]) == ("10.7.0.99", False)
    assert event.message == "REQUEST 10.7.0.33 of another DHCP server, 10.7.0.99"
    assert bench.offer(OTHER).yiaddr == FIRST  # the offer was withdrawn


def refused(found: Any) -> DhcpPacket:
    assert found.reply is not None
    assert found.reply.message is MessageType.NAK
    assert found.lease_changes == ()
    return found.reply


def test_b05_b18_one_address_two_clients() -> None:
    bench = Bench()
    offered = bench.offer()
    assert bench.ask(selecting(offered), store=False).reply is not None

    refused(bench.ask(selecting(offered, OTHER)))


def test_b05_leased_to_another() -> None:
    bench = Bench()
    offered = bench.bind()

    refused(bench.ask(selecting(offered, OTHER)))
    assert bench.last("dhcp.nak").message == "NAK: 10.7.0.100 is leased to another machine"


def test_selecting_after_a_restart_needs_no_offer() -> None:
    bench = Bench()
    offered = bench.offer()
    bench.table = type(bench.table)()

    assert bench.ask(selecting(offered)).lease_changes[0].address == FIRST


def test_b06_init_reboot() -> None:
    bench = Bench()
    bench.bind()
    found = bench.ask(rebooting("10.7.0.100"))

    assert found.reply is not None
    assert (found.reply.message, found.reply.yiaddr) == (MessageType.ACK, FIRST)
    assert bench.last("dhcp.ack").data["state"] == "init-reboot"


MOVED = World(reserved=[Reservation(address=IPv4Address("10.7.0.50"), mac=MAC)])
SHRUNK = World(nets=[subnet(ranges=(Range(start=FIRST + 5, end=FIRST + 9),))])


@pytest.mark.parametrize(
    ("name", "world", "bound", "asked", "outcome"),
    [
        ("B07 wrong network", World(), False, "192.168.1.9", "nak"),
        ("B07 beside another server", World(nets=[subnet(confirmed=True)]), False, "192.168.1.9", ""),
        ("B08 no record", World(), False, "10.7.0.105", ""),
        ("B09 another address", World(), True, "10.7.0.105", "nak"),
        ("reserved elsewhere", MOVED, True, "10.7.0.100", "nak"),
        ("reserved for another", World(reserved=[Reservation(address=FIRST, mac=OTHER)]), True, "10.7.0.100", "nak"),
        ("no longer in the range", SHRUNK, True, "10.7.0.100", "nak"),
        ("reservations only", World(nets=[subnet(reservations_only=True)]), True, "10.7.0.100", "nak"),
    ],
)  # fmt: skip
def test_init_reboot(name: str, world: World, bound: bool, asked: str, outcome: str) -> None:
    bench = Bench()
    if bound:
        bench.bind()
    bench.world = world
    found = bench.ask(rebooting(asked))

    if outcome:
        refused(found)
    else:
        assert (found.reply, found.lease_changes) == (None, ())


def test_b10_b11_renewing() -> None:
    bench = Bench()
    bench.bind()
    bench.now += 1800
    found = bench.ask(extending("10.7.0.100"), **UNICAST)
    assert found.reply is not None
    assert found.destination is not None

    assert (found.reply.message, found.reply.yiaddr, found.reply.ciaddr) == (MessageType.ACK, FIRST, FIRST)
    assert (found.destination.via, found.destination.address) == (Via.UNICAST, FIRST)
    [lease] = found.lease_changes
    assert (lease.since, lease.expires) == (bench.now - 1800, bench.now + 3600)
    assert bench.last("dhcp.ack").data["state"] == "renewing"


def test_b12_rebinding() -> None:
    bench = Bench()
    bench.bind()
    found = bench.ask(extending("10.7.0.100"))

    assert found.lease_changes[0].address == FIRST
    assert bench.last("dhcp.ack").data["state"] == "rebinding"


@pytest.mark.parametrize("arrival", [UNICAST, {}], ids=["renewing", "rebinding"])
def test_b13_extending_what_another_has(arrival: dict[str, Any]) -> None:
    bench = Bench()
    bench.bind()

    refused(bench.ask(extending("10.7.0.100", OTHER), **arrival))


def test_an_operator_who_reserves_another_address_does_not_cut_off_a_running_machine() -> None:
    bench = Bench()
    bench.bind()
    bench.world.reserved = [Reservation(address=IPv4Address("10.7.0.50"), mac=MAC)]

    assert bench.ask(extending("10.7.0.100"), **UNICAST).lease_changes[0].address == FIRST
    assert bench.offer().yiaddr == IPv4Address("10.7.0.50")


def test_a_rebinding_nobody_knows_is_left_to_the_other_server() -> None:
    assert Bench().ask(extending("10.7.0.105")).reply is None
    assert Bench().ask(extending("10.7.0.30")).reply is None


def test_a_renewal_of_a_lost_lease_is_granted_when_the_address_is_free() -> None:
    assert Bench().ask(extending("10.7.0.105"), **UNICAST).lease_changes[0].mac == MAC
    refused(Bench().ask(extending("10.7.0.30"), **UNICAST))


def test_b14_b15_a_nak() -> None:
    bench = Bench()
    bench.bind()
    found = bench.ask(rebooting("10.7.0.105"))
    nak = refused(found)
    assert found.destination is not None

    assert (nak.ciaddr, nak.yiaddr, nak.siaddr, nak.file) == (ZERO, ZERO, ZERO, b"")
    assert nak.address(opt.SERVER_ID) == SERVER
    assert not CONFIGURATION & set(nak.options)
    assert nak.options[opt.MESSAGE] == b"its lease is of 10.7.0.100, not of 10.7.0.105"
    assert (found.destination.via, str(found.destination.address)) == (Via.BROADCAST, "255.255.255.255")


def test_b16_the_same_request_again() -> None:
    bench = Bench()
    offered = bench.offer()
    answers = [bench.ask(selecting(offered)).reply for _ in range(3)]

    assert {(item.message, item.yiaddr) for item in answers if item is not None} == {(MessageType.ACK, FIRST)}


@pytest.mark.parametrize(
    ("name", "packet"),
    [
        ("B17 nothing at all", request(MessageType.REQUEST)),
        ("M14 multicast", extending("224.0.0.1")),
        ("M14 broadcast", extending("255.255.255.255")),
        ("M14 loopback", extending("127.0.0.1")),
        ("M14 loopback asked for", rebooting("127.0.0.1")),
        ("zero asked for", rebooting("0.0.0.0")),
        ("our own address", extending("10.7.0.1")),
        ("INFORM from our own address", request(MessageType.INFORM, ciaddr=SERVER)),
        ("INFORM from nowhere", request(MessageType.INFORM)),
    ],
)
@pytest.mark.parametrize("arrival", [UNICAST, {}], ids=["unicast", "broadcast"])
def test_requests_that_are_never_acknowledged(name: str, packet: DhcpPacket, arrival: dict[str, Any]) -> None:
    found = Bench().ask(packet, **arrival)

    assert (found.reply, found.lease_changes) == (None, ())


def declining(address: str, mac: str = MAC) -> DhcpPacket:
    return request(MessageType.DECLINE, mac, {**ask_for(address), opt.SERVER_ID: SERVER.packed})


def test_c01_a_declined_address_is_nobodys() -> None:
    bench = Bench()
    bench.bind()
    found = bench.ask(declining("10.7.0.100"))

    assert found.reply is None
    assert bench.last("dhcp.decline").level is Level.WARNING
    assert found.lease_changes[0].state is LeaseState.DECLINED
    assert bench.offer(OTHER, ask_for("10.7.0.100")).yiaddr == FIRST + 1
    assert bench.offer().yiaddr != FIRST
    bench.now += QUARANTINE_SECONDS
    assert bench.offer(THIRD, ask_for("10.7.0.100")).yiaddr == FIRST


def test_v11_declines_never_empty_the_pool_for_a_day() -> None:
    bench = Bench()
    ends: list[float] = []
    for _ in range(8):
        given = str(bench.bind().yiaddr)
        ends.append(bench.ask(declining(given)).lease_changes[0].expires - bench.now)

    assert ends == [QUARANTINE_SECONDS] * 5 + [SHORT_QUARANTINE_SECONDS] * 2 + [0]


@pytest.mark.parametrize(
    ("name", "packet"),
    [
        ("C02 decline", declining("10.7.0.100", OTHER)),
        ("C05 release", request(MessageType.RELEASE, OTHER, {opt.SERVER_ID: SERVER.packed}, ciaddr=FIRST)),
        ("release to another server", request(MessageType.RELEASE, MAC, {opt.SERVER_ID: bytes(4)}, ciaddr=FIRST)),
        ("decline without an address", request(MessageType.DECLINE, MAC)),
    ],
)
def test_only_the_holder_gives_up_a_lease(name: str, packet: DhcpPacket) -> None:
    bench = Bench()
    bench.bind()
    found = bench.ask(packet, **UNICAST)

    assert (found.reply, found.lease_changes, found.events) == (None, (), ())
    assert bench.ask(extending("10.7.0.100"), **UNICAST).lease_changes != ()


def test_c03_c04_release() -> None:
    bench = Bench(World(nets=[subnet(ranges=(Range(start=FIRST, end=FIRST),))]))
    bench.bind()
    found = bench.ask(request(MessageType.RELEASE, options={opt.SERVER_ID: SERVER.packed}, ciaddr=FIRST), **UNICAST)

    assert found.reply is None
    assert (found.lease_changes[0].state, found.lease_changes[0].mac) == (LeaseState.RELEASED, MAC)
    assert bench.offer().yiaddr == FIRST
    bench.now += 61
    assert bench.bind(OTHER).yiaddr == FIRST


def test_c06_c07_inform() -> None:
    bench = Bench()
    found = bench.ask(request(MessageType.INFORM, ciaddr=IPv4Address("10.7.0.30"), flags=0x8000))
    assert found.reply is not None
    assert found.destination is not None

    assert (found.reply.message, found.reply.yiaddr, str(found.reply.ciaddr)) == (MessageType.ACK, ZERO, "10.7.0.30")
    assert not {opt.LEASE_TIME, opt.RENEWAL_TIME, opt.REBINDING_TIME} & set(found.reply.options)
    assert {opt.SUBNET_MASK, opt.ROUTER, opt.DNS} <= set(found.reply.options)
    assert (found.destination.via, str(found.destination.address)) == (Via.UNICAST, "10.7.0.30")
    assert (found.lease_changes, bench.kinds) == ((), ["dhcp.inform"])


CLOSED: list[tuple[str, World, Policy, str]] = [
    ("hold switch", World(hold=True), Policy(), "holding"),
    ("disabled", World(nets=[subnet(enabled=False)]), Policy(), "disabled"),
    ("held", World(nets=[subnet(hold="10.7.0.2 answers too")]), Policy(), "subnet-held"),
    ("off", World(nets=[subnet(mode=SubnetMode.OFF)]), Policy(), "off"),
    ("ceiling off", World(), Policy(ceiling="off"), "off"),
    ("addresses only in a proxy run", World(nets=[subnet(mode=SubnetMode.UNMANAGED)]), Policy(ceiling="proxy"), "off"),
    ("no subnet", World(nets=[]), Policy(), "no-subnet"),
    ("subnet of another interface", World(nets=[subnet(interface="eth1")]), Policy(), "no-subnet"),
    ("reservations only", World(nets=[subnet(reservations_only=True)]), Policy(), "reservations-only"),
    ("no range", World(nets=[subnet(ranges=())]), Policy(), "pool-exhausted"),
]


@pytest.mark.parametrize(("name", "world", "policy", "reason"), CLOSED, ids=[case[0] for case in CLOSED])
def test_silence_has_a_reason(name: str, world: World, policy: Policy, reason: str) -> None:
    bench = Bench(world, policy=policy)
    found = bench.ask(request(options=pxe(7)))

    assert (found.reply, found.reason) == (None, reason)
    assert bench.kinds[0] == "dhcp.discover"
    event = bench.last("dhcp.silent")
    assert (event.data["reason"], event.level, event.mac) == (reason, Level.WARNING, MAC)
    assert event.data["why"] in event.message


def test_l03_exhaustion_is_told_once_until_it_is_over() -> None:
    bench = Bench(World(nets=[subnet(ranges=(Range(start=FIRST, end=FIRST + 1),))]))
    bench.bind()
    bench.bind(OTHER)
    for _ in range(3):
        assert bench.ask(request(mac=THIRD)).reply is None

    assert bench.kinds.count("dhcp.exhausted") == 1
    event = bench.last("dhcp.exhausted")
    assert (event.level, event.data["subnet"], event.data["size"]) == (Level.WARNING, "rack7", 2)
    bench.ask(request(MessageType.RELEASE, options={opt.SERVER_ID: SERVER.packed}, ciaddr=FIRST), **UNICAST)
    assert bench.bind(THIRD).yiaddr == FIRST
    bench.ask(request(mac="52:54:00:00:00:0a"))
    assert bench.kinds.count("dhcp.exhausted") == 2


def test_several_subnets_on_one_segment() -> None:
    second = subnet(
        name="second",
        cidr=IPv4Network("10.8.0.0/24"),
        ranges=(Range(start=IPv4Address("10.8.0.100"), end=IPv4Address("10.8.0.109")),),
        router=None,
    )
    both: dict[str, Any] = {
        "addresses": (IPv4Interface("10.7.0.1/24"), IPv4Interface("10.8.0.1/24")),
        "local": frozenset({SERVER, IPv4Address("10.8.0.1")}),
    }
    bench = Bench(World(nets=[subnet(), second]))
    bench.world.reserved = [Reservation(address=IPv4Address("10.8.0.50"), mac=OTHER)]
    first = bench.ask(request(), **both).reply
    moved = bench.ask(request(mac=OTHER), **both).reply
    assert first is not None
    assert moved is not None

    assert (str(first.yiaddr), str(moved.yiaddr)) == ("10.7.0.100", "10.8.0.50")
    assert moved.address(opt.SERVER_ID) == IPv4Address("10.8.0.1")
    taken = bench.ask(selecting(moved, OTHER), **both)
    assert str(taken.lease_changes[0].address) == "10.8.0.50"
