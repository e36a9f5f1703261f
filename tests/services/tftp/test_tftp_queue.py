"""Where as many transfers run as may, who asks next waits for its turn, and nobody who is alive is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.services.tftp import queue, transfer
from app.services.tftp import service as service_module
from app.services.tftp.queue import Queue
from tests.services.tftp.peer import Peer, Service, request


async def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def _readers(service: Service, count: int) -> Iterator[list[Peer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Peer(service.port)) for _ in range(count)]


async def test_who_asks_next_waits_and_need_not_ask_again(service: Service, root: Path) -> None:
    service.tftp._most = 2
    loader = (root / "loader.efi").read_bytes()
    with _readers(service, 4) as (first, second, third, fourth):
        for each in (first, second):
            each.ask(request(1, b"loader.efi"))
            assert (await each.hear())[:4] == b"\0\3\0\1"
        for number, each in enumerate((third, fourth), 1):
            each.ask(request(1, b"loader.efi"))
            await _until(lambda number=number: len(service.tftp._queue) == number)
        # A repeated request does not move it.
        third.ask(request(1, b"loader.efi"))
        assert await first.read(b"loader.efi") == loader  # anew, from the same port
        assert (await third.hear())[:4] == b"\0\3\0\1"
        assert service.tftp.counters["dropped"] == 0
        assert len(service.tftp._queue) == 1


async def test_a_dead_one_gives_way(service: Service, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "ALIVE", 0.05)
    service.tftp._most = 1
    with _readers(service, 2) as (dead, other):
        dead.ask(request(1, b"loader.efi"))
        await dead.hear()
        await asyncio.sleep(0.06)
        assert await other.read(b"loader.efi") == (root / "loader.efi").read_bytes()
    assert "silent for longest" in (await service.told("tftp.failed")).message


def test_the_queue_keeps_the_order_and_forgets_who_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "QUEUE_MAX", 3)
    now = [0.0]
    waiting: Queue[str] = Queue(lambda: now[0])
    peers = [("127.0.0.1", port) for port in range(4)]
    assert [waiting.add(peer, f"file {peer[1]}") for peer in peers] == [True, True, True, False]
    now[0] = 9.0
    assert waiting.again(peers[1], lambda asked: asked == "file 1")
    # It wants something else now.
    assert not waiting.again(peers[2], lambda asked: asked == "another")
    assert not waiting.again(peers[3], lambda asked: True)
    now[0] = 11.0
    # The first has not asked again.
    assert waiting.take() == "file 1"
    assert waiting.take() is None


async def test_a_host_that_is_late_itself_does_not_repeat_blocks(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "RESEND", (0.02,))
    monkeypatch.setattr(transfer, "OURS", 0.05)
    with Peer(service.port) as peer:
        peer.ask(request(1, b"loader.efi"))
        await peer.hear()
        running = next(iter(service.tftp._running.values())).transfer
        await _until(lambda: running._tries > 0)
        tries = running._tries
        time.sleep(0.1)  # noqa: ASYNC251 - the loop stands still, and the timer with it
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert running._tries == tries
        await _until(lambda: running._tries > tries)
