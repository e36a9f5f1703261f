"""Stores, leases and events for the tests of the store and of the services above it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from threading import Event as Flag
from typing import Any

from app.model.event import Event, EventDraft
from app.model.subnet import Lease
from app.store.leases import LeaseJournal
from app.store.store import Store


class SetClock:
    """A clock that stands where it was set."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def mac(number: int) -> str:
    return f"52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def lease(number: int, clock_now: float = 1_700_000_000.0, **fields: Any) -> Lease:
    values = {
        "address": IPv4Address("10.7.0.0") + number,
        "mac": mac(number),
        "subnet": "rack7",
        "since": clock_now,
        "expires": clock_now + 3600,
    }
    return Lease(**{**values, **fields})


def draft(kind: str = "tftp.sent", message: str = "sent", **fields: Any) -> EventDraft:
    return EventDraft(time=1_700_000_000.0, kind=kind, message=message, **fields)


def commit(journal: LeaseJournal, leases: Sequence[Lease], seconds: float = 20) -> BaseException | None:
    """Commit and wait for the answer."""
    answered = Flag()
    answers: list[BaseException | None] = []

    def done(error: BaseException | None) -> None:
        answers.append(error)
        answered.set()

    journal.commit(leases, done)
    assert answered.wait(seconds), "the journal did not answer"
    return answers[0]


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        Flag().wait(0.005)


def settled(store: Store, count: int) -> tuple[Event, ...]:
    """The newest `count` events, once there are so many."""
    until(lambda: len(store.events.tail()) >= count)
    return store.events.tail(count)
