"""Options on the wire (RFC 2347, 2348, 2349, 7440) and requests as firmware makes them: T15–T32, T39, T40."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.conformance.tftpbench import Bench, block, drained
from tests.services.tftp.peer import Peer, request

pytestmark = pytest.mark.root
STOP = b"\0\5\0\0\0"


async def _agreed(bench: Bench, options: dict[str, str]) -> dict[str, str]:
    """What the server agrees to of the options of a small file, which arrives whole."""
    with bench.peer() as peer:
        assert await peer.read(b"s513.bin", options) == bench.content("s513.bin")
        return peer.options


async def _blocks(peer: Peer, count: int) -> list[int]:
    return [block(await peer.hear())[1] for _ in range(count)]


async def test_t15_without_options_there_is_no_oack(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"s513.bin"))
        assert block(await peer.hear()) == (3, 1)
        peer.say(STOP)


async def test_t16_blksize_1428(bench: Bench, tmp_path: Path) -> None:
    assert await bench.tftpy("loader.efi", tmp_path / "out", {"blksize": 1428}) == bench.content("loader.efi")
    with bench.peer() as peer:
        peer.ask(request(1, b"loader.efi", options={"blksize": "1428"}))
        assert await peer.hear() == b"\0\6blksize\x001428\0"
        peer.ack(0)
        assert len(await peer.hear()) == 4 + 1428
        peer.say(STOP)


async def test_t17_blksize_65464_is_lowered_to_what_the_way_carries_whole(bench: Bench, tmp_path: Path) -> None:
    assert await bench.tftpy("loader.efi", tmp_path / "out", {"blksize": 65464}) == bench.content("loader.efi")
    assert await _agreed(bench, {"blksize": "65464"}) == {"blksize": "1468"}  # 1500 - 20 - 8 - 4


@pytest.mark.parametrize("value", ["0", "7", "65465", "-1", "abc", "", "1_0", " 512", "9" * 40])
async def test_t18_an_illegal_blksize_is_not_agreed_to(bench: Bench, value: str) -> None:
    assert await _agreed(bench, {"blksize": value}) == {}


async def test_t19_tsize_is_the_files_size(bench: Bench, tmp_path: Path) -> None:
    with bench.peer() as peer:
        await peer.read(b"loader.efi", {"tsize": "0", "blksize": "1468"})
        assert peer.options == {"tsize": "996864", "blksize": "1468"}
    assert await bench.tftpy("seventy.bin", tmp_path / "out", {"tsize": 0}) == bench.content("seventy.bin")


async def test_t20_a_timeout_of_one_second_is_kept(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    with bench.peer() as peer:
        peer.ask(request(1, b"s513.bin", options={"timeout": "1"}))
        assert await peer.hear() == b"\0\6timeout\x001\0"
        peer.ack(0)
        first, began = await peer.hear(), loop.time()
        assert await peer.hear() == first
        assert loop.time() - began >= 0.5
        peer.say(STOP)


@pytest.mark.parametrize("value", ["0", "256", "x"])
async def test_t21_an_illegal_timeout_is_not_agreed_to(bench: Bench, value: str) -> None:
    assert await _agreed(bench, {"timeout": value}) == {}


async def test_t22_a_window_of_eight_comes_before_any_ack(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"seventy.bin", options={"windowsize": "8"}))
        assert await peer.hear() == b"\0\6windowsize\x008\0"
        peer.ack(0)
        assert await _blocks(peer, 8) == list(range(1, 9))
        assert await bench.handled(peer) == []
        peer.say(STOP)


async def test_t23_an_ack_in_mid_window_resumes_right_behind_it(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"seventy.bin", options={"windowsize": "8"}))
        await peer.hear()
        peer.ack(0)
        await _blocks(peer, 8)
        peer.ack(3)
        assert await _blocks(peer, 8) == list(range(4, 12))
        peer.say(STOP)


async def test_t23_what_is_lost_in_a_window_is_made_good(bench: Bench) -> None:
    """Any block but a window's last may be lost; the reader tells at once, so no timer is needed (RFC 7440 4)."""
    content, losses = bytearray(), random.Random(23)
    with bench.peer() as peer:
        peer.ask(request(1, b"seventy.bin", options={"windowsize": "8"}))
        await peer.hear()
        peer.ack(0)
        done, acked, last = 0, 0, len(bench.content("seventy.bin")) // 512 + 1
        while done < last:
            packet = await peer.hear()
            number = block(packet)[1]
            if number not in (acked + 8, last) and losses.random() < 1 / 12:
                continue
            if number == done + 1:
                done += 1
                content += packet[4:]
            if done in (acked + 8, last) or number > done:
                acked = done
                peer.ack(done)
        assert bytes(content) == bench.content("seventy.bin")


