"""The API in this process, and HTTP clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app.api.listener import ApiListener
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def listener(engine: FakeEngine) -> AsyncIterator[ApiListener]:
    async with served(engine) as started:
        yield started


@pytest.fixture
async def http(listener: ApiListener) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(listener.path))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine/api/v1") as client:
        yield client
