"""Options (RFC 2347, 2348, 2349, 7440) as readers meet them; the names carry the item of the checklist they prove."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from tests.services.tftp.peer import Peer, Service, request


async def test_t15_no_options_no_oack(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"s513.bin"))
        assert struct.unpack_from("!HH", await peer.hear()) == (3, 1)


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


async def test_t19_tsize_is_the_size(service: Service) -> None:
    with Peer(service.port) as peer:
        await peer.read(b"loader.efi", {"tsize": "0", "blksize": "1468"})
        assert peer.options == {"tsize": "996864", "blksize": "1468"}


async def test_t20_timeout_is_honoured(service: Service) -> None:
    loop = asyncio.get_running_loop()
    with Peer(service.port) as peer:
        peer.ask(request(1, b"s513.bin", options={"timeout": "1"}))
        first, began = await peer.hear(), loop.time()
        assert first == b"\0\6timeout\x001\0"
        assert await peer.hear() == first  # T28: the OACK is what is repeated
        assert 0.5 <= loop.time() - began <= 2


async def test_a_timeout_too_long_to_repeat_within_is_not_agreed_to(service: Service) -> None:
    with Peer(service.port) as peer:
        await peer.read(b"s513.bin", {"timeout": "60", "tsize": "0"})
        assert peer.options == {"tsize": "513"}


async def test_t22_a_window_arrives_before_any_ack(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"seventy.bin", options={"windowsize": "8"}))
        assert await peer.hear() == b"\0\6windowsize\x008\0"
        peer.ack(0)
        blocks = [struct.unpack_from("!HH", await peer.hear())[1] for _ in range(8)]
        assert blocks == list(range(1, 9))
        assert await peer.silent()


async def test_t23_an_ack_in_mid_window_resumes_behind_it(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"seventy.bin", options={"windowsize": "8"}))
        await peer.hear()
        peer.ack(0)
        for _ in range(8):
            await peer.hear()
        peer.ack(3)
        assert [struct.unpack_from("!HH", await peer.hear())[1] for _ in range(8)] == list(range(4, 12))


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


async def test_t26_option_names_are_case_insensitive(service: Service) -> None:
    with Peer(service.port) as peer:
        await peer.read(b"s513.bin", {"BLKSIZE": "1428", "TSize": "0"})
        assert peer.options == {"blksize": "1428", "tsize": "513"}


async def test_t27_an_option_given_twice_is_answered_once(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"s513.bin") + b"blksize\x001024\0blksize\x00600\0")
        assert await peer.hear() == b"\0\6blksize\x001024\0"


async def test_t28_lost_ack_0_repeats_the_oack(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"s513.bin", options={"tsize": "0"}))
        first = await peer.hear()
        assert await peer.hear(6) == first


async def test_t31_block_numbers_roll_over(service: Service, root: Path) -> None:
    content = bytes(range(256)) * 4 * 600  # 614,400 octets, 76,800 blocks of 8
    (root / "long.bin").write_bytes(content)
    with Peer(service.port) as peer:
        assert await peer.read(b"long.bin", {"blksize": "8", "windowsize": "64"}) == content


@pytest.mark.full
async def test_t31_34_mib_in_blocks_of_512(service: Service, root: Path) -> None:
    content = bytes(range(256)) * 4096 * 34
    (root / "long.bin").write_bytes(content)
    with Peer(service.port) as peer:
        assert await peer.read(b"long.bin", {"tsize": "0"}) == content


@pytest.mark.parametrize(
    "options",
    [{"tsize": "0", "blksize": "1468", "windowsize": "4"}, {"blksize": "1432", "tsize": "0"}, {"blksize": "1456"}],
    ids=["T39 EDK2", "T40 iPXE", "T40 Intel"],
)
async def test_firmware_requests_complete(service: Service, root: Path, options: dict[str, str]) -> None:
    with Peer(service.port) as probe:
        probe.ask(request(1, b"loader.efi", options={"tsize": "0"}))
        await probe.hear()
        probe.say(b"\0\5\0\0\0")
    with Peer(service.port) as peer:
        assert await peer.read(b"loader.efi", options) == (root / "loader.efi").read_bytes()
    assert service.tftp.counters["failed"] == 0


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
