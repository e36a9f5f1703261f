"""What every test here runs against: the fake, the API over the fake, and the whole engine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import cast

import pytest

from app.client.http import HttpClient
from app.client.protocol import Client
from app.config import Settings
from app.engine.engine import Engine
from tests.fakes.client import FakeClient
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served


@contextlib.asynccontextmanager
async def fake() -> AsyncIterator[Client]:
    yield FakeClient.empty()


@contextlib.asynccontextmanager
async def api() -> AsyncIterator[Client]:
    async with served(FakeEngine(FakeClient.empty())) as listener:
        client = HttpClient(f"unix:{listener.path}", patience=1.0)
        try:
            yield client
        finally:
            await client.close()


def free_ports() -> tuple[int, int, int, int]:
    """Ports nobody used a moment ago: three for UDP, one for TCP."""
    with contextlib.ExitStack() as stack:
        kinds = (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)
        made = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for kind in kinds]
        for each in made:
            each.bind(("127.0.0.1", 0))
        dhcp, pxe, tftp, http = (each.getsockname()[1] for each in made)
        return dhcp, pxe, tftp, http


@contextlib.asynccontextmanager
async def engine() -> AsyncIterator[Client]:
    """The whole engine on loopback, which sends nothing by itself."""
    with tempfile.TemporaryDirectory(prefix="bc-") as folder:
        dhcp, pxe, tftp, http = free_ports()
        settings = Settings(
            data_dir=Path(folder) / "data",
            interface=("lo",),
            dhcp="off",
            dhcp_port=dhcp,
            pxe_port=pxe,
            tftp_port=tftp,
            http_port=http,
            artefacts=Path(folder) / "artefacts",
            disable=("probe", "router"),
        )
        said = asyncio.Event()
        made = Engine(settings)
        running = asyncio.create_task(made.run(lambda _: said.set()))
        ready = asyncio.create_task(said.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        client = HttpClient(f"unix:{settings.socket}", patience=1.0)
        try:
            yield client
        finally:
            await client.close()
            made.stop("the test is over")
            ready.cancel()
            await asyncio.wait_for(running, 20)


# Each starts with no subnet, no machine and no lease.
ENGINES: dict[str, Callable[[], AbstractAsyncContextManager[Client]]] = {
    "fake": fake,
    "api": api,
    "engine": engine,
}


@pytest.fixture(params=list(ENGINES))
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with ENGINES[cast("str", request.param)]() as made:
        yield made
