"""Many readers, readers that vanish, and what is left of the server afterwards: T42–T44."""

from __future__ import annotations

import asyncio
import random
import struct
from pathlib import Path

import pytest

from app.services.tftp import service as service_module
from app.services.tftp import transfer
from tests import netns
from tests.conformance.tftpbench import Bench, descriptors
from tests.engine.process import Engine, folder
from tests.services.tftp.peer import Peer, request

pytestmark = pytest.mark.root


async def test_t42_sixty_readers_at_once(bench: Bench) -> None:
    want = bench.content("seventy.bin")

    async def one() -> bool:
        with bench.peer() as peer:
            return await peer.read(b"seventy.bin", {"blksize": "1428"}) == want

    assert all(await asyncio.gather(*(one() for _ in range(60))))


async def _vanished(bench: Bench, count: int) -> list[Peer]:
    """Readers that have had their first block and say nothing more."""
    gone = [bench.peer() for _ in range(count)]
    for peer in gone:
        peer.ask(request(1, b"loader.efi", options={"blksize": "1428"}))
    for peer in gone:
        await peer.hear()
        peer.ack(0)
    for peer in gone:
        await peer.hear()
    return gone


async def test_t43_readers_that_vanish_delay_nobody_and_are_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, dropped = descriptors(), bench.service.tftp.counters["dropped"]
    gone = await _vanished(bench, 120)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await bench.tftpy("s1024.bin", tmp_path / "out") == bench.content("s1024.bin")
    assert loop.time() - began < 5.0, "it waits for none of them"
    assert bench.service.tftp.counters["dropped"] == dropped
    # One address has its share: beyond it the reader that was silent for longest gives way.
    extra = await _vanished(bench, service_module.PER_SOURCE - 119)
    assert bench.service.tftp.counters["dropped"] == dropped + 1
    monkeypatch.setattr(transfer, "GIVE_UP", 1.0)
    async with asyncio.timeout(30):
        while bench.service.tftp._running:
            await asyncio.sleep(0.05)
    for peer in (*gone, *extra):
        peer.sock.close()
    assert descriptors() <= before


@pytest.mark.full
async def test_t43_readers_that_vanish_are_forgotten_within_30_s(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    began, gone = loop.time(), await _vanished(bench, 20)
    for peer in gone:
        await bench.over(peer)
        peer.sock.close()
    assert 20 < loop.time() - began < 33  # 28 s, and what a busy host adds


def test_t44_after_all_of_it_the_server_is_the_same_process(tmp_path: Path) -> None:
    """An engine under datagrams of every wrong kind, readers that vanish and aborted transfers."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "s513.bin").write_bytes(bytes(513))
    rolls = random.Random(44)
    seed = request(1, b"s513.bin", options={"blksize": "1432", "tsize": "0", "windowsize": "4"})

    async def abuse() -> None:
        for number in range(600):
            packet = bytearray(seed)
            for _ in range(rolls.randint(0, 6)):
                packet[rolls.randrange(len(packet))] = rolls.randrange(256)
            with Peer(69, "10.7.0.1", "10.7.0.9") as peer:
                peer.ask(bytes(packet[: rolls.randint(0, len(packet))]))
            if number % 100 == 0:
                with Peer(69, "10.7.0.1", "10.7.0.9") as peer:
                    peer.ask(seed)
                    assert (await peer.hear(20))[:2] == b"\0\6"
                    peer.say(struct.pack("!HH", rolls.randrange(8), rolls.randrange(65536)) + rolls.randbytes(20))
        with Peer(69, "10.7.0.1", "10.7.0.9") as peer:
            assert await peer.read(b"s513.bin") == bytes(513)

    with netns.segment("10.7.0.1/24") as lan, folder() as short:
        netns.run(lan.clients[0], ["ip", "address", "add", "10.7.0.9/24", "dev", "eth0"])
        flags = ("--file-root", str(tmp_path / "tree"), "--artefacts", str(tmp_path), "--disable", "dhcp")
        engine = Engine(lan.server, short / "data", *flags)
        try:
            engine.start()
            netns.call(lan.clients[0], lambda: asyncio.run(abuse()))
            engine.sound()
        finally:
            engine.close()
