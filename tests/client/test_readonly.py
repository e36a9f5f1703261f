"""A client that only looks passes on what reads and refuses the rest, whatever the protocol will have."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from app.client import protocol
from app.client.readonly import READING, read_only
from app.errors import ForbiddenError
from tests.fakes.client import FakeClient

CHANGING = {"create", "update", "delete", "assign", "reboot", "restart", "probe", "set", "undo", "hold", "stop_engine"}
CHANGING |= {"begin", "send", "offset", "abandon", "set_loader"}


def calls_of(kind: type[Any]) -> set[str]:
    return {name for name, found in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_each_call_of_the_protocol_is_known_to_read_or_to_change() -> None:
    classes = [found for _, found in inspect.getmembers(protocol, inspect.isclass)]
    kinds = [found for found in classes if found.__module__ == protocol.__name__]
    named = {name for kind in kinds for name in calls_of(kind)}
    assert named - READING == CHANGING


async def test_reading_passes_and_changing_is_refused_before_the_engine_hears_of_it() -> None:
    client = FakeClient()
    door = read_only(client)
    assert door.endpoint == client.endpoint
    assert (await door.machines.list()).total == 12
    assert (await door.prefs.show("unknown-bootenv")).value == "discovery"
    assert not (await door.info()).holding
    async for event in door.events.watch(0):
        assert event.id == 1
        break
    heard = len(client.calls)
    for call in (
        door.machines.assign("node-07", "local"),
        door.subnets.create({"name": "x"}),
        door.leases.delete("10.7.0.103"),
        door.prefs.set("unknown-bootenv", "local"),
        door.interfaces.probe("eth1"),
        door.services.restart("tftp"),
        door.commands.undo(),
        door.hold(True),
        door.stop_engine(),
    ):
        with pytest.raises(ForbiddenError, match="--read-only"):
            await call
    assert len(client.calls) == heard
    await door.close()
    assert client.closed
