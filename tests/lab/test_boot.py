"""Real firmware boots from the real engine: power-on, discovery, inventory, then each machine's own disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.client.http import HttpClient
from app.errors import ConflictError, NotFoundError
from app.model.event import Event
from app.model.machine import Machine
from app.model.timeline import HopState, Timeline
from app.services.lab import state
from tests.lab import labs
from tests.lab.labs import NOTHING, Labs

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

QUIET = 0.5
"""Load average below which the host counts as quiet, so that times are worth a judgement."""

INVENTORY_SECONDS = {"bios": 21.0 * 1.3, "uefi": 31.0 * 1.3}
"""From power-on to the inventory, with QEMU's software emulation on two quiet cores."""

PATHS = {
    "bios": ("discover", "offer", "request", "ack", "script", "kernel", "initrd", "agent", "inventory"),
    "uefi": (
        "discover",
        "offer",
        "request",
        "ack",
        "loader",
        "ipxe",
        "script",
        "kernel",
        "initrd",
        "agent",
        "inventory",
    ),
}

BOOT_DEADLINE = 240.0
LOCAL_DEADLINE = 360.0
"""UEFI firmware that is offered no boot file asks for minutes by PXE, then by HTTP, before it tries its disk."""


@dataclass(frozen=True, slots=True)
class Up:
    """A lab that is up, and its engine's client."""

    labs: Labs
    state: state.LabState
    client: HttpClient


@pytest.fixture
def lab() -> Iterator[Labs]:
    with labs.fresh() as made:
        yield made


async def _up(lab: Labs, machines: str) -> Up:
    made = await asyncio.to_thread(lab.run, "up", "--machines", machines, timeout=120)
    assert made.returncode == 0, made.stderr
    found = lab.state()
    assert found is not None
    return Up(lab, found, HttpClient(f"unix:{found.socket}"))


@pytest.fixture
async def both(lab: Labs) -> AsyncIterator[Up]:
    up = await _up(lab, "bios,uefi")
    yield up
    await up.client.close()


@pytest.fixture
async def bios(lab: Labs) -> AsyncIterator[Up]:
    up = await _up(lab, "bios")
    yield up
    await up.client.close()


async def _events(up: Up, machine: state.MachineState, kind: str) -> list[Event]:
    page = await up.client.events.list(kind=kind)
    return [event for event in page.items if event.mac == machine.mac]


async def _inventory(up: Up, machine: state.MachineState) -> tuple[Machine, Timeline]:
    """The machine's record and timeline once its inventory is in."""
    key, deadline = f"Mac:{machine.mac}", time.monotonic() + BOOT_DEADLINE
    at = "nowhere"
    while time.monotonic() < deadline:
        try:
            record, timeline = await up.client.machines.show(key), await up.client.machines.timeline(key)
            at = f"{timeline.at}: {record.status.waiting_for if record.status else ''}"
            if record.inventory is not None and timeline.complete:
                return record, timeline
        except NotFoundError:
            at = "its firmware"
        await asyncio.sleep(0.2)
    raise AssertionError(f"{machine.name} is still at {at}\n{_serial(machine)[-2000:]}")


def _serial(machine: state.MachineState) -> str:
    return machine.serial_log.read_text(errors="replace") if machine.serial_log.exists() else ""


def _tell(machine: state.MachineState, timeline: Timeline) -> float:
    """Print the seconds of each hop; from power-on to the last one."""
    done = [hop for hop in timeline.hops if hop.ended is not None]
    words = " ".join(f"{hop.name} {hop.ended - machine.started:.1f}" for hop in done if hop.ended is not None)
    sys.stdout.write(f"\n{machine.name}: {words}\n")
    return max(hop.ended for hop in done if hop.ended is not None) - machine.started


async def test_bios_and_uefi_post_their_inventory_then_boot_their_own_disk(both: Up) -> None:
    quiet = os.getloadavg()[0] < QUIET
    for machine in both.state.machines:
        record, timeline = await _inventory(both, machine)
        seconds = _tell(machine, timeline)

        assert not timeline.at
        assert tuple(hop.name for hop in timeline.hops if hop.state is HopState.DONE) == PATHS[machine.kind]
        assert record.registered
        assert record.macs == (machine.mac,)
        assert record.inventory is not None
        assert record.inventory.firmware == machine.kind
        assert record.inventory.system.serial == machine.serial
        assert record.inventory.system.uuid.lower() == machine.uuid
        assert [disk.size for disk in record.inventory.disks] == [64 * 1024 * 1024]
        assert [(nic.mac, nic.driver, nic.boot) for nic in record.inventory.nics] == [(machine.mac, "virtio_net", True)]
        assert machine.marker not in _serial(machine)
        if quiet:
            assert seconds < INVENTORY_SECONDS[machine.kind]

    asked: dict[str, float] = {}
    for machine in both.state.machines:
        await _assign_local(both, machine)
        asked[machine.name] = time.time()
    for machine in both.state.machines:
        await _until_marker(machine, asked[machine.name])

        record = await both.client.machines.show(f"Mac:{machine.mac}")
        timeline = await both.client.machines.timeline(f"Mac:{machine.mac}")
        assert record.bootenv == "local"
        assert timeline.complete
        assert [hop.state for hop in timeline.hops if hop.name == "local"] == [HopState.DONE]


