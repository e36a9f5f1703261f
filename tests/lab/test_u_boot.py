"""U-Boot as its package builds it for QEMU's arm64 board: it walks to its menu, and starts the kernel named there."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.services.lab import kernel, plan, qemu
from tests import netns
from tests.lab import debs
from tests.lab.site import SWITCH, Site, Vm, done, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(900)]

# Debian 13's driver reads the address of QEMU's card right.
U_BOOT = "usr/lib/u-boot/qemu_arm64/u-boot.bin"
MAC = "52:54:00:51:7e:22"
HOPS = ("discover", "offer", "request", "ack", "script", "kernel", "initrd", "agent", "inventory")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        made.engine.subnet()
        made.engine.served()
        yield made


def _power_on(here: Site, firmware: Path) -> tuple[Vm, subprocess.Popen[str]]:
    (planned,) = plan.plan("site", here.folder, ["arm64"]).machines
    spec = replace(planned, name="u-boot", macs=(MAC,))
    files = qemu.Files(here.folder / spec.name)
    files.folder.mkdir()
    fd = kernel.open_tap(here.switch, "tap0")
    netns.run(here.switch, ["ip", "link", "set", "tap0", "master", SWITCH, "up"])
    argv = ["qemu-system-aarch64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "virt"]
    argv += ["-accel", "tcg,thread=multi", "-cpu", "cortex-a57", "-m", "1024", "-bios", str(firmware)]
    argv += ["-netdev", f"tap,id=net0,fd={fd}", "-device", f"virtio-net-pci,netdev=net0,mac={MAC},romfile="]
    argv += ["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"]
    argv += ["-chardev", f"stdio,id=line,signal=off,logfile={files.serial_log}", "-serial", "chardev:line"]
    output = here.stack.enter_context(files.output.open("w"))
    started = time.time()
    running = netns.running(here.switch, argv, pass_fds=[fd], stdin=subprocess.PIPE, stdout=output, stderr=output)
    process = here.stack.enter_context(running)
    os.close(fd)
    return Vm(spec, files, started), process


def test_u_boot_takes_its_menu_and_boots_to_its_inventory(here: Site) -> None:
    vm, process = _power_on(here, debs.unpacked(here.folder / "debs", "u-boot-qemu") / U_BOOT)
    netns.until(lambda: "stop autoboot" in vm.serial(), timeout=120, what="U-Boot counts down")
    assert process.stdin is not None
    # QEMU's board looks for scripts and UEFI only; many real ones have pxe in their boot order.
    process.stdin.write("\r")
    process.stdin.flush()
    netns.until(lambda: "=> " in vm.serial(), timeout=60, what="U-Boot takes commands")
    process.stdin.write("setenv boot_targets pxe; boot\r")
    process.stdin.flush()

    found, boot = here.inventory(vm, "U-Boot, its menu")

    assert found.architecture == "arm64"
    assert (boot.path, done(boot)) == ("uboot-pxe", HOPS)
    assert "menus/arm64/pxelinux.cfg" in next(hop.detail for hop in boot.hops if hop.name == "offer")
    process.stdin.close()
