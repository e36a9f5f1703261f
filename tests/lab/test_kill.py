"""A lab killed at any moment leaves nothing on the host after the next `lab list`."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import labs
from tests.lab.labs import NOTHING, Labs

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(240)]

KILLS = 20
SEED = 20260114
LATEST = 6.0
"""Seconds after its start at which a lab is killed at the latest: it is up by then on a quiet machine."""


@pytest.fixture
def lab() -> Iterator[Labs]:
    with labs.fresh() as made:
        yield made


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        # It had already ended by itself, which is as good.
        return


def test_twenty_kills_leave_nothing(lab: Labs) -> None:
    dice = random.Random(SEED)
    for number in range(KILLS):
        victims = ("command", "keeper", "both")[number % 3]
        moment = dice.triangular(0.0, LATEST, 1.0)
        command = lab.start("run", "--machines", "bios", "--timeout", "60")
        deadline = time.monotonic() + moment
        labs.until("the moment", LATEST + 1, lambda end=deadline: time.monotonic() >= end)
        found = lab.state()
        if victims in ("keeper", "both") and found is not None and found.keeper is not None:
            _kill(found.keeper.pid)
        if victims in ("command", "both") or found is None:
            command.kill()
        out, err = command.communicate(timeout=60)

        listed = lab.run("list")

        where = f"kill {number} of the {victims} after {moment:.2f} s\n{out}\n{err}\n{listed.stdout}\n{listed.stderr}"
        assert listed.returncode == 0, where
        assert listed.stdout == "no lab is up\n", where
        assert lab.leftovers() == NOTHING, where


def test_a_lab_that_stays_is_reaped_when_its_keeper_is_killed(lab: Labs) -> None:
    made = lab.run("up", "--machines", "bios")
    assert made.returncode == 0, made.stderr
    found = lab.state()
    assert found is not None
    assert found.keeper is not None
    assert found.leash is None
    _kill(found.keeper.pid)

    listed = lab.run("list")

    assert "removed what was left of lab lab" in listed.stderr
    assert lab.leftovers() == NOTHING


def test_two_labs_stand_side_by_side_and_one_name_only_once(lab: Labs) -> None:
    assert lab.run("up", "one", "--machines", "bios").returncode == 0
    assert lab.run("up", "two", "--machines", "bios").returncode == 0
    again = lab.run("up", "one", "--machines", "bios")
    listed = lab.run("list")

    assert again.returncode == 4
    assert "there already" in again.stderr
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [
        ["one", "up", "bios1"],
        ["two", "up", "bios1"],
    ]
    one, two = lab.state("one"), lab.state("two")
    assert one is not None
    assert two is not None
    assert {machine.mac for machine in one.machines}.isdisjoint(machine.mac for machine in two.machines)
    assert lab.run("reset", "bios1").returncode == 2
    assert lab.run("reset", "bios1", "--lab", "two").returncode == 0
    assert lab.run("down", "one").returncode == 0
    assert lab.state("two") is not None
    assert lab.run("down", "--all").returncode == 0
    assert lab.leftovers() == NOTHING


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_lab_that_is_asked_to_end_leaves_nothing_by_itself(lab: Labs, number: signal.Signals) -> None:
    command = lab.start("run", "--machines", "bios", "--timeout", "60")
    labs.until("the machine's power-on", 30, lambda: (found := lab.state()) is not None and found.phase == "up")

    command.send_signal(number)
    _, err = command.communicate(timeout=30)

    assert command.returncode == 130, err
    assert "Traceback" not in err
    assert lab.leftovers() == NOTHING


def test_a_machine_runs_without_root_and_dies_with_its_keeper(lab: Labs) -> None:
    assert lab.run("up", "--machines", "bios").returncode == 0
    found = lab.state()
    assert found is not None
    assert found.keeper is not None
    for process in found.all_processes:
        status = Path(f"/proc/{process.pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert "0" not in uids
    machine = found.machines[0].process
    assert machine is not None
    effective = next(
        line.split()[1]
        for line in Path(f"/proc/{machine.pid}/status").read_text().splitlines()
        if line.startswith("CapEff")
    )
    assert int(effective, 16) == 0

    _kill(found.keeper.pid)

    labs.until("the machine's end", 10, lambda: not Path(f"/proc/{machine.pid}").exists())


def test_a_folder_that_is_no_labs_is_left_alone(lab: Labs) -> None:
    thesis = lab.directory / "thesis" / "chapter.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    (lab.directory / "begun").mkdir()

    assert lab.run("list").returncode == 0
    assert lab.run("down", "--all").returncode == 0

    assert thesis.read_text() == "years of work"
    assert not (lab.directory / "begun").exists()
