"""Faults put in the way of real firmware: each is named in words, on the machine's row, within a minute."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.config import SYSTEM_ARTEFACTS
from app.model.diagnosis import Severity
from app.model.event import Event
from tests import netns
from tests.lab.site import DHCP_SERVER, ENGINE, Site, Vm, dnsmasq, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

NAMED_WITHIN = 60.0
"""Seconds of the engine's time between the stall and the finding."""
PREFERRED = "--dhcp-option=encap:175,1,64"
"""Makes iPXE take this server's offer, whichever comes first (iPXE's option 175.1, its priority)."""
LOADERS = ("loaders", "discovery/amd64")


def tagged(number: int, tag: str) -> str:
    """dnsmasq's words for a machine it serves, and what it knows it by."""
    return f"--dhcp-host=52:54:00:51:7e:{number:02x},set:{tag}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Loaders and discovery system, to take from."""
    made = tmp_path / "artefacts"
    for name in LOADERS:
        shutil.copytree(SYSTEM_ARTEFACTS / name, made / name)
    return made


@pytest.fixture
def here(tmp_path: Path, tree: Path) -> Iterator[Site]:
    with site(tmp_path, "--artefacts", str(tree)) as made:
        yield made


def named(here: Site, vm: Vm, rule: str, says: str, *, beside: Sequence[str] = ()) -> Event:
    """The first problem found about a machine, but for those `beside`, is this one: in time, in words, on its row."""
    event = here.first_found(vm, beside=beside)
    assert event.data["rule"] == rule, event.message
    assert 0 <= event.time - event.data["since"] <= NAMED_WITHIN, event.message
    shown(here, vm, rule, says)
    return event


def shown(here: Site, vm: Vm, rule: str, says: str, severity: Severity = Severity.PROBLEM) -> None:
    """It says so, what it means and what to do about it, where it is asked, and on the machine's row."""

    def found() -> bool:
        diagnosis = here.engine.ask(here.engine.client.machines.diagnosis(f"Mac:{vm.mac}"))
        one = next((each for each in diagnosis.findings if each.id == rule), None)
        machine = here.engine.machine(vm.mac)
        if one is None or machine is None or machine.status is None or machine.status.diagnosis != one.row:
            return False
        assert one.severity is severity
        assert all((one.seen, one.means, one.do, one.action, one.command)), one
        assert says in f"{one.seen}; {one.means}; {one.do}", one
        return True

    # What it is told in between changes both, one after the other.
    netns.until(found, timeout=30, what=f"{rule} stands on its row")


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


def test_another_server_for_all_and_a_missing_initrd(here: Site, tree: Path) -> None:
    here.engine.subnet()
    here.engine.served()
    (tree / "discovery" / "amd64" / "initrd.img").unlink()
    named(here, here.power_on("bios", number=1), "D18", "initrd.img")

    dnsmasq(here)
    here.engine.told("interfaces", "probe", "eth0")
    netns.until(lambda: here.engine.hold_of(), what="the subnet is held")
    named(here, here.power_on("bios", number=2), "D04", f"DHCP server {DHCP_SERVER}")
