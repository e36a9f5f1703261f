"""Ten million packets with octets that are not to be trusted: nothing breaks, good machines are answered all the while.

Most go the services' own way without sockets, by seed; the rest over the wire to a running engine.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import answering, mutants, netns
from tests.artefacts import noisy
from tests.bench.rounds import Verdict
from tests.engine.ledger import Rack, rack
from tests.engine.process import Engine, running

SEEDS = 10
PACKETS = 10_000_000
QUICK = 200_000
SHARE = 0.05
"""Of the packets that go over the wire."""
_CHADDR = 28
FULL = 300_000
"""Packets over the wire after a third of which an engine keeps as many events as it ever does."""
BURST = 200
"""Packets between two rounds of good machines."""
SERVER, RELAY = "10.7.0.1", "10.7.0.2"
FAR = "10.7.0.253"
"""Who relays for the strangers: what they are answered is not for the good machines' ears."""
_FILES = ("ipxe.efi", "undionly.kpxe", "autoexec.ipxe", "files/none")
_PATHS = ("ipxe.efi", "boot/52:54:00:f0:00:07/script.ipxe", "nothing/here")


@dataclass(slots=True)
class Wire:
    """Sockets of strangers, and what they sent."""

    udp: list[socket.socket]
    tcp: Callable[[], socket.socket]
    sent: Counter[str] = field(default_factory=Counter[str])

    def datagram(self, kind: str, port: int, packet: bytes, chance: random.Random) -> None:
        """From any of the sockets; what comes back is thrown away."""
        self.sent[kind] += 1
        with contextlib.suppress(OSError):
            chance.choice(self.udp).sendto(packet, (SERVER, port))

    def heads(self, packets: list[bytes]) -> None:
        """Each on a connection of its own, all at once; they are hung up on whatever comes back first."""
        streams: list[socket.socket] = []
        for packet in packets:
            self.sent["http"] += 1
            stream = self.tcp()
            streams.append(stream)
            with contextlib.suppress(OSError):
                stream.connect((SERVER, 8090))
                stream.sendall(packet)
                stream.shutdown(socket.SHUT_WR)
        for stream in streams:
            if select.select([stream], [], [], 5.0)[0]:
                with contextlib.suppress(OSError):
                    stream.recv(65536)
            stream.close()

    def quiet(self) -> None:
        """Throw away what came."""
        for each in self.udp:
            with contextlib.suppress(BlockingIOError):
                while True:
                    each.recv(65536)


@contextlib.contextmanager
def wire(ns: str) -> Iterator[Wire]:
    """Eight UDP sockets, and TCP sockets as they are needed, in a namespace that has RELAY."""

    def udp() -> list[socket.socket]:
        made: list[socket.socket] = []
        for _ in range(8):
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            each.bind((RELAY, 0))
            made.append(each)
        return made

    def tcp() -> list[socket.socket]:
        return [socket.socket() for _ in range(256)]

    ready: list[socket.socket] = []

    def one() -> socket.socket:
        if not ready:
            ready.extend(netns.call(ns, tcp))
        return ready.pop()

    socks = netns.call(ns, udp)
    try:
        yield Wire(socks, one)
    finally:
        for each in (*socks, *ready):
            each.close()


