"""Models to rows and back, for anything a model can hold."""

from __future__ import annotations

import json
import uuid
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.model.inventory import Disk, Inventory, Nic, System
from app.model.machine import Machine, MachineStatus
from app.model.profile import Profile
from app.model.subnet import Range, Reservation, Subnet, SubnetMode
from app.store import records
from app.store.database import Database
from app.store.documents import from_body, projections, to_body
from app.store.records import Stored

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
addresses = st.integers(0x0A000001, 0x0AFFFFFE).map(IPv4Address)
macs = st.integers(0, 2**40 - 1).map(lambda n: "52:" + ":".join(f"{n >> s & 255:02x}" for s in (32, 24, 16, 8, 0)))
times = st.floats(0, 4e9, allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
inventories = st.builds(
    Inventory,
    reported=times,
    system=st.builds(System, product=texts, serial=texts, uuid=st.uuids().map(str)),
    disks=st.lists(st.builds(Disk, name=texts, size=st.integers(0, 2**60)), max_size=3).map(tuple),
    nics=st.lists(st.builds(Nic, name=texts, mac=macs), max_size=3).map(tuple),
)
machines = st.builds(
    Machine,
    id=st.uuids(),
    name=names,
    macs=st.lists(macs, max_size=4, unique=True).map(tuple),
    address=st.none() | addresses,
    bootenv=st.just("") | names,
    description=texts,
    inventory=st.none() | inventories,
    created=times,
    heartbeat=times,
    reboot_wanted=st.booleans(),
    status=st.none() | st.just(MachineStatus(seen=1.0)),
)
subnets = st.builds(
    Subnet,
    name=names,
    cidr=st.integers(0, 0xFFFF).map(lambda n: IPv4Network((0x0A000000 + (n << 8), 24))),
    mode=st.sampled_from(SubnetMode),
    dns=st.lists(addresses, max_size=3).map(tuple),
    description=texts,
    lease_time=st.integers(60, 31_536_000),
).map(
    lambda each: each.model_copy(
        update={"ranges": (Range(start=each.cidr.network_address + 10, end=each.cidr.network_address + 20),)}
    )
)
reservations = st.builds(Reservation, address=addresses, mac=macs, hostname=texts, never_boot=st.booleans())


profiles = st.builds(Profile, name=names, options=st.just({"interface-mtu": "9000"}), description=texts)


@given(machines | subnets | reservations | profiles)
def test_a_body_gives_back_the_model(model: Stored) -> None:
    expected = model.model_copy(update={"status": None}) if isinstance(model, Machine) else model

    assert from_body(type(model), json.loads(json.dumps(to_body(model)))) == expected


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40, deadline=None
)
@given(first=machines, second=machines, subnet=subnets, reservation=reservations)
def test_rows_give_back_what_was_stored(
    data_dir: Path, first: Machine, second: Machine, subnet: Subnet, reservation: Reservation
) -> None:
    second = second.model_copy(update={"id": first.id, "status": None})
    database = _database(data_dir)

    def work(connection: object) -> tuple[list[Stored], ...]:
        from sqlalchemy.engine import Connection

        assert isinstance(connection, Connection)
        savepoint = connection.begin_nested()
        records.save(connection, None, first)
        records.save(connection, first, second)
        records.save(connection, None, subnet)
        records.save(connection, None, reservation)
        found: tuple[list[Stored], ...] = (
            [*records.load(connection, Machine)],
            [*records.load(connection, Subnet)],
            [*records.load(connection, Reservation)],
        )
        records.remove(connection, second)
        assert records.load(connection, Machine) == []
        savepoint.rollback()
        return found

    assert database.write(work) == ([second], [subnet], [reservation])


_OPEN: dict[Path, Database] = {}


def _database(data_dir: Path) -> Database:
    """One database for all examples of a test; the fixture's directory is theirs together."""
    if data_dir not in _OPEN:
        _OPEN[data_dir] = Database.open(data_dir)
    return _OPEN[data_dir]


def teardown_module() -> None:
    for database in _OPEN.values():
        database.close()


def test_projections_begin_with_the_key() -> None:
    machine = Machine(id=uuid.uuid4(), name="node", macs=("52:54:00:00:00:01",), bootenv="local")

    assert next(iter(projections(machine))) == "id"
    assert projections(machine)["bootenv"] == "local"
