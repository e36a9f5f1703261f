"""Disks that fill, fail or are locked: nothing is acknowledged that is not stored, and it goes on by itself."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError, OperationalError

from app.errors import BootcartError, UnavailableError
from app.model.event import Event
from app.model.query import Query
from app.store import event_rows, sqlitefile
from app.store import events as events_module
from app.store.leases import GROUP
from app.store.store import Store, open_store
from tests.store.stores import SetClock, commit, draft, lease, until


class _Fault:
    """Makes every commit fail as the operating system would, while it is on."""

    def __init__(self, store: Store) -> None:
        self.code = sqlite3.SQLITE_IOERR
        self.on = False
        self.stores = False
        """What is reported as failed is on the disk."""
        self._engine = store.database.writer._connect().engine
        event.listen(self._engine, "commit", self._fail)

    def _fail(self, connection: Connection) -> None:
        if self.on:
            if self.stores:
                connection.connection.commit()
            # Damage has no class of its own: the driver raises the one the others come from.
            damaged = self.code == sqlite3.SQLITE_CORRUPT
            error = (sqlite3.DatabaseError if damaged else sqlite3.OperationalError)("disk I/O error")
            error.sqlite_errorcode = self.code
            raise (DatabaseError if damaged else OperationalError)("COMMIT", None, error)


def _kinds(store: Store) -> list[str]:
    return [each.kind for each in store.events.tail()]


def _health(store: Store) -> list[str]:
    """What was said of the disk, oldest first, as it is on record."""
    stored = sorted(store.events.list(limit=1000).items, key=lambda each: each.id)
    return [each.kind for each in stored if each.kind in ("store.failed", "store.recovered")]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_IOERR, "input/output error"),
        (sqlite3.SQLITE_FULL, "is full"),
        (sqlite3.SQLITE_READONLY, "read-only"),
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_CORRUPT, "damaged"),
    ],
)
def test_a_failing_disk_is_told_and_survived(data_dir: Path, clock: SetClock, code: int, words: str) -> None:
    store = open_store(data_dir, clock)
    assert commit(store.leases, [lease(1)]) is None
    fault = _Fault(store)
    fault.code, fault.on = code, True

    refused = commit(store.leases, [lease(2)])
    assert isinstance(refused, UnavailableError)
    assert words in refused.message
    assert refused.hint
    assert store.directory.lease(lease(2).address) is None
    with pytest.raises(UnavailableError, match=words):
        store.directory.set_holding(True)
    assert not store.directory.holding()
    # The failure itself can be read while nothing can be stored.
    until(lambda: "store.failed" in _kinds(store))
    assert [each.kind for each in store.events.list(kind="store.").items] == ["store.failed"]
    with store.database.read() as connection:
        assert not event_rows.read(connection, event_rows.Selection(kind="store."), limit=1)

    fault.on = False
    assert commit(store.leases, [lease(3)]) is None
    until(lambda: "store.recovered" in _kinds(store))
    until(lambda: store.events.list(kind="store.").total == 2)
    assert _kinds(store).count("store.failed") == 1
    store.close()
    reopened = open_store(data_dir, clock)
    assert {each.address for each in reopened.leases.load()} == {lease(1).address, lease(3).address}
    reopened.close()


def test_leases_that_wait_are_told_with_the_first_that_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group would take as long as the database is waited for, only to fail in its turn."""
    tried: list[int] = []
    write = store.leases.write

    def counted(connection: Connection, batch: Any) -> None:
        tried.append(len(batch))
        write(connection, batch)

    monkeypatch.setattr(store.leases, "write", counted)
    answers: list[BaseException | None] = []

    def all_at_once() -> None:
        # In the writer's thread: nothing is written before all of them wait.
        def queue() -> None:
            for number in range(3 * GROUP + 8):
                store.leases.commit([lease(number)], answers.append)

        store.database.writer.beat(queue)
        until(lambda: len(answers) == 3 * GROUP + 8)

    all_at_once()
    assert answers == [None] * (3 * GROUP + 8)
    assert tried == [GROUP, GROUP, GROUP, 8]

    answers.clear()
    tried.clear()
    fault = _Fault(store)
    fault.on = True
    all_at_once()
    assert all(isinstance(each, UnavailableError) for each in answers)
    assert tried == [GROUP]


