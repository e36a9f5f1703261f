"""What a lab asks of its engine, through the same Client as everybody: set it up, and follow its machines to a goal."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from app.client.http import HttpClient
from app.client.protocol import Client
from app.errors import BootcartError, ConflictError, NotFoundError
from app.model.machine import Machine
from app.services.lab import plan, process, progress, start, state

_POLL = 0.25

Say = Callable[[str], None]


def configure(lab: plan.LabPlan, socket: Path) -> None:
    """Make the lab's subnet and preferences in a fresh engine."""

    async def ask() -> None:
        client = HttpClient(f"unix:{socket}")
        try:
            first, last = plan.range_of(lab.cidr)
            subnet = {"name": lab.name, "cidr": str(lab.cidr), "ranges": [f"{first}-{last}"], "lease_time": 3600}
            if 4 in lab.protocols:
                await client.subnets.create(subnet)
            if 6 in lab.protocols:
                first6, last6 = plan.CIDR6[0x100], plan.CIDR6[0x1FF]
                of_ipv6 = {"cidr": str(plan.CIDR6), "ranges": [f"{first6}-{last6}"]}
                await client.subnets.create({**subnet, **of_ipv6, "name": f"{lab.name}-ipv6"})
            await client.prefs.set("unknown-bootenv", "discovery")
        finally:
            await client.close()

    asyncio.run(ask())


def watch(lab: start.Started, goal: str, timeout: float, logs: Path | None, say: Say) -> int:
    """Follow every machine to the goal, printing each hop, then the table; returns the exit code. Ctrl-C: 130."""
    watched = {one.mac: progress.Watched(one.name, one.kind, one.started) for one in lab.state.machines}
    try:
        asyncio.run(_follow(lab, watched, goal, timeout, say))
        stopped = False
    except KeyboardInterrupt:
        stopped = True
    finally:
        if logs is not None:
            keep_logs(lab.folder, lab.state, logs)
    for line in progress.table(list(watched.values()), goal):
        say(line)
    return 130 if stopped else progress.exit_code(watched.values(), goal)


async def _follow(
    lab: start.Started, watched: dict[str, progress.Watched], goal: str, seconds: float, say: Say
) -> None:
    client = HttpClient(f"unix:{lab.state.socket}")
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and not all(one.done(goal) for one in watched.values()):
            current = state.read(lab.folder)
            if current is None or current.keeper is None or not process.alive(current.keeper):
                raise BootcartError(
                    "the lab ended while its machines booted", hint="its engine or its keeper was killed"
                )
            for machine in current.machines:
                one = watched[machine.mac]
                await _look(client, machine, one, goal, say)
                if machine.ended and not one.done(goal):
                    one.failed = f"QEMU ended: {machine.ended}"
            if all(one.done(goal) or one.failed.startswith("QEMU") for one in watched.values()):
                return
            await asyncio.sleep(_POLL)
    finally:
        await client.close()


async def _look(client: Client, machine: state.MachineState, one: progress.Watched, goal: str, say: Say) -> None:
    try:
        key = f"Mac:{machine.mac}"
        # In this order: what the record says has happened is in the timeline then.
        record: Machine = await client.machines.show(key)
        for line in one.lines(await client.machines.timeline(key)):
            say(line)
    except NotFoundError:
        return  # it has not left its firmware yet
    if one.inventory is None and record.inventory is not None:
        # The event about it may be stored a moment after the record: the next look finds its hop.
        one.inventory = one.ended.get("inventory")
    if goal != "local" or one.inventory is None:
        return
    if one.asked_local is None:
        try:
            await client.machines.assign(key, "local", reboot=True)
        except ConflictError:
            return  # its first heartbeat is still to come
        one.asked_local = time.time()
        say(f"{one.name:<10} {one.asked_local - one.powered_on:7.1f} s  assigned local, told to reboot")
    if one.local is None and machine.marker in machine.serial_log.read_text(errors="replace"):
        one.local = time.time()
        say(f"{one.name:<10} {one.local - one.powered_on:7.1f} s  booted from its own disk")


def keep_logs(folder: Path, lab: state.LabState, target: Path) -> None:
    """Copy the serial logs and the engine's before they go with the lab."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = {target / "engine.log": folder / "engine" / "engine.log"}
    for machine in lab.machines:
        wanted[target / f"{machine.name}.serial.log"] = machine.serial_log
        wanted[target / f"{machine.name}.qemu.log"] = Path(machine.folder, "qemu.log")
    for copy, source in wanted.items():
        if source.exists():
            shutil.copyfile(source, copy)
