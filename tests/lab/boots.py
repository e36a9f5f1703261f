"""Follows the machines of a lab through its engine: to the inventory, then to their own disks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.client.http import HttpClient
from app.errors import ConflictError, NotFoundError
from app.model.machine import Machine
from app.model.timeline import Timeline
from app.services.lab import state
from tests.lab.labs import Labs

BOOT_SECONDS = 400.0
LOCAL_SECONDS = 360.0
_POLL = 0.2


@dataclass(slots=True)
class Boot:
    """One machine's way; a `failure` says where it ended."""

    machine: state.MachineState
    record: Machine | None = None
    discovered: Timeline = field(default_factory=Timeline)
    """As it was when the inventory was in."""
    sent: frozenset[tuple[str, str]] = frozenset()
    """By then: protocol and role of every file it was given, for example `("tftp", "loader")`."""
    own_disk: Timeline = field(default_factory=Timeline)
    """As it was when its own disk spoke."""
    local: float | None = None
    """Seconds from the order to reboot until then."""
    failure: str = ""
    found: tuple[str, ...] = ()
    """What was called a problem on the way."""


def serial(machine: state.MachineState) -> str:
    """All it has written to its serial line."""
    return machine.serial_log.read_text(errors="replace") if machine.serial_log.exists() else ""


def up(labs: Labs, machines: Sequence[str], *words: str) -> state.LabState:
    """A lab of these machines, powered on."""
    made = labs.run("up", "--machines", ",".join(machines), *words, timeout=180)
    assert made.returncode == 0, made.stderr
    found = labs.state()
    assert found is not None
    return found


def timeline(lab: state.LabState, machine: state.MachineState) -> Timeline:
    """Its newest boot, empty before its first word."""

    async def ask() -> Timeline:
        client = HttpClient(f"unix:{lab.socket}")
        try:
            return await client.machines.timeline(f"Mac:{machine.mac}")
        except NotFoundError:
            return Timeline()
        finally:
            await client.close()

    return asyncio.run(ask())


def follow(lab: state.LabState, *, to_disk: bool = False, only: str = "", seconds: float = BOOT_SECONDS) -> list[Boot]:
    """Its machines at once, until each has posted its inventory and, `to_disk`, then booted its disk, or failed.

    `only` is the name of the one to follow, `seconds` what all may take to their inventories.
    """
    boots = [Boot(machine) for machine in lab.machines if only in ("", machine.name)]

    async def all_of_them() -> None:
        client = HttpClient(f"unix:{lab.socket}")
        try:
            await asyncio.gather(*(_one(client, boot, seconds, to_disk=to_disk) for boot in boots))
        finally:
            await client.close()

    asyncio.run(all_of_them())
    return boots


async def _one(client: HttpClient, boot: Boot, seconds: float, *, to_disk: bool) -> None:
    try:
        await _inventory(client, boot, seconds)
        if to_disk:
            await _own_disk(client, boot)
    except AssertionError as error:
        boot.failure = str(error)
    page = await client.events.list(kind="diagnosis.found")
    boot.found = tuple(event.message for event in page.items if event.mac == boot.machine.mac)


def assert_no_findings(boot: Boot) -> None:
    """It booted, and nothing was called a problem."""
    assert boot.failure == ""
    assert boot.found == (), boot.found


async def _inventory(client: HttpClient, boot: Boot, seconds: float) -> None:
    key, deadline = f"Mac:{boot.machine.mac}", time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            boot.record, boot.discovered = await client.machines.show(key), await client.machines.timeline(key)
        except NotFoundError:
            boot.record = None
        if boot.record is not None and boot.record.inventory is not None and boot.discovered.complete:
            boot.sent = await _sent(client, boot.machine.mac)
            return
        await asyncio.sleep(_POLL)
    at = boot.discovered.at or "its firmware"
    raise AssertionError(f"{boot.machine.name} is still at {at}\n{serial(boot.machine)[-2000:]}")


async def _sent(client: HttpClient, mac: str) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for protocol in ("tftp", "http"):
        page = await client.events.list(kind=f"{protocol}.sent")
        found.update((protocol, str(event.data.get("role"))) for event in page.items if event.mac == mac)
    return frozenset(found)


async def assigned(client: HttpClient, key: str) -> bool:
    """It is to boot its own disk, and told to reboot; false while its agent is not heard."""
    try:
        await client.machines.assign(key, "local", reboot=True)
    except ConflictError:
        return False  # its first heartbeat is still to come
    return True


async def _own_disk(client: HttpClient, boot: Boot) -> None:
    machine, key = boot.machine, f"Mac:{boot.machine.mac}"
    assert machine.marker not in serial(machine), "it had booted its disk before"
    deadline = time.monotonic() + 60
    while not await assigned(client, key):
        assert time.monotonic() < deadline, f"{machine.name} has no agent that heartbeats"
        await asyncio.sleep(_POLL)
    told = time.time()
    deadline = time.monotonic() + LOCAL_SECONDS
    while machine.marker not in serial(machine):
        assert time.monotonic() < deadline, f"{machine.name} did not boot its disk\n{serial(machine)[-2000:]}"
        await asyncio.sleep(_POLL)
    boot.local = time.time() - told
    boot.record, boot.own_disk = await client.machines.show(key), await client.machines.timeline(key)
