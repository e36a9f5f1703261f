"""Things that happen on the fake engine's wire while somebody looks."""

from __future__ import annotations

import asyncio

from app.model.event import EventDraft, Level
from app.model.machine import MachineState, machine_id_for
from tests.fakes.client import FakeClient
from tests.fakes.world import mac

STEPS = (
    ("dhcp.discover", "DISCOVER from 52:54:00:00:00:05: x64 UEFI (7)", "discover"),
    ("dhcp.offer", "OFFER 10.7.0.105, boot file ipxe.efi", "offer"),
    ("dhcp.ack", "ACK 10.7.0.105", "ack"),
    ("tftp.sent", "ipxe.efi to 10.7.0.105: 1.0 MB in 0.9 s", "loader"),
    ("http.started", "kernel to 10.7.0.105", "kernel"),
    ("http.sent", "initrd to 10.7.0.105: 13 MB in 1.1 s", "initrd"),
    ("http.missing", "no file /pxelinux.cfg/default for 10.7.0.105", "agent"),
)


def event(kind: str, message: str, number: int = 5, level: Level = Level.INFO, **data: object) -> EventDraft:
    """An event about the machine with this number."""
    return EventDraft(
        time=0.0,
        kind=kind,
        message=message,
        level=level,
        mac=mac(number),
        machine=machine_id_for(mac(number)),
        data=data,
    )


async def boot_for_ever(client: FakeClient, pause: float = 0.4) -> None:
    """One machine boots again and again."""
    name = "node-05"
    while True:
        for kind, message, hop in STEPS:
            client.now += pause
            client.machines.change(
                name, MachineState.BOOT, hop=hop, since=client.now, waiting_for=f"what follows {hop}"
            )
            level = Level.WARNING if kind.endswith("missing") else Level.INFO
            client.push(event(kind, message, level=level).model_copy(update={"time": client.now}))
            await asyncio.sleep(pause)
