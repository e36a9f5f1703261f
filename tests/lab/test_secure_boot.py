"""Secure Boot with Microsoft's keys, on real firmware: the signed shim, the signed GRUB, the signed kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.lab import matrix
from tests.lab.site import Site, done, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1200)]

HOPS = ("discover", "offer", "request", "ack", "loader", "grub", "script", "kernel", "initrd", "agent", "inventory")
KINDS = {"uefi": "uefi-pxe", "uefi-http": "uefi-http"}
ARM64 = {"arm64": "uefi-pxe", "arm64-http": "uefi-http"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        made.engine.subnet()
        made.engine.served()
        yield made


@pytest.mark.parametrize(
    ("kinds", "preference", "shim"),
    [(KINDS, "loader-uefi", "shimx64.efi"), (ARM64, "loader-arm64", "shimaa64.efi")],
    ids=["x64", "arm64"],
)
def test_through_shim_and_grub_it_posts_its_inventory(
    here: Site, kinds: dict[str, str], preference: str, shim: str
) -> None:
    here.engine.told("prefs", "set", preference, shim)
    machines = {kind: here.power_on(f"{kind}:secureboot=on", number=n) for n, kind in enumerate(kinds, 1)}

    for kind, vm in machines.items():
        found, boot = here.inventory(vm, "Secure Boot, shim and GRUB")

        assert (boot.path, done(boot)) == (kinds[kind], HOPS)
        assert found.inventory is not None
        assert found.inventory.secure_boot == "enabled"
        assert found.registered


def test_a_machine_that_is_to_boot_its_disk_is_sent_there_by_grub(here: Site) -> None:
    # Without Secure Boot: the lab's disk is unsigned.
    here.engine.told("prefs", "set", "loader-uefi", "shimx64.efi")
    here.engine.told("prefs", "set", "unknown-bootenv", "local")
    vm = here.power_on("uefi-http", number=1)

    netns.until(lambda: vm.spec.marker in vm.serial(), timeout=300, what="its disk speaks")

    boot = here.timeline(vm)
    assert boot.complete
    assert done(boot)[4:] == ("loader", "grub", "script", "local")
    here.unfaulted(vm)
    matrix.record(vm.spec.kind, "shim and GRUB, its own disk", vm.started, boot)
