"""Clients behind a relay: where the reply goes, from which subnet, and what of the relay's comes back (R items)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import RELAY, RELAY_MAC, Lan
from tests.conformance.station import ACK, DISCOVER, NAK, OFFER, REQUEST, Client, Reply, ip

pytestmark = pytest.mark.root

# Circuit (1), remote (2), subscriber (6), one that nobody knows (200), one that is empty (201).
AGENT = bytes.fromhex("0104deadbeef 0203abcdef 0603414243 c8020102 c900")
SERVER = "10.7.0.1"


def relayed(lan: Lan, *agent: bytes, broadcast: bool = False, relay: str = RELAY) -> Client:
    """A client behind a relay that adds these sub-options."""
    return lan.client(words=[(82, each) for each in agent], relay=relay, broadcast=broadcast)


def refused(client: Client, address: str) -> Reply:
    """The NAK to a client that starts again with an address."""
    client.reboot(address)
    return client.hear(NAK)


def test_r01_the_reply_goes_to_the_relay(lan: Lan) -> None:
    offer = relayed(lan).discover()

    assert (offer.to, offer.to_mac, offer.dport, offer.sport) == (RELAY, RELAY_MAC, 67, 67)
    assert offer.address.startswith("10.8.0.")


@pytest.mark.parametrize("broadcast", [False, True], ids=["unicast", "broadcast"])
def test_r02_the_relay_finds_its_client_in_the_reply(lan: Lan, broadcast: bool) -> None:
    client = relayed(lan, broadcast=broadcast)
    offer = client.discover()
    head = offer.bootp

    assert (head.giaddr, int(head.flags), head.hops) == (RELAY, 0x8000 if broadcast else 0, 0)
    assert head.chaddr == client.hardware.ljust(16, b"\0")


def test_r03_the_relays_option_comes_back(lan: Lan) -> None:
    client = relayed(lan, AGENT)
    offer = client.discover()
    replies = [offer, client.take(offer), refused(client, "10.7.1.1")]

    assert [reply.kind for reply in replies] == [OFFER, ACK, NAK]
    assert [reply.options[82] for reply in replies] == [AGENT] * 3


def test_r04_the_relays_option_is_the_last(lan: Lan) -> None:
    client = relayed(lan, AGENT)
    offer = client.discover()

    assert [reply.listed[-1][0] for reply in (offer, client.take(offer), refused(client, "10.7.1.1"))] == [82] * 3


def test_r05_none_for_who_sent_none(lan: Lan) -> None:
    assert 82 not in relayed(lan).discover().options
    client = relayed(lan, AGENT)
    address = client.lease().address
    client.words = []
    client.extend(address, unicast=True)
    ack = lan.wire.hear(lambda reply: client.mine(reply) and reply.kind == ACK)

    assert 82 not in ack.options


def test_r06_a_nak_through_the_relay_is_to_be_broadcast(lan: Lan) -> None:
    nak = refused(relayed(lan), "10.7.1.6")

    assert (nak.to, nak.dport, int(nak.bootp.flags)) == (RELAY, 67, 0x8000)


def test_r07_a_relay_of_no_subnet(lan: Lan) -> None:
    client = relayed(lan, relay="10.77.0.1")
    client.say(DISCOVER)
    client.say(REQUEST, (50, ip("10.77.0.5")))

    lan.unanswered(client)


def test_r08_an_address_of_another_subnet(lan: Lan) -> None:
    nak = refused(relayed(lan), "10.7.1.8")

    assert (nak.kind, nak.address, nak.bootp.giaddr) == (NAK, "0.0.0.0", RELAY)


def test_r09_the_relay_chooses_the_link(lan: Lan) -> None:
    offer = relayed(lan, b"\x05\x04" + ip("10.9.0.0")).discover()

    assert offer.address.startswith("10.9.0.")
    assert offer.to == RELAY


def test_r10_the_relay_stands_in_for_the_server(lan: Lan) -> None:
    client = relayed(lan, b"\x0b\x04" + ip(RELAY))
    offer = client.discover()

    assert offer.server == RELAY
    ack = client.take(offer)
    assert (ack.kind, ack.server) == (ACK, RELAY)


def test_r11_the_client_chooses_the_subnet(lan: Lan) -> None:
    offer = lan.client(words=[(118, ip("10.9.0.0"))]).discover()

    assert offer.address.startswith("10.9.0.")
    assert offer.options[118] == ip("10.9.0.0")


def test_r12_a_lease_through_the_relay_and_a_renewal_past_it(lan: Lan) -> None:
    client = relayed(lan, AGENT)
    address = client.lease().address
    client.words = []
    lan.wire.owned["10.7.0.253"] = RELAY_MAC
    client.extend(address, unicast=True)
    ack = client.hear(ACK, NAK)

    # It comes by the router, which has the relay's card here.
    assert (ack.kind, ack.address, ack.to, ack.to_mac, ack.dport) == (ACK, address, address, RELAY_MAC, 68)
