"""Secure Boot with Microsoft's keys, on real firmware: the signed shim, the signed GRUB, the signed kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.lab import debs, disk, matrix
from tests.lab.site import Site, done, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1200)]

SIGNED_GRUB = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
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


@pytest.mark.parametrize("kind", KINDS)
def test_with_secure_boot_it_boots_the_signed_system_on_its_disk(here: Site, tmp_path: Path, kind: str) -> None:
    """Given no file for PXE, firmware goes on to HTTP boot, where GRUB starts the shim that is on the disk."""
    here.engine.told("prefs", "set", "loader-uefi", "shimx64.efi")
    here.engine.told("prefs", "set", "unknown-bootenv", "local")
    grub = debs.unpacked(tmp_path / "debs", "grub-efi-amd64-signed") / SIGNED_GRUB
    vm = here.power_on(f"{kind}:secureboot=on", number=1, image=disk.write(tmp_path / "signed", grub))

    netns.until(lambda: disk.WORDS in vm.serial(), timeout=400, what="the system on its disk speaks")

    boot = here.timeline(vm)
    assert done(boot)[-4:] == ("loader", "grub", "script", "local")
    here.unfaulted(vm)
    matrix.record(vm.spec.kind, "Secure Boot, the signed system on its disk", vm.started, boot)


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
