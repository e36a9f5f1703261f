"""The event stream: resumes, keeps alive, filters, ends with the engine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.api.listener import ApiListener
from app.model.event import EventDraft
from tests.fakes import world
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served


def draft(number: int, mac: str = "", kind: str = "dhcp.discover") -> EventDraft:
    return EventDraft(time=world.NOW, kind=kind, message=f"number {number}", mac=mac)


def client(listener: ApiListener) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(listener.path)), base_url="http://e/api/v1")


async def frames(reply: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """The blocks of a stream, comments under `comment`."""
    block: dict[str, str] = {}
    async for line in reply.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            block[name or "comment"] = value.strip()
        else:
            yield block
            block = {}


async def take(source: AsyncIterator[dict[str, str]], count: int) -> list[dict[str, str]]:
    return [await asyncio.wait_for(anext(source), 5) for _ in range(count)]


@pytest.mark.parametrize(
    ("params", "headers"),
    [({"after": "3"}, {}), ({}, {"Last-Event-ID": "3"}), ({"after": "9"}, {"Last-Event-ID": "3"})],
)
async def test_it_resumes_after_an_event_and_goes_on(
    listener: ApiListener, engine: FakeEngine, params: dict[str, str], headers: dict[str, str]
) -> None:
    kept = len(engine.world.events.ring)
    async with client(listener) as http, http.stream("GET", "/events/stream", params=params, headers=headers) as reply:
        source = frames(reply)
        first = await take(source, 1)
        old = await take(source, kept - 3)
        engine.push(draft(1))
        new = await take(source, 1)

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert first == [{"retry": "1000", "id": "3"}]
    assert [int(block["id"]) for block in old] == list(range(4, kept + 1))
    assert new[0]["event"] == "dhcp.discover"
    assert json.loads(new[0]["data"])["message"] == "number 1"


@pytest.mark.parametrize("after", ["", "999999"])
async def test_without_a_place_it_begins_now(listener: ApiListener, engine: FakeEngine, after: str) -> None:
    params = {"after": after} if after else {}
    async with client(listener) as http, http.stream("GET", "/events/stream", params=params) as reply:
        source = frames(reply)
        first = await take(source, 1)
        engine.push(draft(1))
        new = await take(source, 1)

    assert first[0]["id"] == str(len(engine.world.events.ring) - 1)
    assert json.loads(new[0]["data"])["message"] == "number 1"


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"machine": "node-03"}, [1, 2]),
        ({"kind": "tftp."}, [2, 4]),
        ({"machine": "Mac:52:54:00:00:00:03", "kind": "tftp."}, [2]),
        ({"machine": "52-54-00-00-00-99"}, [3, 4]),
    ],
)
async def test_it_filters(listener: ApiListener, engine: FakeEngine, params: dict[str, str], wanted: list[int]) -> None:
    async with client(listener) as http, http.stream("GET", "/events/stream", params=params) as reply:
        source = frames(reply)
        await take(source, 1)
        engine.push(draft(1, world.mac(3)))
        engine.push(draft(2, world.mac(3), "tftp.sent"))
        engine.push(draft(3, "52:54:00:00:00:99"))
        engine.push(draft(4, "52:54:00:00:00:99", "tftp.sent"))
        got = await take(source, len(wanted))

    assert [json.loads(block["data"])["message"] for block in got] == [f"number {number}" for number in wanted]


async def test_silence_is_kept_alive(engine: FakeEngine) -> None:
    async with (
        served(engine, keep_alive=0.05) as listener,
        client(listener) as http,
        http.stream("GET", "/events/stream") as reply,
    ):
        got = await take(frames(reply), 3)

    assert got[1:] == [{"comment": "keep-alive"}] * 2


async def test_streams_end_when_the_listener_stops(engine: FakeEngine) -> None:
    async with served(engine) as listener, client(listener) as http:
        ended: list[Any] = []

        async def follow() -> None:
            async with http.stream("GET", "/events/stream") as reply:
                ended.extend([block async for block in frames(reply)])

        watchers = [asyncio.create_task(follow()) for _ in range(5)]
        async with asyncio.timeout(5):
            while listener.counters["streams"] < 5:
                await asyncio.sleep(0.01)
        assert listener.counters["streams"] == 5
        began = time.monotonic()
        await listener.stop()
        await asyncio.gather(*watchers)

    assert time.monotonic() - began < 1.0
    assert len(ended) == 5
    assert engine.events.followers == set()


async def test_a_watcher_that_leaves_is_forgotten(listener: ApiListener, engine: FakeEngine) -> None:
    async with client(listener) as http, http.stream("GET", "/events/stream") as reply:
        await take(frames(reply), 1)
        assert len(engine.events.followers) == 1
    async with asyncio.timeout(5):
        while engine.events.followers:
            await asyncio.sleep(0.01)

    assert listener.counters["streams"] == 0


async def test_a_watcher_that_does_not_read_blocks_nobody(listener: ApiListener, engine: FakeEngine) -> None:
    async with client(listener) as http, http.stream("GET", "/events/stream"):
        for number in range(20_000):
            engine.world.push(draft(number))
        engine.events.tell()
        began = time.monotonic()
        reply = await http.get("/info")

    assert reply.status_code == 200
    assert time.monotonic() - began < 2.0
