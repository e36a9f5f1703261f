"""REQUEST, DECLINE, RELEASE, INFORM: who may have which address, and who hears what of it (B and C items)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests import netns
from tests.conformance.conftest import LAN, Lan
from tests.conformance.station import (
    ACK,
    DECLINE,
    EVERYBODY,
    INFORM,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    Client,
    Reply,
    ip,
    pxe,
)

pytestmark = pytest.mark.root

SERVER = "10.7.0.1"
OURS = (54, ip(SERVER))
LEASE_OPTIONS = {51, 58, 59}
CONFIGURATION = {1, 3, 6, 15, 28, 43, 60, 66, 67} | LEASE_OPTIONS


def leased(lan: Lan, *options: tuple[int, bytes], **more: object) -> tuple[Client, str]:
    """A client and the address it has."""
    client = lan.client(**more)  # type: ignore[arg-type]
    return client, client.lease(*options).address


def select(client: Client, address: str, server: str = SERVER) -> None:
    """REQUEST an address of a server, whoever offered it."""
    client.say(REQUEST, (54, ip(server)), (50, ip(address)))


def acked(replies: list[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply.kind == ACK]


@contextlib.contextmanager
def holding(ns: str, address: str) -> Iterator[None]:
    """A host of the segment uses an address: its kernel answers ARP and ICMP."""
    netns.run(ns, ["ip", "address", "add", f"{address}/16", "dev", "eth0"])
    try:
        yield
    finally:
        netns.run(ns, ["ip", "address", "delete", f"{address}/16", "dev", "eth0"])


def test_b01_the_offered_address_is_acknowledged(lan: Lan) -> None:
    client = lan.client()
    offer = client.discover()
    ack = client.take(offer)

    assert (ack.kind, ack.address) == (ACK, offer.address)


def test_b02_the_fields_of_an_ack(lan: Lan) -> None:
    client = lan.client()
    ack = client.lease((55, bytes((1, 3, 50, 55, 57))), (57, b"\x05\xdc"), secs=9)
    head = ack.bootp

    assert (head.op, head.hops, head.secs, head.xid) == (2, 0, 0, client.xid)
    assert head.chaddr == client.hardware.ljust(16, b"\0")
    assert (ack.number(51), ack.server) == (3600, SERVER)
    assert {50, 55, 57} & set(ack.options) == set()


def test_b03_the_ack_says_what_the_offer_said(lan: Lan) -> None:
    client = lan.client(words=[(55, bytes(range(1, 80)))])
    offer = client.discover()
    ack = client.take(offer)

    assert ack.options == {**offer.options, 53: bytes([ACK])}
    assert ack.address == offer.address


def test_b04_another_servers_offer_is_its_own_business(lan: Lan) -> None:
    client = lan.client()
    offer = client.discover()
    select(client, "10.7.0.77", server="10.7.0.2")
    lan.marked()

    assert [reply.kind for reply in client.heard()] == [OFFER]
    # What we had offered is free again.
    assert lan.client().discover((50, ip(offer.address))).address == offer.address


def test_b05_nobody_selects_anothers_address(lan: Lan) -> None:
    _, address = leased(lan)
    thief = lan.client()
    select(thief, address)

    assert acked(lan.answers(thief)) == []


def test_b06_a_client_starts_again(lan: Lan) -> None:
    client, address = leased(lan)
    client.reboot(address)
    ack = client.hear(ACK, NAK)

    assert (ack.kind, ack.address) == (ACK, address)


def test_b07_a_client_starts_again_on_the_wrong_network(lan: Lan) -> None:
    client = lan.client()
    client.reboot("192.168.7.7")

    assert client.hear().kind == NAK


def test_b08_a_client_starts_again_that_nobody_knows(lan: Lan) -> None:
    client = lan.client()
    client.reboot("10.7.60.8")

    lan.unanswered(client)


def test_b09_a_client_starts_again_with_another_address(lan: Lan) -> None:
    client, _ = leased(lan)
    client.reboot("10.7.60.9")

    assert client.hear().kind == NAK


def test_b10_a_client_renews(lan: Lan) -> None:
    client, address = leased(lan)
    client.extend(address, unicast=True)
    ack = client.hear(ACK, NAK)

    assert (ack.kind, ack.address, ack.number(51)) == (ACK, address, 3600)


def test_b11_the_renewal_goes_to_the_client(lan: Lan) -> None:
    client, address = leased(lan)
    client.extend(address, unicast=True)
    ack = client.hear(ACK)

    assert (ack.to, ack.to_mac, ack.dport, ack.bootp.ciaddr) == (address, client.mac, 68, address)


def test_b12_a_client_rebinds(lan: Lan) -> None:
    client, address = leased(lan)
    client.extend(address, unicast=False)
    ack = client.hear(ACK, NAK)

    assert (ack.kind, ack.address) == (ACK, address)


@pytest.mark.parametrize("unicast", [True, False], ids=["renewing", "rebinding"])
def test_b13_nobody_renews_anothers_address(lan: Lan, unicast: bool) -> None:
    _, address = leased(lan)
    thief = lan.client()
    thief.extend(address, unicast=unicast)

    assert acked(lan.answers(thief)) == []


def test_b14_a_nak_says_no_and_nothing_else(lan: Lan) -> None:
    client = lan.client(words=[(55, bytes((1, 3, 6, 51))), *pxe(0)])
    client.reboot("192.168.7.14")
    nak = client.hear(NAK)
    head = nak.bootp

    assert (head.ciaddr, head.yiaddr, head.siaddr, nak.file) == ("0.0.0.0", "0.0.0.0", "0.0.0.0", "")
    assert nak.server == SERVER
    assert CONFIGURATION & set(nak.options) == set()


def test_b15_a_nak_is_broadcast(lan: Lan) -> None:
    client = lan.client()
    client.reboot("192.168.7.15")
    nak = client.hear(NAK)

    assert (nak.to, int(nak.bootp.flags)) == (EVERYBODY, 0)


def test_b16_a_request_that_is_sent_again(lan: Lan) -> None:
    client = lan.client()
    offer = client.discover()
    first = client.take(offer)
    after = len(lan.wire.replies)
    select(client, offer.address)
    second = client.hear(ACK, NAK, after=after)

    assert [(each.kind, each.address) for each in (first, second)] == [(ACK, offer.address)] * 2


def test_b17_a_request_for_nothing(lan: Lan) -> None:
    client = lan.client()
    client.say(REQUEST)

    assert acked(lan.answers(client)) == []


def test_b18_two_clients_take_one_address(lan: Lan) -> None:
    rivals = [lan.client() for _ in range(2)]
    for client in rivals:
        select(client, "10.7.60.18")
    lan.marked()

    assert len([reply for client in rivals for reply in acked(client.heard())]) <= 1


def test_c01_a_declined_address_is_kept_back(lan: Lan) -> None:
    client, address = leased(lan)
    client.new().say(DECLINE, OURS, (50, ip(address)))

    lan.unanswered(client)
    assert lan.client().discover((50, ip(address))).address != address
    assert client.discover((50, ip(address))).address != address


def test_c02_only_the_holder_declines(lan: Lan) -> None:
    client, address = leased(lan)
    stranger = lan.client()
    stranger.say(DECLINE, OURS, (50, ip(address)))

    lan.unanswered(stranger)
    client.extend(address, unicast=True)
    assert client.hear(ACK, NAK).kind == ACK


def test_c03_a_released_address_is_free(lan: Lan) -> None:
    client, address = leased(lan)
    client.new().say(RELEASE, OURS, ciaddr=address, to=SERVER)

    lan.unanswered(client)
    assert lan.client().lease((50, ip(address))).address == address


def test_c04_who_released_it_gets_it_again(lan: Lan) -> None:
    client, address = leased(lan)
    client.new().say(RELEASE, OURS, ciaddr=address, to=SERVER)
    lan.marked()

    assert client.discover().address == address


@pytest.mark.parametrize("identified", [False, True], ids=["another card", "another card and identifier"])
def test_c05_only_the_holder_releases(lan: Lan, identified: bool) -> None:
    client, address = leased(lan)
    stranger = lan.client(words=[(61, b"\x00stranger")] if identified else [])
    stranger.say(RELEASE, OURS, ciaddr=address, to=SERVER)

    lan.unanswered(stranger)
    assert lan.client().discover((50, ip(address))).address != address
    client.extend(address, unicast=True)
    assert client.hear(ACK, NAK).kind == ACK


def inform(lan: Lan, address: str) -> tuple[Client, Reply]:
    """INFORM of a host that has this address by other means, and its ACK."""
    client = lan.client()
    lan.wire.owned[address] = client.mac
    client.say(INFORM, (55, bytes((1, 3, 6, 15))), ciaddr=address, to=SERVER)
    return client, client.hear(ACK)


def test_c06_inform_gives_the_network_and_no_lease(lan: Lan) -> None:
    _, ack = inform(lan, "10.7.0.66")

    assert ack.address == "0.0.0.0"
    assert LEASE_OPTIONS & set(ack.options) == set()
    assert (ack.options[1], ack.options[3], ack.options[15]) == (ip("255.255.0.0"), ip(LAN["router"]), b"rack.test")


def test_c07_inform_is_answered_where_it_came_from(lan: Lan) -> None:
    client, ack = inform(lan, "10.7.0.67")

    assert (ack.to, ack.to_mac, ack.bootp.ciaddr) == ("10.7.0.67", client.mac, "10.7.0.67")


def test_c08_an_address_somebody_uses_is_not_offered(lan: Lan) -> None:
    used = "10.7.70.8"
    client = lan.client()
    with holding(lan.other, used):
        offer = client.discover((50, ip(used)))
        told = lan.server.wait("dhcp.conflict", lambda event: event["mac"] == client.mac)

        assert offer.address != used
        assert (told["level"], told["address"], told["data"]["device"]) == ("warning", used, "52:54:00:00:01:02")
        assert client.take(offer).kind == ACK
    # It is kept back from everybody, whether its user answers now or not.
    assert lan.client().discover((50, ip(used))).address != used
    assert lan.server.counters()["dhcp"]["conflicts"] == 1


def test_c09_a_leased_address_is_nobody_elses(lan: Lan) -> None:
    _, address = leased(lan)

    assert lan.client().discover((50, ip(address))).address != address
