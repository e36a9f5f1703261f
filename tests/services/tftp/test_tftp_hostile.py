"""Names that climb, packets that lie, readers that vanish; the names carry the item of the checklist they prove."""

from __future__ import annotations

import asyncio
import os
import random
import struct
from pathlib import Path

import pytest

from app.services.tftp import service as service_module
from app.services.tftp import transfer
from tests.services.tftp.peer import Peer, Service, request


async def test_a_link_that_stays_inside_is_followed(service: Service, root: Path) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(b"in") == (root / "s513.bin").read_bytes()


async def test_a_defect_of_ours_is_in_the_log_and_not_told_to_the_reader(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"broken.cfg"))
        said = await peer.hear()
    assert (said[:4], said[4:]) == (b"\0\5\0\0", b"the file cannot be made\0")
    told = await service.told("tftp.refused")
    assert told.data["why"] == "the file cannot be made: the tree fell over"
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("name", [b"answers/%s/../x", b"C:/%s", b"%s"])
async def test_a_token_in_a_name_is_in_no_event(service: Service, name: bytes) -> None:
    token = b"a" * 60 + b"." + b"b" * 43
    for op in (1, 2):
        with Peer(service.port) as peer:
            peer.ask(request(op, name % token))
            await peer.hear()
    for kind in {"tftp.refused", *(("tftp.missing",) if name == b"%s" else ())}:
        await service.told(kind)
    assert all(token.decode() not in event.model_dump_json() for event in service.events)


MALFORMED = [
    b"", b"\0", b"\0\1", b"\0\1\0", b"\0\1\0\0\0", b"\0\1name", b"\0\1name\0", b"\0\1name\0octet", b"\0\1\0octet\0",
    b"\0\1" + b"n" * 2000 + b"\0octet\0", b"\0\1name\0\xff\xfe\0", b"\0\1name\0octet\0blk\xffsize\x001\0",
    b"\0\1s513.bin\0octet\0blksize\0", b"\0\1s513.bin\0octet\0\0\0\0\0", b"\xff\xff\xff\xff",
    *(struct.pack("!HH", op, 1) + b"rest\0" for op in (0, 3, 4, 5, 6, 7, 99, 65535)),
]  # fmt: skip


async def test_t35_t36_t44_malformed_packets_are_counted_and_survived(service: Service, root: Path) -> None:
    for packet in MALFORMED:
        with Peer(service.port) as peer:
            peer.ask(packet)
            try:
                said = await peer.hear(0.05)
            except TimeoutError:
                continue
            # The two that are whole requests after all are answered; nothing else may bring data.
            assert said[:2] == b"\0\5" or b"s513.bin" in packet
    with Peer(service.port) as peer:
        assert await peer.read(b"s513.bin") == (root / "s513.bin").read_bytes()
    assert service.tftp.counters["malformed"] >= 15


async def test_mutated_requests_never_end_the_service(service: Service, root: Path) -> None:
    rolls = random.Random(1)
    seed = request(1, b"s513.bin", options={"blksize": "1432", "tsize": "0", "windowsize": "4"})
    with Peer(service.port) as peer:
        for _ in range(3000):
            packet = bytearray(seed)
            for _ in range(rolls.randint(1, 6)):
                packet[rolls.randrange(len(packet))] = rolls.randrange(256)
            peer.ask(bytes(packet[: rolls.randint(0, len(packet))]))
            await asyncio.sleep(0)
        await service.idle()
    with Peer(service.port) as peer:
        assert await peer.read(b"s513.bin") == (root / "s513.bin").read_bytes()


async def test_t43_f16_vanished_readers_block_nobody_and_leave_nothing(
    service: Service, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "PER_SOURCE", 100)
    descriptors = len(os.listdir("/proc/self/fd"))
    gone = [Peer(service.port) for _ in range(120)]
    for peer in gone:
        peer.ask(request(1, b"loader.efi", options={"blksize": "1428"}))
    for peer in gone:
        await peer.hear()
        peer.ack(0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with Peer(service.port) as peer:
        assert await peer.read(b"s1024.bin") == (root / "s1024.bin").read_bytes()
    assert loop.time() - began < 0.5
    # The share of one address is bounded: the first to fall silent gave way.
    assert service.tftp.counters["dropped"] >= 20
    monkeypatch.setattr(transfer, "GIVE_UP", 0.0)
    async with asyncio.timeout(20):
        while len(os.listdir("/proc/self/fd")) > descriptors + len(gone) + 4:
            await asyncio.sleep(0.05)
    for peer in gone:
        peer.sock.close()


async def test_misses_do_not_flood_the_events(service: Service) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(200):
        with Peer(service.port) as peer:
            assert await peer.read(f"pxelinux.cfg/{number}".encode()) is None
    seconds = loop.time() - began
    assert service.tftp.counters["missing"] == 200
    assert service.kinds().count("tftp.missing") <= service_module.TELL_PER_SECOND * (seconds + 2)
