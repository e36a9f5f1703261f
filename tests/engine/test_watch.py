"""Threads that hang are noticed, and the service manager's watchdog hears from an engine only while none does."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from app.engine.watch import LATE_ROUNDS, Watch, watchdog_seconds


class Thread:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.hangs = False
        self.asked = 0
        self._waiting: list[Callable[[], None]] = []

    def beat(self, answered: Callable[[], None]) -> None:
        self.asked += 1
        self._waiting.append(answered)
        if not self.hangs:
            self.go_on()

    def go_on(self) -> None:
        self.hangs = False
        for answered in self._waiting:
            answered()
        self._waiting.clear()


class Watched:
    """A watch over two threads, and all it says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.wanted = True
        self.dhcp, self.store = Thread(), Thread()
        # So short that every round is one in which to say that we live.
        self.watch = Watch(
            lambda name: self.said.append(f"late {name}"),
            lambda name: self.said.append(f"back {name}"),
            watchdog=1e-9,
            tell=self.said.append,
        )
        self.watch.over("dhcp", self.dhcp.beat, lambda: self.wanted)
        self.watch.over("store", self.store.beat)

    def rounds(self, number: int) -> list[str]:
        """What is said in so many rounds."""
        self.said.clear()
        for _ in range(number):
            self.watch.look()
        return self.said


def test_while_all_answer_the_watchdog_is_fed() -> None:
    assert Watched().rounds(3) == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize("which", ["dhcp", "store"])
def test_one_that_hangs_is_told_once_and_stops_the_watchdog(which: str) -> None:
    all_ = Watched()
    all_.rounds(1)
    hanging: Thread = getattr(all_, which)
    hanging.hangs = True

    # It was asked and may be busy for a moment.
    assert all_.rounds(2) == ["WATCHDOG=1"] * 2
    assert all_.rounds(LATE_ROUNDS - 1) == [f"late {which}"]
    assert all_.watch.hanging() == [which]
    assert all_.rounds(50) == []
    hanging.go_on()
    assert all_.rounds(2) == [f"back {which}", "WATCHDOG=1", "WATCHDOG=1"]
    assert all_.watch.hanging() == []


def test_one_that_was_replaced_is_asked_anew() -> None:
    all_ = Watched()
    all_.dhcp.hangs = True
    all_.rounds(LATE_ROUNDS + 2)
    all_.dhcp = Thread()
    all_.watch.over("dhcp", all_.dhcp.beat, lambda: all_.wanted)

    assert all_.rounds(1) == ["WATCHDOG=1"]


def test_of_a_service_that_is_stopped_nothing_is_asked() -> None:
    all_ = Watched()
    all_.dhcp.hangs = True
    all_.rounds(3)
    asked = all_.dhcp.asked
    all_.wanted = False

    assert all_.rounds(LATE_ROUNDS * 2) == ["WATCHDOG=1"] * LATE_ROUNDS * 2
    assert all_.dhcp.asked == asked


def test_a_sign_of_life_that_was_not_taken_is_given_again_the_next_round() -> None:
    """The manager's queue may be full, of others' words: it is not to take us for one that hangs."""
    takes = iter([False, False, True, True])
    said: list[str] = []

    def tell(line: str) -> bool:
        said.append(line)
        return next(takes)

    watch = Watch(said.append, said.append, watchdog=1000, tell=tell)
    for _ in range(10):
        watch.look()

    assert said == ["WATCHDOG=1"] * 3


def test_without_a_watchdog_nobody_is_told_of_life() -> None:
    said: list[str] = []
    watch = Watch(said.append, said.append, tell=said.append)
    for _ in range(3):
        watch.look()

    assert said == []


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        # Inherited: meant for another.
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_managers_patience_is_read(environment: dict[str, str], seconds: float) -> None:
    assert watchdog_seconds(environment) == seconds
