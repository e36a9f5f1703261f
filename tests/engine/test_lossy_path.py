"""A running engine at the other end of a way that loses, doubles and overtakes, and clients of our own making (F17).

What a machine is given is compared octet by octet; what it does when nothing comes is what the RFCs have it do.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import lossy, mutants, netns
from tests.artefacts import noisy
from tests.engine.card import Card, Heard, card, pxe
from tests.engine.conftest import new_mac
from tests.engine.ledger import rack
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root

LOSS, TWICE, LATE = 0.05, 0.02, 0.10
ACK = 5
LOADER = 400_000
KERNEL = 400_000
ASKED_AGAIN = 0.5
"""Seconds after which our readers ask again; firmware takes longer."""


@dataclass(frozen=True, slots=True)
class Far:
    """An engine, and who reaches it by a bad way."""

    engine: Engine
    ends: lossy.Ends
    tree: Path


@contextlib.contextmanager
def far(tmp: Path, **subnet: object) -> Iterator[Far]:
    """An engine that serves before the way gets bad."""
    tree = noisy(tmp, {"ipxe.efi": LOADER, "undionly.kpxe": 30_000}, {"vmlinuz": KERNEL, "initrd.img": 50_000})
    with (
        lossy.between("10.7.0.1/16") as ends,
        running(ends.server, "--interface", "eth0", "--artefacts", str(tree)) as engine,
    ):
        engine.subnet(**{"cidr": "10.7.0.0/16", "ranges": ["10.7.16.0-10.7.31.250"], **subnet})
        engine.served()
        yield Far(engine, ends, tree)


def bad(place: Far, seed: int) -> Far:
    """The way gets bad; the client has no address."""
    netns.run(place.ends.client, ["ip", "address", "flush", "dev", "eth0"])
    netns.run(place.ends.client, ["ip", "route", "replace", "10.7.0.0/16", "dev", "eth0"])
    place.ends.way.begin(seed, loss=LOSS, twice=TWICE, late=LATE)
    return place


@pytest.fixture(scope="module")
def _far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    with far(tmp_path_factory.mktemp("far")) as place:
        yield place


@pytest.fixture
def place(_far: Far, request: pytest.FixtureRequest) -> Iterator[Far]:
    """An engine that gives addresses, at the end of a way that is bad in a manner of this test's own."""
    yield bad(_far, zlib.crc32(request.node.name.encode()))
    _far.engine.sound()


def test_f17_every_machine_gets_its_lease(place: Far) -> None:
    """Many at once, through a relay: none goes without, none has another's, each is told the same again."""
    with rack(place.ends.client, "10.7.0.2/16", "10.7.0.1") as clients:
        clients.leases([new_mac() for _ in range(120)], 100)
        clients.returns(dict(clients.held), 100)
        clients.nobody_shares()
        # It was as bad as it is meant to be.
        way = place.ends.way
        assert way.lost / LOSS > 400, way
        assert min(way.doubled / TWICE, way.delayed / LATE) > 400, way


def persistent(firmware: Card) -> Heard:
    """A lease as firmware gets it: each message is sent again until it is answered, with its number."""

    def answered(*kinds: int) -> Heard | None:
        with contextlib.suppress(AssertionError):
            return firmware.hear(ASKED_AGAIN, match=lambda reply: reply.kind in kinds)
        return None

    deadline = time.monotonic() + 60
    firmware.say("discover", new=True)
    while (offer := answered(2)) is None:
        assert time.monotonic() < deadline, "no OFFER"
        firmware.say("discover")
    chosen = (("server_id", offer.server), ("requested_addr", offer.address))
    firmware.say("request", *chosen)
    while (ack := answered(5, 6)) is None:
        assert time.monotonic() < deadline, "no ACK"
        firmware.say("request", *chosen)
    return ack


