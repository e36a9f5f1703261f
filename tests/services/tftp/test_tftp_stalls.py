"""Readers that say nothing more: how soon they are forgotten, and what is learned of the way to them."""

from __future__ import annotations

import asyncio
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.netboot.wire import tftp
from app.services.tftp.source import MemorySource
from app.services.tftp.transfer import Report, Transfer
from tests.services.tftp.peer import MAC, Peer, Service, request

LARGE = {"blksize": "1468", "tsize": "0"}


class _Hurried(selectors.DefaultSelector):
    """A selector that never waits: where nothing is ready, the time it was to wait has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            self.now += timeout or 0.0
        return ready


class _HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hurried = _Hurried()
        super().__init__(self._hurried)

    def time(self) -> float:
        return self._hurried.now


@pytest.mark.parametrize("timeout", range(9))
@pytest.mark.parametrize("answered", [0, 1, 3])
def test_t43_a_silent_reader_is_gone_within_30_s_whatever_timeout_it_asked_for(timeout: int, answered: int) -> None:
    terms = tftp.Terms(timeout=timeout, accepted={"timeout": str(timeout)} if timeout else {})
    reports: list[tuple[float, Report]] = []
    loop = _HurriedLoop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader, ThreadPoolExecutor(1) as pool:
        reader.bind(("127.0.0.1", 0))
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        tid: Any = sock.getsockname()

        async def main() -> None:
            ended = loop.create_future()

            def done(_: Transfer, report: Report) -> None:
                reports.append((loop.time(), report))
                ended.set_result(None)

            source = MemorySource(bytes(5000))
            peer = reader.getsockname()
            Transfer(loop, sock, peer, source, terms, pool=pool, done=done).start()
            for number in range(answered):
                reader.sendto(b"\0\4" + (number if timeout else number + 1).to_bytes(2, "big"), tid)
            await ended

        loop.run_until_complete(main())
        loop.close()
    (seconds, report), *_ = reports
    assert 20 < seconds <= 30
    assert report.why == f"the machine {'stopped answering' if answered else 'never answered'}"


async def _stalled(peer: Peer, options: dict[str, str]) -> None:
    """Agree to the options, and have the first block sent twice without a word."""
    peer.ask(request(1, b"loader.efi", options=options))
    assert (await peer.hear())[:2] == b"\0\6"
    peer.ack(0)
    first = await peer.hear()
    assert await peer.hear() == first


async def _agreed(service: Service, options: dict[str, str]) -> str:
    with Peer(service.port) as peer:
        assert await peer.read(b"loader.efi", options) is not None
        return peer.options["blksize"]


async def test_d12_a_machine_whose_way_loses_large_blocks_gets_smaller_ones(service: Service) -> None:
    with Peer(service.port) as first, Peer(service.port) as second:
        await _stalled(first, LARGE)
        await _stalled(second, LARGE)  # it asks again from another port, and meets the next step
        told = [event for event in service.events if event.kind == "tftp.lowered"]
        assert [(event.data["was"], event.data["blksize"], event.mac) for event in told] == [(1468, 1408, MAC)]
        assert "of at most 1408 bytes" in told[0].message
        assert await _agreed(service, LARGE) == "512"
    # It stays so, and who asks for less gets that.
    assert await _agreed(service, LARGE) == "512"
    assert await _agreed(service, {"blksize": "400"}) == "400"
    assert service.kinds().count("tftp.lowered") == 2


async def test_d12_an_abort_after_silence_tells_the_same(service: Service) -> None:
    with Peer(service.port) as peer:
        await _stalled(peer, LARGE)
        peer.say(b"\0\5\0\0timed out\0")
        assert (await service.told("tftp.lowered")).data["blksize"] == 1408
    assert await _agreed(service, LARGE) == "1408"


async def test_a_reader_that_goes_on_keeps_its_blocks(service: Service) -> None:
    with Peer(service.port) as peer:
        await _stalled(peer, LARGE)
        peer.ack(1)
        await peer.hear()
        peer.say(b"\0\5\0\0enough\0")
        await service.told("tftp.aborted")
    assert await _agreed(service, LARGE) == "1468"
