"""The event log: numbered, stored, found, never waiting for anybody."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.errors import InvalidError
from app.model.event import Event, EventDraft, Level
from app.model.machine import Machine, machine_id_for
from app.model.query import Query
from app.store import events as events_module
from app.store import records, ring, tables
from app.store.store import Store, open_store
from tests.store.stores import SetClock, draft, mac, settled, until


def _emit(store: Store, count: int, **fields: Any) -> tuple[Event, ...]:
    have = store.events.last_id
    for number in range(count):
        store.events.emit(draft(message=f"event {number}", **fields))
    until(lambda: store.events.last_id >= have + count)
    return store.events.tail(count)


def test_ids_grow_by_one_and_survive_a_restart(data_dir: Path, clock: SetClock) -> None:
    store = open_store(data_dir, clock)
    _emit(store, 20)
    store.close()
    reopened = open_store(data_dir, clock)
    _emit(reopened, 5)
    found = [event.id for event in reopened.events.list().items]
    reopened.close()

    assert found == list(range(1, 26))


def test_the_tail_and_the_disk_tell_the_same(store: Store) -> None:
    store.events.emit(
        EventDraft(
            time=1.5,
            kind="dhcp.ack",
            message="ack \x00 \udcff é",
            level=Level.WARNING,
            mac=mac(1),
            address="10.7.0.1",
            interface="eth1",
            actor="root",
            data={"address": IPv4Address("10.7.0.1"), "list": (1, 2), "why": "\udc80"},
        )
    )
    (shown,) = settled(store, 1)

    assert store.events.list().items == (shown,)
    assert shown.data == {"address": "10.7.0.1", "list": [1, 2], "why": "?"}
    assert shown.machine == machine_id_for(mac(1))


def test_an_event_is_its_machines_whichever_mac_it_came_from(store: Store) -> None:
    machine = Machine(id=machine_id_for(mac(1)), name="node", macs=(mac(1), mac(2)))
    _emit(store, 1, mac=mac(2))
    store.database.write(
        lambda connection: records.save(connection, None, machine), lambda _: store.directory.put(None, machine)
    )
    _emit(store, 1, mac=mac(2))
    _emit(store, 1, mac=mac(3))

    found = store.events.list(machine=str(machine.id)).items

    # The first was stored before anybody knew that the two belong together.
    assert [event.machine for event in found] == [machine_id_for(mac(2)), machine.id]
    assert [event.id for event in store.events.list(machine=mac(2)).items] == [event.id for event in found]


@pytest.mark.parametrize(
    ("query", "arguments", "expected"),
    [
        (None, {}, range(1, 31)),
        (None, {"limit": 3}, [28, 29, 30]),
        (Query(limit=3), {}, [28, 29, 30]),
        (Query(limit=3, offset=3), {}, [25, 26, 27]),
        (None, {"after": 5, "limit": 3}, [6, 7, 8]),
        (None, {"before": 5, "limit": 2}, [3, 4]),
        (None, {"kind": "http."}, range(3, 31, 3)),
        (Query(("number~7",)), {}, [7, 17, 27]),
        (Query(("data.number=7",)), {}, [7]),
        (Query(("kind=http.sent", "!message~1")), {}, [3, 6, 9, 24, 27, 30]),
        (Query(("SENT", "level=warning")), {}, range(5, 31, 5)),
        (Query(("sent",), limit=2, offset=1), {}, [28, 29]),
        (Query(("sent",), limit=2), {"after": 4}, [5, 6]),
        (Query(sort="-id", limit=2), {}, [30, 29]),
        (Query(("100%",)), {}, []),
        (Query(("é",)), {}, [1]),
        (Query(('a"b',)), {}, [2]),
    ],
)
def test_finding_events(store: Store, query: Query | None, arguments: dict[str, object], expected: list[int]) -> None:
    for number in range(1, 31):
        extra = {1: " É", 2: ' a"b'}.get(number, "")
        store.events.emit(
            draft(
                kind="http.sent" if number % 3 == 0 else "tftp.sent",
                message=f"sent {number}{extra}",
                level=Level.WARNING if number % 5 == 0 else Level.INFO,
                data={"number": number},
            )
        )
    settled(store, 30)

    page = store.events.list(query, **arguments)  # pyright: ignore[reportArgumentType]

    assert [event.id for event in page.items] == list(expected)


def test_an_unknown_sort_field_is_told(store: Store) -> None:
    _emit(store, 1)
    with pytest.raises(InvalidError, match="no field 'colour'"):
        store.events.list(Query(sort="colour"))


def test_too_many_at_once_are_dropped_counted_and_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "QUEUE_MAX", 50)
    # Nothing is written while this holds the writer.
    store.database.write(lambda _: [store.events.emit(draft()) for _ in range(80)])
    until(lambda: any(event.kind == "events.dropped" for event in store.events.tail()))

    told = [event for event in store.events.tail() if event.kind == "events.dropped"]
    assert [event.data["count"] for event in told] == [30]
    assert (store.events.dropped, len(store.events.tail())) == (30, 51)


def test_observers_see_each_event_once_in_order(store: Store) -> None:
    seen: list[int] = []

    def failing(_: Event) -> None:
        raise ValueError("observer")

    store.events.observe(failing)
    store.events.observe(lambda event: seen.append(event.id))
    _emit(store, 700)
    until(lambda: len(seen) == 700)

    assert seen == list(range(1, 701))


def test_events_of_made_up_machines_do_not_fill_the_disk(
    data_dir: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "STEP", 16)
    monkeypatch.setattr(ring.Ring.__init__, "__defaults__", (100, 10, 50))
    store = open_store(data_dir, clock)
    ours = Machine(id=machine_id_for(mac(1)), name="node-01", macs=(mac(1),))
    store.database.write(lambda connection: records.save(connection, None, ours))
    _emit(store, 8, mac=mac(1))
    for number in range(100, 400):
        _emit(store, 2, mac=mac(number))
    until(lambda: store.events.last_id == 608)

    # The newest, what is kept of strangers, and a step or two that may be outstanding.
    assert store.events.list().total <= 100 + 50 + 3 * 32
    assert store.events.list(machine=str(ours.id)).total == 8
    store.close()


def test_the_ring_keeps_the_newest_and_some_of_each_machine(
    data_dir: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "STEP", 16)
    monkeypatch.setattr(ring.Ring.__init__, "__defaults__", (100, 10, 10_000))
    quiet, chatty = machine_id_for(mac(1)), machine_id_for(mac(2))
    store = open_store(data_dir, clock)
    _emit(store, 30, mac=mac(1))
    for _ in range(40):
        _emit(store, 16)
        _emit(store, 4, mac=mac(2))
    total = store.events.last_id

    def kept(machine: uuid.UUID | None) -> list[int]:
        with store.database.read() as connection:
            column = tables.events.c
            wanted = sa.select(column.id).where(column.machine == (str(machine) if machine else "")).order_by(column.id)
            return list(connection.execute(wanted).scalars())

    assert kept(quiet) == list(range(21, 31))
    with store.database.read() as connection:
        newest = connection.execute(
            sa.select(tables.events.c.id).order_by(tables.events.c.id.desc()).limit(100)
        ).scalars()
        assert list(newest) == list(range(total, total - 100, -1))
    # A step may be outstanding, never more.
    assert len(kept(None)) <= 100 + 16 + 20
    assert 20 <= len(kept(chatty)) <= 20 + 16
    store.close()

    # What an earlier run left is looked at again.
    reopened = open_store(data_dir, clock)
    _emit(reopened, 40)
    assert reopened.events.list(machine=str(quiet)).total == 10
    reopened.close()
