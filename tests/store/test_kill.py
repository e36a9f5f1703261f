"""kill -9 at any moment: nothing that was acknowledged is lost, and the store opens again (F01)."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.store import command_rows
from app.store.store import Store, open_store

LEASES, CREATED = 100, 2
"""What a storm has acknowledged at least, so that a busy host only makes it longer."""


def _storm(data_dir: Path, first: int, seconds: float) -> list[str]:
    """What a storm acknowledged before it was killed: after `seconds`, or as soon then as there is enough to judge."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.storm", str(data_dir), str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        assert process.stdout.readline() == "open\n"
        lines: list[str] = []
        deadline = time.monotonic() + seconds
        seen = Counter[str]()
        while time.monotonic() < deadline or seen["L"] < LEASES or seen["C"] < CREATED:
            line = process.stdout.readline()
            assert line, "the storm ended by itself"
            seen[line[0]] += 1
            lines.append(line)
        process.kill()
        lines = "".join([*lines, process.stdout.read()]).split("\n")
    # The last piece may be half a line.
    return lines[:-1]


def _judge(store: Store, lines: list[str], ledger: dict[str, dict[str, str]]) -> None:
    """Compare the store with everything that was acknowledged so far."""
    leases, objects, events = ledger["leases"], ledger["objects"], ledger["events"]
    for line in lines:
        kind, key, *rest = line.split(" ")
        if kind == "L":
            leases[key] = " ".join(rest)
        elif kind == "E":
            assert key not in events, f"event {key} was given twice"
            events[key] = rest[0] if rest else ""
        elif kind == "D":
            objects[key] = "gone"
        else:
            objects[key] = rest[0] if rest else ""
    found = {str(each.address): each for each in store.leases.load()}
    for address, said in leases.items():
        mac, round_ = said.split(" ")
        assert found[address].mac == mac
        # A later round may have been stored without its word getting out.
        assert found[address].since >= int(round_)
    for address, said in objects.items():
        reservation = store.directory.reservation_at(IPv4Address(address))
        if said == "gone":
            assert reservation is None
        elif reservation is not None:
            assert reservation.hostname in (said, f"h{int(IPv4Address(address)) - int(IPv4Address('10.0.0.0'))}")
        else:
            # A deletion may have been stored without its word getting out; it is in the command log then.
            with store.database.read() as connection:
                newest = command_rows.newest_of(connection, "reservations", address)
            assert newest is not None
            assert newest.verb == "delete"
    stored = {str(event.id): event.message.split(" ")[0] for event in store.events.list(limit=1000).items}
    assert stored
    oldest = min(map(int, stored))
    missing = [key for key, message in events.items() if int(key) >= oldest and stored.get(key) != message]
    assert missing == []


def _run(data_dir: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    ledger: dict[str, dict[str, str]] = {"leases": {}, "objects": {}, "events": {}}
    for kill in range(kills):
        lines = _storm(data_dir, 1 + kill * 10_000, chance.uniform(0.05, 0.6))
        store = open_store(data_dir, SystemClock())
        try:
            assert store.database.unclean
            assert store.database.doubts == ()
            _judge(store, lines, ledger)
            with store.database.read() as connection:
                assert command_rows.first_altered(connection) is None
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        finally:
            store.close()
    assert len(ledger["leases"]) == 100
    assert len(ledger["objects"]) > kills
    with sqlite3.connect(data_dir / "bootcart.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_two_kills_in_a_storm_lose_nothing(data_dir: Path) -> None:
    _run(data_dir, 2, seed=1)


@pytest.mark.full
def test_fifty_kills_in_a_storm_lose_nothing(data_dir: Path) -> None:
    _run(data_dir, 50, seed=2)


@pytest.mark.parametrize("moment", [0.05, 0.2])
def test_a_kill_while_the_database_is_made_is_mended_by_the_next_start(data_dir: Path, moment: float) -> None:
    program = (
        "import sys, pathlib\nfrom app.store.database import Database\n"
        "print('x', flush=True)\nDatabase.open(pathlib.Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(data_dir)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()

    open_store(data_dir, SystemClock()).close()
