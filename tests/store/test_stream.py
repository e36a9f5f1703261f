"""Following the stream: from any event on, stored or live, each once and in order, nobody waiting for the reader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.model.event import Event
from app.store import events as events_module
from app.store import stream
from app.store.store import Store, open_store
from tests.store.stores import SetClock, draft, mac, until


async def _take(source: AsyncGenerator[Event, None], count: int) -> list[int]:
    async with asyncio.timeout(20):
        return [(await anext(source)).id for _ in range(count)]


@pytest.fixture
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tail so short that readers go to the disk often."""
    monkeypatch.setattr(stream.Tail.__init__, "__defaults__", (50,))
    monkeypatch.setattr(events_module, "TAIL", 50)
    monkeypatch.setattr(events_module, "CHUNK", 7)


@pytest.mark.usefixtures("short_tail")
async def test_no_gap_and_no_double_between_stored_and_live(data_dir: Path, clock: SetClock) -> None:
    store = open_store(data_dir, clock)
    try:
        total = 3000

        def publish() -> None:
            for number in range(total):
                store.events.emit(draft(message=str(number)))
                if number % 40 == 0:
                    until(lambda number=number: store.events.last_id >= number - 200)

        publisher = threading.Thread(target=publish)
        publisher.start()
        readers = [store.events.subscribe(after) for after in (0, 0, 100, 1500)]
        found = await asyncio.gather(
            _take(readers[0], total),
            _take(readers[1], total),
            _take(readers[2], total - 100),
            _take(readers[3], total - 1500),
        )
        publisher.join()
        for reader in readers:
            await reader.aclose()

        for after, ids in zip((0, 0, 100, 1500), found, strict=True):
            assert ids == list(range(after + 1, total + 1))
        assert store.events._tail._followers == set()
    finally:
        store.close()


async def test_a_stream_goes_on_after_a_restart(data_dir: Path, clock: SetClock) -> None:
    store = open_store(data_dir, clock)
    for _ in range(10):
        store.events.emit(draft())
    source = store.events.subscribe(0)
    assert await _take(source, 10) == list(range(1, 11))
    await asyncio.to_thread(store.close)
    with pytest.raises(StopAsyncIteration):
        await anext(source)

    reopened = open_store(data_dir, clock)
    source = reopened.events.subscribe(7)
    reopened.events.emit(draft())
    assert await _take(source, 4) == [8, 9, 10, 11]
    await source.aclose()
    await asyncio.to_thread(reopened.close)


async def test_without_a_beginning_it_is_from_the_call_on(store: Store) -> None:
    store.events.emit(draft())
    until(lambda: store.events.last_id == 1)
    source = store.events.subscribe()
    store.events.emit(draft())

    assert await _take(source, 1) == [2]
    await source.aclose()


async def test_a_stream_of_one_machine_and_kind(store: Store) -> None:
    source = store.events.subscribe(0, machine=mac(1), kind="tftp.")
    for number in range(1, 9):
        store.events.emit(draft(kind="tftp.sent" if number % 2 else "http.sent", mac=mac(number % 4)))

    assert await _take(source, 2) == [1, 5]
    await source.aclose()


@pytest.mark.usefixtures("short_tail")
async def test_a_reader_who_slept_is_caught_up_and_delays_nobody(data_dir: Path, clock: SetClock) -> None:
    store = open_store(data_dir, clock)
    try:
        slow = store.events.subscribe(0)
        store.events.emit(draft())
        assert await _take(slow, 1) == [1]
        # It does not read now, and the loop it lives in does nothing else: nobody can be waiting for it.
        for _ in range(1000):
            store.events.emit(draft())
        until(lambda: store.events.last_id == 1001)

        assert await _take(slow, 1000) == list(range(2, 1002))
        await slow.aclose()
    finally:
        await asyncio.to_thread(store.close)


def test_a_reader_in_a_loop_that_ended_is_left_behind(store: Store) -> None:
    async def begin() -> AsyncGenerator[Event, None]:
        source = store.events.subscribe(0)
        store.events.emit(draft())
        assert await _take(source, 1) == [1]
        return source

    loop = asyncio.new_event_loop()
    source = loop.run_until_complete(begin())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    store.events.emit(draft())
    until(lambda: store.events._tail._followers == set())

    assert store.events.last_id == 2
    del source