def test_a_request_whose_ack_was_lost_is_acknowledged_again(place: Far) -> None:
    """RFC 2131 section 4.4.1: the same, and as long; it is one lease."""
    with card(place.ends.client, new_mac(), pxe(7)) as firmware:
        drops = 3

        def first_acks(frame: bytes) -> bool:
            nonlocal drops
            if drops and b"\x63\x82\x53\x63\x35\x01\x05" in frame:
                drops -= 1
                return True
            return False

        place.ends.way.begin(2, losing=first_acks)
        offer = firmware.discover()
        chosen = (("server_id", offer.server), ("requested_addr", offer.address))
        for _ in range(40):
            firmware.say("request", *chosen)
            with contextlib.suppress(AssertionError):
                ack = firmware.hear(ASKED_AGAIN, match=lambda reply: reply.kind in (5, 6))
                break
        else:
            raise AssertionError("no ACK came")
        assert (ack.kind, ack.address, drops) == (ACK, offer.address, 0)
        assert ack.options["lease_time"] == 3600
        mine = [each for each in place.engine.ask(place.engine.client.leases.list()).items if each.mac == firmware.mac]
        assert [(str(each.address), each.state) for each in mine] == [(ack.address, "bound")]


class Reader:
    """A TFTP reader as RFC 1350 and 7440 have it: what does not come is asked for again, a gap is told at once."""

    def __init__(self, sock: socket.socket, server: str = "10.7.0.1") -> None:
        self._sock, self._server = sock, server
        self.asked_again = 0
        self.gaps = 0

    def fetch(self, name: str, *, blksize: int, windowsize: int, seconds: float = 120) -> bytes:
        """A whole file."""
        words = {"blksize": blksize, "windowsize": windowsize}
        told = b"".join(f"{key}\0{value}\0".encode() for key, value in words.items())
        last, to = b"\0\1" + name.encode() + b"\0octet\0" + told, (self._server, 69)
        content, block, window, tid = bytearray(), 0, 0, None
        deadline = time.monotonic() + seconds
        self._sock.settimeout(ASKED_AGAIN)
        self._sock.sendto(last, to)
        while time.monotonic() < deadline:
            try:
                packet, peer = self._sock.recvfrom(65_536)
            except TimeoutError:
                self.asked_again += 1
                self._sock.sendto(last, to)
                continue
            code, number = struct.unpack_from("!HH", packet)
            if peer[1] == 69 or (tid is not None and peer != tid):
                continue  # another transfer, of a request that came twice
            assert code in (3, 6), packet
            to = tid = peer
            if code == 6:
                if not block:
                    last = b"\0\4\0\0"
                    self._sock.sendto(last, to)
                continue
            if number == (block + 1) & 0xFFFF:
                block, window = block + 1, window + 1
                content += packet[4:]
                over = len(packet) < blksize + 4
                if over or window == windowsize:
                    last, window = struct.pack("!HH", 4, number), 0
                    self._sock.sendto(last, to)
                if over:
                    return bytes(content)
            elif window or (number - block) & 0xFFFF < 0x8000:
                # Something is missing: what came in order is acknowledged, and the next window begins behind it.
                self.gaps += 1
                last, window = struct.pack("!HH", 4, block & 0xFFFF), 0
                self._sock.sendto(last, to)
        raise AssertionError(f"{name} stopped at {len(content)} octets")


@contextlib.contextmanager
def reader(ns: str, address: str) -> Iterator[Reader]:
    """A reader at an address of a namespace."""

    def opened() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((address, 0))
        return sock

    with netns.call(ns, opened) as sock:
        yield Reader(sock)


@pytest.mark.parametrize(
    ("name", "windowsize", "blksize"),
    [("undionly.kpxe", 1, 1468), ("ipxe.efi", 4, 1468), ("ipxe.efi", 16, 1428)],
    ids=["lockstep", "uefi", "wide"],
)
def test_f17_files_come_whole(place: Far, name: str, windowsize: int, blksize: int) -> None:
    """In lockstep, and in windows as UEFI and iPXE ask for."""
    netns.run(place.ends.client, ["ip", "address", "add", "10.7.0.9/16", "dev", "eth0"])
    with reader(place.ends.client, "10.7.0.9") as one:
        got = one.fetch(name, blksize=blksize, windowsize=windowsize)
    assert got == (place.tree / "loaders" / name).read_bytes()
    assert place.ends.way.lost or windowsize == 1, place.ends.way


