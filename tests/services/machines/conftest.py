from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from app.model.bootenv import BootEnv, BootKind
from app.model.event import Event, EventDraft
from app.netboot.timeline import timeline
from app.services.commands.layer import CommandLayer
from app.services.machines.registrar import Registrar
from app.services.machines.roster import Roster
from app.store.store import Store, open_store
from tests.store.stores import SetClock, until


@dataclass
class World:
    """The store, the command layer and the machines, joined as the engine joins them."""

    store: Store
    layer: CommandLayer
    roster: Roster
    registrar: Registrar
    clock: SetClock

    @classmethod
    def open(cls, data_dir: Path, clock: SetClock) -> World:
        store = open_store(data_dir, clock)
        store.directory.set_bootenvs(
            [BootEnv(name="local", kind=BootKind.LOCAL), BootEnv(name="discovery", unknown_only=True)]
        )
        layer = CommandLayer(store.database, store.directory, store.events, clock)
        roster = Roster(store.directory, store.events, clock, timeline)
        store.events.observe(roster.observe)
        roster.replay()
        layer.roster = roster
        return cls(store, layer, roster, Registrar(layer, store.directory, roster, store.events.emit, clock), clock)

    def emit(self, kind: str, mac: str = "", address: str = "", **data: Any) -> None:
        """Emit an event and wait until it was observed."""
        seen: list[Event] = []
        self.store.events.observe(seen.append)
        draft = EventDraft(time=self.clock.time, kind=kind, message=kind, mac=mac, address=address, data=data)
        self.store.events.emit(draft)
        until(lambda: any(each.kind == kind and each.mac == mac for each in seen))
        self.store.events._observers.remove(seen.append)

    def kinds(self, prefix: str = "") -> list[str]:
        """The kinds of the events stored so far."""
        self.emit("engine.ready")
        return [each.kind for each in self.store.events.tail() if each.kind.startswith(prefix)]

    def boot(self, mac: str, *, upto: str = "", address: str = "10.7.0.101") -> None:
        """The events of a discovery boot by PXE, a second apart, until the step named."""
        rom, ipxe = {"stage": "rom", "firmware": "uefi", "arch": 7}, {"stage": "ipxe"}
        steps: list[tuple[str, dict[str, Any]]] = [
            ("dhcp.discover", rom),
            ("dhcp.offer", {**rom, "bootfile": "ipxe.efi"}),
            ("dhcp.request", rom),
            ("dhcp.ack", {**rom, "bootfile": "ipxe.efi"}),
            ("tftp.sent", {"role": "loader", "file": "ipxe.efi", "bytes": 1, "seconds": 1}),
            ("dhcp.ack", {**ipxe, "bootfile": "x"}),
            ("http.sent", {"role": "script", "bytes": 1, "seconds": 1, "bootenv": "discovery", "boots": "kernel"}),
            ("http.sent", {"role": "kernel", "bytes": 1, "seconds": 1}),
            ("http.sent", {"role": "initrd", "bytes": 1, "seconds": 1}),
        ]
        for kind, data in steps:
            self.clock.time += 1
            self.emit(kind, mac, address, **data)
            if upto in (kind, data.get("role")):
                return

    def status(self, key: str) -> tuple[str, str]:
        """State and hop of a machine."""
        machine = self.layer.resolve("machines", key)
        status = getattr(machine, "status", None)
        assert status is not None
        return status.state.value, status.hop


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def world(data_dir: Path, clock: SetClock) -> Iterator[World]:
    made = World.open(data_dir, clock)
    yield made
    made.store.close()


ADDRESS = IPv4Address("10.7.0.101")