async def _assign_local(up: Up, machine: state.MachineState) -> None:
    """Assign `local` and have the agent reboot; its first heartbeat may still be to come."""
    deadline = time.monotonic() + 60
    while True:
        try:
            await up.client.machines.assign(f"Mac:{machine.mac}", "local", reboot=True)
        except ConflictError:
            assert time.monotonic() < deadline, f"{machine.name} has no agent that heartbeats"
            await asyncio.sleep(0.5)
        else:
            return


async def _until_marker(machine: state.MachineState, since: float) -> None:
    deadline = time.monotonic() + LOCAL_DEADLINE
    while machine.marker not in _serial(machine):
        assert time.monotonic() < deadline, f"{machine.name} did not boot its disk\n{_serial(machine)[-2000:]}"
        await asyncio.sleep(0.2)
    sys.stdout.write(f"\n{machine.name}: its own disk {time.time() - since:.1f} s after it was told to reboot\n")


async def test_a_bios_machine_reaches_our_script_and_does_so_again_after_a_reset(bios: Up) -> None:
    (machine,) = bios.state.machines

    await _until_scripts(bios, machine, 1)
    reset = await asyncio.to_thread(bios.labs.run, "reset", machine.name)
    assert reset.returncode == 0, reset.stderr
    await _until_scripts(bios, machine, 2)

    script = await bios.client.machines.script(f"Mac:{machine.mac}")
    assert script.startswith("#!ipxe\n")


async def _until_scripts(up: Up, machine: state.MachineState, count: int) -> None:
    deadline = time.monotonic() + 120
    while True:
        sent = [event for event in await _events(up, machine, "http.sent") if event.data.get("role") == "script"]
        if len(sent) >= count:
            sys.stdout.write(f"\n{machine.name}: script {count} at {sent[count - 1].time - machine.started:.1f} s\n")
            return
        assert time.monotonic() < deadline, f"no script {count}\n{_serial(machine)[-2000:]}"
        await asyncio.sleep(0.1)


def test_nothing_leads_from_the_lab_to_the_host(lab: Labs) -> None:
    made = lab.run("up", "--machines", "bios", timeout=120)
    assert made.returncode == 0, made.stderr
    found = lab.state()
    assert found is not None
    engine, lan = found.namespaces

    def asked(namespace: str, *words: str) -> list[str]:
        done = subprocess.run(["ip", "-n", namespace, *words], capture_output=True, text=True, check=True)
        return [line.split()[0] for line in done.stdout.splitlines()]

    assert asked(engine, "-4", "route", "show", "table", "main") == ["10.77.0.0/24"]
    assert asked(lan, "-4", "route", "show", "table", "main") == []
    assert asked(lan, "-4", "addr", "show", "scope", "global") == []
    assert asked(lan, "-6", "addr", "show", "dev", "lan") == []
    for namespace in (engine, lan):
        forwards = ["nsenter", f"--net=/run/netns/{namespace}", "cat", "/proc/sys/net/ipv4/ip_forward"]
        assert subprocess.run(forwards, capture_output=True, text=True, check=True).stdout == "0\n"
    assert not [name for name in labs.links() if labs.OURS.match(name)]


def test_run_prints_hops_a_table_and_its_exit_code(lab: Labs) -> None:
    done = lab.run("run", "--machines", "bios", "--timeout", "240", timeout=300)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "DISCOVER" in done.stdout
    header, row = done.stdout.splitlines()[-2:]
    assert header.split()[:3] == ["MACHINE", "FIRMWARE", "DISCOVER"]
    assert row.split()[0] == "bios1"
    assert row.endswith("ok")
    assert lab.leftovers() == NOTHING


def test_run_that_does_not_reach_its_goal_in_time_says_where_it_is(lab: Labs) -> None:
    done = lab.run("run", "--machines", "bios", "--timeout", "0.5")

    assert done.returncode == 7, f"{done.stdout}\n{done.stderr}"
    assert "timed out waiting for" in done.stdout


def test_an_engine_from_a_closed_checkout_runs_without_root(lab: Labs) -> None:
    closed = lab.directory / "closed"
    for folder in ("app", "bootenvs"):
        shutil.copytree(labs.ROOT / folder, closed / "main" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    closed.chmod(0o700)

    command = [sys.executable, "-m", "app", "lab", "up", "--machines", "bios"]
    made = subprocess.run(
        command, cwd=closed / "main", env=lab.environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    found = lab.state()
    assert found is not None
    assert found.engine is not None
    owner = Path(f"/proc/{found.engine.pid}").stat().st_uid
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if "shelter" in line]

    assert owner != 0
    assert mounts == []
    assert lab.run("down").returncode == 0
