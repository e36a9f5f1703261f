"""UEFI firmware boots over IPv6 alone, by PXE and by HTTP: loader, iPXE, script and kernel, with no IPv4 served."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from app.client.http import HttpClient
from app.model.event import Event
from app.model.subnet6 import AnyLease
from app.services.lab import state
from tests.lab import boots, labs

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1200)]

# HTTP firmware tries IPv4 for a minute first.
SECONDS = 900.0
LOADER = {"uefi": "tftp.sent", "uefi-http": "http.sent"}


def _asked(lab: state.LabState) -> tuple[list[Event], list[AnyLease]]:
    async def ask() -> tuple[list[Event], list[AnyLease]]:
        client = HttpClient(f"unix:{lab.socket}")
        try:
            return list((await client.events.list()).items), list((await client.leases.list()).items)
        finally:
            await client.close()

    return asyncio.run(ask())


def _fetched(events: list[Event], mac: str, kind: str, role: str) -> list[Event]:
    return [each for each in events if (each.mac, each.kind, each.data.get("role")) == (mac, kind, role)]


def test_firmware_boots_over_ipv6_alone() -> None:
    with labs.fresh() as made:
        lab = boots.up(made, [f"{kind}:ip=6" for kind in LOADER])

        def started() -> bool:
            events, _ = _asked(lab)
            return all(_fetched(events, each.mac, "http.sent", "kernel") for each in lab.machines)

        labs.until("every machine fetches its kernel", SECONDS, started)
        events, leases = _asked(lab)
        for machine in lab.machines:
            for kind, role in ((LOADER[machine.kind], "loader"), ("http.sent", "script"), ("http.sent", "kernel")):
                found = _fetched(events, machine.mac, kind, role)
                assert found, f"{machine.name} was sent no {role}"
                assert all(ip_address(each.address).version == 6 for each in found)
            assert "http://[fd00:77::1]:8090/boot/" in boots.serial(machine)
        assert {lease.address.version for lease in leases} == {6}
        assert {lease.mac for lease in leases} == {machine.mac for machine in lab.machines}
