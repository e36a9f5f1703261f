"""A whole engine records DHCPv6."""

from __future__ import annotations

import asyncio

import pytest

from app.model.packets import Exchange
from tests import netns
from tests.conformance.station6 import Client6, layers
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root


async def advertised(engine: Engine, mac: str) -> Exchange:
    async with asyncio.timeout(30):
        while not (found := (await engine.client.events.list(machine=mac, kind="dhcp.offer")).items):
            await asyncio.sleep(0.1)
    return await engine.client.packets.exchange(found[-1].id)


def test_a_solicit_and_its_advertise_can_be_inspected() -> None:
    six = layers()
    subnet = {"name": "six", "cidr": "fd00:7::/64", "ranges": ["fd00:7::1000-fd00:7::1fff"]}
    with netns.segment("10.7.0.1/24", clients=1, ipv6=True) as segment:
        netns.run(segment.server, ["ip", "address", "add", "fd00:7::1/64", "dev", "eth0", "nodad"])
        with running(segment.server, "--interface", "eth0", "--dhcp6") as engine:
            engine.ask(engine.client.subnets.create(subnet))
            netns.until(lambda: "eth0" in " ".join(engine.up("dhcp6").listening), what="eth0 is served")
            client = Client6(segment.clients[0])
            try:
                client.say(client.message(six.DHCP6_Solicit))
                found = engine.ask(advertised(engine, client.mac))
            finally:
                client.close()

    assert found.request is not None
    assert found.reply is not None
    assert found.request.interface == "eth0"
    assert any(line.startswith("DHCPv6 Solicit ") for line in found.request.lines)
    assert any(line.startswith("DHCPv6 Advertise ") for line in found.reply.lines)
