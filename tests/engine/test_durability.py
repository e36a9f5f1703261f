"""Leases last whatever happens to the disk or the engine: judged by the clients' own ledger, never by the store."""

from __future__ import annotations

import random
import statistics
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import netns
from tests.engine.calls import LOG, ORDER, calls, traced
from tests.engine.conftest import new_mac
from tests.engine.ledger import ACK, REQUEST, Rack, rack
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root

RATE = 200.0
"""Packets a second while the engine is killed."""
AGAIN_SECONDS = 30
"""The aim is 3 s on a host of its own; the figure is printed."""


@dataclass(frozen=True, slots=True)
class Site:
    """An engine and the clients that write down what it promises."""

    engine: Engine
    clients: Rack


@pytest.fixture(scope="module")
def _site(artefacts: Path) -> Iterator[Site]:
    with (
        netns.segment("10.7.0.1/16", clients=1) as segment,
        running(segment.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine,
        rack(segment.clients[0], "10.7.0.2/16", "10.7.0.1") as clients,
    ):
        engine.subnet(cidr="10.7.0.0/16", ranges=["10.7.16.0-10.7.255.250"])
        engine.served()
        yield Site(engine, clients)


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    yield _site
    _site.clients.nobody_shares()
    _site.engine.sound()


def row(page: bytes, address: str, mac: str) -> bytes:
    """The times of a lease's row in a page of the database, b'' where it has none: they change with each renewal.

    A record holds its columns one after another (sqlite.org/fileformat2 §2.1): address, mac, client identifier
    (empty here), subnet, state, since, expires.
    """
    at = page.find(f"{address}{mac}rack7bound".encode())
    if at < 0:
        return b""
    begins = at + len(f"{address}{mac}rack7bound")
    return page[begins : begins + 16]


def test_f02_every_ack_follows_the_sync_of_its_row(site: Site, tmp_path: Path) -> None:
    """The order of system calls, as strace saw it."""
    clients, trace = site.clients, tmp_path / "trace"
    heard = len(clients.acks)
    with traced(site.engine, ORDER, trace):
        macs = [new_mac() for _ in range(40)]
        clients.leases(macs)
        # What is renewed is stored anew: one after another, and all at once.
        for mac in macs[:5]:
            clients.say(REQUEST, mac, clients.held[mac], renewing=True)
            assert (said := clients.hear(20))
            assert said.kind == ACK
        clients.returns({mac: clients.held[mac] for mac in macs})
    ledger = clients.acks[heard:]
    assert len(ledger) >= 85

    done = calls(trace)
    syncs = [each for each in done if each.name in ("fsync", "fdatasync") and LOG in each.text]
    # The log's frames: 24 octets of header, then the page (§4.1).
    pages = [(each, each.octets) for each in done if each.name in ("pwrite64", "write") and LOG in each.text]
    sends = [(each, each.octets) for each in done if each.name.startswith("send") and each.result > 0]
    asked = [(each, each.octets) for each in done if each.name == "recvmsg" and each.result > 0]
    assert syncs
    assert all(each.result == 0 for each in syncs)
    told: dict[str, bytes] = {}
    for said in ledger:
        mark = struct.pack("!I", said.xid)
        [request] = [each for each, octets in asked if mark in octets]
        [reply] = [each for each, octets in sends if mark in octets and b"\x35\x01\x05" in octets]
        times = [
            (write, found)
            for write, octets in pages
            if request.ended < write.began
            and write.ended < reply.began
            and (found := row(octets, said.address, said.mac))
        ]
        assert times, f"{said} left before its row was written"
        fresh = [write for write, found in times if found != told.get(said.mac)]
        assert fresh, f"{said} left before its row was written anew"
        assert any(sync.began > fresh[0].ended and sync.ended < reply.began for sync in syncs), (
            f"{said} left before its row was synchronised"
        )
        told[said.mac] = times[-1][1]


def killed(site: Site, kills: int, seed: int) -> None:
    """F01: kill -9 at any moment of a rush of machines. What was acknowledged is still theirs, and nobody else's."""
    engine, clients, chance = site.engine, site.clients, random.Random(seed)
    took: list[float] = []
    for _ in range(kills):
        stop, heard = threading.Event(), len(clients.acks)
        macs = [new_mac() for _ in range(2000)]
        rush = threading.Thread(target=clients.storm, args=(macs, RATE, stop))
        rush.start()
        try:
            netns.until(lambda heard=heard: len(clients.acks) >= heard + 20, what="machines are acknowledged")
            stop.wait(chance.uniform(0.0, 0.5))
            engine.kill()
        finally:
            stop.set()
            rush.join(10)
        clients.drain()
        engine.begin()
        took.append(clients.answered(new_mac(), AGAIN_SECONDS))
        clients.returns(dict(clients.held))
        clients.nobody_shares()
    netns.until(lambda: engine.log().rpartition("serving ")[2].count("ready in ") or None, what="the engine is ready")
    figures = f"p50 {statistics.median(took):.2f} max {max(took):.2f} s"
    print(f"{kills} kills, {len(clients.held)} leases; answered again after {figures}")  # noqa: T201 - with pytest -s


def test_f01_three_kills_lose_nothing_that_was_acknowledged(site: Site) -> None:
    killed(site, 3, seed=1)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_f01_fifty_kills_lose_nothing_that_was_acknowledged(site: Site) -> None:
    killed(site, 50, seed=2)