class Good:
    """Machines that behave: a lease, a file by TFTP, a file by HTTP, each compared."""

    def __init__(self, clients: Rack, ns: str, content: bytes) -> None:
        self._clients, self._ns, self._content = clients, ns, content
        self.asked = 0
        self.answered = 0

    def look(self, mac: str, strangers: Wire) -> None:
        """All three must be answered. Raises AssertionError where one is not."""
        self.asked += 3
        self._clients.drain(0)
        # What strangers were given, and gave back, and were given again.
        self._clients.held.clear()
        self._clients.leases([mac], 30)
        self.answered += 1
        sock = netns.call(self._ns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with sock:
            sock.bind((RELAY, 0))
            sock.settimeout(2)
            assert _fetched(sock) == self._content, "TFTP gave something else"
        self.answered += 1
        with strangers.tcp() as stream:
            stream.settimeout(30)
            stream.connect((SERVER, 8090))
            stream.sendall(b"GET /ipxe.efi HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            told = b""
            while more := stream.recv(65536):
                told += more
        assert told.partition(b"\r\n\r\n")[2] == self._content, f"HTTP gave something else: {told[:200]!r}"
        self.answered += 1


def _fetched(sock: socket.socket) -> bytes:
    """A file by TFTP in blocks of 1400 octets, asked for again as firmware does where nothing comes."""
    request = b"\0\1ipxe.efi\0octet\0blksize\x001400\0"
    content, expected, last, peer = b"", 0, request, (SERVER, 69)
    deadline = time.monotonic() + 30
    sock.sendto(request, peer)
    while time.monotonic() < deadline:
        try:
            packet, told = sock.recvfrom(4096)
        except TimeoutError:
            sock.sendto(last, peer)
            continue
        code, block = packet[1], int.from_bytes(packet[2:4], "big")
        assert code in (3, 6), packet[:100]
        if code == 6:
            block = 0
        if block != expected & 0xFFFF or (expected and told != peer):
            continue
        peer, last = told, b"\0\4" + packet[2:4] if code == 3 else b"\0\4\0\0"
        sock.sendto(last, peer)
        expected += 1
        if code == 3:
            content += packet[4:]
            if len(packet) < 1404:
                return content
    raise AssertionError(f"TFTP stopped after {len(content)} octets")


def resident(pid: int) -> float:
    """MB of memory that are a process's own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_", "Swap:"))) / 1024


def served(engine: Engine) -> tuple[int, int]:
    """How many packets and requests the services took, and how many of them failed inside."""
    took = failed = 0
    for name in ("dhcp", "proxydhcp", "tftp", "http"):
        counters = engine.service(name).counters
        took += counters.get("received", 0) + counters.get("requests", 0) + counters.get("malformed", 0)
        failed += counters.get("errors", 0)
    return took, failed


def owned(packet: bytes, number: int) -> bytes:
    """A message of one of sixteen machines, whatever else it says (RFC 2131 section 2: htype, hlen, chaddr)."""
    if len(packet) < _CHADDR + 6:
        return packet
    mac = bytes((0x52, 0x54, 0, 0xF0, 0, number % 16))
    return packet[:1] + b"\1\6" + packet[3:_CHADDR] + mac + packet[_CHADDR + 6 :]


def over_the_wire(folder: Path, seed: int, packets: int, say: Callable[[object], None]) -> answering.Told:
    """Mutants to a running engine, with good machines after each burst.

    Its memory is looked at from the first third on: by then, in a long run, the newest 50,000 events and the recordings
    of strangers are as many as it keeps. The machines stay the same sixteen: those that are made up are remembered.
    """
    told, chance = answering.Told(), random.Random(seed)
    tree = noisy(folder, {"ipxe.efi": 20_000, "undionly.kpxe": 5_000}, {})
    content = (tree / "loaders" / "ipxe.efi").read_bytes()
    kinds = {
        "dhcp": (67, mutants.Mutants(mutants.dhcp(SERVER, "10.7.0.101", FAR), seed)),
        "proxy": (4011, mutants.Mutants(mutants.proxy(SERVER, "10.7.0.101"), seed)),
        "tftp": (69, mutants.Mutants(mutants.tftp(_FILES), seed)),
    }
    heads = mutants.Mutants(mutants.http(_PATHS), seed)
    order = ("dhcp", "dhcp", "dhcp", "dhcp", "proxy", "tftp")
    with (
        netns.segment(f"{SERVER}/16", clients=1) as segment,
        running(segment.server, "--interface", "eth0", "--artefacts", str(tree)) as engine,
        rack(segment.clients[0], f"{RELAY}/16", SERVER) as clients,
        wire(segment.clients[0]) as strangers,
    ):
        engine.subnet(cidr="10.7.0.0/16", ranges=["10.7.0.100-10.7.0.199"], lease_time=120)
        engine.served()
        known = [netns.new_mac() for _ in range(4)]
        for number, mac in enumerate(known):
            engine.ask(engine.client.reservations.create({"mac": mac, "address": f"10.7.1.{number + 1}"}))
        good, before = Good(clients, segment.clients[0], content), 0.0
        began, rounds = time.monotonic(), max(1, packets // BURST)
        for number in range(rounds):
            for at in range(BURST - 8):
                kind = order[at % len(order)]
                port, mutant = kinds[kind]
                strangers.datagram(kind, port, mutant() if kind == "tftp" else owned(mutant(), at), chance)
            strangers.heads([heads() for _ in range(8)])
            good.look(known[number % len(known)], strangers)
            strangers.quiet()
            if number == rounds // 3:
                before = resident(engine.process.pid)
            if number % max(1, rounds // 10) == 0:
                size = resident(engine.process.pid)
                say(f"  wire: {strangers.sent.total()} packets, {time.monotonic() - began:.0f} s, {size:.1f} MB")
        engine.sound()
        told.growth = resident(engine.process.pid) - before
        told.packets, told.asked, told.answered = dict(strangers.sent), good.asked, good.answered
        _, failed = served(engine)
        told.faults = [f"{failed} packets failed inside the engine"] if failed else []
    return told


def bench(folder: Path, rounds: int, seconds: float, say: Callable[[object], None]) -> list[Verdict]:
    """Judge PACKETS packets, QUICK ones where the runs are short; BOOTCART_FUZZ says another number."""
    del rounds
    packets = int(os.environ.get("BOOTCART_FUZZ", QUICK if seconds < 5 else PACKETS))
    inside = int(packets * (1 - SHARE)) // SEEDS
    work = [(seed, inside) for seed in range(1, SEEDS + 1)]
    runs: list[answering.Told] = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        pending = pool.starmap_async(answering.run, work, chunksize=1)
        wired = over_the_wire(folder, SEEDS + 1, int(packets * SHARE), say)
        runs = [*pending.get(), wired]
    kinds: Counter[str] = Counter()
    for told in runs:
        kinds.update(told.packets)
    say(f"  {kinds.total()} packets: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    faults = [fault for told in runs for fault in told.faults]
    for fault in faults[:20]:
        say(f"  {fault}")
    asked, answered = sum(told.asked for told in runs), sum(told.answered for told in runs)
    growth = max(told.growth for told in runs[:-1])
    say(f"  {answered} of {asked} good machines' exchanges answered; the engine grew by {wired.growth:.1f} MB")
    verdicts = [
        Verdict("packets that got an exception out, less than one", 0.5 + len(faults), 1, 1, "", below=True),
        Verdict("good machines answered", 100 * answered / asked, 100, 100, " %"),
        Verdict("memory of what answers", max(growth, 0.01), 5, 5, " MB", below=True),
    ]
    if sum(wired.packets.values()) >= FULL:
        verdicts.append(Verdict("memory of the engine", max(wired.growth, 0.01), 5, 5, " MB", below=True))
    return verdicts
