"""Memtest86+ from its Debian package, booted from the engine and seen at work on the serial line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.config import SYSTEM_ARTEFACTS
from app.model.machine import MachineState
from tests import netns
from tests.lab import matrix
from tests.lab.site import site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(600)]

NAME = "memtest86plus"
# Its screen on the serial line: a word at a place, the places set by escape sequences.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.skipif(not (SYSTEM_ARTEFACTS / "bootenvs" / NAME).is_dir(), reason=f"bootcart fetch {NAME}")
@pytest.mark.parametrize(
    ("kind", "devices", "file"),
    [
        ("bios", (), "memtest.bin"),
        # Without a graphics adapter its EFI program finds no screen and ends.
        ("uefi", ("-device", "VGA"), "memtest.efi"),
    ],
)
def test_a_machine_tests_its_memory(tmp_path: Path, kind: str, devices: tuple[str, ...], file: str) -> None:
    with site(tmp_path) as here:
        here.engine.subnet()
        here.engine.served()
        here.engine.ask(here.engine.client.prefs.set("unknown-bootenv", NAME))
        vm = here.power_on(kind, devices=devices)

        def testing() -> str:
            said = ESCAPES.sub(" ", vm.serial())
            return said if "Memtest86+ v" in said and re.search(r"#\d+ +\[Address test", said) else ""

        netns.until(testing, timeout=240, what="memtest86+ tests")
        boot = here.timeline(vm)
        machine = here.engine.machine(vm.mac)

        matrix.record(kind, NAME, vm.started, boot, result="tests")

        here.unfaulted(vm)
        assert boot.bootenv == NAME
        assert boot.complete
        assert [hop.name for hop in boot.hops][-2:] == ["script", "kernel"]
        assert boot.hops[-1].detail.startswith(f"bootenvs/{NAME}/amd64/{file} ")
        assert machine is not None
        assert machine.status is not None
        assert machine.status.state is MachineState.DONE
