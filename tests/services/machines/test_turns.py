"""Many threads, one of which works for those that wait."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.services.machines.turns import Turns
from tests.store.stores import until


def test_each_is_done_once_and_in_order() -> None:
    done: list[int] = []
    inside = threading.Lock()

    def work(items: Sequence[int]) -> None:
        assert inside.acquire(blocking=False)
        done.extend(items)
        inside.release()

    turns = Turns(work)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(turns.do, range(500)))
    assert sorted(done) == list(range(500))
    assert turns.waiting == 0


def test_those_that_wait_are_done_together_by_one_of_them() -> None:
    go = threading.Event()
    batches: list[tuple[str, Sequence[int]]] = []

    def work(items: Sequence[int]) -> None:
        batches.append((threading.current_thread().name, items))
        assert go.wait(20)

    turns = Turns(work)
    with ThreadPoolExecutor(5, thread_name_prefix="pool") as pool:
        found = [pool.submit(turns.do, 0)]
        until(lambda: bool(batches))
        for number in range(1, 5):
            found.append(pool.submit(turns.do, number))
            until(lambda number=number: turns.waiting == number)
        go.set()
        for each in found:
            each.result(20)
    assert [items for _, items in batches] == [[0], [1, 2, 3, 4]]
    assert batches[0][0] != batches[1][0]


def test_a_fault_is_its_workers_and_others_go_on() -> None:
    def work(items: Sequence[str]) -> None:
        if "bad" in items:
            raise RuntimeError("it fell over")

    turns = Turns(work)
    with pytest.raises(RuntimeError, match="fell over"):
        turns.do("bad")
    turns.do("good")
