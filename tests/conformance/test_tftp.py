"""RFC 1350 on the wire: T01–T14, T33–T38 and T41."""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

import pytest
import tftpy

from tests.conformance.tftpbench import PORT, SECOND, SERVER, SERVER6, Bench, block, drained
from tests.services.tftp.peer import request

pytestmark = pytest.mark.root


async def _one_answer(bench: Bench, packet: bytes) -> bytes:
    """What a packet is answered before the request for a file that is missing, sent after it from the same port."""
    with bench.peer() as peer:
        peer.ask(packet)
        peer.ask(request(1, b"the-end-of-it"))
        loop = asyncio.get_running_loop()
        heard = b""
        async with asyncio.timeout(20):
            while True:
                said, _ = await loop.sock_recvfrom(peer.sock, 70000)
                if said.startswith(b"\0\5\0\1"):
                    return heard
                heard = heard or said


@pytest.mark.parametrize("reader", ["tftpy", "socket"])
async def test_t01_a_file_of_513_octets_is_two_blocks(bench: Bench, tmp_path: Path, reader: str) -> None:
    if reader == "tftpy":
        assert await bench.tftpy("s513.bin", tmp_path / "out") == bench.content("s513.bin")
        return
    with bench.peer() as peer:
        peer.ask(request(1, b"s513.bin"))
        first = await peer.hear()
        peer.ack(1)
        second = await peer.hear()
        peer.ack(2)
        assert (block(first), block(second)) == ((3, 1), (3, 2))
        assert (len(first), len(second)) == (516, 5)
        await bench.over(peer)
        assert drained(peer) == []


async def test_t02_a_transfer_has_one_port_of_its_own(bench: Bench) -> None:
    ports: set[int] = set()
    for _ in range(3):
        with bench.peer() as peer:
            assert await peer.read(b"s1024.bin") == bench.content("s1024.bin")  # `hear` refuses a second port
            assert peer.tid is not None
            ports.add(peer.tid[1])
    assert PORT not in ports


@pytest.mark.parametrize("name", ["s512.bin", "s1024.bin"])
async def test_t03_whole_blocks_end_with_an_empty_one(bench: Bench, tmp_path: Path, name: str) -> None:
    assert await bench.tftpy(name, tmp_path / "out") == bench.content(name)
    with bench.peer() as peer:
        peer.ask(request(1, name.encode()))
        blocks = len(bench.content(name)) // 512
        for number in range(1, blocks + 1):
            assert len(await peer.hear()) == 516
            peer.ack(number)
        assert await peer.hear() == struct.pack("!HH", 3, blocks + 1)
        peer.ack(blocks + 1)


async def test_t04_an_empty_file_is_one_empty_block(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"empty.bin"))
        assert await peer.hear() == b"\0\3\0\1"
        peer.ack(1)
        await bench.over(peer)


async def test_t05_a_missing_file_is_error_1(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(tftpy.TftpFileNotFoundError):
        await bench.tftpy("nothing.here", tmp_path / "out")
    with bench.peer() as peer:
        peer.ask(request(1, b"nothing.here"))
        said = await peer.hear()
        assert block(said) == (5, 1)
        assert said.endswith(b"\0")
        assert len(said) > 5


async def test_t06_unacknowledged_data_is_sent_again_from_the_same_port(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"s513.bin"))
        first = await peer.hear()
        assert await peer.hear(6) == first  # `hear` refuses another port
        peer.say(b"\0\5\0\0\0")


async def test_t07_a_repeated_ack_does_not_repeat_data(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"loader.efi"))
        await peer.hear()
        for _ in range(3):
            peer.ack(1)
        assert [block(one) for one in await bench.handled(peer)] == [(3, 2)]
        peer.say(b"\0\5\0\0\0")


async def test_t08_an_ack_of_what_was_not_sent_skips_nothing(bench: Bench) -> None:
    with bench.peer() as peer:
        peer.ask(request(1, b"loader.efi"))
        await peer.hear()
        for early in (2, 5, 0x8000, 0xFFFF):
            peer.ack(early)
        assert await bench.handled(peer) == []
        peer.ack(1)
        assert [block(one) for one in await bench.handled(peer)] == [(3, 2)]
        peer.say(b"\0\5\0\0\0")


async def test_t09_a_stranger_is_told_error_5(bench: Bench) -> None:
    with bench.peer() as peer, bench.peer() as stranger:
        peer.ask(request(1, b"s1024.bin"))
        await peer.hear()
        stranger.tid = peer.tid
        stranger.ack(1)
        assert block(await stranger.hear()) == (5, 5)
        peer.say(b"\0\5\0\0\0")


@pytest.mark.parametrize(
    "packet", [b"\0\4\0\1", b"\0\5\0\0stop\0", b"junk", b""], ids=["ack", "error", "junk", "empty"]
)
async def test_t10_a_stranger_disturbs_nothing(bench: Bench, packet: bytes) -> None:
    with bench.peer() as peer, bench.peer() as stranger:
        peer.ask(request(1, b"s1024.bin"))
        content = (await peer.hear())[4:]
        stranger.tid = peer.tid
        stranger.say(packet)
        assert await bench.handled(peer) == []
        for number in (1, 2):
            peer.ack(number)
            content += (await peer.hear())[4:]
        peer.ack(3)
        assert content == bench.content("s1024.bin")


