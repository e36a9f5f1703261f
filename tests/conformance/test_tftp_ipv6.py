"""The same protocol over IPv6, from global and link-local addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import netns
from tests.conformance.tftpbench import READER6, SERVER6, Bench, block
from tests.services.tftp.peer import request

pytestmark = pytest.mark.root


def _link_local(ns: str) -> str:
    words = netns.run(ns, ["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link"]).stdout.split()
    return words[words.index("inet6") + 1].partition("/")[0]


@pytest.mark.parametrize(
    "options", [{}, {"blksize": "1428", "tsize": "0", "windowsize": "4"}], ids=["plain", "options"]
)
async def test_t01_a_file_arrives_whole_over_ipv6(bench: Bench, options: dict[str, str]) -> None:
    with bench.peer(SERVER6) as peer:
        assert await peer.read(b"loader.efi", options) == bench.content("loader.efi")
    sent = await bench.service.told("tftp.sent")
    assert sent.address == READER6


async def test_t17_blocks_are_lowered_to_what_ipv6_carries_whole(bench: Bench) -> None:
    with bench.peer(SERVER6) as peer:
        assert await peer.read(b"loader.efi", {"blksize": "65464"}) == bench.content("loader.efi")
        assert peer.options == {"blksize": "1448"}  # 1500 - 40 - 8 - 4


async def test_t41_a_link_local_address_answers_for_itself(bench: Bench) -> None:
    server, own = _link_local(bench.server), _link_local(bench.reader)
    with bench.peer(f"{server}%eth0", f"{own}%eth0") as peer:
        assert await peer.read(b"loader.efi", {"blksize": "1428"}) == bench.content("loader.efi")
        assert peer.tid is not None
        assert peer.tid[0] == server


async def test_t05_a_missing_file_is_error_1_over_ipv6(bench: Bench) -> None:
    with bench.peer(SERVER6) as peer:
        peer.ask(request(1, b"nothing.here"))
        assert block(await peer.hear()) == (5, 1)


async def test_t06_a_reader_that_closed_its_port_is_forgotten_at_once(bench: Bench) -> None:
    failed = bench.service.tftp.counters["failed"]
    with bench.peer(SERVER6) as peer:
        peer.ask(request(1, b"loader.efi"))
        await peer.hear()
    found = await bench.service.told("tftp.failed", 10)
    assert "closed its port" in found.message
    assert bench.service.tftp.counters["failed"] == failed + 1


async def test_t14_writing_is_refused_over_ipv6(bench: Bench) -> None:
    with bench.peer(SERVER6) as peer:
        peer.ask(request(2, b"new.bin"))
        assert block(await peer.hear()) == (5, 2)


async def test_t01_curl_fetches_over_ipv6(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    netns.run(bench.reader, ["curl", "-sS", "-o", str(out), f"tftp://[{SERVER6}]/loader.efi"])
    assert out.stat().st_size == 996_864
