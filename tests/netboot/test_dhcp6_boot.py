"""What machines are told to boot over IPv6 (RFC 5970), and the stateless ways to be told."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Interface
from typing import Any

import pytest

from app.model.machine import Machine, machine_id_for
from app.model.subnet import Reservation, SubnetMode
from app.netboot.exchange import Policy
from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import Kind, Message, Options, RelayMessage
from tests.netboot.dhcp6world import MAC, Bench6, World6, duid, firmware, given, ia, ipxe, subnet6

SCRIPT = "http://[fd00:7::1]:8090/boot/52-54-00-00-00-07.ipxe"
HTTP = options6.vendor_class(343, b"HTTPClient")


def _told(reply: Message | None) -> tuple[str, bytes | None]:
    assert reply is not None
    assert reply.get(dhcp6.BOOTFILE_PARAMETERS) is None, "N23: EDK2 takes it for the size of the file"
    return (reply.get(dhcp6.BOOTFILE_URL) or b"").decode(), reply.get(dhcp6.VENDOR_CLASS)


FILES: list[tuple[str, Options, str, bytes | None]] = [
    ("n22 UEFI x64 PXE", firmware(7), "tftp://[fd00:7::1]/ipxe.efi", None),
    ("n22 EBC PXE", firmware(9), "tftp://[fd00:7::1]/ipxe.efi", None),
    ("n22 UEFI arm64 PXE", firmware(11), "tftp://[fd00:7::1]/ipxe-arm64.efi", None),
    ("n24 UEFI x64 HTTP", firmware(16, "HTTPClient"), "http://[fd00:7::1]:8090/ipxe.efi", HTTP),
    ("n24 UEFI arm64 HTTP", firmware(19, "HTTPClient"), "http://[fd00:7::1]:8090/ipxe-arm64.efi", HTTP),
    ("n22 a Raspberry Pi", firmware(41), "tftp://[fd00:7::1]/bootcode.bin", None),
    ("n22 iPXE", ipxe(), SCRIPT, None),
    ("n22 iPXE of HTTP firmware", (*firmware(16, "HTTPClient"), ipxe()[-1]), SCRIPT, HTTP),
    ("n22 IA32", firmware(6), "", None),
    ("n22 no firmware at all", (), "", None),
]


@pytest.mark.parametrize(("name", "options", "url", "vendor"), FILES, ids=[each[0] for each in FILES])
def test_n22_n23_n24_each_firmware_gets_its_url(name: str, options: Options, url: str, vendor: bytes | None) -> None:
    bench = Bench6()
    advertise = bench.say(Kind.SOLICIT, ia(), *options).reply
    assert _told(advertise) == (url, vendor)
    assert _told(bench.say(Kind.REQUEST, ia(), *options).reply) == (url, vendor)
    assert _told(bench.say(Kind.INFORMATION_REQUEST, *options).reply) == (url, vendor)
    assert bench.events[-1].data.get("bootfile", "") == url


def _machine(**fields: Any) -> Machine:
    return Machine(id=machine_id_for(MAC), name="node-07", macs=(MAC,), **fields)


def _never() -> Reservation:
    return Reservation(address=IPv4Address("10.7.0.50"), mac=MAC, never_boot=True)


WITHHELD: list[tuple[str, dict[str, Any], str]] = [
    ("held", {"machines": [_machine(held=True)]}, "held"),
    ("to boot its disk", {"machines": [_machine(bootenv="local")]}, "local"),
    ("to be left alone", {"machines": [_machine(bootenv="ignore")]}, "ignore"),
    ("never to boot", {"reserved": [_never()]}, "never-boot"),
    ("addresses only", {"nets6": [subnet6(mode=SubnetMode.UNMANAGED)]}, "unmanaged"),
]


@pytest.mark.parametrize(("name", "world", "reason"), WITHHELD, ids=[each[0] for each in WITHHELD])
def test_who_gets_an_address_and_no_boot_file(name: str, world: dict[str, Any], reason: str) -> None:
    bench = Bench6(World6(**world))
    reply = bench.say(Kind.SOLICIT, ia(), *firmware(7)).reply
    assert _told(reply)[0] == ""
    assert given(reply)
    assert bench.events[-1].data["reason"] == reason


@pytest.mark.parametrize(("port", "url"), [(8443, "https://[fd00:7::1]:8443/ipxe.efi"), (0, "")])
def test_who_trusts_us_gets_https_or_nothing(port: int, url: str) -> None:
    bench = Bench6(World6(machines=[_machine(https=True, bootenv="discovery")]), policy=Policy(https_port=port))
    reply = bench.say(Kind.SOLICIT, ia(), *firmware(16, "HTTPClient")).reply
    assert _told(reply) == (url, HTTP if url else None)
    assert bench.events[-1].data["reason"] == ("" if url else "no-https")


ADDRESSES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("the subnet's boot server", {"next_server": "fd00:9::9"}, {}, "fd00:9::9"),
    (
        "the one in the network",
        {},
        {"addresses": (IPv6Interface("fd00:9::1/64"), IPv6Interface("fd00:7::5/64"))},
        "fd00:7::5",
    ),
    (
        "any of the interface",
        {"interface": "eth0"},
        {"addresses": (IPv6Interface("fe80::1/64"), IPv6Interface("fd00:9::1/64"))},
        "fd00:9::1",
    ),
    (
        "link-local where there is no other",
        {"interface": "eth0"},
        {"addresses": (IPv6Interface("fe80::1/64"),)},
        "fe80::1",
    ),
]


@pytest.mark.parametrize(("name", "subnet", "arrival", "host"), ADDRESSES, ids=[each[0] for each in ADDRESSES])
def test_n26_the_url_names_the_address_that_is_reached(
    name: str, subnet: dict[str, Any], arrival: dict[str, Any], host: str
) -> None:
    bench = Bench6(World6(nets6=[subnet6(**subnet)]))
    assert _told(bench.say(Kind.SOLICIT, ia(), *firmware(7), **arrival).reply)[0] == f"tftp://[{host}]/ipxe.efi"


def test_n26_behind_a_relay_it_is_the_address_the_relay_sent_to() -> None:
    bench = Bench6(World6(nets6=[subnet6(cidr="fd00:8::/64", ranges=["fd00:8::100-fd00:8::1ff"])]))
    relay = RelayMessage(Kind.RELAY_FORWARD, 0, IPv6Address("fd00:8::1"), IPv6Address("fe80::99"))
    asked = IPv6Address("fd00:7::1")
    found = bench.say(Kind.SOLICIT, ia(), *firmware(7), relays=(relay,), destination=asked, source=relay.link)
    assert _told(found.reply)[0] == "tftp://[fd00:7::1]/ipxe.efi"


def test_a_stateless_subnet_gives_boot_files_and_no_addresses() -> None:
    bench = Bench6(World6(nets6=[subnet6(stateless=True)]))
    advertise = bench.say(Kind.SOLICIT, ia(), *firmware(7)).reply
    assert advertise is not None
    assert _told(advertise)[0] == "tftp://[fd00:7::1]/ipxe.efi"
    assert advertise.get(dhcp6.IA_NA) is None
    assert bench.say(Kind.SOLICIT, ia(), client=duid()).reply is None, "an operating system has nothing to get here"
    assert _told(bench.say(Kind.INFORMATION_REQUEST, *ipxe()).reply)[0] == SCRIPT
    assert bench.stored == []


def test_a_run_that_may_give_no_addresses_gives_boot_files_alone() -> None:
    bench = Bench6(policy=Policy("proxy"))
    advertise = bench.say(Kind.SOLICIT, ia(), *firmware(7)).reply
    assert advertise is not None
    assert _told(advertise)[0] == "tftp://[fd00:7::1]/ipxe.efi"
    assert advertise.get(dhcp6.IA_NA) is None


def test_the_events_say_who_asked() -> None:
    bench = Bench6()
    bench.say(Kind.SOLICIT, ia(), *firmware(7), client=duid(kind=4))
    discover = bench.events[0]
    assert (discover.kind, discover.mac, discover.data["stage"]) == ("dhcp.discover", MAC, "rom")
    assert discover.data["guid"] == "01010101-0101-0101-0101-525400000007"
    assert discover.message == "SOLICIT from UEFI x64 PXE firmware"
    assert "tftp://[fd00:7::1]/ipxe.efi" in bench.events[1].message
