"""The journal of IPv6 leases, what the directory shows of them, and the server's name."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
import sqlalchemy as sa

from app.errors import BootcartError
from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6, Subnet6
from app.store import records, tables
from app.store.store import Store, open_store
from tests.store.stores import SetClock

FIRST = IPv6Address("fd00:7::100")


def lease6(number: int = 0, **fields: Any) -> Lease6:
    known: dict[str, Any] = {
        "address": FIRST + number,
        "mac": "52:54:00:00:00:07",
        "client_id": "0003000152540000000" + str(number),
        "iaid": 0xFFFFFFFF,
        "proven": True,
        "subnet": "six",
        "since": 1_700_000_000.0,
        "expires": 1_700_003_600.0,
        "interface": "eth0",
    }
    return Lease6(**{**known, **fields})


def commit(store: Store, leases: Sequence[Lease6]) -> BaseException | None:
    answered, answers = Flag(), list[BaseException | None]()

    def done(error: BaseException | None) -> None:
        answers.append(error)
        answered.set()

    store.leases6.commit(leases, done)
    assert answered.wait(20)
    return answers[0]


def test_a_lease_is_there_after_the_store_was_opened_again(store: Store, data_dir: Path, clock: SetClock) -> None:
    assert commit(store, [lease6(), lease6(1)]) is None
    assert commit(store, [lease6(1, state=LeaseState.RELEASED)]) is None
    duid = store.leases6.duid()
    assert store.leases6.duid() == duid
    assert (duid[:2], len(duid)) == (b"\0\4", 18)
    store.close()
    again = open_store(data_dir, clock)
    try:
        assert sorted(again.leases6.load(), key=lambda each: each.address) == [
            lease6(),
            lease6(1, state=LeaseState.RELEASED),
        ]
        assert again.leases6.duid() == duid
        assert again.directory.holder_of(FIRST) == lease6()
        assert again.directory.holder_of(FIRST + 1) is None
        clock.time += 3600
        assert again.directory.holder_of(FIRST) is None
    finally:
        again.close()


def test_what_comes_after_the_end_is_refused(data_dir: Path, clock: SetClock) -> None:
    store = open_store(data_dir, clock)
    store.close()
    assert isinstance(commit(store, [lease6()]), BootcartError)


def test_a_row_that_cannot_be_read_is_named(store: Store) -> None:
    assert commit(store, [lease6()]) is None
    spoil = sa.update(tables.leases6).values(state="odd")
    store.database.write(lambda connection: connection.execute(spoil) and None)
    with pytest.raises(BootcartError, match=r"fd00:7::100.*cannot be read"):
        store.leases6.load()


def test_subnets_of_both_protocols_share_a_table_and_are_told_apart(
    store: Store, data_dir: Path, clock: SetClock
) -> None:
    six = Subnet6.model_validate({"name": "six", "cidr": "fd00:7::/64", "ranges": ["fd00:7::100-fd00:7::1ff"]})
    store.database.write(lambda connection: records.save(connection, None, six))
    store.close()
    again = open_store(data_dir, clock)
    try:
        assert again.directory.subnets() == ()
        assert again.directory.subnets6() == (six,)
        assert again.directory.six.subnet("six") == six
        assert again.directory.subnets6()[0].cidr == IPv6Network("fd00:7::/64")
    finally:
        again.close()
