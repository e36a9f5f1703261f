"""Beside another DHCP server, on ports 67 and 4011: the checklist's items X."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from app.model.event import Level
from app.model.subnet import SubnetMode
from app.netboot.answer import Answer, Arrival, Policy, begin
from app.netboot.exchange import Via
from app.netboot.proxy import answer_boot
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import ZERO, DhcpPacket, MessageType, decode
from app.netboot.wire.pxe import LOCAL_BOOT, RASPBERRY_PI_OPTIONS, USE_THIS_FILE
from tests.netboot.dhcpworld import GUID, MAC, SERVER, Bench, World, extending, ipxe, machine, pxe, request, subnet

CLIENT = IPv4Address("10.7.0.30")
LEASE_OPTIONS = {opt.LEASE_TIME, opt.SUBNET_MASK, opt.ROUTER, opt.DNS, opt.RENEWAL_TIME, opt.REBINDING_TIME}
SCRIPT = b"http://10.7.0.1:8090/boot/52-54-00-00-00-07.ipxe"
PI = "dc:a6:32:00:00:07"
PI_OPTIONS = {opt.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001", opt.ARCHITECTURE: b"\0\0"}

ANSWERS = [
    ("X04 BIOS", pxe(0), b"undionly.kpxe", b"PXEClient", USE_THIS_FILE),
    ("X10 UEFI x64", pxe(7), b"ipxe.efi", b"PXEClient", None),
    ("X10 UEFI arm64", pxe(11), b"ipxe-arm64.efi", b"PXEClient", None),
    ("X11 HTTP", pxe(16, kind="HTTPClient"), b"http://10.7.0.1:8090/ipxe.efi", b"HTTPClient", None),
    ("X12 iPXE", ipxe(0), SCRIPT, b"PXEClient", None),
]


def bench(**world: Any) -> Bench:
    return Bench(World(nets=[subnet(mode=SubnetMode.PROXY, ranges=())], **world))


@pytest.mark.parametrize("flags", [0, 0x8000])
@pytest.mark.parametrize(("name", "options", "bootfile", "vendor_class", "menu"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_x01_x04_an_offer(
    name: str, options: dict[int, bytes], bootfile: bytes, vendor_class: bytes, menu: bytes | None, flags: int
) -> None:
    place = bench()
    found = place.ask(request(options=options, flags=flags))
    assert found.reply is not None
    assert found.destination is not None

    assert (found.reply.message, found.reply.yiaddr, found.reply.ciaddr) == (MessageType.OFFER, ZERO, ZERO)
    assert (found.reply.xid, found.reply.mac, found.reply.flags) == (0x11223344, MAC, flags)
    assert (found.reply.siaddr, found.reply.address(opt.SERVER_ID)) == (SERVER, SERVER)
    assert (found.reply.file, found.reply.options[opt.BOOT_FILE]) == (bootfile, bootfile)
    assert found.reply.options[opt.VENDOR_CLASS] == vendor_class
    assert found.reply.options.get(opt.VENDOR_OPTIONS) == menu
    assert found.reply.options[opt.MACHINE_GUID] == GUID
    assert not LEASE_OPTIONS & set(found.reply.options)
    assert found.destination.via is Via.BROADCAST
    assert place.kinds == ["dhcp.discover", "proxy.offer"]
    assert len(place.table) == 0


def test_x15_raspberry_pi() -> None:
    found = bench().ask(request(mac=PI, options=PI_OPTIONS)).reply
    assert found is not None

    assert found.options[opt.VENDOR_CLASS] == b"PXEClient"
    assert found.options[opt.VENDOR_OPTIONS] == RASPBERRY_PI_OPTIONS


def test_x05_a_client_that_does_not_boot() -> None:
    place = bench()

    assert place.ask(request()).reply is None
    assert place.ask(request(options={opt.VENDOR_CLASS: b"udhcp 1.35.0"})).reply is None
    assert {event.level for event in place.events} == {Level.DEBUG}


@pytest.mark.parametrize(
    ("name", "packet", "learned"),
    [
        (
            "selecting",
            request(
                MessageType.REQUEST,
                options={**pxe(7), opt.REQUESTED_ADDRESS: CLIENT.packed, opt.SERVER_ID: bytes((10, 7, 0, 2))},
            ),
            (MAC, CLIENT),
        ),
        ("init-reboot", request(MessageType.REQUEST, options={opt.REQUESTED_ADDRESS: CLIENT.packed}), (MAC, CLIENT)),
        ("rebinding", extending("10.7.0.30"), (MAC, CLIENT)),
        ("nonsense", extending("127.0.0.1"), None),
        ("nothing", request(MessageType.REQUEST), None),
        (
            "our own identifier",
            request(MessageType.REQUEST, options={opt.REQUESTED_ADDRESS: CLIENT.packed, opt.SERVER_ID: SERVER.packed}),
            None,
        ),
    ],
)
def test_x06_requests_are_the_other_servers(
    name: str, packet: DhcpPacket, learned: tuple[str, IPv4Address] | None
) -> None:
    found = bench().ask(packet)

    assert (found.reply, found.lease_changes, found.learned) == (None, (), learned)
    assert [event.kind for event in found.events] == ["dhcp.request"]


@pytest.mark.parametrize("kind", [MessageType.DECLINE, MessageType.RELEASE, MessageType.INFORM])
def test_everything_else_is_the_other_servers_too(kind: MessageType) -> None:
    found = bench().ask(request(kind, options=pxe(7), ciaddr=CLIENT))

    assert (found.reply, found.lease_changes, found.events) == (None, (), ())


def test_a_run_that_may_only_be_a_proxy_gives_no_addresses() -> None:
    place = Bench(policy=Policy(ceiling="proxy"))
    found = place.ask(request(options=pxe(7))).reply
    assert found is not None

    assert (found.yiaddr, found.file) == (ZERO, b"ipxe.efi")
    assert place.ask(request()).reply is None


@pytest.mark.parametrize("options", [pxe(0), ipxe(0)], ids=["BIOS", "iPXE on BIOS"])
def test_a_machine_that_boots_its_disk_is_left_alone(options: dict[int, bytes]) -> None:
    place = bench(machines=[machine(bootenv="local")])
    found = place.ask(request(options=options))

    assert (found.reply, found.reason) == (None, "local")
    assert place.last("dhcp.silent").level is Level.INFO


@pytest.mark.parametrize(("fields", "reason"), [({"bootenv": "local"}, "local"), ({"held": True}, "held")])
def test_uefi_firmware_is_offered_to_boot_locally_so_that_it_does_not_ask_for_a_minute(
    fields: dict[str, Any], reason: str
) -> None:
    place = bench(machines=[machine(**fields)])
    found = place.ask(request(options=pxe(7))).reply
    assert found is not None

    assert (found.message, found.yiaddr, found.siaddr, found.file) == (MessageType.OFFER, ZERO, ZERO, b"")
    assert found.options[opt.VENDOR_CLASS] == b"PXEClient"
    assert found.options[opt.VENDOR_OPTIONS] == LOCAL_BOOT
    assert not (LEASE_OPTIONS | {opt.BOOT_FILE}) & set(found.options)
    told = place.last("proxy.offer")
    assert (told.data["bootfile"], told.data["reason"]) == ("", reason)
    # Whoever asks for a file all the same gets none.
    assert boot(booting(pxe(7)), place.world).reply is None


def boot(packet: DhcpPacket, world: World | None = None, policy: Policy | None = None, **arrival: Any) -> Answer:
    """Answer a message to port 4011."""
    place = Bench(world or World(nets=[subnet(mode=SubnetMode.PROXY)]))
    known: dict[str, Any] = {"source": CLIENT, "port": 68, "destination": SERVER, **arrival}
    where = Arrival("eth0", (IPv4Interface("10.7.0.1/24"),), frozenset({SERVER}), **known)
    return answer_boot(begin(decode(packet.encode()), where, place.world, place.table, policy or Policy(), place.now))


def booting(options: dict[int, bytes], kind: MessageType = MessageType.REQUEST, **fields: Any) -> DhcpPacket:
    return request(kind, options=options, **{"ciaddr": CLIENT, **fields})


@pytest.mark.parametrize("kind", [MessageType.REQUEST, MessageType.DISCOVER, MessageType.INFORM])
@pytest.mark.parametrize("port", [68, 4011])
@pytest.mark.parametrize(("name", "options", "bootfile", "vendor_class", "menu"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_x07_x08_x09_a_boot_request(
    name: str,
    options: dict[int, bytes],
    bootfile: bytes,
    vendor_class: bytes,
    menu: bytes | None,
    port: int,
    kind: MessageType,
) -> None:
    found = boot(booting(options, kind), port=port)
    assert found.reply is not None
    assert found.destination is not None

    assert (found.reply.message, found.reply.yiaddr, found.reply.ciaddr) == (MessageType.ACK, ZERO, CLIENT)
    assert (found.reply.file, found.reply.options[opt.VENDOR_CLASS]) == (bootfile, vendor_class)
    assert found.reply.options.get(opt.VENDOR_OPTIONS) == menu
    assert found.reply.options[opt.MACHINE_GUID] == GUID
    assert not LEASE_OPTIONS & set(found.reply.options)
    assert (found.destination.via, found.destination.address, found.destination.port) == (Via.UNICAST, CLIENT, port)
    assert [event.kind for event in found.events] == ["proxy.ack"]
    assert (found.events[0].address, found.events[0].mac) == (str(CLIENT), MAC)


def test_x13_the_chosen_boot_item_comes_back() -> None:
    item = bytes.fromhex("470480000000ff")
    found = boot(booting({**pxe(0), opt.VENDOR_OPTIONS: item})).reply
    assert found is not None

    assert found.options[opt.VENDOR_OPTIONS] == item


@pytest.mark.parametrize(
    ("name", "packet", "arrival", "reason"),
    [
        ("X14 no class", booting({}), {}, "not-booting"),
        ("a RELEASE", booting(pxe(7), MessageType.RELEASE), {}, "not-for-a-server"),
        ("a reply", booting(pxe(7), op=2), {}, "not-for-a-server"),
        ("no hardware address", booting(pxe(7), chaddr=b""), {}, "bad-hardware-address"),
        ("a multicast one", booting(pxe(7), chaddr=b"\1\0\0\0\0\1"), {}, "bad-hardware-address"),
        ("from nowhere", booting(pxe(7)), {"source": ZERO}, "bad-address"),
        ("from loopback", booting(pxe(7)), {"source": IPv4Address("127.0.0.1")}, "bad-address"),
        ("from ourselves", booting(pxe(7)), {"source": SERVER}, "bad-address"),
        ("unknown network", booting(pxe(7), ciaddr=IPv4Address("10.99.0.5")), {}, "no-subnet"),
        ("unsupported", booting(pxe(25)), {}, "unsupported-arch"),
    ],
)
def test_boot_requests_without_an_answer(name: str, packet: DhcpPacket, arrival: dict[str, Any], reason: str) -> None:
    found = boot(packet, **arrival)

    assert (found.reply, found.reason) == (None, reason)


@pytest.mark.parametrize(
    ("name", "world", "policy", "reason"),
    [
        ("hold switch", World(hold=True), Policy(), "holding"),
        ("held", World(nets=[subnet(hold="checking")]), Policy(), "subnet-held"),
        ("off", World(nets=[subnet(mode=SubnetMode.OFF)]), Policy(), "off"),
        ("ceiling", World(), Policy(ceiling="off"), "off"),
    ],
)
def test_closed_subnets_answer_no_boot_request(name: str, world: World, policy: Policy, reason: str) -> None:
    assert boot(booting(pxe(7)), world, policy).reason == reason


def test_an_authoritative_subnet_answers_boot_requests_too() -> None:
    assert boot(booting(pxe(7)), World()).reply is not None
