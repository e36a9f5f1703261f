"""Two thousand malformed packets and requests: counted and dropped, and a good machine is served afterwards."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import netns
from tests.engine.card import card, ipxe, pxe
from tests.engine.conftest import LOADERS, Rack, new_mac

pytestmark = pytest.mark.root

SERVER = "10.7.0.1"
SEED = 20260
PER_PORT = 700


def dhcp_like(noise: random.Random) -> bytes:
    """A DHCP message of firmware, iPXE or nobody, somewhere wrong."""
    from scapy.layers.dhcp import BOOTP, DHCP

    kind = noise.choice(["discover", "request", "inform", "release", "decline", "offer", noise.randrange(256)])
    words = noise.choice([pxe, ipxe])(noise.choice([0, 7, 16, 0xFFFF]))
    words += [(noise.randrange(1, 255), noise.randbytes(noise.randrange(0, 40))) for _ in range(noise.randrange(4))]
    options = [("message-type", kind), ("requested_addr", "10.7.0.1"), *words, "end"]
    fields = {"xid": noise.getrandbits(32), "chaddr": noise.randbytes(16), "hlen": noise.choice([6, 6, 0, 16, 255])}
    good = bytearray(bytes(BOOTP(op=noise.choice([1, 1, 1, 2, 7]), **fields) / DHCP(options=options)))
    return mutated(noise, good)


def mutated(noise: random.Random, good: bytearray) -> bytes:
    how = noise.randrange(5)
    if how == 0:
        return bytes(good[: noise.randrange(len(good))])
    if how == 1:
        return noise.randbytes(noise.choice([0, 1, 4, 239, 240, 241, 300, 576, 1400]))
    for _ in range(noise.randrange(1, 12)):
        good[noise.randrange(len(good))] = noise.randrange(256)
    return bytes(good) + (noise.randbytes(noise.randrange(300)) if how == 2 else b"")


def tftp_like(noise: random.Random) -> bytes:
    """A TFTP packet, somewhere wrong."""
    name = noise.choice([b"ipxe.efi", b"../../etc/passwd", b"\xff\xfe", b"a" * 600, b"", noise.randbytes(20)])
    mode = noise.choice([b"octet", b"netascii", b"mail", b"OcTeT", b"", noise.randbytes(5)])
    options = noise.choice([b"", b"blksize\00\0", b"blksize\099999\0", b"tsize\0-1\0", b"windowsize\0x\0", b"x"])
    op = noise.choice([1, 1, 1, 2, 3, 4, 5, 6, 9, 0xFFFF])
    return mutated(noise, bytearray(op.to_bytes(2, "big") + name + b"\0" + mode + b"\0" + options))


def http_like(noise: random.Random) -> bytes:
    """A request, somewhere wrong."""
    return noise.choice(
        [
            lambda: noise.randbytes(noise.randrange(1, 3000)),
            lambda: b"GET / HTTP/9.9\r\n\r\n",
            lambda: b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            lambda: b"GET /x HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
            lambda: b"GET /x HTTP/1.1\r\nHost: x\r\nX: \0\x01\r\n\r\n",
            lambda: b"POST /agent/register HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
            lambda: b"POST /agent/register HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nhello",
            lambda: b"POST /agent/register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
            lambda: b"POST /agent/register HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff.\xff\r\n\r\n",
            lambda: b"GET http://[::1/x HTTP/1.1\r\nHost: x\r\n\r\n",
            lambda: b"GET /%00%0a%ff?a=%zz&=&& HTTP/1.1\r\nHost: x\r\nRange: bytes=9-1,-,x\r\n\r\n",
            lambda: b"GET /ipxe.efi HTTP/1.1\r\nHost: x\r\nRange: bytes=" + b"0-1," * 900 + b"\r\n\r\n",
            lambda: b"CONNECT x:1 HTTP/1.1\r\n\r\n",
            lambda: b"OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nUpgrade: h2c\r\n\r\n",
            lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise.randbytes(200),
            lambda: mutated(noise, bytearray(b"GET /undionly.kpxe HTTP/1.1\r\nHost: x\r\nRange: bytes=0-10\r\n\r\n")),
        ]
    )()


def shower(ns: str, port: int, make: Callable[[random.Random], bytes], count: int, source: int = 0) -> None:
    """Datagrams to one port of the server."""

    def work() -> None:
        noise = random.Random(SEED + port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("", source))
            for _ in range(count):
                udp.sendto(make(noise)[:1472], (SERVER, port))

    netns.call(ns, work)


def knock(ns: str, count: int) -> None:
    """Requests to the boot listener, each on a connection of its own, some half, some hung up on."""

    def work() -> None:
        noise = random.Random(SEED)
        for number in range(count):
            # A reset is an answer too.
            with socket.create_connection((SERVER, 8090), 10) as tcp, contextlib.suppress(ConnectionError):
                tcp.sendall(http_like(noise))
                if number % 3:
                    tcp.shutdown(socket.SHUT_WR)
                    while tcp.recv(65536):
                        pass

    netns.call(ns, work)


def test_malformed_packets_and_requests_are_counted_and_dropped(rack: Rack, tmp_path: Path) -> None:
    engine, ns = rack.engine, rack.segment.clients[1]
    with card(ns, new_mac(), pxe(7)) as first:
        address = first.boot().address
        before = {name: engine.service(name).counters for name in ("dhcp", "proxydhcp", "tftp", "http")}
        began = engine.newest()
        shower(ns, 67, dhcp_like, PER_PORT, 68)
        shower(ns, 4011, dhcp_like, PER_PORT)
        shower(ns, 69, tftp_like, PER_PORT)
        knock(ns, 60)

        # A good machine goes through all services.
        with card(ns, new_mac(), pxe(7)) as second:
            ack = second.boot()
            assert (ack.kind, ack.boot) == (5, "ipxe.efi")
            assert ack.address != address
        out = tmp_path / "file"
        for url in (f"tftp://{SERVER}/ipxe.efi", f"http://{SERVER}:8090/ipxe.efi"):
            netns.run(ns, ["curl", "-sS", "--interface", ack.address, "-o", str(out), url])
            assert out.stat().st_size == LOADERS["ipxe.efi"]
    engine.sound()

    def grown(name: str, counter: str) -> int:
        return engine.service(name).counters[counter] - before[name][counter]

    for name in ("dhcp", "proxydhcp"):
        assert grown(name, "received") >= PER_PORT, name
        assert grown(name, "malformed") > PER_PORT / 5, name
        assert grown(name, "errors") == 0, name
    assert grown("tftp", "malformed") > PER_PORT / 5
    assert grown("http", "malformed") > 5
    # Told in a few events, not one each.
    assert 1 <= len(engine.events("dhcp.malformed", after=began)) <= 4
    assert len(engine.events("tftp.", after=began)) < PER_PORT / 2
    names = {machine.name for machine in engine.ask(engine.client.machines.list()).items}
    assert all(name.isprintable() for name in names)
    shown = engine.told("events", "list", "--kind", "dhcp.")
    assert all(line.isprintable() for line in shown.replace("\t", "").splitlines())
