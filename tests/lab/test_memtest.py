"""Memtest86+ from its Debian package, booted from the engine and seen at work on the serial line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.config import SYSTEM_ARTEFACTS
from app.model.machine import MachineState
from app.model.timeline import HopState
from tests import netns
from tests.lab import matrix
from tests.lab.site import site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(600)]

NAME = "memtest86plus"
needs_memtest = pytest.mark.skipif(not (SYSTEM_ARTEFACTS / "bootenvs" / NAME).is_dir(), reason=f"bootcart fetch {NAME}")
# Its screen on the serial line: a word at a place, the places set by escape sequences.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@needs_memtest
@pytest.mark.parametrize(
    ("kind", "devices", "file", "loader"),
    [
        ("bios", (), "memtest.bin", "ipxe.efi"),
        # Without a graphics adapter its EFI program finds no screen and ends.
        ("uefi", ("-device", "VGA"), "memtest.efi", "ipxe.efi"),
        ("uefi", ("-device", "VGA"), "memtest.efi", "shimx64.efi"),
    ],
    ids=["bios", "uefi", "uefi by shim and GRUB"],
)
def test_a_machine_tests_its_memory(
    tmp_path: Path, kind: str, devices: tuple[str, ...], file: str, loader: str
) -> None:
    with site(tmp_path) as here:
        here.engine.subnet()
        here.engine.served()
        here.engine.told("prefs", "set", "loader-uefi", loader)
        here.engine.ask(here.engine.client.prefs.set("unknown-bootenv", NAME))
        vm = here.power_on(kind, devices=devices)

        def testing() -> str:
            said = ESCAPES.sub(" ", vm.serial())
            return said if "Memtest86+ v" in said and re.search(r"#\d+ +\[Address test", said) else ""

        netns.until(testing, timeout=240, what="memtest86+ tests")
        boot = here.timeline(vm)
        machine = here.engine.machine(vm.mac)

        matrix.record(kind, f"{NAME}, {loader}" if kind == "uefi" else NAME, vm.started, boot, result="tests")

        here.unfaulted(vm)
        assert boot.bootenv == NAME
        assert boot.complete
        assert [hop.name for hop in boot.hops][-2:] == ["script", "kernel"]
        assert boot.hops[-1].detail.startswith(f"bootenvs/{NAME}/amd64/{file} ")
        assert machine is not None
        assert machine.status is not None
        assert machine.status.state is MachineState.DONE


@needs_memtest
def test_with_secure_boot_it_says_why_not(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.engine.subnet()
        here.engine.served()
        here.engine.told("prefs", "set", "loader-uefi", "shimx64.efi")
        here.engine.told("prefs", "set", "unknown-bootenv", NAME)
        vm = here.power_on("uefi-http:secureboot=on")

        netns.until(
            lambda: "memtest86+ is not signed" in ESCAPES.sub("", vm.serial()), timeout=240, what="GRUB says so"
        )

        assert [hop.name for hop in here.timeline(vm).hops if hop.state is HopState.DONE][-2:] == ["grub", "script"]
