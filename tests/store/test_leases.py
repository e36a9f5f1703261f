"""The lease journal: durable before it is told, grouped, the directory current when it is."""

from __future__ import annotations

import threading
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection

from app.errors import UnavailableError
from app.model.subnet import Lease, LeaseState
from app.store.leases import GROUP
from app.store.store import Store, open_store
from tests.store.stores import SetClock, commit, lease, mac, until


def test_what_was_committed_is_there_after_a_restart(data_dir: Path, clock: SetClock) -> None:
    kept = [
        lease(n, client_id="01aa", hostname=f"n{n}", interface="eth1", state=state)
        for n, state in enumerate(LeaseState)
    ]
    store = open_store(data_dir, clock)
    assert commit(store.leases, kept) is None
    assert commit(store.leases, [lease(0, state=LeaseState.RELEASED)]) is None
    store.close()

    reopened = open_store(data_dir, clock)
    expected = [lease(0, state=LeaseState.RELEASED), *kept[1:]]
    found = (sorted(reopened.leases.load(), key=lambda each: each.address), reopened.directory.leases())
    reopened.close()

    assert found[0] == expected
    assert set(map(repr, found[1])) == set(map(repr, expected))


def test_the_directory_knows_a_lease_when_its_ack_may_leave(store: Store) -> None:
    seen: list[Lease | None] = []
    answered = threading.Event()

    def done(error: BaseException | None) -> None:
        assert error is None
        seen.append(store.directory.lease_at(lease(1).address))
        answered.set()

    store.leases.commit([lease(1)], done)
    assert answered.wait(10)

    assert seen == [lease(1)]


def test_many_requests_share_one_commit(store: Store) -> None:
    commits = 0

    def count(_: Connection) -> None:
        nonlocal commits
        commits += 1

    answers: list[BaseException | None] = []
    event.listen(store.database.writer._connect().engine, "commit", count)
    for number in range(10 * GROUP):
        store.leases.commit([lease(number)], answers.append)
    until(lambda: len(answers) == 10 * GROUP)

    assert set(answers) == {None}
    # The first and the last of the groups may be smaller.
    assert 10 <= commits <= 14
    assert len(store.directory.leases()) == 10 * GROUP


def test_of_two_leases_for_an_address_the_later_stands(store: Store) -> None:
    answers: list[BaseException | None] = []
    for number in range(2):
        store.leases.commit([lease(1, mac=mac(number))], answers.append)
    until(lambda: len(answers) == 2)

    assert [each.mac for each in store.leases.load()] == [mac(1)]
    assert store.directory.lease_of(mac(0)) is None
    assert store.directory.lease_of(mac(1)) == lease(1)


def test_a_raising_answer_does_not_keep_the_others_waiting(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: BaseException | None) -> None:
        raise ValueError("in the caller")

    answers: list[BaseException | None] = []
    store.leases.commit([lease(1)], broken)
    store.leases.commit([lease(2)], answers.append)
    until(lambda: answers)

    assert answers == [None]
    assert commit(store.leases, [lease(3)]) is None
    assert "in the caller" in caplog.text


def test_only_a_live_lease_says_who_is_at_an_address(store: Store, clock: SetClock) -> None:
    commit(store.leases, [lease(1), lease(2, state=LeaseState.DECLINED), lease(3, expires=clock.time)])

    found = [store.directory.lease_at(lease(n).address) is not None for n in (1, 2, 3, 4)]

    assert found == [True, False, False, False]
    clock.time += 3600
    assert store.directory.lease_at(lease(1).address) is None
    assert store.directory.lease(lease(1).address) == lease(1)


def test_of_several_addresses_a_machine_holds_the_newest(store: Store, clock: SetClock) -> None:
    commit(store.leases, [lease(1), lease(2, mac=mac(1), since=clock.time + 5)])

    found = store.directory.lease_of(mac(1))

    assert found is not None
    assert found.address == lease(2).address


def test_addresses_other_servers_gave_are_learned(store: Store, clock: SetClock) -> None:
    address = IPv4Address("192.168.1.7")
    store.directory.learn(mac(1), address)
    first = store.directory.lease_at(address)
    clock.time += 60
    store.directory.learn(mac(1), address)

    found = store.directory.lease_at(address)
    assert first is not None
    assert found is not None
    # Heard again, it keeps its beginning: the tokens of its boot are bound to it.
    assert (found.mac, found.since) == (mac(1), first.since)
    assert store.directory.lease_of(mac(1)) == found
    assert store.leases.load() == []
    store.directory.learn(mac(2), address)
    taken = store.directory.lease_at(address)
    assert taken is not None
    assert (taken.mac, taken.since) == (mac(2), clock.time)
    for number in range(5000):
        store.directory.learn(mac(number), IPv4Address("10.0.0.0") + number)
    assert len(store.directory._learned) <= 4096


def test_a_closed_store_acknowledges_nothing(data_dir: Path, clock: SetClock) -> None:
    store = open_store(data_dir, clock)
    store.close()
    answers: list[BaseException | None] = []
    store.leases.commit([lease(1)], answers.append)

    assert [type(answer) for answer in answers] == [UnavailableError]
    with pytest.raises(UnavailableError, match="closed"):
        store.directory.set_holding(True)


def test_what_is_queued_is_written_at_the_close(data_dir: Path, clock: SetClock) -> None:
    store = open_store(data_dir, clock)
    answers: list[BaseException | None] = []
    for number in range(300):
        store.leases.commit([lease(number)], answers.append)
    store.close()

    assert answers == [None] * 300
    reopened = open_store(data_dir, clock)
    assert len(reopened.leases.load()) == 300
    reopened.close()


def test_the_hold_switch_survives_a_restart(data_dir: Path, clock: SetClock) -> None:
    for expected in (True, False):
        store = open_store(data_dir, clock)
        store.directory.set_holding(expected)
        store.close()
        reopened = open_store(data_dir, clock)
        found = reopened.directory.holding()
        reopened.close()
        assert found is expected


def test_work_of_the_writer_may_not_wait_for_the_writer(store: Store) -> None:
    with pytest.raises(RuntimeError, match="cannot wait for itself"):
        store.database.write(lambda _: store.database.write(lambda _: None))