def test_events_that_could_not_be_stored_are_shown_once_and_stored_later(
    data_dir: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(events_module, "UNSTORED_MAX", 60)
    monkeypatch.setattr(events_module, "QUEUE_MAX", 100)
    store = open_store(data_dir, clock)
    seen: list[Event] = []
    store.events.observe(seen.append)
    fault = _Fault(store)
    fault.on = True
    for number in range(400):
        store.events.emit(draft(message=str(number)))
    until(lambda: len(seen) >= 59)
    assert len(seen) <= 60
    # Whoever lists events reads them as who follows them does.
    last = [each.id for each in seen][-1]
    assert [each.id for each in store.events.list(limit=3).items] == [last - 2, last - 1, last]
    assert [each.id for each in store.events.list(Query(sort="-id", limit=2)).items] == [last, last - 1]
    assert [each.id for each in store.events.list(after=last - 2).items] == [last - 1, last]
    assert [each.message for each in store.events.list(Query(filter=("message=5",))).items] == ["5"]
    assert store.events.list(Query(sort="kind")).total == store.events.list(Query(offset=1)).total == 0

    fault.on = False
    until(lambda: any(each.kind == "events.dropped" for each in seen))
    until(lambda: store.events.list().total == len(seen))
    told = sum(each.data["count"] for each in seen if each.kind == "events.dropped")
    assert told == store.events.dropped > 0
    assert [each.id for each in seen] == list(range(1, len(seen) + 1))
    assert store.events.list().items == tuple(seen)
    store.close()


def test_ids_shown_before_a_kill_are_not_given_again(data_dir: Path, clock: SetClock, tmp_path: Path) -> None:
    store = open_store(data_dir, clock)
    store.events.emit(draft())
    until(lambda: store.events.last_id == 1)
    fault = _Fault(store)
    fault.on = True
    store.events.emit(draft())
    until(lambda: store.events.last_id >= 2)
    # What a kill would leave behind at this moment.
    left = tmp_path / "left"
    left.mkdir(mode=0o700)
    for name in ("bootcart.db", "bootcart.db-wal", "bootcart.db-open"):
        (left / name).write_bytes((data_dir / name).read_bytes())
    shown = store.events.last_id
    fault.on = False
    store.close()

    after = open_store(left, clock)
    after.events.emit(draft())
    until(lambda: len(after.events.tail()) == 2)
    assert after.events.last_id > shown
    after.close()


def test_an_event_that_cannot_be_stored_does_not_stop_the_leases(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def poisoned(*_: object) -> None:
        raise ValueError("poisoned")

    answers: list[BaseException | None] = []

    def together(_: Connection) -> None:
        store.events.emit(draft())
        store.leases.commit([lease(1)], answers.append)

    with monkeypatch.context() as patched:
        patched.setattr(store.events, "write", poisoned)
        store.database.write(together)
        until(lambda: answers)
    assert answers == [None]
    assert "poisoned" in caplog.text
    store.events.emit(draft())
    until(lambda: [each.kind for each in store.events.list().items] == ["tftp.sent", "events.dropped"])


def test_a_commit_in_doubt_is_not_in_the_way_of_later_ones(data_dir: Path, clock: SetClock) -> None:
    """It is reported as failed and stored all the same: what is tried again then is there already."""
    store = open_store(data_dir, clock)
    fault = _Fault(store)
    fault.stores = True
    fault.on = True
    store.events.emit(draft())
    until(lambda: "store.failed" in _kinds(store))
    fault.on = False
    assert commit(store.leases, [lease(1)]) is None
    until(lambda: "store.recovered" in _kinds(store))
    store.events.emit(draft(message="later"))
    until(lambda: store.events.list(kind="tftp.").items[-1].message == "later")
    assert [each.kind for each in store.events.list().items].count("store.failed") == 1
    store.close()


def test_a_locked_database_answers_within_the_timeout_and_recovers(
    data_dir: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlitefile, "BUSY_SECONDS", 0.3)
    store = open_store(data_dir, clock)
    commit(store.leases, [lease(1)])
    other = sqlite3.connect(data_dir / "bootcart.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    refused = commit(store.leases, [lease(2)])
    # Reading goes on meanwhile.
    assert [each.address for each in store.leases.load()] == [lease(1).address]

    # A lock that is given back in time is waited for.
    timer = threading.Timer(0.1, other.execute, ("ROLLBACK",))
    timer.start()
    accepted = commit(store.leases, [lease(3)])
    timer.join()
    other.close()
    store.close()

    assert isinstance(refused, UnavailableError)
    assert "locked" in refused.message
    assert f"`fuser {data_dir / 'bootcart.db'}` names it" in refused.hint
    assert accepted is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def _fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    assert os.statvfs(folder).f_bavail == 0
    return ballast


@pytest.mark.root
def test_a_full_disk(small_disk: Path, clock: SetClock) -> None:
    """F04: renewals and new leases are refused, never acknowledged; when space returns they are taken again."""
    store = open_store(small_disk / "data", clock)
    acknowledged = {lease(n).address for n in range(100) if commit(store.leases, [lease(n)]) is None}
    ballast = _fill(small_disk)

    refused: list[BaseException] = []
    number = 1000
    while len(refused) < 20:
        # The log's spare room may take some more; what it takes is acknowledged and must stay.
        answer = commit(store.leases, [lease(number)])
        if answer is None:
            acknowledged.add(lease(number).address)
        else:
            refused.append(answer)
        number += 1
        assert number < 20_000, "the disk never filled"
    assert {type(answer) for answer in refused} == {UnavailableError}
    assert "full" in str(refused[0])
    with pytest.raises(UnavailableError, match="full"):
        store.directory.set_holding(True)
    until(lambda: "store.failed" in _kinds(store))
    assert {each.address for each in store.leases.load()} == acknowledged

    ballast.unlink()
    assert commit(store.leases, [lease(50_000)]) is None
    acknowledged.add(lease(50_000).address)
    # A full disk may still take an event or two, and fail again: the last word counts, and the words take turns.
    until(lambda: _health(store)[-1:] == ["store.recovered"])
    assert _health(store) == ["store.failed", "store.recovered"] * (len(_health(store)) // 2)
    store.close()
    sqlitefile.check(small_disk / "data" / "bootcart.db")
    reopened = open_store(small_disk / "data", clock)
    assert {each.address for each in reopened.leases.load()} == acknowledged
    reopened.close()


@pytest.mark.root
def test_starting_on_a_full_disk_is_said_in_words(small_disk: Path, clock: SetClock) -> None:
    ballast = _fill(small_disk)
    with pytest.raises(BootcartError, match="full") as caught:
        open_store(small_disk / "data", clock)
    assert caught.value.hint
    ballast.unlink()
    # Nothing half-made is in the way.
    open_store(small_disk / "data", clock).close()


@pytest.mark.root
def test_a_disk_that_becomes_read_only(small_disk: Path, clock: SetClock) -> None:
    """F05: a start says it in words, and the store is whole when the file system can be written again."""
    store = open_store(small_disk / "data", clock)
    assert commit(store.leases, [lease(1)]) is None
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(BootcartError, match="read-only") as caught:
        open_store(small_disk / "data", clock)
    assert caught.value.hint
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    reopened = open_store(small_disk / "data", clock)
    assert len(reopened.leases.load()) == 1
    reopened.close()
    assert os.access(small_disk, os.W_OK)