def fetched(ns: str, address: str, path: str) -> bytes:
    """A file by HTTP; TCP mends the way."""

    def ask() -> bytes:
        with socket.create_connection(("10.7.0.1", 8090), 60, (address, 0)) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            told = b""
            while more := stream.recv(65_536):
                told += more
        head, _, body = told.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return body

    return netns.call(ns, ask)


def test_f17_whole_boots(place: Far) -> None:
    """Lease, loader, iPXE's own lease, script, kernel: by what each message says, not by what we know of the engine."""
    ns = place.ends.client
    for _ in range(3):
        mac = new_mac()
        with card(ns, mac, pxe(7)) as firmware:
            ack = persistent(firmware)
            assert (ack.kind, ack.siaddr) == (ACK, "10.7.0.1")
            netns.run(ns, ["ip", "address", "replace", f"{ack.address}/16", "dev", "eth0"])
            with reader(ns, ack.address) as rom:
                loader = rom.fetch(ack.boot, blksize=1468, windowsize=4)
            assert loader == (place.tree / "loaders" / "ipxe.efi").read_bytes()
        with card(
            ns, mac, [*pxe(7), (77, b"iPXE"), (175, bytes.fromhex("1301011501012101012701 01".replace(" ", "")))]
        ) as ipxe:
            again = persistent(ipxe)
            assert (again.kind, again.address) == (ACK, ack.address)
        script = fetched(ns, ack.address, again.boot.removeprefix("http://10.7.0.1:8090")).decode()
        assert script.startswith("#!ipxe"), script
        kernel = fetched(ns, ack.address, "/discovery/amd64/vmlinuz")
        assert kernel == (place.tree / "discovery" / "amd64" / "vmlinuz").read_bytes()
        netns.run(ns, ["ip", "address", "flush", "dev", "eth0"])
        netns.run(ns, ["ip", "route", "replace", "10.7.0.0/16", "dev", "eth0"])


def boot_server(ns: str, mac: str) -> bytes:
    """What port 4011 tells a machine that has an address (PXE 2.1, 2.2.3), asked until it does."""

    def opened() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("10.7.0.9", 0))
        return sock

    request = mutants.message(mutants.REQUEST, mac, mutants.firmware(0), ciaddr=bytes((10, 7, 0, 9)))
    with netns.call(ns, opened) as sock:
        sock.settimeout(ASKED_AGAIN)
        for _ in range(60):
            sock.sendto(request, ("10.7.0.1", 4011))
            with contextlib.suppress(TimeoutError):
                reply = sock.recv(2048)
                assert (reply[0], reply[4:8]) == (2, request[4:8])
                return reply
    raise AssertionError("port 4011 did not answer")


def test_f17_beside_another_server(tmp_path: Path) -> None:
    """ProxyDHCP: the offer of a boot file, and the boot server on port 4011, to each of them."""
    with far(tmp_path, mode="proxy", ranges=[]) as place:
        ns = bad(place, 29).ends.client
        netns.run(ns, ["ip", "address", "add", "10.7.0.9/16", "dev", "eth0"])
        for _ in range(10):
            with card(ns, new_mac(), pxe(0)) as firmware:
                offer = None
                for _ in range(60):
                    firmware.say("discover", new=offer is None)
                    with contextlib.suppress(AssertionError):
                        offer = firmware.hear(ASKED_AGAIN, match=lambda reply: reply.kind == 2)
                        break
                assert offer is not None, "no offer came"
                assert (offer.address, offer.boot) == ("0.0.0.0", "undionly.kpxe")
            assert b"undionly.kpxe" in boot_server(ns, firmware.mac)
        place.engine.sound()
