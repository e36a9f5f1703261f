"""A running boot listener over a world that tests change; machines are loopback addresses."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import ConflictError
from app.model.event import EventDraft
from app.model.inventory import Inventory
from app.model.machine import Machine, machine_id_for, machine_name_for
from app.model.subnet import Lease
from app.services.boothttp import BootHttpService
from tests.services.bootfs.world import HERE, KEY, MAC, OTHER, THERE, World

HOME, NEIGHBOUR = IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2")


class Registry:
    """Keeps machines in the world's view and remembers what it was told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[tuple[str, Any]] = []
        self.action = ""
        self.refuses = False

    def register(self, mac: str, address: IPv4Address, report: Mapping[str, Any], /) -> Machine:
        if self.refuses:
            raise ConflictError("it is another machine's", hint="delete one", field="macs")
        self.calls.append(("register", {"mac": mac, "address": address, **report}))
        known = self.world.view.machines.get(mac)
        machine = known or Machine(id=machine_id_for(mac), name=machine_name_for(mac), macs=(mac,))
        self.world.view.machines[mac] = machine
        return machine

    def inventory(self, machine: uuid.UUID, inventory: Inventory, /) -> None:
        self.calls.append(("inventory", (machine, inventory)))

    def heartbeat(self, machine: uuid.UUID, /) -> str:
        self.calls.append(("heartbeat", machine))
        return self.action

    def host_key(self, machine: uuid.UUID, fingerprint: str, /) -> None:
        self.calls.append(("host_key", (machine, fingerprint)))

    def agent_event(self, machine: uuid.UUID, kind: str, step: str, output: str, /) -> None:
        self.calls.append(("event", (machine, kind, step, output)))

    def report(self, key: uuid.UUID, step: str, words: str, bootenv: str, /) -> None:
        self.calls.append(("report", (key, step, words, bootenv)))


class Listener:
    """The service, its world, and a client that may speak from any loopback address."""

    def __init__(self, world: World, address: str = "127.0.0.1", address6: str = "", port: int = 0) -> None:
        self.world = world
        # The two machines of the world, at addresses this host can speak from.
        for old, new, mac in ((HERE, HOME, MAC), (THERE, NEIGHBOUR, OTHER)):
            del world.view.leases[old]
            world.view.leases[new] = Lease(address=new, mac=mac, since=1000.0, expires=9000.0, subnet="lan")
        self.registry = Registry(world)
        self.http = BootHttpService(
            world.tree,
            self.registry,
            world.events.append,
            world.clock,
            token_key=KEY,
            address=address,
            address6=address6,
            port=port,
            installs=self.registry,
        )

    @property
    def port(self) -> int:
        return self.http.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(
        self, method: str, path: str, *, peer: IPv4Address = HOME, **extra: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        transport = httpx.AsyncHTTPTransport(local_address=str(peer))
        async with httpx.AsyncClient(transport=transport, timeout=30) as client:
            answer = await client.request(method, f"{self.url}{path}", **extra)
            return answer.status_code, answer.headers, answer.content

    async def raw(self, text: bytes, *, peer: IPv4Address = HOME, seconds: float = 10) -> bytes:
        """Send octets, read all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(str(peer), 0))
        try:
            writer.write(text)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def told(self, kind: str, seconds: float = 10) -> EventDraft:
        """The first event of a kind, when it comes."""
        async with asyncio.timeout(seconds):
            while True:
                for event in self.world.events:
                    if event.kind == kind:
                        return event
                await asyncio.sleep(0.01)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.world.events]


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    started = Listener(World(tmp_path))
    await started.http.start()
    try:
        yield started
    finally:
        await started.http.stop()
