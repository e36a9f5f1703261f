"""Router solicitations: answered for booting machines, at once, and never where a router is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from app.model.engine import Interface
from app.services.router import RouterService
from tests import netns

SERVER, CLIENT = "52:54:00:00:00:01", "52:54:00:00:01:01"
SOLICITATION = bytes(
    Ether(src=CLIENT, dst="33:33:00:00:00:02")
    / IPv6(src="fe80::5054:ff:fe00:101", dst="ff02::2", hlim=255)
    / ICMPv6ND_RS()
)


def advertisement(lifetime: int) -> bytes:
    packet = Ether(src="52:54:00:00:00:99", dst="33:33:00:00:00:01") / IPv6(src="fe80::99", dst="ff02::1", hlim=255)
    return bytes(packet / ICMPv6ND_RA(routerlifetime=lifetime))


class Clock:
    time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.mark.root
def test_a_booting_machine_is_answered_in_either_order_and_never_beside_a_router() -> None:
    async def serve(lan: netns.Segment, wire: socket.socket) -> None:
        index = socket.if_nametoindex("eth0")
        interface = Interface(name="eth0", index=index, mac=SERVER, up=True, link=True)
        clock = Clock()

        def interfaces() -> Sequence[Interface]:
            return (interface,)

        service = RouterService(interfaces, clock)
        await service.start()
        assert service.listening == ("icmp6 router solicitations on eth0",)

        async def count(name: str, value: int) -> None:
            async with asyncio.timeout(10):
                while service.counters[name] < value:
                    await asyncio.sleep(0.01)

        async def answered() -> Packet:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(10):
                while True:
                    frame = Ether(await loop.sock_recv(wire, 2048))
                    if frame.dst == CLIENT and frame.haslayer(ICMPv6ND_RA):
                        return frame

        wire.send(SOLICITATION)
        await count("solicitations", 1)
        assert service.counters["answers"] == 0, "an ordinary host is left alone"
        service.booting(CLIENT)
        first = await answered()
        assert (first[ICMPv6ND_RA].routerlifetime, first.src) == (0, SERVER)

        wire.send(SOLICITATION)
        assert (await answered())[IPv6].dst == "fe80::5054:ff:fe00:101"

        wire.send(advertisement(0))
        wire.send(SOLICITATION)
        await answered()
        wire.send(advertisement(1800))
        await count("routers", 1)
        wire.send(SOLICITATION)
        await count("solicitations", 4)
        assert service.counters["answers"] == 3

        clock.time += 1801
        service.booting(CLIENT)
        wire.send(SOLICITATION)
        await count("answers", 4)
        await service.stop()
        assert service.listening == ()

    with netns.segment("10.7.0.1/24", ipv6=True) as lan:

        def open_wire() -> socket.socket:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(0x86DD))
            raw.bind(("eth0", 0x86DD))
            return raw

        wire = netns.call(lan.clients[0], open_wire)
        try:
            netns.call(lan.server, lambda: asyncio.run(serve(lan, wire)))
        finally:
            wire.close()
