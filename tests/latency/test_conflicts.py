"""What it costs that an address is asked for before it is offered: little, once, and side by side."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from app.netboot.conflicts import PROBE_SECONDS
from tests import netns
from tests.conformance.conftest import world
from tests.conformance.station import DISCOVER, OFFER, Client, wire
from tests.services.dhcp.lan import serving

pytestmark = [pytest.mark.root, pytest.mark.timing]

COST_SECONDS = 0.2
MACHINES = 100
# One after the other they would take fifteen seconds.
BURST_SECONDS = 5.0


def waited(client: Client) -> float:
    """Seconds from a DISCOVER to its OFFER."""
    client.new().say(DISCOVER)
    began = time.monotonic()
    client.hear(OFFER)
    return time.monotonic() - began


def test_an_offer_waits_for_a_fifth_of_a_second_and_a_rack_no_longer(tmp_path: Path) -> None:
    with (
        netns.segment("10.7.0.1/16") as segment,
        wire(segment.clients[0]) as line,
        serving(segment.server, tmp_path, **world(probe_seconds=PROBE_SECONDS)),
    ):
        clients = [Client(line) for _ in range(11)]
        first = statistics.median(waited(client) for client in clients)
        again = statistics.median(waited(client) for client in clients)
        assert first - again <= COST_SECONDS

        rack = [Client(line).new() for _ in range(MACHINES)]
        began = time.monotonic()
        for client in rack:
            client.say(DISCOVER)
        offers = [client.hear(OFFER).address for client in rack]
        assert time.monotonic() - began < BURST_SECONDS
        assert len(set(offers)) == MACHINES
