"""What no client should send: the server ignores it or makes the best of it, and lives on (M items).

Each at a server that gives addresses, and at one beside another server.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.conftest import Lan
from tests.conformance.station import (
    ACK,
    COOKIE,
    DISCOVER,
    INFORM,
    NAK,
    OFFER,
    REQUEST,
    Client,
    Options,
    ip,
    pxe,
)

pytestmark = pytest.mark.root

PORTS = (67, 4011)
BOOT = pxe(0)


def firmware(lan: Lan, *more: tuple[int, bytes]) -> Client:
    """A client both kinds of server would answer, were its message in order."""
    return lan.client(words=[*BOOT, *more], broadcast=True)


def raw(client: Client, area: bytes) -> bytes:
    """A message with this option area, whatever it holds."""
    return client.message(None, [])[:236] + COOKIE + area


def flat(options: Options) -> bytes:
    return b"".join(bytes((code, len(value))) + value for code, value in options)


def test_m01_fragments_of_a_message(either: Lan) -> None:
    client = firmware(either)
    before = either.sent()
    for length in (0, 1, 43, 235):
        for port in PORTS:
            client.send(client.message(DISCOVER, [])[:length], to="10.7.0.1", source="10.7.0.55", dport=port)

    assert either.sent() - before == either.MARKS
    either.unharmed()


def test_m02_another_cookie(either: Lan) -> None:
    client = firmware(either)
    octets = client.message(DISCOVER, [])
    client.send(octets.replace(COOKIE, b"\x63\x82\x53\x64", 1))

    either.unanswered(client)
    either.unharmed()


def test_m03_a_reply_at_the_servers_port(either: Lan) -> None:
    client = firmware(either)
    for kind in (DISCOVER, OFFER, ACK):
        client.say(kind, op=2)

    either.unanswered(client)
    either.unharmed()


@pytest.mark.parametrize("hlen", [17, 255])
def test_m04_a_long_hardware_address(either: Lan, hlen: int) -> None:
    client = firmware(either)
    client.say(DISCOVER, hlen=hlen)

    either.unharmed()


@pytest.mark.parametrize("end", [b"\x32", b"\x32\x04", b"\x32\x04\x0a\x07", b"\x3d\xff\x01", b"\x35"], ids=bytes.hex)
def test_m05_an_option_past_the_end(either: Lan, end: bytes) -> None:
    client = firmware(either)
    client.send(raw(client, b"\x35\x01\x01" + flat(BOOT) + end))

    either.unharmed()
    assert {reply.kind for reply in client.heard()} <= {OFFER}


@pytest.mark.parametrize("kind", [b"", b"\x01\x01", b"\x00", b"\x63", b"\xff"], ids=bytes.hex)
def test_m06_message_types_that_are_none(either: Lan, kind: bytes) -> None:
    client = firmware(either)
    client.send(raw(client, bytes((53, len(kind))) + kind + flat(BOOT) + b"\xff"))

    either.unanswered(client)
    either.unharmed()


def test_m07_messages_of_servers(either: Lan) -> None:
    client = firmware(either)
    for kind in (OFFER, ACK, NAK):
        client.say(kind, (50, ip("10.7.1.7")), (54, ip("10.7.0.1")))

    either.unanswered(client)
    either.unharmed()


@pytest.mark.parametrize("agent", ["01", "01ff", "0104aabb", "0502", "0b0100", "ffffffff"])
def test_m08_a_broken_option_of_the_relay(either: Lan, agent: str) -> None:
    client = firmware(either, (82, bytes.fromhex(agent)))
    client.say(DISCOVER)
    client.relay = "10.8.0.1"
    client.say(DISCOVER)

    either.unharmed()


@pytest.mark.parametrize("identifier", [b"", b"\x01"], ids=["none", "one octet"])
def test_m09_a_short_client_identifier(either: Lan, identifier: bytes) -> None:
    client = firmware(either, (61, identifier))
    client.say(DISCOVER)
    client.say(DISCOVER, hlen=0, chaddr=b"")

    either.unharmed()


def test_m10_options_that_name_themselves(either: Lan) -> None:
    client = firmware(either)
    client.say(DISCOVER, (52, b"\x03"), file=b"\x34\x01\x03" * 42, sname=b"\x34\x01\x03" * 21)
    client.say(DISCOVER, (52, b"\x03"), file=b"\x34\x01\x03" + b"\x0c\x7a" + b"a" * 122, sname=b"\x34\x01\x03\x0c\xff")
    client.say(DISCOVER, (52, b"\x01"), (52, b"\x02"), (52, b"\x07"))

    either.unharmed()


def test_m11_options_without_a_value(either: Lan) -> None:
    codes = [code for code in range(1, 255) if code != 53]
    for each in codes:
        client = either.client(words=[(code, value) for code, value in BOOT if code != each], broadcast=True)
        client.say(DISCOVER, (each, b""))
    client = either.client(broadcast=True)
    client.say(DISCOVER, *((code, b"") for code in codes))

    either.unharmed()


def test_m12_nothing_but_pad(either: Lan) -> None:
    client = firmware(either)
    client.send(raw(client, bytes(1200)))
    client.send(raw(client, b"\x35\x01\x01" + flat(BOOT) + bytes(900)))

    # The first is no DHCP message; the second only has no end.
    either.marked()
    assert [reply.kind for reply in client.heard()] == [OFFER]
    either.unharmed()


@pytest.mark.parametrize("relay", ["127.0.0.1", "255.255.255.255", "224.0.0.1", "10.7.0.1"])
def test_m13_a_relay_that_cannot_be(either: Lan, relay: str) -> None:
    client = firmware(either)
    before = either.sent()
    client.say(DISCOVER, giaddr=relay)
    client.say(REQUEST, (50, ip("10.99.0.13")), giaddr=relay)
    client.say(REQUEST, (50, ip("10.7.1.13")), (54, ip("10.7.0.1")), giaddr=relay)

    assert either.sent() - before == either.MARKS
    assert client.heard() == []
    either.unharmed()


@pytest.mark.parametrize("address", ["224.0.0.9", "255.255.255.255", "127.0.0.1", "0.0.0.1", "240.0.0.1", "10.7.0.1"])
def test_m14_a_client_that_cannot_be(either: Lan, address: str) -> None:
    client = firmware(either)
    for kind in (REQUEST, INFORM):
        client.say(kind, ciaddr=address)

    either.marked()
    assert [reply for reply in client.heard() if reply.kind == ACK] == []
    either.unharmed()


NAMES = [
    b"a\0b",
    b"../../etc/passwd",
    b"/",
    b"x" * 255,
    b"$(reboot);`reboot`",
    b"\x1b[2J\x1b]0;x\x07",
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_m15_hostile_names(either: Lan, name: bytes) -> None:
    client = firmware(either, (12, name), (81, (b"\x01\0\0" + name)[:255]))
    offer = client.discover()
    if offer.address != "0.0.0.0":
        assert client.take(offer).kind == ACK

    told = either.server.wait("dhcp.discover", lambda event: event["mac"] == client.mac)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", told["data"]["hostname"])
    either.unharmed()


@pytest.mark.parametrize("length", [1, 2, 3, 16, 18, 255])
def test_m16_classes_and_guids_of_odd_lengths(either: Lan, length: int) -> None:
    noise = bytes(range(256))[:length]
    for words in (
        [(60, b"PXEClient" + noise)],
        [(60, b"PXEClient:Arch:" + noise)],
        [(60, b"PXEClient"), (77, noise), (175, noise)],
        [(60, b"PXEClient"), (93, noise), (94, noise), (97, noise), (43, noise)],
    ):
        either.client(words=[(code, value[:255]) for code, value in words], broadcast=True).say(DISCOVER)

    either.unharmed()


@pytest.mark.parametrize("mac", ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])
def test_m17_hardware_addresses_of_nobody(either: Lan, mac: str) -> None:
    client = either.client(words=BOOT, mac=mac, broadcast=True)
    fields: dict[str, Any] = {"ciaddr": "10.7.0.217"}
    for kind in (DISCOVER, REQUEST, INFORM):
        octets = client.message(kind, [], **(fields if kind != DISCOVER else {}))
        # A switch drops what comes from a group; the message alone is of interest here.
        client.send(octets, mac="52:54:00:c1:00:17")

    either.unharmed()
    assert {reply.kind for reply in client.heard()} <= {OFFER}


def test_m18_bootp(either: Lan) -> None:
    client = firmware(either)
    client.say(None)
    client.send(client.message(None, [])[:236] + bytes(64))

    either.marked()
    assert [reply for reply in client.heard() if 53 in reply.options] == []
    either.unharmed()
