"""Options an operator sets: which are refused, which of several counts, what a template sees, what is sent."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidError
from app.model.options import read_options, write_options
from app.model.profile import Profile
from app.model.subnet import Reservation, SubnetMode
from app.netboot import optionset
from app.netboot.wire import catalogue, values
from app.netboot.wire import options as opt
from app.netboot.wire.catalogue import Kind
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType
from tests.netboot.dhcpworld import MAC, SERVER, Bench, World, ipxe, machine, pxe, request, subnet
from tests.netboot.wire.test_option_values import EXAMPLES

NTP, MTU, ROOT, SEARCH, ROUTES, FQDN = 42, 26, 17, 119, 121, 81


def bench(**options: dict[str, str]) -> Bench:
    """A world with options on each level: `everybody`, `net`, `second` and `first` (profiles), `reserved`, `known`."""
    world = World(nets=[subnet(options=options.get("net", {}))])
    if "everybody" in options:
        world.prefs[optionset.FOR_ALL] = write_options(options["everybody"])
    if "reserved" in options:
        world.reserved = [Reservation(address=world.nets[0].ranges[0].start, mac=MAC, options=options["reserved"])]
    world.profiles = [Profile(name=name, options=options[name]) for name in ("first", "second") if name in options]
    if world.profiles or "known" in options:
        world.machines = [machine(options=options.get("known", {}), profiles=("first", "gone", "second"))]
    return Bench(world)


def told(world: Bench, *codes: int, options: dict[int, bytes] | None = None, **fields: Any) -> DhcpPacket:
    return world.offer(options={opt.PARAMETERS: bytes(codes), **(options or {})}, **fields)


def test_the_most_particular_counts() -> None:
    levels = ["everybody", "net", "second", "first", "reserved", "known"]
    for number in range(1, len(levels) + 1):
        given = {level: {"ntp-servers": f"10.0.0.{place}"} for place, level in enumerate(levels[:number])}

        assert told(bench(**given), NTP).options[NTP] == bytes((10, 0, 0, number - 1)), levels[:number]


def test_others_stay_beside_it() -> None:
    world = bench(everybody={"interface-mtu": "9000"}, net={"42": "10.0.0.1"}, known={"root-path": "nfs:/r"})
    found = told(world, ROOT, NTP, MTU).options

    assert [code for code in found if code in (ROOT, NTP, MTU)] == [ROOT, NTP, MTU]  # in the order asked for
    assert (found[ROOT], found[MTU]) == (b"nfs:/r", b"\x23\x28")


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("what is asked for", {opt.PARAMETERS: bytes((NTP,))}, {NTP}),
        ("nothing that is not", {opt.PARAMETERS: bytes((1, 3))}, set[int]()),
        ("all, to who asks for nothing", {}, {NTP, MTU}),
    ],
)
def test_what_is_sent(name: str, asked: dict[int, bytes], expected: set[int]) -> None:
    world = bench(net={"ntp-servers": "10.0.0.1", "interface-mtu": "9000"})

    assert {code for code in world.offer(options=asked).options if code in (NTP, MTU)} == expected


def test_fields_of_the_subnet_give_way() -> None:
    found = told(bench(net={"routers": "10.7.0.8, 10.7.0.9", "dns": "10.7.0.7", "domain-name": "b.example"}), 1).options

    assert found[opt.ROUTER].hex() == "0a0700080a070009"
    assert found[opt.DNS].hex() == "0a070007"
    assert found[opt.DOMAIN_NAME] == b"b.example"


def test_ack_and_inform_carry_them_too() -> None:
    world = bench(net={"ntp-servers": "10.0.0.1", "host-name": "h-{{ address.split('.')[-1] }}"})
    options = {opt.PARAMETERS: bytes((NTP, opt.HOST_NAME))}
    ack = world.bind(options=options)
    inform = world.ask(request(MessageType.INFORM, options=options, ciaddr=ack.yiaddr), source=ack.yiaddr).reply

    assert ack.options[NTP].hex() == "0a000001"
    assert ack.options[opt.HOST_NAME] == b"h-100"
    assert inform is not None
    assert inform.options[NTP].hex() == "0a000001"


@pytest.mark.parametrize(
    ("template", "options", "expected"),
    [
        ("{{ mac }}", {}, MAC.encode()),
        ("{{ options[60] }}", {}, b"dhcpcd"),
        ("{{ options.vendor_class_identifier }}", pxe(7), b"PXEClient:Arch:00007:UNDI:003016"),
        ("{{ options['client-system'] }}", pxe(7), b"7"),
        ("{% if user_class == 'iPXE' %}ipxe{% else %}rom{% endif %}", ipxe(7), b"ipxe"),
        ("{{ firmware }}-{{ arch }}-{{ stage }}", pxe(0), b"bios-0-rom"),
        ("{{ machine.name }}", {}, b"node-07"),
        ("{{ subnet.name }} {{ server }} {{ interface }}", {}, b"rack7 10.7.0.1 eth0"),
        ("{{ circuit_id }}/{{ relay }}", {opt.RELAY_AGENT: b"\x01\x03ge1"}, b"ge1/10.7.0.9"),
    ],
)  # fmt: skip
def test_templates(template: str, options: dict[int, bytes], expected: bytes) -> None:
    world = bench(net={"nis-domain": template}, known={})
    relayed: dict[str, Any] = {"giaddr": SERVER + 8} if opt.RELAY_AGENT in options else {}
    found = told(world, 40, options={opt.VENDOR_CLASS: b"dhcpcd", **options}, **relayed)

    assert found.options[40] == expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ machine.name }}", "has no attribute 'name'"),
        ("{% for i in range(99999) %}x{% endfor %}", "it does too much"),
        ("{{ mac }}", "is not an IPv4 address"),
    ],
)
def test_one_that_fails_is_left_out_and_told(template: str, why: str) -> None:
    world = bench(net={"ntp-servers": template, "interface-mtu": "9000"})
    found = told(world, NTP, MTU)

    assert NTP not in found.options
    assert MTU in found.options
    event = world.last("dhcp.option")
    assert why in event.message
    assert event.message.startswith("option 42 (ntp-servers) of subnet rack7 is left out: ")
    assert (event.data["option"], event.data["source"]) == (NTP, "of subnet rack7")


def test_what_renders_to_nothing_is_not_sent_and_not_told() -> None:
    world = bench(net={"ntp-servers": "{% if arch == 7 %}10.0.0.1{% endif %}"})

    assert NTP not in told(world, NTP, options=pxe(0)).options
    assert NTP in told(world, NTP, options=pxe(7)).options
    assert "dhcp.option" not in world.kinds


def test_n05_who_takes_routes_gets_no_router_but_the_way_out() -> None:
    world = bench(net={"121": "10.0.0.0/8 via 10.7.0.2"})
    takes, takes_not = told(world, 3, ROUTES).options, told(world, 3).options

    assert takes[ROUTES].hex() == "080a0a070002" + "000a070001"
    assert opt.ROUTER not in takes
    assert (takes_not[opt.ROUTER], ROUTES in takes_not) == (SERVER.packed, False)
    own = bench(net={"121": "default via 10.7.0.3"})
    assert told(own, ROUTES).options[ROUTES].hex() == "000a070003"


def test_n08_a_client_that_names_itself_is_named() -> None:
    world = bench(net={"fqdn": "{{ mac|replace(':', '') }}.example"})

    assert FQDN not in told(world, FQDN).options
    found = told(world, FQDN, options={FQDN: bytes((5, 0, 0)) + b"\x04mine\x00"}).options[FQDN]
    assert found == bytes((0x0E, 255, 255)) + b"\x0c525400000007\x07example\x00"


def test_n19_long_values_are_split() -> None:
    long = bench(net={"root-path": "a" * 300})
    found = long.ask(request(options={opt.PARAMETERS: bytes((ROOT,)), opt.MAX_SIZE: b"\x05\xdc"}))

    assert b"\x11\xff" + b"a" * 255 + b"\x11\x2d" + b"a" * 45 in found.octets()


def test_firmware_is_told_by_the_decision_alone() -> None:
    options = {"vendor-encapsulated-options": "1=ip:10.0.0.1", "tftp-server-name": "phones.example", "67": "phone.cfg"}
    world = bench(net=options)
    firmware = told(world, 43, 66, 67, options=pxe(0))
    phone = told(world, 43, 66, 67)

    assert (phone.options[43], phone.options[66], phone.options[67]) == (
        b"\x01\x04\n\x00\x00\x01",
        b"phones.example",
        b"phone.cfg",
    )
    assert phone.file == b""
    assert 43 not in firmware.options
    assert firmware.options[66] == b"10.7.0.1"
    assert (firmware.options[67], firmware.file) == (b"phone.cfg", b"phone.cfg")


@pytest.mark.parametrize(
    ("name", "world", "expected"),
    [
        ("it is held", World(machines=[machine(held=True, options={"67": "mine.efi", "root-path": "nfs:/r"})]), b""),
        ("it may boot", World(machines=[machine(bootenv="debian-12", options={"67": "mine.efi"})]), b"mine.efi"),
        ("addresses only", World(nets=[subnet(mode=SubnetMode.UNMANAGED, options={"67": "mine.efi"})]), b""),
        ("to others", World(nets=[subnet(options={"67": "{{ 'x' if stage == 'ipxe' }}"})]), b"undionly.kpxe"),
    ],
)  # fmt: skip
def test_a_boot_file_that_is_set_counts_where_there_may_be_one(name: str, world: World, expected: bytes) -> None:
    found = told(Bench(world), 17, 66, 67, options=pxe(0))

    assert (found.file, found.options.get(67, b"")) == (expected, expected)
    assert ROOT not in found.options


def test_no_secret_way_around_a_proxy() -> None:
    world = Bench(World(nets=[subnet(mode=SubnetMode.PROXY, options={"ntp-servers": "10.0.0.1", "67": "mine.efi"})]))
    found = world.ask(request(options={**pxe(0), opt.PARAMETERS: bytes((NTP, 67))})).reply

    assert found is not None
    assert (NTP in found.options, found.file) == (False, b"mine.efi")


@pytest.mark.parametrize(
    ("options", "field", "why"),
    [
        ({"ntp-server": "10.0.0.1"}, "options.ntp-server", "there is no DHCP option 'ntp-server'"),
        ({"300": "1"}, "options.300", "there is no DHCP option '300'"),
        ({"53": "5"}, "options.53", "cannot be set: it is part of each message"),
        ({"dhcp-lease-time": "60"}, "options.dhcp-lease-time", "it follows from the lease time; set that"),
        ({"subnet-mask": "255.0.0.0"}, "options.subnet-mask", "it follows from the subnet's network"),
        ({"82": "hex:00"}, "options.82", "Bootcart gives back what the client or its relay sent"),
        ({"vendor-class-identifier": "PXEClient"}, "options.vendor-class-identifier", "cannot be set"),
        ({"ntp-servers": "ten"}, "options.ntp-servers", "'ten' is not an IPv4 address"),
        ({"ntp-servers": "{{ "}, "options.ntp-servers", "the template is not one"),
        ({"ntp-servers": "10.0.0.1", "42": "10.0.0.2"}, "options.42", "is given twice"),
        ({"224": "7"}, "options.224", "its type is not known"),
    ],
)
def test_options_that_cannot_be_set(options: dict[str, str], field: str, why: str) -> None:
    with pytest.raises(InvalidError, match=why) as raised:
        optionset.checked(options)

    assert raised.value.field == field
    assert raised.value.hint


def test_a_name_nearly_right_is_suggested_and_each_is_kept_under_its_own() -> None:
    with pytest.raises(InvalidError) as raised:
        optionset.checked({"ntp-srvers": "10.0.0.1"})

    assert raised.value.hint == "did you mean ntp-servers?"
    assert optionset.checked({"42": "10.0.0.1", "Search": "a.example", "230": "u8:1".replace("u8", "uint8")}) == {
        "ntp-servers": "10.0.0.1",
        "domain-search": "a.example",
        "230": "uint8:1",
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ntp-servers": "10.0.0.1, 10.0.0.2"},
        {"43": "1=ip:10.0.0.1; 2=string:a", "root-path": "a\\b"},
        {"host-name": "{{ 'a;b' }}", "x": ""},
    ],
)
def test_one_line_holds_them_all(options: dict[str, str]) -> None:
    assert read_options(write_options(options)) == options


def test_what_one_version_knows_does_not_break_another() -> None:
    world = bench(net={"ntp-servers": "10.0.0.1"})
    world.world.nets = [subnet(options={"flux-capacitor": "1", "ntp-servers": "no address", "interface-mtu": "9000"})]

    assert {code for code in told(world, NTP, MTU).options if code in (NTP, MTU)} == {MTU}


@pytest.mark.parametrize(
    "item",
    [item for item in catalogue.OPTIONS.values() if not item.computed and item.kind is not Kind.FQDN],
    ids=lambda item: item.title,
)
def test_every_option_that_can_be_set_reaches_who_asks_for_it(item: catalogue.Option) -> None:
    text = EXAMPLES[item.kind]
    stored = optionset.checked({str(item.code): text})
    found = told(bench(net=stored), item.code).options[item.code]

    assert (list(stored), found) == ([item.name], values.encode(item, text))
