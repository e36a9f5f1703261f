"""What `--machines` says of a machine, on real firmware: disks and network cards, boot order, Secure Boot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.model.timeline import HopState
from app.services.lab import state
from app.services.lab.machine import said
from app.services.lab.qemu import Files
from tests.lab import boots, labs, matrix
from tests.lab.boots import Boot
from tests.lab.labs import Labs

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1200)]

MIB = 1024 * 1024
DISKLESS, DISKS, ARM64, SECURE = (
    "bios:disks=0:nics=2",
    "uefi:boot=disk:disks=2x1G:memory=640",
    "arm64:boot=disk",
    "uefi-http:secureboot=on",
)


@dataclass(frozen=True, slots=True)
class Rack:
    """One lab of machines that differ."""

    labs: Labs
    state: state.LabState

    def machine(self, words: str) -> state.MachineState:
        return self.state.machines[(DISKLESS, DISKS, ARM64, SECURE).index(words)]


@pytest.fixture(scope="module")
def rack() -> Iterator[Rack]:
    with labs.fresh() as lab:
        yield Rack(lab, boots.up(lab, (DISKLESS, DISKS, ARM64, SECURE)))


def _record(boot: Boot, site: str) -> None:
    result = boot.failure.partition("\n")[0] or "ok"
    matrix.record(boot.machine.kind, site, boot.machine.started, boot.discovered, result=result)


def _says(machine: state.MachineState, words: str) -> None:
    labs.until(f"{machine.name} says {words!r}", 300, lambda: words in boots.serial(machine))


def test_the_disk_comes_first_until_the_order_is_changed(rack: Rack) -> None:
    for words in (DISKS, ARM64):
        _says(rack.machine(words), rack.machine(words).marker)
        assert rack.labs.run("reset", rack.machine(words).name, "--boot", "network").returncode == 0

    (boot,) = boots.follow(rack.state, only=rack.machine(DISKS).name)

    _record(boot, "its disk first, then reset")
    boots.assert_no_findings(boot)
    assert boot.record is not None
    assert boot.record.inventory is not None
    assert [disk.size for disk in boot.record.inventory.disks] == [1024 * MIB] * 2
    assert 520 * MIB < boot.record.inventory.memory.total <= 640 * MIB


def test_a_machine_without_disks_and_with_two_network_cards_reports_so(rack: Rack) -> None:
    (boot,) = boots.follow(rack.state, only=rack.machine(DISKLESS).name)

    _record(boot, "no disk, two network cards")
    boots.assert_no_findings(boot)
    assert boot.record is not None
    assert boot.record.inventory is not None
    assert boot.record.inventory.disks == ()
    assert [nic.boot for nic in boot.record.inventory.nics] == [True, False]
    assert boot.record.macs[0] == boot.machine.mac
    assert len(set(boot.record.macs)) == 2


def test_secure_boot_refuses_a_loader_nobody_has_signed_and_the_next_boot_goes_through_shim(rack: Rack) -> None:
    machine = rack.machine(SECURE)
    _says(machine, "Access Denied")

    boot = boots.timeline(rack.state, machine)
    matrix.record(machine.kind, "Secure Boot", machine.started, boot, result="refuses unsigned")
    assert [hop.name for hop in boot.hops if hop.name == "kernel" and hop.state is HopState.DONE] == []

    assert rack.labs.run("reset", machine.name, "--boot", "network").returncode == 0
    (through,) = boots.follow(rack.state, only=machine.name)

    _record(through, "Secure Boot, once refused")
    assert through.failure == ""
    assert [hop.name for hop in through.discovered.hops[4:7]] == ["loader", "grub", "script"]
    assert through.record is not None
    assert through.record.inventory is not None
    assert through.record.inventory.secure_boot == "enabled"
    # The refusal was a problem, nothing after it.
    assert all("D15" in message for message in through.found), through.found


@pytest.mark.parametrize("words", [DISKLESS, DISKS, ARM64, SECURE])
def test_every_machine_has_its_serial_line_on_the_console(rack: Rack, words: str) -> None:
    machine = rack.machine(words)

    shown = rack.labs.run("console", machine.name)

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout
    assert boots.serial(machine), said(Files(machine.serial_log.parent))
