"""Many clients, a server that dies, a pool that runs dry (L items)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import netns
from tests.conformance.conftest import TINY_RELAY, Lan, world
from tests.conformance.station import ACK, DISCOVER, NAK, OFFER, RELEASE, REQUEST, Client, ip, wire
from tests.services.dhcp.lan import Server, serving

pytestmark = pytest.mark.root

CLIENTS = 40


def test_l01_forty_clients_at_once(lan: Lan) -> None:
    clients = [lan.client(broadcast=bool(number % 2)) for number in range(CLIENTS)]
    for client in clients:
        client.say(DISCOVER)
    for client in clients:
        offer = client.hear(OFFER)
        client.say(REQUEST, (54, offer.options[54]), (50, ip(offer.address)))
    acks = [client.hear(ACK, NAK) for client in clients]

    assert {ack.kind for ack in acks} == {ACK}
    assert len({ack.address for ack in acks}) == CLIENTS


def test_l02_leases_outlive_the_server(tmp_path: Path) -> None:
    with netns.segment("10.7.0.1/16") as segment, wire(segment.clients[0]) as line:
        first = Server(segment.server, tmp_path, world())
        first.wait("ready")
        leased = {ack.address: client for client in (Client(line) for _ in range(10)) if (ack := client.lease())}
        # One has its ACK in the moment the server dies.
        last = Client(line)
        leased[last.lease().address] = last
        first.kill()

        with serving(segment.server, tmp_path, **world()):
            for address, client in leased.items():
                assert Client(line).discover((50, ip(address))).address not in leased
                client.reboot(address)
                ack = client.hear(ACK, NAK)
                assert (ack.kind, ack.address) == (ACK, address)


def test_l03_a_pool_that_is_used_up(lan: Lan) -> None:
    relayed = [lan.client(relay=TINY_RELAY) for _ in range(4)]
    leased = {client.lease().address: client for client in relayed}
    assert sorted(leased) == [f"10.10.0.{last}" for last in range(2, 6)]

    late = lan.client(relay=TINY_RELAY)
    late.say(DISCOVER)
    late.say(DISCOVER, (50, ip("10.10.0.3")))
    lan.unanswered(late)

    leased["10.10.0.3"].new().say(RELEASE, (54, ip("10.7.0.1")), ciaddr="10.10.0.3", giaddr="0.0.0.0", to="10.7.0.1")
    lan.marked()
    assert late.discover().address == "10.10.0.3"
