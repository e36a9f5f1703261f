"""Items of RFCs beside 2131 that need no wire: what is sent only when it is set, echoed, ignored, or refused."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from app.netboot.decide import decide
from app.netboot.exchange import Answer, Via
from app.netboot.firmware import classify
from app.netboot.replies import shortened
from app.netboot.wire import catalogue, values
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType, decode
from app.netboot.wire.options import DhcpError
from app.netboot.wire.tftp import negotiate
from tests.netboot.dhcpworld import MAC, OTHER, SERVER, Bench, World, machine, pxe, rebooting, request, subnet
from tests.netboot.test_firmware_kin import CONFIG, DEFAULT_URL, ONIE, PETITBOOT, POAP, PREFIX, REBOOT, SERVERS, U_BOOT

FQDN, AUTHENTICATION, AUTO_CONFIGURE, IPV6_ONLY, ROUTES, VENDORS = 81, 90, 116, 108, 121, 125
RELAY = IPv4Address("10.7.0.2")


def wants(*codes: int) -> dict[int, bytes]:
    """The options of a client that asks for some."""
    return {opt.PARAMETERS: bytes(codes)}


def offered(set_for_it: dict[str, str], *codes: int, said: dict[int, bytes] | None = None) -> DhcpPacket:
    """The OFFER to a client that asks for `codes`, on a subnet with options of its own."""
    bench = Bench(World(nets=[subnet(options=set_for_it)]))
    return bench.offer(options={**wants(*codes), **(said or {})})


def relayed(inside: bytes, port: int = 67) -> Answer:
    """The answer to a DISCOVER through a relay that adds option 82."""
    packet = request(options={**pxe(7), opt.RELAY_AGENT: inside}, giaddr=RELAY)
    return Bench().ask(packet, source=RELAY, port=port)


def test_n01_option_82_without_a_relay_is_a_snooping_switchs_and_no_relays_word() -> None:
    """Switches that snoop add it and leave giaddr empty; what only a relay may say is not believed of them."""
    inside = opt.pack_suboptions({1: b"port 7", opt.RELAY_LINK_SELECTION: b"\x0a\x09\0\0", 11: b"\x0a\x09\0\x01"})
    found = Bench().offer(options={**pxe(7), opt.RELAY_AGENT: inside})

    assert found.yiaddr in subnet().cidr
    assert found.address(opt.SERVER_ID) == SERVER
    assert found.options[opt.RELAY_AGENT] == inside


def test_n02_forcerenew_is_never_sent() -> None:
    assert {kind.name for kind in MessageType} & {"FORCERENEW"} == set()
    assert decode(request().encode()).message is MessageType.DISCOVER
    with pytest.raises(ValueError, match="9"):
        MessageType(9)


def test_n03_authentication_is_ignored() -> None:
    found = Bench().offer(options={AUTHENTICATION: bytes(11), **wants(1, AUTHENTICATION)})
    assert AUTHENTICATION not in found.options


@pytest.mark.parametrize("kind", [10, 11, 12, 13, 14, 18])
def test_n04_lease_queries_are_not_answered(kind: int) -> None:
    bench = Bench()
    bench.bind()
    packet = request(options={opt.MESSAGE_TYPE: bytes((kind,))}, ciaddr=IPv4Address("10.7.0.100"))
    found = bench.ask(packet)
    assert (found.reply, found.reason) == (None, "not-for-a-server")


def test_n05_routes_replace_the_router_for_who_takes_them() -> None:
    routes = {"classless-static-route": "10.9.0.0/16 via 10.7.0.9, 10.128.0.0/9 via 10.7.0.8, 10.5.5.5/32 via 10.7.0.7"}
    found = offered(routes, opt.ROUTER, ROUTES).options
    assert opt.ROUTER not in found
    assert found[ROUTES] == bytes.fromhex(  # significant octets only, and a way to everywhere else
        "10 0a09 0a07000909 0a80 0a07000820 0a050505 0a07000700 0a070001"
    )
    others = offered(routes, opt.ROUTER).options
    assert others[opt.ROUTER] == SERVER.packed
    assert ROUTES not in others


def test_n06_search_lists_point_back_and_are_split() -> None:
    option = catalogue.OPTIONS[119]
    assert values.encode(option, "eng.example.net, mkt.example.net").hex() == (
        "03656e67076578616d706c65036e657400036d6b74c004"
    )
    many = ", ".join(f"rack-{number:03}.example.net" for number in range(30))
    found = offered({"domain-search": many}, 119)
    packed = opt.split(found.encode()[240:])
    pieces = [value for code, value in packed if code == 119]
    assert len(pieces) == 2
    assert len(pieces[0]) == 255
    assert values.decode(option, b"".join(pieces)) == many


def test_n07_several_enterprises_in_one_option() -> None:
    option = catalogue.OPTIONS[VENDORS]
    text = "4491 1=hex:01; 2=hex:0050 | 42623 1=hex:75726c"
    octets = values.encode(option, text)
    assert octets.hex() == "0000118b07010101020200500000a67f05010375726c"
    assert values.encode(option, values.decode(option, octets)) == octets
    for cut in range(1, len(octets)):
        assert values.encode(option, values.decode(option, octets[:cut])) == octets[:cut]


@pytest.mark.parametrize(
    "value",
    [
        b"\0\0\0node-07.example.net",  # deprecated: ASCII
        b"\x05\0\0\x07node-07\0",
        b"\x05\0\0" + bytes((200,)) + b"x" * 200,  # a label of 200 octets (CVE-2022-2929)
        b"\x05\0\0\x3f" + b"x" * 10,
        b"\x05\0\0\xc0\x00",
        b"\x05",
        b"\0" * 255,
    ],
    ids=["ascii", "wire", "long label", "cut", "pointer", "flags only", "zeros"],
)
def test_n08_names_in_every_form_are_survived(value: bytes) -> None:
    found = offered({"fqdn": "node-07.example.net"}, FQDN, said={FQDN: value}).options
    flags = found[FQDN][0]
    assert flags & 8  # no DNS record is made here
    assert found[FQDN][3:] == (b"\x07node-07\x07example\x03net\0" if value[0] & 4 else b"node-07.example.net")
    assert FQDN not in offered({}, FQDN, said={FQDN: value}).options


def test_n09_cisco_is_told_its_script_and_its_servers() -> None:
    known = machine(options={"boot-file-name": "poap.py", "150": "10.7.0.1, 10.7.0.2", "66": "10.7.0.1"})
    options = Bench(World(machines=[known])).offer(MAC, options=POAP).options

    assert options[opt.BOOT_FILE] == b"poap.py"
    assert options[opt.TFTP_SERVER] == b"10.7.0.1"
    assert options[SERVERS] == bytes((10, 7, 0, 1, 10, 7, 0, 2))


def test_n10_petitboot_and_pxelinux_are_told_their_menu() -> None:
    menu = {
        "pxelinux-magic": "f1:00:74:7e",
        "pxelinux-config-file": "http://10.7.0.1/menu",
        "pxelinux-path-prefix": "http://10.7.0.1/ppc/",
        "pxelinux-reboot-time": "30",
    }
    bench = Bench(World(nets=[subnet(options=menu)]))
    for says in (PETITBOOT, pxe(0)):  # PXELINUX's ROM does not ask for what PXELINUX will want (RFC 5071 section 3)
        options = bench.offer(options=says).options
        assert options[CONFIG] == b"http://10.7.0.1/menu"
        assert options[PREFIX] == b"http://10.7.0.1/ppc/"
        assert options[REBOOT] == bytes((0, 0, 0, 30))
        assert options[208] == bytes.fromhex("f100747e")
    own = Bench(World(nets=[subnet(options={"pxelinux-config-file": "http://10.7.0.1/menu"})]))
    assert PREFIX not in own.offer(options=PETITBOOT).options


def test_n10_petitboot_and_u_boot_are_told_the_menu_bootcart_makes() -> None:
    petitboot = Bench().offer(options=PETITBOOT)
    assert petitboot.options[CONFIG] == b"http://10.7.0.1:8090/menus/ppc64el/pxelinux.cfg/01-52-54-00-00-00-07"
    assert petitboot.options[PREFIX] == b"http://10.7.0.1:8090/menus/ppc64el/"
    u_boot = Bench().offer(options=U_BOOT)
    assert not {CONFIG, PREFIX} & {*u_boot.options}
    for found, processor in ((petitboot, "ppc64el"), (u_boot, "arm64")):
        # Its folder is put before the menu's name, and before whatever the menu names.
        assert found.options[opt.BOOT_FILE].decode() == f"menus/{processor}/pxelinux.cfg"
        assert found.siaddr == SERVER
        assert opt.VENDOR_CLASS not in found.options
    off = Bench(World(prefs={"unknown-bootenv": "local"})).offer(options=PETITBOOT).options
    assert not {CONFIG, PREFIX, opt.BOOT_FILE} & {*off}


@pytest.mark.parametrize(
    ("code", "value"),
    [(AUTO_CONFIGURE, "1"), (DEFAULT_URL, "http://10.7.0.1/installer.bin"), (IPV6_ONLY, "1800")],
    ids=["n11 auto-configure", "n12 captive portal", "n13 ipv6-only"],
)
def test_n11_n12_n13_what_changes_a_network_is_sent_only_when_it_is_set(code: int, value: str) -> None:
    assert code not in offered({}, code).options
    found = offered({str(code): value}, code).options
    assert values.decode(catalogue.OPTIONS[code], found[code]) == value
    assert code not in offered({str(code): value}, opt.ROUTER).options


def test_n12_a_switch_in_onie_is_told_its_installer() -> None:
    url = "http://10.7.0.1:8090/onie-installer-x86_64"
    known = machine(options={"default-url": url})
    assert Bench(World(machines=[known])).offer(MAC, options=ONIE).options[DEFAULT_URL] == url.encode()


def test_n14_n16_what_a_relay_says_comes_back_as_it_was() -> None:
    inside = opt.pack_suboptions({1: b"port 7", 6: b"subscriber", 8: bytes(range(30)), 10: b"\x80", 99: b"\0\xff"})
    found = relayed(inside).reply
    assert found is not None
    assert found.options[opt.RELAY_AGENT] == inside


@pytest.mark.parametrize("own", [False, True])
def test_n15_a_relay_with_a_port_of_its_own_is_answered_there(own: bool) -> None:
    inside = opt.pack_suboptions({1: b"x", **({opt.RELAY_SOURCE_PORT: b""} if own else {})})
    where = relayed(inside, port=4067).destination
    assert where is not None
    assert (where.via, where.address, where.port) == (Via.RELAY, RELAY, 4067 if own else 67)


@pytest.mark.parametrize("value", [b"", b"\x0a\x07\0", b"\x0a\x07\0\x64\x0a", b"\x0a\x07\0\x64\x0a\x07\0\x65"])
def test_n17_an_address_of_another_length_is_ignored(value: bytes) -> None:
    bench = Bench()
    plain = bench.offer()
    found = Bench().offer(options={opt.REQUESTED_ADDRESS: value, opt.SUBNET_SELECTION: value, opt.SERVER_ID: value})
    assert found.yiaddr == plain.yiaddr
    servers = catalogue.OPTIONS[6]
    assert len(value) % 4 == 0 or values.decode(servers, value).startswith("hex:")


def test_n18_times_follow_from_what_is_left_of_the_lease() -> None:
    bench = Bench()
    address = str(bench.bind().yiaddr)
    bench.now += 600
    found = bench.ask(rebooting(address))
    assert found.reply is not None
    for answer, seconds in ((found.reply, 3600), (shortened(found, 900.0, "the disk is full").reply, 900)):
        assert answer is not None
        lease, first, second = (int.from_bytes(answer.options[code], "big") for code in (51, 58, 59))
        assert (lease, first, second) == (seconds, seconds // 2, int(seconds * 0.875))


def test_n19_only_what_is_longer_than_255_octets_is_split() -> None:
    for length, pieces in ((254, 1), (255, 1), (256, 2), (511, 3)):
        found = opt.split(opt.pack({224: b"x" * length}, 1400))
        assert [len(value) for _, value in found] == [min(255, length - at) for at in range(0, length, 255)]
        assert len(found) == pieces
        assert opt.join(found) == {224: b"x" * length}


@pytest.mark.parametrize("arch", [16, 19])
def test_n26_urls_name_an_address_so_that_no_dns_is_needed(arch: int) -> None:
    world = World(nets=[subnet(dns=())])
    found = decide(classify(request(options=pxe(arch, kind="HTTPClient"))), MAC, world, world.nets[0], SERVER, 8090)
    assert found.bootfile.startswith("http://10.7.0.1:8090/")


def test_n27_tftp_multicast_is_not_agreed_to() -> None:
    asked = {"multicast": "", "tsize": "0"}
    assert negotiate(asked, 5, blksize_max=1468, windowsize_max=64, timeout_max=8).accepted == {"tsize": "5"}


def test_an_operators_file_boots_what_there_is_no_loader_for() -> None:
    """GRUB on Open Firmware, a U-Boot script, an s390's list: whatever option 67 names."""
    for arch in (12, 23, 31, 32, 0xFF):
        known = machine(bootenv="discovery", options={"boot-file-name": "boot/grub/powerpc-ieee1275/core.elf"})
        bench = Bench(World(machines=[known]))
        found = bench.offer(MAC, options=pxe(arch))
        assert found.options[opt.BOOT_FILE] == found.file == b"boot/grub/powerpc-ieee1275/core.elf"
        assert (found.siaddr, found.options[opt.TFTP_SERVER]) == (SERVER, b"10.7.0.1")
        assert bench.last("dhcp.offer").data["reason"] == ""
        other = bench.offer(OTHER, options=pxe(arch))
        assert opt.BOOT_FILE not in other.options


def test_malformed_values_never_become_an_option() -> None:
    for code, text in ((150, "10.7.0"), (121, "10.7.0.0/33 via 10.7.0.1"), (119, "x" * 70), (VENDORS, "1")):
        with pytest.raises(DhcpError):
            values.encode(catalogue.OPTIONS[code], text)
