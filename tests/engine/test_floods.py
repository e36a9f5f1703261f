"""Floods that one peer makes alone: questions for addresses, and readers of files that are never heard again."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.engine.card import Card, Heard, card, pxe
from tests.engine.conftest import LOADERS, new_mac
from tests.engine.process import Engine, environment, running

pytestmark = [pytest.mark.root, pytest.mark.full, pytest.mark.timeout(600)]

MEGABYTE = 1 << 20
# DISCOVERs of made-up cards, so many a second for so long: argv is the rate and the seconds.
STRANGERS = """
import random, socket, struct, sys, time
from scapy.all import BOOTP, DHCP, IP, UDP, Ether
rate, seconds = int(sys.argv[1]), float(sys.argv[2])
options = [("message-type", "discover"), ("vendor_class_id", b"PXEClient:Arch:00007:UNDI:003016"), "end"]
frame = bytearray(bytes(Ether(src="52:54:00:00:00:02", dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0",
    dst="255.255.255.255") / UDP(sport=68, dport=67) / BOOTP(chaddr=bytes(6), flags=0x8000) / DHCP(options=options)))
frame[40:42] = b"\\0\\0"  # no checksum: the cards differ
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
made, began, sent = random.Random(1), time.monotonic(), 0
while (passed := time.monotonic() - began) < seconds:
    while sent < passed * rate:
        card = b"\\x52\\x55" + made.randbytes(4)
        frame[6:12], frame[46:50], frame[70:76] = card, made.randbytes(4), card
        wire.send(frame)
        sent += 1
    time.sleep(0.005)
print(sent)
"""
# Readers that ask for a file and say no more; their ports stay open, so that no ICMP tells of it.
VANISHED = """
import socket, sys
socks = []
for _ in range(int(sys.argv[1])):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.sendto(b"\\0\\1ipxe.efi\\0octet\\0blksize\\x001468\\0", ("10.7.0.1", 69))
    socks.append(one)
print("asked", flush=True)
sys.stdin.read()
"""


def resident(engine: Engine) -> int:
    """Octets of memory the engine occupies."""
    pages = Path(f"/proc/{engine.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def leasing(machine: Card) -> float:
    """Seconds until a machine that says each message again after half a second has its address."""
    began = time.monotonic()

    def said(*message: Any, kinds: tuple[int, ...], new: bool) -> Heard:
        for again in range(20):
            machine.say(*message, new=new and not again)
            with contextlib.suppress(AssertionError):
                return machine.hear(0.5, match=lambda reply: reply.kind in kinds)
        raise AssertionError(f"{machine.mac} is not answered")

    offer = said("discover", kinds=(2,), new=True)
    chosen = (("server_id", offer.server), ("requested_addr", offer.address))
    assert said("request", *chosen, kinds=(5, 6), new=False).kind == 5
    return time.monotonic() - began


def descriptors(engine: Engine) -> int:
    return len(os.listdir(f"/proc/{engine.process.pid}/fd"))


@pytest.fixture
def lan(artefacts: Path) -> Iterator[tuple[netns.Segment, Engine]]:
    """A machine, and a peer that floods."""
    with netns.segment("10.7.0.1/24", clients=2) as segment:
        for number, client in enumerate(segment.clients):
            netns.run(client, ["ip", "address", "add", f"10.7.0.{20 + number}/24", "dev", "eth0"])
        with running(segment.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine:
            engine.subnet()
            engine.served()
            yield segment, engine


def test_f14_five_thousand_strangers_a_second(lan: tuple[netns.Segment, Engine]) -> None:
    """For a minute: a machine on record has its address in two seconds, memory stays, questions take no address."""
    segment, engine = lan
    known = new_mac()
    engine.ask(engine.client.machines.create({"name": "db01", "macs": [known]}))
    took: list[float] = []
    argv = [sys.executable, "-c", STRANGERS, "5000"]
    with card(segment.clients[0], known, pxe(7)) as machine:
        machine.lease()
        # What is remembered of strangers has a bound, and is full by then.
        with netns.running(segment.clients[1], [*argv, "15"], env=environment()) as first:
            # Told at once; what so many are told later pushes it out of the log.
            assert engine.event("dhcp.exhausted").data["subnet"] == "rack7"
            first.wait()
        before = resident(engine)
        with netns.running(segment.clients[1], [*argv, "60"], env=environment()) as strangers:
            while strangers.poll() is None:
                took.append(leasing(machine))
            assert strangers.stdout is not None
            sent = int(strangers.stdout.read())
    grown = resident(engine) - before
    assert sent > 100_000, "the flood is one"
    assert sorted(took)[int(len(took) * 0.99)] <= 2.0, took[-5:]
    assert grown < 50 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"
    assert set(engine.leases().values()) == {"bound"}
    assert len(engine.leases()) == 1
    engine.sound()


def test_f16_two_thousand_readers_that_vanish(lan: tuple[netns.Segment, Engine]) -> None:
    """Another is served as before, all of them are forgotten within half a minute, and so is what they held."""
    segment, engine = lan
    url = "tftp://10.7.0.1/ipxe.efi"

    def fetch() -> float:
        began = time.monotonic()
        argv = ["curl", "-sS", "--tftp-blksize", "1468", "-o", "/dev/null", "-w", "%{size_download}", url]
        assert netns.run(segment.clients[0], argv).stdout == str(LOADERS["ipxe.efi"])
        return time.monotonic() - began

    alone = statistics.median(fetch() for _ in range(5))
    before = descriptors(engine)
    for count in (120, 2000):
        argv = [sys.executable, "-c", VANISHED, str(count)]
        with netns.running(segment.clients[1], ["sh", "-c", 'ulimit -n 4096; exec "$@"', "-", *argv], stdin=-1) as gone:
            assert gone.stdout is not None
            assert gone.stdout.readline() == "asked\n"
            began = time.monotonic()
            beside = statistics.median(fetch() for _ in range(5))
            netns.until(lambda: engine.service("tftp").counters["running"] == 0, timeout=45, what="all are forgotten")
            assert time.monotonic() - began <= 31
        assert beside - alone < 0.1, (alone, beside)
        netns.until(lambda: descriptors(engine) <= before, what=f"{before} descriptors: {descriptors(engine)}")
    engine.sound()
