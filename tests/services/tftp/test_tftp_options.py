"""Options (RFC 2347, 2348, 2349, 7440) as readers meet them; the names carry the item of the checklist they prove."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.services.tftp.peer import Peer, Service, request


@pytest.mark.parametrize(
    ("asked", "given"), [("1428", "1428"), ("65464", "65464"), ("8", "8")], ids=["T16", "T17", "8"]
)
async def test_blksize(service: Service, root: Path, asked: str, given: str) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(b"seventy.bin", {"blksize": asked}) == (root / "seventy.bin").read_bytes()
        assert peer.options == {"blksize": given}


@pytest.mark.parametrize(
    ("name", "value"),
    [("blksize", value) for value in ("0", "7", "65465", "-1", "abc", "", "1_0", " 512", "٥١٢", "9" * 40)]
    + [("timeout", value) for value in ("0", "256", "x")]
    + [("windowsize", value) for value in ("0", "65536", "x")]
    + [("tsize", value) for value in ("-1", "x")]
    + [("multicast", ""), ("utimeout", "500000"), ("nosuch", "1")],
    ids=str,
)
async def test_t18_t21_t24_t25_illegal_and_unknown_options_are_left_out(
    service: Service, root: Path, name: str, value: str
) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(b"s513.bin", {name: value}) == (root / "s513.bin").read_bytes() or not value.isascii()
        assert peer.options == {}


async def test_a_timeout_too_long_to_repeat_within_is_not_agreed_to(service: Service) -> None:
    with Peer(service.port) as peer:
        await peer.read(b"s513.bin", {"timeout": "60", "tsize": "0"})
        assert peer.options == {"tsize": "513"}


async def test_a_lost_first_block_of_a_window_is_repeated_once_not_for_ever(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"seventy.bin", options={"windowsize": "4"}))
        await peer.hear()
        peer.ack(0)
        for _ in range(4):
            await peer.hear()
        peer.ack(4)
        for _ in range(4):
            await peer.hear()
        for _ in range(5):  # "I have 4": block 5 was lost
            peer.ack(4)
        assert [struct.unpack_from("!HH", await peer.hear())[1] for _ in range(4)] == [5, 6, 7, 8]
        assert await peer.silent()


async def test_a_large_file_is_read_in_parts_and_arrives_whole(service: Service, root: Path) -> None:
    content = bytes(range(256)) * 4 * 5000 + b"tail"  # above what is kept in memory, not a multiple of a part
    (root / "large.bin").write_bytes(content)
    with Peer(service.port) as peer:
        assert await peer.read(b"large.bin", {"blksize": "1400", "windowsize": "16"}) == content


async def test_losses_are_made_good(service: Service, root: Path) -> None:
    """Every seventh packet is thrown away by the reader, which asks anew as RFC 7440 section 4 says."""
    want = (root / "seventy.bin").read_bytes()
    with Peer(service.port) as peer:
        peer.ask(request(1, b"seventy.bin", options={"windowsize": "4", "blksize": "1024"}))
        await peer.hear()
        peer.ack(0)
        got, block, heard = bytearray(), 0, 0
        while True:
            packet = await peer.hear()
            heard += 1
            if heard % 7 == 0:
                continue
            if struct.unpack_from("!H", packet, 2)[0] == block + 1:
                block += 1
                got += packet[4:]
            peer.ack(block)
            if len(packet) < 1028 and block == 69:
                break
        assert bytes(got) == want
    sent = await service.told("tftp.sent")
    assert sent.data["resent"] > 0
