"""Firmware beside another DHCP server: the answer on port 67, the boot request on port 4011 (X items)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Lan
from tests.conformance.station import (
    ACK,
    DISCOVER,
    GUID,
    OFFER,
    REQUEST,
    Client,
    Options,
    Reply,
    ip,
    ipxe,
    new_mac,
    pxe,
    walk,
)

pytestmark = pytest.mark.root

SERVER, OTHER_SERVER = "10.7.0.1", "10.7.0.2"
PXE_PORT = 4011
LEASE = {51, 58, 59}
NETWORK = {1, 3, 6, 15} | LEASE
WHERE_TO_GO = {6, 8, 9, 71}
RASPBERRY_PI: Options = [(60, b"PXEClient:Arch:00000:UNDI:002001"), (93, b"\0\0"), (94, b"\x01\x02\x01")]


def offered(lan: Lan, words: Options, *, mac: str = "") -> Reply:
    return lan.client(words=words, mac=mac).discover()


def ask(client: Client, address: str, *options: tuple[int, bytes], sport: int = 68) -> None:
    """The boot request of firmware that has an address, by unicast to port 4011."""
    client.wire.owned[address] = client.mac
    octets = client.message(REQUEST, list(options), ciaddr=address)
    client.send(octets, source=address, to=SERVER, sport=sport, dport=PXE_PORT)


def booted(lan: Lan, words: Options, address: str, *options: tuple[int, bytes], sport: int = 68) -> Reply:
    """The ACK to a boot request."""
    client = lan.client(words=words)
    ask(client, address, *options, sport=sport)
    return client.hear()


def parts(value: bytes) -> dict[int, bytes]:
    """The parts of option 43, which END must close."""
    listed, ended = walk(value)
    assert ended
    return dict(listed)


@pytest.mark.parametrize("arch", [0, 7, 9, 11])
def test_x01_firmware_is_offered_no_address(beside: Lan, arch: int) -> None:
    offer = offered(beside, pxe(arch))

    assert (offer.kind, offer.address, offer.server, offer.source) == (OFFER, "0.0.0.0", SERVER, SERVER)
    assert offer.options[60] == b"PXEClient"


@pytest.mark.parametrize(
    "words", [pxe(0), pxe(7), ipxe(7), pxe(16, "HTTPClient")], ids=["bios", "uefi", "ipxe", "http"]
)
def test_x02_the_network_is_the_other_servers(beside: Lan, words: Options) -> None:
    assert NETWORK & set(offered(beside, words).options) == set()


@pytest.mark.parametrize("broadcast", [False, True], ids=["unicast", "broadcast"])
def test_x03_the_client_finds_itself_in_the_offer(beside: Lan, broadcast: bool) -> None:
    client = beside.client(words=pxe(7), broadcast=broadcast)
    offer = client.discover()
    head = offer.bootp

    assert (head.op, head.xid, int(head.flags)) == (2, client.xid, 0x8000 if broadcast else 0)
    assert head.chaddr == client.hardware.ljust(16, b"\0")
    assert offer.options[97] == GUID


@pytest.mark.parametrize("words", [pxe(0), pxe(7), pxe(11), RASPBERRY_PI], ids=["bios", "x64", "arm64", "pi"])
def test_x04_firmware_is_told_where_to_go(beside: Lan, words: Options) -> None:
    offer = offered(beside, words)

    assert offer.ended
    if 43 in offer.options:
        assert WHERE_TO_GO & set(parts(offer.options[43]))
    else:
        assert offer.boot
        assert offer.bootp.siaddr == SERVER


@pytest.mark.parametrize(
    "words", [[], [(60, b"MSFT 5.0")], [(60, b"udhcp")], [(93, b"\0\7")]], ids=["", "MS", "udhcp", "93"]
)
def test_x05_who_does_not_boot_is_left_alone(beside: Lan, words: Options) -> None:
    client = beside.client(words=[*words, (55, bytes((1, 3, 43, 60, 67)))], broadcast=True)
    client.say(DISCOVER)
    client.say(REQUEST, (50, ip("10.7.1.5")))
    client.say(REQUEST, ciaddr="10.7.1.5")

    beside.unanswered(client)


@pytest.mark.parametrize("words", [[], pxe(0), pxe(7)], ids=["system", "bios", "uefi"])
def test_x06_the_other_server_gives_its_address_in_peace(beside: Lan, words: Options) -> None:
    client = beside.client(words=words, broadcast=True)
    client.say(REQUEST, (54, ip(OTHER_SERVER)), (50, ip("10.7.1.6")))

    beside.unanswered(client)


@pytest.mark.parametrize(("arch", "file"), [(0, "undionly.kpxe"), (7, "ipxe.efi"), (11, "ipxe-arm64.efi")])
def test_x07_the_boot_request_is_answered(beside: Lan, arch: int, file: str) -> None:
    ack = booted(beside, pxe(arch), "10.7.2.7")

    assert (ack.kind, ack.sport, ack.source, ack.to) == (ACK, PXE_PORT, SERVER, "10.7.2.7")
    assert (ack.boot, ack.options[60], ack.server) == (file, b"PXEClient", SERVER)


def test_x08_and_gives_no_lease(beside: Lan) -> None:
    ack = booted(beside, pxe(7), "10.7.2.8")

    assert (ack.address, ack.options[97]) == ("0.0.0.0", GUID)
    assert LEASE & set(ack.options) == set()


@pytest.mark.parametrize("sport", [68, 4011])
def test_x09_where_it_came_from(beside: Lan, sport: int) -> None:
    ack = booted(beside, pxe(7), "10.7.2.9", sport=sport)

    assert (ack.sport, ack.dport) == (PXE_PORT, sport)


def test_x10_each_firmware_its_file(beside: Lan) -> None:
    for told in (lambda words: offered(beside, words), lambda words: booted(beside, words, "10.7.2.10")):
        assert (told(pxe(0)).boot, told(pxe(7)).boot) == ("undionly.kpxe", "ipxe.efi")


@pytest.mark.parametrize(("arch", "file"), [(16, "ipxe.efi"), (19, "ipxe-arm64.efi")])
def test_x11_http_boot(beside: Lan, arch: int, file: str) -> None:
    offer = offered(beside, pxe(arch, "HTTPClient"))

    assert offer.options[60].startswith(b"HTTPClient")
    assert (offer.address, offer.boot) == ("0.0.0.0", f"http://{SERVER}:8090/{file}")


@pytest.mark.parametrize("arch", [0, 7])
def test_x12_ipxe_gets_its_script(beside: Lan, arch: int) -> None:
    client = beside.client(words=ipxe(arch))
    offer = client.discover()
    ask(client, "10.7.2.12")
    script = f"http://{SERVER}:8090/boot/{client.mac.replace(':', '-')}.ipxe"

    assert (offer.boot, client.hear(ACK).boot) == (script, script)


def test_x13_the_item_of_the_menu_comes_back(beside: Lan) -> None:
    item = b"\x00\x05\x00\x00"
    ack = booted(beside, pxe(0), "10.7.2.13", (43, b"\x47\x04" + item + b"\xff"))

    assert parts(ack.options[43])[71] == item


def test_x14_who_has_no_class_is_not_answered(beside: Lan) -> None:
    client = beside.client()
    ask(client, "10.7.2.14")
    # The mark for this port is a request of firmware, which comes later.
    assert booted(beside, pxe(0), "10.7.2.15").kind == ACK

    assert client.heard() == []
    beside.unharmed()


def test_x15_a_raspberry_pi(beside: Lan) -> None:
    offer = offered(beside, RASPBERRY_PI, mac="dc:a6:32" + new_mac()[8:])

    assert (offer.options[60], offer.address) == (b"PXEClient", "0.0.0.0")
    assert b"Raspberry Pi Boot" in parts(offer.options[43])[9]
