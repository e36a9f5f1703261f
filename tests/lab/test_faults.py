"""Faults put in the way of real firmware: each is named in words, on the machine's row, within a minute."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.config import SYSTEM_ARTEFACTS
from app.model.diagnosis import Severity
from app.services.lab import qemu, qmp
from tests import netns
from tests.lab import disk
from tests.lab.site import DHCP_SERVER, ENGINE, Site, Vm, dnsmasq, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

NAMED_WITHIN = 60.0
"""Seconds of the engine's time between the stall and the finding."""
PREFERRED = "--dhcp-option=encap:175,1,64"
"""Makes iPXE take this server's offer, whichever comes first (iPXE's option 175.1, its priority)."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def named(here: Site, vm: Vm, rule: str, says: str, *, beside: Sequence[str] = (), after: float = 0.0) -> None:
    """The first problem found about a machine, but for those `beside`, is this one: in time, in words, on its row."""
    told(here, vm, rule, says, "diagnosis.found", beside=beside, after=after)


def doubted(here: Site, vm: Vm, rule: str, says: str) -> None:
    """The first that is said of a machine is that this takes longer than usual."""
    told(here, vm, rule, says, "diagnosis.waiting")


def told(
    here: Site, vm: Vm, rule: str, says: str, kind: str, *, beside: Sequence[str] = (), after: float = 0.0
) -> None:
    event = here.first_found(vm, kind, beside=beside, after=after)
    assert event.data["rule"] == rule, event.message
    assert 0 <= event.time - event.data["since"] <= NAMED_WITHIN, event.message

    def shown() -> bool:
        diagnosis = here.engine.ask(here.engine.client.machines.diagnosis(f"Mac:{vm.mac}"))
        one = next((each for each in diagnosis.findings if each.id == rule), None)
        machine = here.engine.machine(vm.mac)
        if one is None or machine is None or machine.status is None or machine.status.diagnosis != one.row:
            return False
        assert one.severity in ((Severity.PROBLEM,) if kind == "diagnosis.found" else (Severity.WAIT, Severity.PROBLEM))
        assert all((one.seen, one.means, one.do, one.action, one.command)), one
        assert says in f"{one.seen}; {one.means}; {one.do}", one
        return True

    # Both change with each second and each retry, one after the other.
    netns.until(shown, timeout=30, what=f"{rule} stands on its row")


def served(here: Site) -> None:
    """Its subnet is there and answered on."""
    here.engine.subnet()
    here.engine.served()


def closed(here: Site, number: int, rule: str) -> None:
    """A firewall before the engine that drops what one machine sends to a port."""
    netns.run(here.server, ["nft", "add table inet closed"])
    netns.run(here.server, ["nft", "add chain inet closed in { type filter hook input priority 0 ; }"])
    netns.run(here.server, ["nft", f"add rule inet closed in ether saddr {mac(number)} {rule} drop"])


def mac(number: int) -> str:
    """The address of the machine that is powered on with this number."""
    return f"52:54:00:51:7e:{number:02x}"


def tagged(number: int, tag: str) -> str:
    """dnsmasq's words for a machine it serves, and what it knows it by."""
    return f"--dhcp-host={mac(number)},set:{tag}"


def test_no_subnet_another_server_a_loop_and_a_loader_for_other_firmware(here: Site) -> None:
    """At once, each with a machine of its own, so that their waits pass together."""
    unserved = here.power_on("bios", number=1)
    named(here, unserved, "D01", "no subnet is defined for interface eth0")
    assert "create a subnet" in here.engine.told("machines", "diagnose", f"Mac:{unserved.mac}")

    # Another server for some machines only is one that no probe finds.
    here.engine.subnet(confirmed=True)
    here.engine.served()
    dnsmasq(
        here,
        *("--dhcp-ignore=tag:!known", PREFERRED, tagged(2, "mute"), tagged(3, "loop"), tagged(4, "wrong")),
        f"--dhcp-boot=tag:loop,undionly.kpxe,bootcart,{ENGINE}",
        f"--dhcp-boot=tag:wrong,ipxe.efi,bootcart,{ENGINE}",
    )
    mute, loop, wrong = (here.power_on("bios", number=number) for number in (2, 3, 4))
    named(here, mute, "D02", f"took that of {DHCP_SERVER}")
    # Where its file comes late, that it took the other's offer is said first.
    named(here, wrong, "D15", "ipxe.efi was fetched: that is for UEFI, this is BIOS x86", beside=("D02",))
    named(here, loop, "D16", f"DHCP server {DHCP_SERVER} gives iPXE its loader again", beside=("D02",))


