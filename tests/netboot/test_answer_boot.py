"""Firmware at the DHCP server: the checklist's items P, and the life of a lease through one boot."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from app.model.event import Level
from app.model.subnet import SubnetMode
from app.netboot.answer import Policy
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import ZERO
from app.netboot.wire.pxe import LOCAL_BOOT, RASPBERRY_PI_OPTIONS
from tests.netboot.dhcpworld import GUID, MAC, SERVER, Bench, World, ipxe, machine, pxe, request, selecting, subnet

PI = "dc:a6:32:00:00:07"
SCRIPT = b"http://10.7.0.1:8090/boot/52-54-00-00-00-07.ipxe"


@pytest.mark.parametrize(
    ("name", "options", "bootfile", "vendor_class"),
    [
        ("P01 BIOS", pxe(0), b"undionly.kpxe", None),
        ("P02 UEFI x64", pxe(7), b"ipxe.efi", None),
        ("P03 EBC", pxe(9), b"ipxe.efi", None),
        ("P04 arm64", pxe(11), b"ipxe-arm64.efi", None),
        ("P07 HTTP x64", pxe(16, kind="HTTPClient"), b"http://10.7.0.1:8090/ipxe.efi", b"HTTPClient"),
        ("P08 HTTP arm64", pxe(19, kind="HTTPClient"), b"http://10.7.0.1:8090/ipxe-arm64.efi", b"HTTPClient"),
        ("P11 iPXE", ipxe(7), SCRIPT, None),
        ("P12 iPXE length-prefixed", ipxe(0, user_class=b"\x04iPXE"), SCRIPT, None),
        ("P14 no architecture", pxe(None), b"undionly.kpxe", None),
        ("P15 several", {**pxe(7), opt.ARCHITECTURE: b"\x00\x07\x00\x09"}, b"ipxe.efi", None),
        ("P05 IA32: an address alone", pxe(6), None, None),
        ("P06 riscv64", pxe(27), b"ipxe-riscv64.efi", None),
        ("P13 a system: an address alone", {opt.VENDOR_CLASS: b"udhcp 1.35.0"}, None, None),
        ("P16 unknown: an address alone", pxe(0xFF), None, None),
    ],
)
def test_boot_information(
    name: str, options: dict[int, bytes], bootfile: bytes | None, vendor_class: bytes | None
) -> None:
    bench = Bench()
    offered = bench.offer(options=options)

    assert offered.yiaddr == IPv4Address("10.7.0.100")
    assert offered.options.get(opt.BOOT_FILE) == bootfile
    # P17: the same name in the fixed field; P01: next server by number, also where 66 is preferred.
    assert offered.file == (bootfile or b"")
    assert offered.siaddr == (SERVER if bootfile else ZERO)
    by_tftp = bootfile is not None and not bootfile.startswith(b"http")
    assert offered.options.get(opt.TFTP_SERVER) == (b"10.7.0.1" if by_tftp else None)
    # P09, P13: without option 60 no option 43 either, and the plain file is what every ROM takes.
    assert offered.options.get(opt.VENDOR_CLASS) == vendor_class
    assert opt.VENDOR_OPTIONS not in offered.options
    # P10
    assert offered.options.get(opt.MACHINE_GUID) == (GUID if opt.MACHINE_GUID in options else None)
    # P18: the ACK says the same.
    ack = bench.ask(selecting(offered, options=options)).reply
    assert ack is not None
    assert replace(ack, options={**ack.options, 53: b"\x02"}) == offered


def test_p17_a_long_name_stands_in_option_67_alone() -> None:
    bench = Bench(World(prefs={"loader-uefi": "x" * 128}))
    offered = bench.offer(options=pxe(7))

    assert (offered.file, offered.options[opt.BOOT_FILE]) == (b"", b"x" * 128)
    bench.world.prefs["loader-uefi"] = "x" * 127
    assert bench.offer(options=pxe(7)).file == b"x" * 127


def test_p19_a_raspberry_pi_is_remembered_from_its_discover() -> None:
    bench = Bench()
    options = {opt.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001", opt.ARCHITECTURE: b"\0\0"}
    offered = bench.offer(PI, options)
    # Its REQUEST says nothing of what it is.
    ack = bench.ask(selecting(offered, PI)).reply
    assert ack is not None

    for reply in (offered, ack):
        assert reply.options[opt.VENDOR_CLASS] == b"PXEClient"
        assert reply.options[opt.VENDOR_OPTIONS] == RASPBERRY_PI_OPTIONS
        assert {opt.SUBNET_MASK, opt.ROUTER} <= set(reply.options)
    # Another message of another boot is judged by what it says.
    stranger = bench.ask(selecting(offered, PI, xid=99)).reply
    assert stranger is not None
    assert opt.VENDOR_CLASS not in stranger.options


AT_HOME = World(machines=[machine(bootenv="local")])
HELD = World(machines=[machine(bootenv="debian-12", held=True)])
UNMANAGED = World(nets=[subnet(mode=SubnetMode.UNMANAGED)])
HTTP = pxe(16, kind="HTTPClient")


def test_firmware_that_only_a_script_sends_to_its_disk_gets_one() -> None:
    """HTTP firmware asks for minutes when it is given nothing; the script's `exit 1` sends it on."""
    http, second = Bench(AT_HOME).offer(options=HTTP), Bench(AT_HOME).offer(options=ipxe(7))

    assert http.options[opt.BOOT_FILE].endswith(b"/ipxe.efi")
    assert http.options[opt.VENDOR_CLASS] == b"HTTPClient"
    assert second.options[opt.BOOT_FILE].endswith(b".ipxe")


