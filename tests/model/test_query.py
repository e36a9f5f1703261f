"""The filter, sort and page language."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from app.errors import InvalidError
from app.model.machine import Machine, MachineState, MachineStatus, machine_id_for
from app.model.query import Query, apply, fits, parse_filter
from app.model.subnet import Lease, LeaseState


def machine(number: int, name: str, address: str | None, state: MachineState) -> Machine:
    mac = f"52:54:00:00:00:{number:02x}"
    return Machine.model_validate(
        {
            "id": machine_id_for(mac),
            "name": name,
            "macs": [mac],
            "address": address,
            "status": MachineStatus(state=state),
        }
    )


MACHINES = [
    machine(7, "node-07", "10.7.0.9", MachineState.BOOT),
    machine(9, "Node-09", "10.7.0.10", MachineState.FAIL),
    machine(11, "db", None, MachineState.DONE),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["node-07", "Node-09", "db"]),
        ("node", ["node-07", "Node-09"]),
        ("!node", ["db"]),
        ("state=fail", ["Node-09"]),
        ("!state=fail", ["node-07", "db"]),
        ("mac~00:07", ["node-07"]),
        ("macs=52:54:00:00:00:0b", ["db"]),
        ("name~NODE state=boot", ["node-07"]),
        ("address~10.7", ["node-07", "Node-09"]),
        ("colour=red", []),
    ],
)
def test_filters(text: str, names: list[str]) -> None:
    assert [m.name for m in apply(MACHINES, Query(filter=parse_filter(text))).items] == names


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", [9, 10, 100]),
        ("10.7.0.10", [10, 100]),
        ("address=10.7.0.10", [10]),
        ("state=declined", [100]),
        ("!state=declined subnet=rack7", [9, 10]),
        ("mac~52:54 !ADDRESS~0.9", [10, 100]),
        ("colour=red", []),
    ],
)
def test_leases_of_which_there_are_many_are_filtered_alike(text: str, hosts: list[int]) -> None:
    leases = [
        Lease(
            address=IPv4Address(f"10.7.0.{host}"),
            mac=f"52:54:00:00:00:{host:02x}",
            subnet="Rack7",
            state=LeaseState.DECLINED if host == 100 else LeaseState.BOUND,
        )
        for host in (10, 100, 9)
    ]
    page = apply(leases, Query(filter=parse_filter(text), sort="address"))

    assert [int(str(lease.address).rpartition(".")[2]) for lease in page.items] == hosts
    assert hosts == sorted(hosts)
    for lease in leases:
        assert fits(lease.model_dump(mode="json"), parse_filter(text)) is (lease in page.items)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", ["db", "node-07", "Node-09"]),
        ("-name", ["Node-09", "node-07", "db"]),
        ("address", ["db", "node-07", "Node-09"]),
    ],
)
def test_sorting_is_as_people_read(sort: str, names: list[str]) -> None:
    assert [m.name for m in apply(MACHINES, Query(sort=sort)).items] == names


def test_sorting_by_what_is_not_there_is_told() -> None:
    with pytest.raises(InvalidError, match="colour"):
        apply(MACHINES, Query(sort="colour"))


def test_pages_know_the_total() -> None:
    page = apply(MACHINES, Query(limit=2, offset=1))

    assert ([m.name for m in page.items], page.total, page.offset) == (["Node-09", "db"], 3, 1)