def test_another_server_for_all_and_a_missing_initrd(tmp_path: Path) -> None:
    tree = tmp_path / "artefacts"
    for name in ("loaders", "discovery/amd64"):
        shutil.copytree(SYSTEM_ARTEFACTS / name, tree / name)
    with site(tmp_path, "--artefacts", str(tree)) as here:
        served(here)
        (tree / "discovery" / "amd64" / "initrd.img").unlink()
        named(here, here.power_on("bios", number=1), "D18", "initrd.img")

        dnsmasq(here)
        here.engine.told("interfaces", "probe", "eth0")
        netns.until(here.engine.hold_of, what="the subnet is held")
        named(here, here.power_on("bios", number=2), "D04", f"DHCP server {DHCP_SERVER}")


def test_a_closed_port_and_secure_boot(here: Site) -> None:
    served(here)
    closed(here, 1, "tcp dport 8090")
    blocked, secure = here.power_on("bios", number=1), here.power_on("uefi:secureboot=on", number=2)

    named(here, blocked, "D17", f"TCP port 8090 of {ENGINE} is blocked")
    # It goes on, with a loader that is signed.
    found = here.first_found(secure, "diagnosis.found")
    assert (found.data["rule"], "ipxe.efi" in found.message) == ("D15", True), found.message
    netns.until(lambda: here.engine.events("machine.loader", mac=secure.mac), timeout=60, what="it is given shim")


@pytest.mark.full
def test_a_closed_tftp_port_a_silent_kernel_and_no_disk(here: Site) -> None:
    served(here)
    closed(here, 1, "udp dport 69")
    blocked = here.power_on("uefi", number=1)
    diskless = here.power_on("bios:disks=0", number=2)
    # Enough for the kernel, and too little for what it unpacks.
    small = here.power_on("bios:memory=160", number=3)
    named(here, blocked, "D10", "UDP port 69 is blocked")
    doubted(here, small, "D20", "fetched kernel and initrd of discovery; silent")

    here.inventory(diskless, "no disk")
    after = time.time()
    _rebooted_into(here, diskless, "local")
    named(here, diskless, "D29", "its inventory lists none", after=after)


@pytest.mark.full
def test_a_disk_that_is_first_in_the_boot_order(here: Site, tmp_path: Path) -> None:
    """One has a system that asks for an address, the other says nothing any more."""
    served(here)
    here.engine.told("machines", "create", "web1", "--mac", mac(1))
    here.engine.told("machines", "assign", "web1", "discovery")
    image = disk.write(tmp_path / "made")
    system = here.power_on(f"uefi:boot=disk:disks=1x{disk.MEBIBYTES}M", number=1, image=image)
    mute = here.power_on("bios", number=2)
    named(here, system, "D28", "discovery was to boot, but a system from its disk came up")
    assert disk.WORDS in system.serial()

    here.inventory(mute, "before its disk")
    qmp.set_boot_order(mute.files.qmp, qemu.boot_order("disk", 1, 1))
    _rebooted_into(here, mute, "discovery")
    doubted(here, mute, "D28", "its disk is before the network")
    assert mute.spec.marker in mute.serial()


def _rebooted_into(here: Site, vm: Vm, bootenv: str) -> None:
    """It is assigned, and its agent is told to reboot as soon as it is heard."""
    words = ("machines", "assign", f"Mac:{vm.mac}", bootenv, "--reboot")
    netns.until(lambda: here.engine.cli(*words).returncode == 0, timeout=120, what="its agent is heard")