@pytest.mark.parametrize("mode", [b"OCTET", b"OcTeT", b"NetASCII"])
async def test_t11_the_mode_is_taken_in_any_case(bench: Bench, mode: bytes) -> None:
    with bench.peer() as peer:
        assert await peer.read(b"boot/x64/wds.bin", mode=mode) is not None


async def test_t12_netascii(bench: Bench) -> None:
    with bench.peer() as peer:
        assert await peer.read(b"text.txt", {"tsize": "0"}, b"netascii") == b"one\r\ntwo\r\0three\r\n"
        assert peer.options == {"tsize": "17"}


@pytest.mark.parametrize("mode", [b"mail", b"binary", b"", b"oct\xc3\xa9t"])
async def test_t13_an_unknown_mode_is_refused(bench: Bench, mode: bytes) -> None:
    with bench.peer() as peer:
        assert await peer.read(b"s513.bin", mode=mode) is None
        assert peer.error is not None
    with bench.peer() as peer:
        assert await peer.read(b"s513.bin") == bench.content("s513.bin")


@pytest.mark.parametrize("name", [b"new.bin", b"s513.bin", b"/tmp/new.bin"])
async def test_t14_writing_is_refused(bench: Bench, name: bytes) -> None:
    before = sorted(os.listdir(bench.root))
    with bench.peer() as peer:
        peer.ask(request(2, name, options={"tsize": "5"}))
        assert block(await peer.hear())[0] == 5
    assert sorted(os.listdir(bench.root)) == before
    assert len(bench.content("s513.bin")) == 513


CLIMBING = [
    b"../beside.txt", b"/../beside.txt", b"boot/../../beside.txt", b"..\\beside.txt", b"boot\\..\\..\\beside.txt",
    b"%2e%2e/beside.txt", b"..%2fbeside.txt", b"....//beside.txt", b"\xc0\xae\xc0\xae/beside.txt", b"./../beside.txt",
    b"boot/x64/../../../beside.txt", b"C:\\beside.txt", b"../root/../beside.txt", b"//..//beside.txt",
]  # fmt: skip


async def test_t33_no_spelling_leads_out_of_the_root(bench: Bench) -> None:
    for name in (*CLIMBING, str(bench.root.parent / "beside.txt").encode()):
        with bench.peer() as peer:
            assert await peer.read(name) is None, name
            assert peer.error is not None
            assert peer.error[0] in (1, 2), name


async def test_t34_a_link_out_of_the_root_is_not_followed(bench: Bench) -> None:
    for name in (b"out", b"/out", b"boot\\..\\out"):
        with bench.peer() as peer:
            assert await peer.read(name) is None, name


MALFORMED = [
    b"", b"\0", b"\0\1", b"\0\1\0", b"\0\1\0\0\0", b"\0\1name", b"\0\1name\0", b"\0\1name\0octet", b"\0\1\0octet\0",
    b"\0\1" + b"n" * 2000 + b"\0octet\0", b"\0\1name\0\xff\xfe\0", b"\0\1name\0octet\0blk\xffsize\x001\0",
    b"\0\2", b"\0\2\0octet\0", b"\xff\xff\xff\xff",
]  # fmt: skip


async def test_t35_malformed_packets_end_nothing(bench: Bench) -> None:
    for packet in MALFORMED:
        said = await _one_answer(bench, packet)
        assert not said or said.startswith(b"\0\5"), packet
    with bench.peer() as peer:
        assert await peer.read(b"s513.bin") == bench.content("s513.bin")


@pytest.mark.parametrize("op", [0, 3, 4, 5, 6, 7, 99, 65535])
async def test_t36_an_illegal_opcode_is_never_answered_with_data(bench: Bench, op: int) -> None:
    said = await _one_answer(bench, struct.pack("!H", op) + b"s513.bin\0octet\0")
    assert said[:4] in (b"", b"\0\5\0\4")


async def test_t37_a_leading_slash_names_the_same_file(bench: Bench, tmp_path: Path) -> None:
    for name in ("/s513.bin", "//s513.bin", "./s513.bin"):
        assert await bench.tftpy(name, tmp_path / "out") == bench.content("s513.bin")


async def test_t38_backslashes_name_the_same_file(bench: Bench, tmp_path: Path) -> None:
    for name in ("boot\\x64\\wds.bin", "\\boot\\x64\\wds.bin", "boot\\x64/wds.bin"):
        assert await bench.tftpy(name, tmp_path / "out") == bench.content("boot/x64/wds.bin")


@pytest.mark.parametrize("address", [SERVER, SECOND, SERVER6])
async def test_t41_the_answer_comes_from_the_address_that_was_asked(bench: Bench, address: str) -> None:
    for name in (b"s513.bin", b"missing"):
        with bench.peer(address) as peer:
            await peer.read(name)
            assert peer.tid is not None
            assert peer.tid[0] == address
