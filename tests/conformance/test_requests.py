"""DISCOVER and OFFER: the fields and options of the answer, and which oddities of a request do not matter (A items)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import LAN, Lan
from tests.conformance.station import (
    ACK,
    BROADCAST_MAC,
    COOKIE,
    DISCOVER,
    EVERYBODY,
    NAK,
    OFFER,
    Client,
    Reply,
    ip,
    ipxe,
    new_mac,
    pxe,
)

pytestmark = pytest.mark.root

SERVER = "10.7.0.1"
CLIENT_ID = b"\xff\x12\x34\x56\x78\x00\x02\x00\x00\xab\x11"


def in_range(address: str) -> bool:
    first, last = str(LAN["ranges"][0]).split("-")
    return ip(first) <= ip(address) <= ip(last)


def offered(client: Client, octets: bytes) -> Reply:
    """The OFFER to a DISCOVER of these very octets."""
    client.send(octets)
    return client.hear(OFFER)


def test_a01_a_discover_is_answered(lan: Lan) -> None:
    assert lan.client().discover().kind == OFFER


def test_a02_the_offer_repeats_what_tells_the_client(lan: Lan) -> None:
    client = lan.client(broadcast=True)
    offer = client.discover(secs=7).bootp

    assert (offer.op, offer.htype, offer.hlen, offer.hops, offer.secs) == (2, 1, 6, 0, 0)
    assert (offer.xid, offer.chaddr, int(offer.flags)) == (client.xid, client.hardware.ljust(16, b"\0"), 0x8000)
    assert offer.giaddr == "0.0.0.0"
    assert int(lan.client().discover().bootp.flags) == 0


def test_a03_ciaddr_is_zero(lan: Lan) -> None:
    assert lan.client().discover().bootp.ciaddr == "0.0.0.0"


def test_a04_the_address_is_in_the_range(lan: Lan) -> None:
    assert in_range(lan.client().discover().address)


def test_a05_options_are_well_formed(lan: Lan) -> None:
    # `walk` has failed already where one is not.
    for offer in (lan.client().discover(), lan.client(words=pxe(0)).discover(), lan.client(words=ipxe(7)).discover()):
        codes = [code for code, _ in offer.listed]
        assert codes.count(53) == 1
        assert len(codes) == len(set(codes))
        assert offer.ended


def test_a06_the_server_names_itself(lan: Lan) -> None:
    offer = lan.client().discover()

    assert (offer.server, offer.source) == (SERVER, SERVER)


def test_a07_the_offer_has_a_lease_time(lan: Lan) -> None:
    assert lan.client().discover().number(51) == 3600


def test_a08_a_clients_own_options_are_not_sent_back(lan: Lan) -> None:
    offer = lan.client().discover((50, ip("10.7.1.9")), (55, bytes((1, 3, 6, 50, 55, 57))), (57, b"\x05\xdc"))

    assert {50, 55, 57} & set(offer.options) == set()


@pytest.mark.parametrize("wanted", [b"\x01\x03", b"\x03\x01", b"\x06\x03\x01", b""], ids=lambda text: text.hex())
def test_a09_the_mask_stands_before_the_router(lan: Lan, wanted: bytes) -> None:
    offer = lan.client().discover(*([(55, wanted)] if wanted else []))
    codes = [code for code, _ in offer.listed]

    assert codes.index(1) < codes.index(3)


def test_a10_the_network_is_as_configured(lan: Lan) -> None:
    told = lan.client().discover((55, bytes((1, 3, 6, 15, 28)))).options

    assert (told[1], told[3]) == (ip("255.255.0.0"), ip("10.7.0.254"))
    assert told[6] == ip("10.7.0.2") + ip("10.7.0.3")
    assert (told[15], told[28]) == (b"rack.test", ip("10.7.255.255"))


def test_a11_the_times_are_in_order(lan: Lan) -> None:
    offer = lan.client().discover()

    assert 0 < offer.number(58) < offer.number(59) < offer.number(51)


def test_a12_no_reply_is_shorter_than_300_octets(lan: Lan) -> None:
    client = lan.client()
    offer = client.discover()
    ack = client.take(offer)
    client.reboot("10.99.0.1")
    nak = client.hear(NAK)

    assert min(len(reply.octets) for reply in (offer, ack, nak)) >= 300


def test_a13_by_broadcast_where_the_flag_asks_for_it(lan: Lan) -> None:
    offer = lan.client(broadcast=True).discover()

    assert (offer.to, offer.sport, offer.dport) == (EVERYBODY, 67, 68)


def test_a14_to_the_client_itself_where_it_does_not(lan: Lan) -> None:
    client = lan.client()
    offer = client.discover()

    assert (offer.to, offer.to_mac, offer.sport, offer.dport) == (offer.address, client.mac, 67, 68)


def test_a15_the_address_it_asks_for_is_offered(lan: Lan) -> None:
    assert lan.client().discover((50, ip("10.7.50.15"))).address == "10.7.50.15"


def test_a16_an_address_of_no_subnet_is_not(lan: Lan) -> None:
    assert in_range(lan.client().discover((50, ip("192.168.5.16"))).address)


def test_a17_the_same_offer_to_the_same_client(lan: Lan) -> None:
    client = lan.client()

    assert client.discover().address == client.discover().address


def test_a18_the_client_identifier_comes_back(lan: Lan) -> None:
    identifier = (61, b"\x00a18\x00\xff\x01")
    client = lan.client(words=[identifier])
    offer = client.discover()
    ack = client.take(offer)
    client.reboot("10.99.0.1")

    assert [reply.options[61] for reply in (offer, ack, client.hear(NAK))] == [identifier[1]] * 3
    assert ack.kind == ACK


def test_a19_none_where_none_was_sent(lan: Lan) -> None:
    client = lan.client()
    offer = client.discover()

    assert 61 not in offer.options
    assert 61 not in client.take(offer).options


def test_a20_the_same_identifier_on_another_card_is_the_same_client(lan: Lan) -> None:
    first, second = (lan.client(words=[(61, CLIENT_ID)]) for _ in range(2))
    address = first.lease().address

    assert second.discover().address == address
    assert second.lease().address == address


def test_a21_one_card_keeps_its_address_whatever_it_calls_itself(lan: Lan) -> None:
    mac = new_mac()
    firmware, loader, system = (
        lan.client(mac=mac, words=words)
        for words in ([(61, bytes(17)), *pxe(7)], [(61, b"\x01" + bytes(6)), *ipxe(7)], [(61, CLIENT_ID[::-1])])
    )

    assert len({who.lease().address for who in (firmware, loader, system)}) == 1


@pytest.mark.parametrize("size", [576, 1, 590, 65535])
def test_a22_the_reply_fits(lan: Lan, size: int) -> None:
    client = lan.client(words=[*pxe(7), (61, bytes(range(200)))])
    offer = client.discover((57, size.to_bytes(2, "big")), (55, bytes(range(1, 255))))

    # The option counts the whole datagram with its headers of IP and UDP, and is 576 at least.
    assert len(offer.octets) <= max(size, 576) - 28
    assert {51, 53, 54, 1, 3} <= set(offer.options)


@pytest.mark.parametrize(("asked", "given"), [(60, 60), (600, 600), (86_400, 3600)])
def test_a23_a_shorter_lease_is_given(lan: Lan, asked: int, given: int) -> None:
    client = lan.client()
    offer = client.discover((51, asked.to_bytes(4, "big")))
    ack = client.take(offer, (51, asked.to_bytes(4, "big")))

    assert (offer.number(51), ack.number(51)) == (given, given)


def test_a24_no_endless_lease(lan: Lan) -> None:
    ack = lan.client().lease((51, b"\xff\xff\xff\xff"))

    assert ack.number(51) == 3600


def test_a25_pad_and_no_end(lan: Lan) -> None:
    client = lan.client()
    header = client.message(None, [])[:236]
    octets = header + COOKIE + b"\0\0\x35\x01\x01\0\0\0" + bytes((50, 4)) + ip("10.7.50.25") + b"\0\0"

    assert offered(client, octets).address == "10.7.50.25"


def test_a26_an_identifier_in_two_pieces(lan: Lan) -> None:
    client = lan.client()
    offer = client.discover((61, b"\x00first-"), (61, b"second"))

    assert offer.options[61] == b"\x00first-second"


def overloaded(client: Client, kind: int, address: str) -> bytes:
    """A DISCOVER with the requested address in the field that option 52 names (1: file, 2: sname)."""
    field = {1: "file", 2: "sname"}[kind]
    return client.message(DISCOVER, [(52, bytes([kind]))], **{field: bytes((50, 4)) + ip(address) + b"\xff"})


def test_a27_options_in_the_file_field(lan: Lan) -> None:
    client = lan.client()

    assert offered(client, overloaded(client, 1, "10.7.50.27")).address == "10.7.50.27"


def test_a28_options_in_the_sname_field(lan: Lan) -> None:
    client = lan.client()

    assert offered(client, overloaded(client, 2, "10.7.50.28")).address == "10.7.50.28"


def test_a29_infiniband_has_no_hardware_address(lan: Lan) -> None:
    identifier = (61, b"\xff\x00\x00\x00\x29\x00\x02\x00\x00\x02\xc9\x00\x02\xc9\x03\x00\x0a\x29")
    fields = {"htype": 32, "hlen": 0, "chaddr": b""}
    client = lan.client(words=[identifier], broadcast=True)
    client.new().say(DISCOVER, **fields)
    offer = lan.wire.hear(lambda reply: reply.bootp.xid == client.xid)

    assert (offer.bootp.htype, offer.bootp.hlen, offer.to, offer.options[61]) == (32, 0, EVERYBODY, identifier[1])
    client.say(3, (54, offer.options[54]), (50, ip(offer.address)), **fields)
    ack = lan.wire.hear(lambda reply: reply.bootp.xid == client.xid and reply.kind == ACK)
    assert ack.address == offer.address


def test_a30_hops_and_secs_do_not_matter(lan: Lan) -> None:
    assert lan.client().discover(hops=3, secs=65_535).kind == OFFER


@pytest.mark.parametrize("flags", [0x7FFF, 0x0080, 0xFFFF], ids=hex)
def test_a31_reserved_flags_do_not_matter(lan: Lan, flags: int) -> None:
    offer = lan.client().discover(flags=flags)

    assert (offer.to == EVERYBODY) == bool(flags & 0x8000)


def test_a32_one_xid_of_two_clients(lan: Lan) -> None:
    first, second = lan.client(), lan.client()
    second.xid = first.xid
    for each in (first, second):
        each.say(DISCOVER)
    offers = [each.hear(OFFER) for each in (first, second)]

    assert [offer.to_mac for offer in offers] == [first.mac, second.mac]
    assert len({offer.address for offer in offers}) == 2
    assert [each.take(offer).address for each, offer in zip((first, second), offers, strict=True)] == [
        offer.address for offer in offers
    ]


def test_a33_a_broadcast_is_one_on_the_link_too(lan: Lan) -> None:
    client = lan.client(broadcast=True)
    offer = client.discover()

    assert (offer.to_mac, client.take(offer).to_mac) == (BROADCAST_MAC, BROADCAST_MAC)


@pytest.mark.parametrize("ciaddr", ["10.7.3.4", "192.168.1.9"])
def test_a34_a_discover_with_a_ciaddr(lan: Lan, ciaddr: str) -> None:
    offer = lan.client().discover(ciaddr=ciaddr)

    assert (offer.kind, offer.bootp.ciaddr) == (OFFER, "0.0.0.0")
