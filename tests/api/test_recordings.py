"""The flight recorder over the API."""

from __future__ import annotations

import httpx
import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.packets import CAPTURE


@pytest.fixture
def offer(engine: FakeEngine) -> int:
    """The number of an event of node-05."""
    return next(event.id for event in engine.world.events.ring if event.kind == "dhcp.offer")


async def test_packets_of_a_machine_are_listed(http: httpx.AsyncClient) -> None:
    answer = await http.get("/machines/node-05/packets", params={"limit": 1})

    assert answer.status_code == 200
    (packet,) = answer.json()["items"]
    assert packet["summary"].startswith("DISCOVER")
    assert "lines" not in packet
    assert (await http.get("/machines/nobody/packets")).status_code == 404


async def test_one_packet_is_taken_apart(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/machines/node-05/packets/1")).json()

    assert answer["number"] == 1
    assert "BOOTP" in answer["lines"]
    assert (await http.get("/machines/node-05/packets/999")).status_code == 404
    assert (await http.get("/machines/node-05/packets/0")).status_code == 422


async def test_a_capture_is_a_file_of_its_machines_name(engine: FakeEngine, http: httpx.AsyncClient) -> None:
    answer = await http.get("/machines/node-05/pcap", params={"boots": 2})

    assert answer.content == CAPTURE
    assert answer.headers["Content-Type"] == "application/x-pcapng"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="node-05.pcapng"'
    assert engine.world.calls[-1][:2] == ("packets", "capture")
    assert engine.world.calls[-1][-1] == 2
    engine.world.packets.gone = True
    assert (await http.get("/machines/node-05/pcap")).status_code == 404
    assert (await http.get("/machines/node-05/pcap", params={"boots": -1})).status_code == 422


async def test_the_exchange_behind_an_event(http: httpx.AsyncClient, offer: int) -> None:
    answer = (await http.get(f"/events/{offer}/packets")).json()

    assert answer["event"]["id"] == offer
    assert "BOOTP" in answer["request"]["lines"]
    assert "BOOTP" in answer["reply"]["lines"]
    assert (await http.get("/events/999999/packets")).status_code == 404
    assert (await http.get("/events/x/packets")).status_code == 422
