"""Every kind of machine on real firmware, at once: power-on, discovery, inventory, then each one's own disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from app.model.machine import Machine
from app.model.timeline import HopState, Timeline
from app.services.lab.build import KINDS
from tests.lab import boots, labs, matrix
from tests.lab.boots import Boot

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(1200)]

QUIET = 0.5
"""Load average below which the host counts as quiet, so that times are worth a judgement."""
SLOWER = 1.3
"""What a machine alone may take of the reference on a quiet host."""

MIB = 1024 * 1024
ADDRESS = ("discover", "offer", "request", "ack")
LOADER = ("loader", "ipxe")
PAYLOAD = ("script", "kernel", "initrd", "agent", "inventory")

DISCOVERED = {
    "bios": ("bios-ipxe", (*ADDRESS, *PAYLOAD)),
    "uefi": ("uefi-pxe", (*ADDRESS, *LOADER, *PAYLOAD)),
    "uefi-http": ("uefi-http", (*ADDRESS, *LOADER, *PAYLOAD)),
    "arm64": ("uefi-pxe", (*ADDRESS, *LOADER, *PAYLOAD)),
    "arm64-http": ("uefi-http", (*ADDRESS, *LOADER, *PAYLOAD)),
}
"""By machine kind: what the timeline calls its path, and the hops it passes."""

OVER_HTTP = {("http", role) for role in ("script", "kernel", "initrd")}
# HTTP boot asks for the loader's size first, with HEAD.
LOADERS = {
    kind: {("http", "file"), ("http", "loader")} if sort.http else {("tftp", "loader")}
    for kind, sort in KINDS.items()
    if sort.uefi
}

TOGETHER = ("bios", "uefi", "uefi-http", "arm64")
"""Booted side by side in every run; the other kinds under `full`."""


@pytest.fixture(scope="module")
def together() -> Iterator[Mapping[str, Boot]]:
    with labs.fresh() as lab:
        found = boots.follow(boots.up(lab, TOGETHER), to_disk=True)
        site = f"{len(found)} machines at once"
        for one in found:
            _record(one, site)
        yield {one.machine.kind: one for one in found}


def _record(boot: Boot, site: str) -> None:
    result, machine = boot.failure.partition("\n")[0] or "ok", boot.machine
    matrix.record(machine.kind, site, machine.started, boot.discovered, result=result, local=boot.local)


def _done(boot: Timeline) -> tuple[str, ...]:
    return tuple(hop.name for hop in boot.hops if hop.state is HopState.DONE)


def _check_discovered(boot: Boot) -> None:
    kind, record = boot.machine.kind, boot.record
    boots.assert_no_findings(boot)
    path, hops = DISCOVERED[kind]
    assert (boot.discovered.path, _done(boot.discovered)) == (path, hops)
    assert boot.discovered.at == ""
    assert boot.sent == OVER_HTTP | LOADERS.get(kind, set())
    times = [hop.ended for hop in boot.discovered.hops if hop.ended is not None]
    assert times == sorted(times)
    assert record is not None
    assert record.registered
    assert record.macs == (boot.machine.mac,)
    assert (record.architecture, record.firmware) == (KINDS[kind].architecture, "uefi" if KINDS[kind].uefi else "bios")
    _check_inventory(boot, record)


def _check_inventory(boot: Boot, record: Machine) -> None:
    machine, found = boot.machine, record.inventory
    assert found is not None
    assert found.firmware == record.firmware
    assert (found.system.serial, found.system.uuid.lower()) == (machine.serial, machine.uuid)
    assert [disk.size for disk in found.disks] == [64 * MIB]
    assert [(nic.mac, nic.driver, nic.boot) for nic in found.nics] == [(machine.mac, "virtio_net", True)]


@pytest.mark.parametrize("kind", TOGETHER)
def test_it_posts_its_inventory_then_boots_its_own_disk(together: Mapping[str, Boot], kind: str) -> None:
    boot = together[kind]

    assert boot.failure == ""
    _check_discovered(boot)
    assert boot.record is not None
    assert boot.record.bootenv == "local"
    assert boot.own_disk.complete
    assert [hop.state for hop in boot.own_disk.hops if hop.name == "local"] == [HopState.DONE]


@pytest.mark.full
@pytest.mark.timing
@pytest.mark.parametrize("kind", KINDS)
def test_alone_it_takes_its_time_and_no_more(kind: str) -> None:
    quiet = os.getloadavg()[0] < QUIET
    with labs.fresh() as lab:
        (boot,) = boots.follow(boots.up(lab, [kind]), to_disk=True)
    _record(boot, "alone, quiet host" if quiet else "alone")

    assert boot.failure == ""
    _check_discovered(boot)
    assert boot.own_disk.complete
    ended = [hop.ended for hop in boot.discovered.hops if hop.ended is not None]
    if quiet:
        assert max(ended) - boot.machine.started < matrix.REFERENCE[kind] * SLOWER
