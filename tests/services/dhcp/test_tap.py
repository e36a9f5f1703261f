"""What a recorder hears of a DHCP port: every datagram both ways, malformed ones too."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from app.clock import SystemClock
from app.model.engine import Interface
from app.netboot.exchange import Answer, Destination, Policy, Via
from app.netboot.wire.dhcp4 import MessageType
from app.services.dhcp import ProxyDhcpService
from tests.netboot.dhcpworld import World, request

LOOPBACK = (Interface(name="lo", index=1, addresses=(IPv4Interface("127.0.0.1/8"),)),)


async def test_every_datagram_is_heard_as_it_came_and_as_it_went() -> None:
    heard: list[tuple[str, bytes, Any]] = []
    service = ProxyDhcpService(
        view=World(),
        interfaces=lambda: LOOPBACK,
        emit=lambda event: None,
        clock=SystemClock(),
        policy=Policy(),
        port=0,
    )
    service.tap = lambda *told: heard.append(told)
    await service.start()
    try:
        port = int(service.listening[0].rpartition(":")[2])
        asked = request(MessageType.REQUEST)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.1", 0))
            client.settimeout(10)
            own = client.getsockname()[1]
            client.sendto(asked.encode(), ("127.0.0.1", port))
            client.sendto(b"nonsense", ("127.0.0.1", port))
            async with asyncio.timeout(10):
                while service.counters["malformed"] == 0:
                    await asyncio.sleep(0.01)

            back = Destination(Via.UNICAST, IPv4Address("127.0.0.1"), own, "lo", IPv4Address("127.0.0.1"))
            service.send(Answer(reply=asked, destination=back))
            sent = await asyncio.to_thread(client.recv, 4096)
    finally:
        await service.stop()

    assert [(interface, octets) for interface, octets, _ in heard] == [
        ("lo", asked.encode()),
        ("lo", b"nonsense"),
        ("lo", sent),
    ]
    came, _, went = (way for _, _, way in heard)
    assert (came.source, came.port, came.destination) == (IPv4Address("127.0.0.1"), own, IPv4Address("127.0.0.1"))
    assert went is back
