"""A rack that registers at once shares its waits for the disk, and each machine still gets what is its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Address

import pytest

from app.errors import ConflictError
from app.model.machine import Machine
from app.services.commands.layer import Report
from tests.services.machines.conftest import World
from tests.store.stores import mac, until

COUNT = 20


def _address(number: int) -> IPv4Address:
    return IPv4Address("10.7.0.0") + number


@pytest.fixture
def stored(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], threading.Event]:
    """How many registrations each transaction held; the first waits for the event."""
    sizes: list[int] = []
    go = threading.Event()
    store: Callable[[Sequence[Report]], None] = world.layer.report_all

    def counted(reports: Sequence[Report]) -> None:
        sizes.append(len(reports))
        assert go.wait(20)
        store(reports)

    monkeypatch.setattr(world.layer, "report_all", counted)
    return sizes, go


def _together(
    world: World, stored: tuple[list[int], threading.Event], wanted: Sequence[tuple[str, IPv4Address, list[str]]]
) -> list[Future[Machine]]:
    """Register: the first alone, the others while it is written."""
    sizes, go = stored
    with ThreadPoolExecutor(len(wanted)) as pool:
        found: list[Future[Machine]] = []
        for number, (own, address, macs) in enumerate(wanted):
            found.append(pool.submit(world.registrar.register, own, address, {"macs": macs}))
            # In this order.
            until(lambda number=number: bool(sizes) and world.registrar._turns.waiting == number)
        go.set()
    return found


def test_those_that_wait_go_in_one_transaction(world: World, stored: tuple[list[int], threading.Event]) -> None:
    rack = [(mac(number), _address(number), [mac(number)]) for number in range(1, COUNT + 1)]
    found = [each.result() for each in _together(world, stored, rack)]
    assert stored[0] == [1, COUNT - 1]
    assert [(each.macs, each.address) for each in found] == [((own,), address) for own, address, _ in rack]
    assert [world.store.directory.machine(each.id) for each in found] == found
    kinds = world.kinds()
    assert kinds.count("agent.registered") == kinds.count("audit.create") == COUNT


def test_machines_that_share_something_go_one_after_the_other(
    world: World, stored: tuple[list[int], threading.Event]
) -> None:
    rack = [
        (mac(1), _address(1), [mac(1)]),
        (mac(2), _address(2), [mac(2), mac(3)]),
        (mac(3), _address(3), [mac(3)]),  # the same machine through its other card
        (mac(4), _address(3), [mac(4)]),  # has its address now
        (mac(5), _address(5), [mac(5), mac(2)]),  # says that another's card is its own
        (mac(6), _address(6), [mac(6)]),
    ]
    first, second, third, fourth, fifth, sixth = _together(world, stored, rack)
    assert first.result().macs == (mac(1),)
    assert second.result().id == third.result().id
    assert isinstance(fifth.exception(), ConflictError)
    assert sixth.result().macs == (mac(6),)
    now = world.store.directory.machine(third.result().id)
    assert now is not None
    assert (now.macs, now.address) == ((mac(2), mac(3)), None)
    assert fourth.result().address == _address(3)


def test_one_that_cannot_be_stored_does_not_take_others_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store, go, sizes = world.layer.report_all, threading.Event(), list[int]()

    def fussy(reports: Sequence[Report]) -> None:
        sizes.append(len(reports))
        assert go.wait(20)
        if any(mac(2) in after.macs for report in reports for _, after in report.changes):
            raise ConflictError("it was changed in the meantime", hint="try again")
        store(reports)

    monkeypatch.setattr(world.layer, "report_all", fussy)
    rack = [(mac(number), _address(number), [mac(number)]) for number in (1, 2, 3)]
    first, second, third = _together(world, (sizes, go), rack)
    assert (first.result().macs, third.result().macs) == ((mac(1),), (mac(3),))
    assert isinstance(second.exception(), ConflictError)
    assert sizes == [1, 2, 1, 1]