@pytest.mark.parametrize(
    ("name", "world", "reason", "options", "menu"),
    [
        ("local, BIOS", AT_HOME, "local", pxe(0), b""),
        ("local, iPXE on BIOS", AT_HOME, "local", ipxe(0), b""),
        ("local, UEFI", AT_HOME, "local", pxe(7), LOCAL_BOOT),
        ("local, arm64", AT_HOME, "local", pxe(11), LOCAL_BOOT),
        ("held, UEFI", HELD, "held", pxe(7), LOCAL_BOOT),
        ("held, iPXE", HELD, "held", ipxe(7), b""),
        ("held, HTTP", HELD, "held", HTTP, b""),
        ("addresses only, UEFI", UNMANAGED, "unmanaged", pxe(7), b""),
        ("addresses only, iPXE", UNMANAGED, "unmanaged", ipxe(7), b""),
        ("addresses only, HTTP", UNMANAGED, "unmanaged", HTTP, b""),
    ],
)
def test_an_address_without_a_boot_file(
    name: str, world: World, reason: str, options: dict[int, bytes], menu: bytes
) -> None:
    """UEFI firmware asks again for a minute unless a menu of one item sends it to its disk."""
    bench = Bench(world)
    ack = bench.bind(options=options)

    assert (ack.file, ack.siaddr) == (b"", ZERO), name
    assert not {opt.BOOT_FILE, opt.TFTP_SERVER} & set(ack.options)
    assert ack.options.get(opt.VENDOR_OPTIONS, b"") == menu
    assert (opt.VENDOR_CLASS in ack.options) == bool(menu)
    for kind in ("dhcp.offer", "dhcp.ack"):
        event = bench.last(kind)
        assert (event.data["bootfile"], event.data["reason"]) == ("", reason)
        assert event.data["why"] in event.message


def test_urls_name_the_fixed_address_where_one_is_set() -> None:
    bench = Bench(policy=Policy(address=IPv4Address("192.0.2.1"), http_port=80))
    offered = bench.offer(options=ipxe(7))

    assert offered.options[opt.BOOT_FILE] == b"http://192.0.2.1:80/boot/52-54-00-00-00-07.ipxe"
    assert offered.address(opt.SERVER_ID) == SERVER


def test_events_of_a_boot() -> None:
    bench = Bench(World(machines=[machine(bootenv="debian-12")]))
    bench.bind(options={**pxe(7), opt.HOST_NAME: b"node\x1b[2J"})

    assert bench.kinds == ["dhcp.discover", "dhcp.offer", "dhcp.request", "dhcp.ack"]
    assert [event.message for event in bench.events] == [
        "DISCOVER from UEFI x64 PXE firmware",
        "OFFER 10.7.0.100 file ipxe.efi",
        "REQUEST 10.7.0.100 (selecting)",
        "ACK 10.7.0.100 for 3600 s file ipxe.efi",
    ]
    assert {event.level for event in bench.events} == {Level.INFO}
    assert {(event.mac, event.interface, event.machine) for event in bench.events} == {
        (MAC, "eth0", bench.world.machines[0].id)
    }
    discover, ack = bench.events[0].data, bench.events[3].data
    assert discover == {
        "xid": "11223344",
        "secs": 0,
        "stage": "rom",
        "arch": 7,
        "arch_name": "UEFI x64",
        "firmware": "uefi",
        "vendor_class": "PXEClient:Arch:00007:UNDI:003016",
        "user_class": "",
        "hostname": "node.[2J",
        "requested": "",
        "relay": "",
        "guid": "04030201-0605-0807-090a-0b0c0d0e0f10",
    }
    assert ack == {
        "xid": "11223344",
        "stage": "rom",
        "address": "10.7.0.100",
        "subnet": "rack7",
        "bootfile": "ipxe.efi",
        "next_server": "10.7.0.1",
        "why": "debian-12 is assigned to node-07; UEFI x64 PXE firmware",
        "reason": "",
        "bootenv": "debian-12",
        "lease_time": 3600,
        "state": "selecting",
        "path": "uefi-pxe",
    }


def test_operating_systems_are_details_but_their_leases_are_not() -> None:
    bench = Bench()
    bench.bind()

    levels = {event.kind: event.level for event in bench.events}
    assert levels == {
        "dhcp.discover": Level.DEBUG,
        "dhcp.offer": Level.DEBUG,
        "dhcp.request": Level.DEBUG,
        "dhcp.ack": Level.INFO,
    }


def test_a_binding_begins_with_a_boot_and_lasts_through_it() -> None:
    bench = Bench()

    def since() -> float:
        lease = bench.table.at(IPv4Address("10.7.0.100"))
        assert lease is not None
        return lease.since

    began = bench.now
    bench.bind(options=pxe(7))
    bench.now += 20
    bench.bind(options=ipxe(7))
    bench.now += 100
    bench.bind()
    assert since() == began
    bench.now += 200
    bench.bind(options=pxe(7))
    assert since() == bench.now
    again = bench.now
    bench.now += 100
    bench.bind()
    assert since() == again


def test_the_host_name_is_the_machines() -> None:
    bench = Bench(World(machines=[machine()]))
    asked = {opt.PARAMETERS: bytes((1, 3, 12))}

    assert bench.offer(options=asked).options[opt.HOST_NAME] == b"node-07"
    assert opt.HOST_NAME not in bench.offer("52:54:00:00:00:99", asked).options


def test_a_repeated_discover_is_answered_the_same() -> None:
    bench = Bench()

    assert {bench.ask(request(options=pxe(0), secs=n)).octets() for n in (0, 4, 12, 28)} == {
        bench.ask(request(options=pxe(0))).octets()
    }
