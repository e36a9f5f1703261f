"""How full subnets are: every kind of address counted once, many leases in little time."""

from __future__ import annotations

import time
from ipaddress import IPv4Address
from pathlib import Path

import sqlalchemy as sa

from app.engine.usage import Usages
from app.model.subnet import Lease, LeaseState, Reservation, Subnet
from app.model.usage import Usage
from app.store import lease_rows, records, usage_rows
from app.store.database import Database
from app.store.store import Store, open_store
from tests.store.stores import SetClock

NOW = 1_000_000.0
RACK = Subnet.model_validate({"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.109"]})
BIG = Subnet.model_validate({"name": "big", "cidr": "10.64.0.0/14", "ranges": ["10.64.0.1-10.67.255.0"]})


def lease(address: str, state: LeaseState = LeaseState.BOUND, left: float = 600.0, subnet: str = "rack7") -> Lease:
    return Lease(
        address=IPv4Address(address), mac="52:54:00:00:00:01", subnet=subnet, state=state, since=NOW, expires=NOW + left
    )


def filled(path: Path, leases: list[Lease], reservations: list[Reservation]) -> Store:
    store = open_store(path, SetClock(NOW))
    store.database.write(
        lambda connection: [
            *(records.save(connection, None, one) for one in (RACK, BIG, *reservations)),
            connection.execute(lease_rows.tables.leases.insert(), [lease_rows.row(one) for one in leases]),
        ]
    )
    store.close()
    return open_store(path, SetClock(NOW))


def test_each_address_counts_once(tmp_path: Path) -> None:
    leases = [
        lease("10.7.0.100"),
        lease("10.7.0.101", left=-1),  # its time is up, and nobody has swept it yet
        lease("10.7.0.102", LeaseState.RELEASED),
        lease("10.7.0.103", LeaseState.DECLINED),
        lease("10.7.0.104"),  # reserved, inside
        lease("10.7.0.50"),  # reserved, outside
    ]
    kept = [
        Reservation(address=IPv4Address(address), mac=f"52:54:00:00:01:{number:02x}")
        for number, address in enumerate(("10.7.0.104", "10.7.0.105", "10.7.0.50", "10.7.0.51", "10.99.0.1"))
    ]
    store = filled(tmp_path, leases, kept)
    offered = [int(IPv4Address(each)) for each in ("10.7.0.100", "10.7.0.106", "10.9.9.9")]
    rack, big = Usages(store, lambda: offered, SetClock(NOW)).usage()
    store.close()

    # Free: 101, 102, 107, 108, 109.
    assert rack == Usage(subnet="rack7", size=10, bound=3, offered=1, quarantined=1, reserved=4, free=5)
    assert big == Usage(subnet="big", size=big.size, free=big.size)


_MANY = """
INSERT INTO leases (address, mac, client_id, subnet, state, since, expires, hostname, interface)
WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < 99999)
SELECT '10.' || (n >> 16) || '.' || (n >> 8 & 255) || '.' || (n & 255), '52:54:00:00:00:01', '', 'big', 'bound', 1, 9e9,
       '', ''
FROM counted
"""


def test_a_hundred_thousand_leases_are_counted_without_reading_one(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    database.write(lambda connection: connection.execute(sa.text(_MANY)))
    took: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        with database.read() as connection:
            assert usage_rows.live(connection, NOW) == {("big", LeaseState.BOUND): 100_000}
        took.append(time.perf_counter() - began)
    database.close()

    assert sorted(took)[2] < 0.5
