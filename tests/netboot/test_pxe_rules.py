"""What PXE and UEFI firmware needs and servers get wrong, rule by rule (PXE 2.1, UEFI 2.10, field reports)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest

from app.model.subnet import SubnetMode
from app.netboot.answer import Arrival, begin
from app.netboot.bootpath import hopeful
from app.netboot.exchange import Answer, Via
from app.netboot.proxy import answer_boot
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import ZERO, DhcpPacket, MessageType, decode
from app.netboot.wire.pxe import BOOT_ITEM, DISCOVERY_CONTROL, LOCAL_BOOT, RASPBERRY_PI_OPTIONS, USE_THIS_FILE
from tests.netboot.dhcpworld import (
    GUID,
    MAC,
    OTHER,
    SERVER,
    Bench,
    World,
    ipxe,
    machine,
    pxe,
    request,
    selecting,
    subnet,
)  # fmt: skip

SCRIPT = b"http://10.7.0.1:8090/boot/52-54-00-00-00-07.ipxe"
PI = "dc:a6:32:00:00:07"
PI_SAYS = {opt.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001", opt.ARCHITECTURE: b"\0\0", opt.MACHINE_GUID: GUID}
CLIENT = IPv4Address("10.7.0.100")
ROMS = [pxe(0), pxe(7), pxe(9), pxe(11)]


def proxied() -> Bench:
    """A subnet whose addresses another server gives."""
    return Bench(World(nets=[subnet(mode=SubnetMode.PROXY, ranges=())]))


def on_4011(bench: Bench, packet: DhcpPacket, port: int = 68) -> Answer:
    """The answer to a message to port 4011."""
    own = (IPv4Interface("10.7.0.1/24"),)
    arrival = Arrival("eth0", own, frozenset({SERVER}), source=CLIENT, port=port, destination=SERVER)
    return answer_boot(begin(packet, arrival, bench.world, bench.table, bench.policy, bench.now))


def area(found: DhcpPacket) -> bytes:
    """The option area as it is sent."""
    return found.encode()[240:]


@pytest.mark.parametrize("options", ROMS, ids=["bios", "x64", "ebc", "arm64"])
def test_f01_one_host_names_a_file_and_no_boot_server(options: dict[int, bytes]) -> None:
    found = Bench().offer(options=options)

    assert found.options[opt.BOOT_FILE]
    assert found.siaddr == SERVER
    assert opt.VENDOR_CLASS not in found.options
    assert opt.VENDOR_OPTIONS not in found.options


def test_f01_who_is_told_pxeclient_is_told_where_to_go() -> None:
    """Option 60 without 43 sends a client to port 4011 (authoritative: menus for disks and Raspberry Pis only)."""
    home = Bench(World(machines=[machine(bootenv="local")])).offer(options=pxe(7))
    raspberry = Bench().offer(PI, PI_SAYS)
    for found in (home, raspberry):
        assert found.options[opt.VENDOR_CLASS] == b"PXEClient"
        assert DISCOVERY_CONTROL in opt.suboptions(found.options[opt.VENDOR_OPTIONS], padded=True)


def test_f02_a_proxy_offers_no_address_and_says_who_it_is() -> None:
    found = proxied().offer(options=pxe(7))

    assert (found.yiaddr, found.siaddr, found.address(opt.SERVER_ID)) == (ZERO, SERVER, SERVER)
    assert (found.options[opt.VENDOR_CLASS], found.options[opt.MACHINE_GUID]) == (b"PXEClient", GUID)
    assert not {opt.LEASE_TIME, opt.SUBNET_MASK, opt.ROUTER, opt.DNS} & {*found.options}


@pytest.mark.parametrize(
    "packet",
    [
        request(),
        request(options={opt.VENDOR_CLASS: b"MSFT 5.0"}),
        request(MessageType.REQUEST, options={**pxe(7), opt.REQUESTED_ADDRESS: CLIENT.packed, 54: b"\x0a\x07\0\x09"}),
    ],
    ids=["no class", "windows", "the other server's request"],
)
def test_f02_a_proxy_leaves_the_others_alone(packet: DhcpPacket) -> None:
    assert proxied().ask(packet).reply is None


@pytest.mark.parametrize("mode", [SubnetMode.AUTHORITATIVE, SubnetMode.PROXY])
def test_f03_port_4011_is_answered_whoever_gives_the_addresses(mode: SubnetMode) -> None:
    bench = Bench(World(nets=[subnet(mode=mode)]))
    found = on_4011(bench, request(MessageType.REQUEST, options=pxe(7), ciaddr=CLIENT)).reply
    assert found is not None
    assert (found.message, found.options[opt.BOOT_FILE]) == (MessageType.ACK, b"ipxe.efi")


@pytest.mark.parametrize("menu", [USE_THIS_FILE, LOCAL_BOOT, RASPBERRY_PI_OPTIONS], ids=["file", "local", "pi"])
def test_f04_option_43_is_well_formed_and_closed(menu: bytes) -> None:
    assert menu.endswith(b"\xff")
    found = opt.suboptions(menu, padded=True)
    assert len(found[DISCOVERY_CONTROL]) == 1
    assert opt.pack_suboptions(found, end=True) == menu  # nothing follows END, nothing is padded
    if menu is USE_THIS_FILE:
        assert found[DISCOVERY_CONTROL][0] & 8


@pytest.mark.parametrize("port", [68, 4011])
def test_f05_a_boot_server_answers_where_it_was_asked_from(port: int) -> None:
    item = opt.pack_suboptions({BOOT_ITEM: b"\0\0\0\0"}, end=True)
    found = on_4011(
        proxied(), request(MessageType.REQUEST, options={**pxe(0), opt.VENDOR_OPTIONS: item}, ciaddr=CLIENT), port
    )
    assert found.reply is not None
    assert found.destination is not None
    assert (found.destination.address, found.destination.port) == (CLIENT, port)
    assert opt.suboptions(found.reply.options[opt.VENDOR_OPTIONS], padded=True)[BOOT_ITEM] == b"\0\0\0\0"


@pytest.mark.parametrize("bench", [Bench(), proxied()], ids=["server", "proxy"])
@pytest.mark.parametrize("arch", [16, 19])
def test_f06_http_firmware_is_told_so_and_given_a_url(bench: Bench, arch: int) -> None:
    wanted = {opt.MAX_SIZE: (1472).to_bytes(2, "big")}
    found = bench.ask(request(options={**pxe(arch, kind="HTTPClient:Arch"), **wanted}))
    assert found.reply is not None
    url = found.reply.options[opt.BOOT_FILE]
    assert found.reply.options[opt.VENDOR_CLASS] == b"HTTPClient"
    assert url.startswith(b"http://10.7.0.1:8090/")
    assert found.reply.file == url
    assert len(found.octets()) <= 1472 - 28


@pytest.mark.parametrize(
    "options",
    [
        ipxe(0),
        ipxe(7),
        ipxe(7, user_class=b"\x04iPXE"),
        ipxe(7, features=b""),
        {**pxe(7), opt.IPXE: b"\x13\x01\x01"},  # its class is another's
        {**ipxe(7, user_class=b"gPXE")},
        {**ipxe(16), opt.VENDOR_CLASS: b"HTTPClient:Arch:00016:UNDI:003016"},
        {**ipxe(16), opt.VENDOR_CLASS: b"PXEClient:Arch:00016:UNDI:003016"},
        {opt.USER_CLASS: b"iPXE"},  # neither class nor type
    ],
    ids=["bios", "uefi", "rfc 3004", "no features", "no class", "gpxe", "http", "http as pxe", "class only"],
)
@pytest.mark.parametrize("mode", [SubnetMode.AUTHORITATIVE, SubnetMode.PROXY])
def test_f07_ipxe_in_all_its_disguises_gets_its_script(options: dict[int, bytes], mode: SubnetMode) -> None:
    bench = Bench(World(nets=[subnet(mode=mode)]))
    if mode is SubnetMode.PROXY:  # beside another server only firmware that says so is answered
        options = {opt.VENDOR_CLASS: b"PXEClient", **options}
    assert bench.offer(options=options).options[opt.BOOT_FILE] == SCRIPT


def test_f08_a_raspberry_pi_finds_what_it_looks_for() -> None:
    bench = Bench()
    # A Pi 3 does not ask for mask and router, and always uses this transaction number.
    says = {**PI_SAYS, opt.PARAMETERS: bytes((43, 60, 66, 67, 150))}
    found = bench.ask(request(mac=PI, options=says, xid=0x26F30339))
    assert found.reply is not None
    assert found.destination is not None
    offered = found.reply

    assert offered.options[opt.VENDOR_CLASS] == b"PXEClient"
    assert offered.options[opt.VENDOR_OPTIONS] == bytes.fromhex("06 01 03 0a 04 00 50 58 45 09 14 00 00 11") + (
        b"Raspberry Pi Boot\xff"
    )
    assert (offered.siaddr, offered.options[opt.TFTP_SERVER]) == (SERVER, b"10.7.0.1")
    assert offered.options[opt.SUBNET_MASK] == bytes((255, 255, 255, 0))
    assert offered.options[opt.ROUTER] == SERVER.packed
    assert found.destination.via is Via.FRAME  # unicast
    packed = area(offered)
    assert 0 not in [packed[at] for at in _codes(packed)]
    # Its REQUEST says nothing of what it is.
    ack = bench.ask(selecting(offered, PI, xid=0x26F30339)).reply
    assert ack is not None
    assert ack.options[opt.VENDOR_OPTIONS] == offered.options[opt.VENDOR_OPTIONS]
    assert ack.file == offered.file == b"bootcode.bin"


@pytest.mark.parametrize("path", ["d1a6c2f0/start4.elf", "d1a6c2f0/config.txt", "pieeprom.sig", "recovery.elf"])
def test_f08_what_a_raspberry_pi_looks_for_in_vain_is_no_news(path: str) -> None:
    assert hopeful(path)


@pytest.mark.parametrize(
    "path",
    ["grub.cfg-01-52-54-00-00-00-07", "grub/grub.cfg-0A070064", "grub/x86_64-efi/fs.lst", "pxelinux.cfg/default"],
)
def test_what_grub_and_pxelinux_look_for_in_vain_is_no_news(path: str) -> None:
    assert hopeful(path)


@pytest.mark.parametrize(
    "path", ["grub/grub.cfg", "start4.elf", "config.txt", "kernel8.img", "boot/d1a6c2f0.ipxe", "ipxe.efi"]
)
def test_f08_what_it_cannot_do_without_is(path: str) -> None:
    assert not hopeful(path)


def _codes(packed: bytes) -> list[int]:
    """Where each option before END begins."""
    places, at = [], 0
    while packed[at] != opt.END:
        places.append(at)
        at += 1 if packed[at] == 0 else 2 + packed[at + 1]
    return places


@pytest.mark.parametrize("options", [*ROMS, ipxe(0), {}], ids=["bios", "x64", "ebc", "arm64", "ipxe", "os"])
def test_f09_old_roms_find_all_where_they_look(options: dict[int, bytes]) -> None:
    found = Bench().offer(options=options)
    packed = area(found)
    codes = [packed[at] for at in _codes(packed)]

    assert len(found.encode()) >= 300
    assert codes[:3] == [opt.MESSAGE_TYPE, opt.SERVER_ID, opt.LEASE_TIME]
    assert opt.PAD not in codes
    assert codes.index(opt.SUBNET_MASK) < codes.index(opt.ROUTER)
    assert found.file == found.options.get(opt.BOOT_FILE, b"")
    assert b"\0" not in found.options.get(opt.BOOT_FILE, b"")


def test_f10_the_next_server_is_an_address_never_a_name() -> None:
    found = Bench().offer(options=pxe(7))
    assert IPv4Address(found.options[opt.TFTP_SERVER].decode()) == found.siaddr == SERVER


@pytest.mark.parametrize("flags", [0x0080, 0x7F80, 0x0001])
def test_f11_reserved_flags_are_noise(flags: int) -> None:
    found = Bench().ask(request(options=pxe(7), flags=flags))
    assert found.reply is not None
    assert found.destination is not None
    assert found.reply.flags == flags
    assert found.destination.via is Via.FRAME  # not asked to broadcast


@pytest.mark.parametrize("value", [b"\0" * 17, b"\0" + b"\xff" * 16, GUID, b"\0" + b"ASCII-SERIAL-16B", b"\x01abc"])
def test_f12_a_uuid_that_two_boards_share_does_not_join_them(value: bytes) -> None:
    bench = Bench()
    says = {**pxe(7), opt.MACHINE_GUID: value}
    first, second = (bench.bind(mac, says) for mac in (MAC, OTHER))

    assert first.yiaddr != second.yiaddr
    assert first.options[opt.MACHINE_GUID] == value  # echoed whatever it is
    shown = bench.last("dhcp.discover").data["guid"]
    assert bool(shown) is (value[:1] == b"\0" and len(value) == 17 and value[1:] not in (b"\0" * 16, b"\xff" * 16))


def test_f13_a_discover_with_an_address_is_answered() -> None:
    found = Bench().ask(request(options=pxe(7), ciaddr=CLIENT)).reply
    assert found is not None
    assert (found.message, found.ciaddr) == (MessageType.OFFER, ZERO)


@pytest.mark.parametrize("length", [0, 20])
def test_f14_infiniband_is_its_client_identifier(length: int) -> None:
    bench = Bench()
    addresses: set[IPv4Address] = set()
    for number in (1, 2):
        identity = b"\xff\0\0\0\0\0\x02\0\0\x02\xc9\0" + bytes((number,)) * 8
        packet = request(options={opt.CLIENT_ID: identity}, chaddr=b"", htype=32, flags=0x8000)
        octets = bytearray(packet.encode())
        octets[2] = length
        found = bench.ask(decode(bytes(octets)))
        assert found.reply is not None
        assert found.destination is not None
        assert found.destination.via is Via.BROADCAST
        assert (found.reply.htype, found.reply.options[opt.CLIENT_ID]) == (32, identity)
        addresses.add(found.reply.yiaddr)
    assert len(addresses) == 2


def test_f15_each_discover_is_answered_with_the_same_address() -> None:
    bench = Bench()
    offers: list[DhcpPacket] = []
    for secs, xid in ((0, 1), (4, 1), (12, 1), (28, 2)):
        bench.now += secs
        offers.append(bench.offer(options=pxe(0), secs=secs, xid=xid))
    assert len({found.yiaddr for found in offers}) == 1
    assert [found.xid for found in offers] == [1, 1, 1, 2]
