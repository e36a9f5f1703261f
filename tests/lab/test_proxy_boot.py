"""Machines boot our files with another server's addresses: ProxyDHCP on ports 67 and 4011 beside dnsmasq."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from app.model.machine import MachineState
from tests import netns
from tests.lab.site import Site, dnsmasq, done, site, skipped

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

THEIRS = [IPv4Address(f"10.7.0.{number}") for number in range(50, 61)]
"""What dnsmasq gives out."""

PAYLOAD = ("script", "kernel", "initrd", "agent", "inventory")
UEFI = ("discover", "offer", "request", "ack", "loader", "ipxe", *PAYLOAD)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Site]:
    """A site whose addresses dnsmasq gives, where our engine serves boot information only."""
    with site(tmp_path) as made:
        dnsmasq(made)
        made.engine.subnet(name="office", mode="proxy", ranges=[], router=None, dns=[])
        yield made


@pytest.mark.full
@pytest.mark.parametrize("kind", ["bios", "uefi"])
def test_a_machine_that_boots_its_own_disk_does_so_at_once(office: Site, kind: str) -> None:
    body = {"name": "web1", "macs": ["52:54:00:51:7e:00"], "bootenv": "local"}
    office.engine.ask(office.engine.client.machines.create(body))
    vm = office.power_on(kind)
    netns.until(lambda: vm.spec.marker in vm.serial(), timeout=240, what="its own disk")
    boot = office.timeline(vm)

    office.unfaulted(vm)
    assert boot.complete
    assert boot.hops[-1].name == "local"
    # UEFI firmware that is told nothing asks four times, for 75 seconds.
    assert boot.retries <= 1


@pytest.mark.parametrize(
    ("kind", "path", "hops"),
    [
        # UEFI firmware asks port 4011 once it has an address, iPXE in a card's ROM takes what the offer says.
        ("uefi", "uefi-pxe", UEFI),
        pytest.param("arm64", "uefi-pxe", UEFI, marks=pytest.mark.full),
        pytest.param("bios", "bios-ipxe", ("discover", "offer", "request", *PAYLOAD), marks=pytest.mark.full),
    ],
)
def test_a_machine_boots_beside_the_sites_dhcp_server(
    office: Site, kind: str, path: str, hops: tuple[str, ...]
) -> None:
    vm = office.power_on(kind)
    machine, boot = office.inventory(vm, "beside dnsmasq")
    given = office.engine.events(mac=vm.mac)

    assert boot.path == path
    assert done(boot) == hops
    assert {hop.name for hop in boot.hops} - set(hops) == set(skipped(boot))
    assert machine.address in THEIRS
    assert machine.status is not None
    assert machine.status.state is MachineState.READY
    # What we answered were boot files; addresses, leases and refusals are the other server's.
    assert {event.kind for event in given if event.kind.endswith((".offer", ".ack", ".nak"))} <= {
        "proxy.offer",
        "proxy.ack",
    }
    assert office.engine.leases() == {}
