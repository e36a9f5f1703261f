"""A lab around one machine: its namespaces, its reset button, what `lab run` prints, who its engine runs as."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.client.http import HttpClient
from app.model.event import Event
from app.services.lab import state
from tests.lab import boots, labs
from tests.lab.labs import NOTHING, Labs

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]


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


@pytest.fixture
async def bios(lab: Labs) -> AsyncIterator[Up]:
    found = await asyncio.to_thread(boots.up, lab, ["bios"])
    client = HttpClient(f"unix:{found.socket}")
    yield Up(lab, found, client)
    await client.close()


async def _events(up: Up, machine: state.MachineState, kind: str) -> list[Event]:
    page = await up.client.events.list(kind=kind)
    return [event for event in page.items if event.mac == machine.mac]


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
        assert time.monotonic() < deadline, f"no script {count}\n{boots.serial(machine)[-2000:]}"
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
