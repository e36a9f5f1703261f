"""Other DHCP servers are found by asking, and heard when they answer late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from app.clock import SystemClock
from app.errors import BootcartError, NotFoundError
from app.model.engine import ForeignServer, Interface
from app.netboot.wire.frames import ethernet_udp4
from app.services.interfaces import InterfaceService
from app.services.probe import ProbeService, discover, read_server
from tests import netns

MAC = "52:54:00:00:00:01"


def reply(kind: str, server: str | None = "10.7.0.9", dport: int = 68) -> bytes:
    options: list[Any] = [("message-type", kind), ("subnet_mask", "255.255.255.0"), ("router", "10.7.0.254")]
    options += [("server_id", server)] if server else []
    packet = Ether(src="52:54:00:00:00:99", dst="ff:ff:ff:ff:ff:ff") / IP(src="10.7.0.8", dst="255.255.255.255")
    packet = packet / UDP(sport=67, dport=dport) / BOOTP(op=2, yiaddr="10.7.0.77", chaddr=b"\x52\x54\0\0\0\1")
    return bytes(packet / DHCP(options=[*options, "end"]))


def test_the_discover_is_an_ordinary_clients() -> None:
    frame = ethernet_udp4(
        MAC, "ff:ff:ff:ff:ff:ff", IPv4Address(0), IPv4Address("255.255.255.255"), 68, 67, discover(MAC, 7)
    )
    packet = Ether(frame)

    assert packet[BOOTP].xid == 7
    assert packet[BOOTP].flags == "B"
    assert ("message-type", 1) in packet[DHCP].options


@pytest.mark.parametrize(
    ("name", "frame", "server"),
    [
        ("offer", reply("offer"), "10.7.0.9"),
        ("ack", reply("ack"), "10.7.0.9"),
        ("no server id", reply("offer", None), "10.7.0.8"),
        ("nak", reply("nak"), None),
        ("another port", reply("offer", dport=67), None),
        ("broken", reply("offer")[:-150], None),
    ],
)
def test_replies_name_their_server(name: str, frame: bytes, server: str | None) -> None:
    found = read_server(frame, 5.0)

    assert (str(found.server) if found else None) == server, name
    if found:
        assert (found.mac, found.offered, found.heard) == ("52:54:00:00:00:99", IPv4Address("10.7.0.77"), 5.0)
        assert found.router == IPv4Address("10.7.0.254")


class Hands:
    """A clock that is set."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class World:
    """A probe service on the server's namespace of a segment."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ForeignServer]] = []
        self.news: list[bool] = []
        self.changed = asyncio.Event()
        self.interfaces = InterfaceService(lambda before, after: None)
        self.probe = ProbeService(self.interfaces.current, lambda: ("eth0",), self.note, SystemClock())

    def note(self, name: str, server: ForeignServer, is_news: bool) -> None:
        self.news.append(is_news)
        self.heard.append((name, server))
        self.changed.set()


def in_segment(lan: netns.Segment, scenario: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        world = World()
        await world.interfaces.start()
        await world.probe.start()
        try:
            await scenario(world)
        finally:
            await world.probe.stop()
            await world.interfaces.stop()

    netns.call(lan.server, lambda: asyncio.run(run()))


DNSMASQ = [
    "dnsmasq",
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--port=0",
    "--no-ping",
    "--interface=eth0",
    "--bind-dynamic",
]


@pytest.mark.root
def test_a_real_server_is_found_by_asking(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        found: Sequence[ForeignServer] = ()
        async with asyncio.timeout(30):
            while not found:
                found = await world.probe.probe("eth0")

        assert [str(s.server) for s in found] == ["10.7.0.9"]
        assert found[0].mac == "52:54:00:00:01:01"
        assert found[0].offered in [IPv4Address(f"10.7.0.{n}") for n in range(50, 61)]
        assert world.probe.probed("eth0") is not None
        assert [name for name, _ in world.heard] == ["eth0"] * len(world.heard)

    with netns.segment("10.7.0.1/24") as lan:
        netns.run(lan.clients[0], ["ip", "address", "add", "10.7.0.9/24", "dev", "eth0"])
        lease_file = f"--dhcp-leasefile={tmp_path / 'leases'}"
        argv = [*DNSMASQ, "--dhcp-range=10.7.0.50,10.7.0.60,1h", "--dhcp-authoritative", lease_file, "--user=root"]
        with netns.running(lan.clients[0], argv):
            in_segment(lan, scenario)


@pytest.mark.root
def test_silence_is_an_answer_and_our_own_replies_are_not_foreign() -> None:
    async def scenario(world: World) -> None:
        assert await world.probe.probe("eth0") == ()
        world.probe.heard("eth0", reply("offer", "10.7.0.1"))
        assert world.probe.foreign("eth0") == ()
        assert world.heard == []

    with netns.segment("10.7.0.1/24") as lan:
        in_segment(lan, scenario)


@pytest.mark.root
def test_a_late_offer_is_heard_after_the_probe() -> None:
    async def scenario(world: World) -> None:
        assert await world.probe.probe("eth0") == ()
        script = f"import socket; s = socket.socket(17, 3, 0); s.bind(('eth0', 0x800)); s.send({reply('offer')!r})"
        await asyncio.to_thread(netns.run, lan.clients[0], ["python3", "-c", script])
        await asyncio.wait_for(world.changed.wait(), 10)
        assert [(name, str(s.server)) for name, s in world.heard] == [("eth0", "10.7.0.9")]
        assert [str(s.server) for s in world.probe.foreign("eth0")] == ["10.7.0.9"]

    with netns.segment("10.7.0.1/24") as lan:
        in_segment(lan, scenario)


@pytest.mark.root
def test_what_cannot_be_asked_is_told() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(NotFoundError, match="eth9"):
            await world.probe.probe("eth9")
        with pytest.raises(BootcartError, match="no link"):
            await world.probe.probe("lo")

    with netns.segment("10.7.0.1/24") as lan:
        in_segment(lan, scenario)


def test_a_server_that_stays_is_news_once_and_one_that_went_is_forgotten_after_an_hour() -> None:
    """Between two probes nothing is forgotten; what did not answer a probe is not there, but known."""
    clock = Hands()
    told: list[bool] = []
    service = ProbeService(
        lambda: (Interface(name="eth0"),), tuple, lambda name, server, is_news: told.append(is_news), clock
    )
    for seconds in (0, 45, 3500, 3500):
        clock.time += seconds
        service.heard("eth0", reply("offer"))
    assert told == [True]

    clock.time += 3590
    service.forget()
    assert [str(s.server) for s in service.foreign("eth0")] == ["10.7.0.9"]
    clock.time += 20
    service.forget()
    assert service.foreign("eth0") == ()
    service.heard("eth0", reply("offer"))
    assert told == [True, True]


@pytest.mark.root
def test_a_server_that_comes_back_is_spoken_of_but_no_news() -> None:
    """Who holds a segment for it has to know; who reads the events knows it already."""

    async def scenario(world: World) -> None:
        world.probe.heard("eth0", reply("offer"))
        assert await world.probe.probe("eth0") == ()
        world.probe.heard("eth0", reply("offer"))
        world.probe.heard("eth0", reply("offer"))
        assert world.news == [True, False]

    with netns.segment("10.7.0.1/24") as lan:
        in_segment(lan, scenario)


def test_many_servers_do_not_fill_memory() -> None:
    interface = Interface(name="eth0")
    heard: list[str] = []
    service = ProbeService(
        lambda: (interface,), tuple, lambda name, server, is_news: heard.append(str(server.server)), SystemClock()
    )
    for number in range(200):
        service.heard("eth0", reply("offer", f"10.8.0.{number}"))

    # Nor the event log.
    assert len(heard) == 64
    assert len(service.foreign("eth0")) == 64
