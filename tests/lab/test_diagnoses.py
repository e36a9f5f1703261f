"""Real firmware in front of real faults: the first thing found is the right one, within a minute of the stall."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator

import pytest

from app.client.http import HttpClient
from app.model.event import Event
from app.services.lab import state
from tests.lab import boots, labs
from tests.lab.labs import Labs

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(600)]

NAMED_WITHIN = 60.0
PATIENCE = 240.0
"""For the firmware to come to its fault, on a busy host."""


@pytest.fixture
def lab() -> Iterator[Labs]:
    with labs.fresh() as made:
        yield made


def closed(rack: state.LabState, machine: state.MachineState, rule: str) -> None:
    """A firewall before the engine that drops what one machine sends to a port."""
    source = f"ether saddr {machine.mac} {rule} drop"
    for words in (
        "add table inet closed",
        "add chain inet closed in { type filter hook input priority 0 ; }",
        f"add rule inet closed in {source}",
    ):
        subprocess.run(["ip", "netns", "exec", rack.namespaces[0], "nft", words], check=True)


def first_found(rack: state.LabState, machine: state.MachineState, after: float) -> Event:
    """The first problem found about a machine since then."""

    async def look() -> Event | None:
        client = HttpClient(f"unix:{rack.socket}")
        try:
            page = await client.events.list(kind="diagnosis.found")
            return next((one for one in page.items if one.mac == machine.mac and one.time > after), None)
        finally:
            await client.close()

    deadline = time.monotonic() + PATIENCE
    while (event := asyncio.run(look())) is None:
        assert time.monotonic() < deadline, f"nothing is found about {machine.name}\n{boots.serial(machine)[-2000:]}"
        time.sleep(0.5)
    return event


def named(event: Event, rule: str) -> None:
    assert event.data["rule"] == rule, event.message
    assert event.time - event.data["since"] <= NAMED_WITHIN, event.message


def test_a_closed_port_and_secure_boot_are_named(lab: Labs) -> None:
    rack = boots.up(lab, ["bios", "uefi:secureboot=on"])
    blocked, secure = rack.machines
    closed(rack, blocked, "tcp dport 8090")
    since = time.time()
    assert lab.run("reset", blocked.name).returncode == 0

    named(first_found(rack, blocked, since), "D17")
    refused = first_found(rack, secure, 0)
    named(refused, "D15")
    assert "ipxe.efi" in refused.message


@pytest.mark.full
def test_a_machine_without_a_disk_and_a_closed_tftp_port_are_named(lab: Labs) -> None:
    rack = boots.up(lab, ["bios:disks=0", "uefi", "uefi-http"])
    diskless, blocked, http = rack.machines
    closed(rack, blocked, "udp dport 69")
    since = time.time()
    assert lab.run("reset", blocked.name).returncode == 0
    (boot,) = boots.follow(rack, only=diskless.name)
    boots.assert_no_findings(boot)
    (boot,) = boots.follow(rack, only=http.name)
    boots.assert_no_findings(boot)

    async def to_disk() -> None:
        client = HttpClient(f"unix:{rack.socket}")
        try:
            deadline = time.monotonic() + 60
            while not await boots.assigned(client, f"Mac:{diskless.mac}"):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
        finally:
            await client.close()

    told = time.time()
    asyncio.run(to_disk())
    named(first_found(rack, diskless, told), "D29")
    named(first_found(rack, blocked, since), "D10")
