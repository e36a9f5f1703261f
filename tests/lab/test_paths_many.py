"""Ten machines of one lab at once, whose engine is killed while they boot: none shares an address, none is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator

import pytest

from app.client.http import HttpClient
from app.errors import UnreachableError
from app.model.event import Event
from app.services.lab import state
from app.services.lab.engine import Places
from tests.lab import boots, labs, matrix
from tests.lab.labs import Labs

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1800)]

MACHINES = 10


@pytest.fixture
def lab() -> Iterator[Labs]:
    with labs.fresh() as made:
        yield made


def _events(rack: state.LabState, kind: str) -> list[Event]:
    async def ask() -> list[Event]:
        client = HttpClient(f"unix:{rack.socket}")
        try:
            return list((await client.events.list(kind=kind)).items)
        finally:
            await client.close()

    return asyncio.run(ask())


def _engine(lab: Labs) -> int:
    """The engine's own process, 0 while there is none; the one on the lab's record is its supervisor."""
    return json.loads(Places(lab.directory / "lab" / "engine").supervisor.read_text())["pid"] or 0


def test_ten_machines_boot_through_an_engine_that_is_killed_midway(lab: Labs) -> None:
    rack = boots.up(lab, ["bios"] * MACHINES)
    # A ROM whose script is cut off has nothing to try again with; what comes after is fetched by our script.
    labs.until("all of them have their script", 300, lambda: len(_macs(rack, "http.sent", "script")) == MACHINES)
    first = _engine(lab)
    os.kill(first, signal.SIGKILL)

    def answers() -> bool:
        try:
            return _engine(lab) not in (0, first) and bool(_events(rack, "dhcp.ack"))
        except UnreachableError:
            return False

    labs.until("its supervisor has started it again", 60, answers)
    found = boots.follow(rack, seconds=1200)
    for one in found:
        site = f"{MACHINES} at once, engine killed"
        matrix.record(
            one.machine.kind, site, one.machine.started, one.discovered, result=one.failure.partition("\n")[0] or "ok"
        )

    assert [one.failure for one in found] == [""] * MACHINES
    addresses = {one.record.address for one in found if one.record is not None}
    assert len(addresses) == MACHINES
    assert None not in addresses
    given = {(event.mac, event.address) for event in _events(rack, "dhcp.ack")}
    assert len({mac for mac, _ in given}) == len({address for _, address in given}) == MACHINES


def _macs(rack: state.LabState, kind: str, role: str) -> set[str]:
    return {event.mac for event in _events(rack, kind) if event.data.get("role") == role}