@pytest.mark.parametrize("value", ["0", "65536", "x"])
async def test_t24_an_illegal_windowsize_is_not_agreed_to(bench: Bench, value: str) -> None:
    assert await _agreed(bench, {"windowsize": value}) == {}


@pytest.mark.parametrize("name", ["multicast", "utimeout", "rollover", "nosuch"])
async def test_t25_an_unknown_option_is_left_out(bench: Bench, name: str) -> None:
    assert await _agreed(bench, {name: "1"}) == {}
    assert await _agreed(bench, {name: "1", "tsize": "0"}) == {"tsize": "513"}


async def test_t26_option_names_are_taken_in_any_case(bench: Bench) -> None:
    assert await _agreed(bench, {"BLKSIZE": "1428", "TSize": "0"}) == {"blksize": "1428", "tsize": "513"}


async def test_t27_an_option_given_twice_is_answered_once(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"s513.bin") + b"blksize\x001024\0BLKSIZE\x00600\0")
        assert await peer.hear() == b"\0\6blksize\x001024\0"
        peer.say(STOP)


async def test_t28_an_oack_is_sent_again(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"s513.bin", options={"tsize": "0"}))
        first = await peer.hear()
        assert await peer.hear(6) == first == b"\0\6tsize\x00513\0"
        peer.ack(0)
        assert block(await peer.hear()) == (3, 1)
        peer.say(STOP)


@pytest.mark.parametrize("code", [0, 8])
async def test_t29_a_size_probe_ends_at_once(bench: Bench, code: int) -> None:
    probes = bench.service.tftp.counters["probes"]
    with bench.peer() as peer:
        peer.ask(request(1, b"loader.efi", options={"tsize": "0"}))
        assert await peer.hear() == b"\0\6tsize\x00996864\0"
        peer.say(b"\0\5\0" + bytes([code]) + b"User aborted\0")
        await bench.over(peer)
        assert drained(peer) == []
    # Readers of tests before may be missed only now.
    assert bench.service.tftp.counters["probes"] > probes


async def test_t30_a_readers_error_ends_the_transfer(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"loader.efi", options={"windowsize": "4"}))
        await peer.hear()
        peer.ack(0)
        await _blocks(peer, 4)
        peer.say(b"\0\5\0\3disk full\0")
        await bench.over(peer)
        assert drained(peer) == []


async def _long(bench: Bench, megabytes: int) -> bytes:
    content = random.Random(31).randbytes(1 << 20) * megabytes
    await asyncio.to_thread((bench.root / "long.bin").write_bytes, content)
    return content


async def test_t31_block_numbers_roll_over(bench: Bench) -> None:
    content = await _long(bench, 34)
    with bench.peer() as peer:
        assert await peer.read(b"long.bin", {"windowsize": "64", "blksize": "512"}) == content


@pytest.mark.full
async def test_t31_block_numbers_roll_over_in_lock_step(bench: Bench, tmp_path: Path) -> None:
    content = await _long(bench, 34)
    assert await bench.tftpy("long.bin", tmp_path / "out", {"blksize": 512}) == content


@pytest.mark.parametrize("windowsize", ["1", "32"])
async def test_t32_throughput(bench: Bench, windowsize: str) -> None:
    content = await _long(bench, 4)
    loop = asyncio.get_running_loop()
    with bench.peer() as peer:
        began = loop.time()
        assert await peer.read(b"long.bin", {"blksize": "1428", "windowsize": windowsize}) == content
        seconds = loop.time() - began
    print(f"blksize 1428, windowsize {windowsize}: {len(content) / seconds / 1e6:.0f} MB/s")  # noqa: T201 - with -s


async def test_t39_a_request_of_uefi_firmware_completes(bench: Bench) -> None:
    with bench.peer() as peer:
        options = {"tsize": "0", "blksize": "1468", "windowsize": "4"}
        assert await peer.read(b"loader.efi", options) == bench.content("loader.efi")
        assert peer.options == {"tsize": "996864", "blksize": "1468", "windowsize": "4"}


@pytest.mark.parametrize("options", [{"blksize": 1432, "tsize": 0}, {"blksize": 1456}], ids=["ipxe", "intel"])
async def test_t40_requests_of_ipxe_and_intel_roms_complete(
    bench: Bench, tmp_path: Path, options: dict[str, int]
) -> None:
    with bench.peer() as probe:
        probe.ask(request(1, b"loader.efi", options={"tsize": "0"}))
        await probe.hear()
        probe.say(b"\0\5\0\0\0")
        await bench.over(probe)
    assert await bench.tftpy("loader.efi", tmp_path / "out", options) == bench.content("loader.efi")
