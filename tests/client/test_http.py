"""The HTTP client when things go wrong: no engine, a dying one, a strange one."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from app.api.app import create_app
from app.api.listener import ApiListener
from app.client.http import HttpClient
from app.errors import BY_CODE, BootcartError, ForbiddenError, NotFoundError, UnavailableError, UnreachableError
from app.model.event import Event, EventDraft
from app.model.query import Query
from tests.fakes import world
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served

ROOT = Path(__file__).parents[2]


def draft(number: int, message: str = "") -> EventDraft:
    return EventDraft(time=world.NOW, kind="dhcp.discover", message=message or f"number {number}")


@asynccontextmanager
async def connected(path: Path, patience: float = 1.0) -> AsyncGenerator[HttpClient]:
    client = HttpClient(f"unix:{path}", patience=patience)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def answering(path: Path, answer: bytes) -> AsyncGenerator[None]:
    """Something on the socket that gives every caller the same bytes and hangs up."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(reply, str(path)):
        yield


async def seen(client: HttpClient, after: int | None, stop: Callable[[list[Event]], bool]) -> list[Event]:
    """The events of a watch until there are enough."""
    got: list[Event] = []
    source = cast("AsyncGenerator[Event, None]", client.events.watch(after))
    async for event in source:
        got.append(event)
        if stop(got):
            break
    await source.aclose()
    return got


def no_socket(_path: Path) -> None:
    pass


def stale_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


@pytest.mark.parametrize("state", [no_socket, stale_socket])
async def test_no_engine_is_said_with_what_to_do(tmp_path: Path, state: Callable[[Path], None]) -> None:
    state(tmp_path / "s")
    async with connected(tmp_path / "s") as client:
        with pytest.raises(UnreachableError) as caught:
            await client.info()

    assert str(tmp_path / "s") in caught.value.message
    assert "bootcart serve" in caught.value.hint


@pytest.mark.root
def test_a_socket_this_user_may_not_reach() -> None:
    script = """
import asyncio, sys
from app.client.http import HttpClient
from app.errors import BootcartError
async def main():
    try:
        await HttpClient("unix:" + sys.argv[1]).info()
    except BootcartError as error:
        print(error.code)
asyncio.run(main())
"""

    async def serve_and_ask() -> str:
        async with served(FakeEngine()) as listener:
            listener.path.parent.chmod(0o700)
            nobody = pwd.getpwnam("nobody").pw_uid
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, str(listener.path), cwd=ROOT, user=nobody, group=nobody,
                extra_groups=[], stdout=subprocess.PIPE,
            )  # fmt: skip
            out, _ = await child.communicate()
            return out.decode()

    if os.stat(ROOT.parent).st_mode & 0o005 != 0o005:
        pytest.skip("another user cannot read this checkout")
    assert asyncio.run(serve_and_ask()) == f"{ForbiddenError.code}\n"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", UnreachableError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", UnreachableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", BootcartError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", BootcartError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", UnreachableError),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nhello", BootcartError),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", UnavailableError),
        (b'HTTP/1.1 418 Tea\r\nContent-Length: 14\r\n\r\n["a", "teapot"]', BootcartError),
    ],
)
async def test_strange_answers_are_errors_in_words(tmp_path: Path, answer: bytes, kind: type[BootcartError]) -> None:
    async with answering(tmp_path / "s", answer), connected(tmp_path / "s") as client:
        for call in (client.info(), client.machines.list(), client.machines.show("x")):
            with pytest.raises(kind) as caught:
                await call
            assert type(caught.value) is kind
            assert caught.value.message


@pytest.mark.parametrize("kind", BY_CODE.values())
async def test_every_error_arrives_as_it_was_raised(kind: type[BootcartError]) -> None:
    engine = FakeEngine()
    async with served(engine) as listener, connected(listener.path) as client:
        engine.world.fail(kind("it broke", hint="mend it", field="name"))
        with pytest.raises(kind) as caught:
            await client.machines.create({"name": "x"})

    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint, caught.value.field) == ("it broke", "mend it", "name")


async def test_what_a_newer_engine_adds_is_left_out(tmp_path: Path) -> None:
    body = b'{"items": [{"name": "x", "value": "1", "colour": "red"}], "total": 1, "offset": 0}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with answering(tmp_path / "s", answer), connected(tmp_path / "s") as client:
        assert [pref.name for pref in (await client.prefs.list()).items] == ["x"]


async def test_a_thousand_objects_come_whole() -> None:
    engine = FakeEngine()
    machine = world.machines()[6]
    for number in range(1500):
        engine.world.machines.items[str(number)] = machine
    async with served(engine) as listener, connected(listener.path) as client:
        page = await client.machines.list(Query(limit=5000))

    assert (len(page.items), page.total) == (1000, 1500 + len(world.machines()))
    assert page.items[500] == machine


async def test_a_watch_outlives_its_engine_and_loses_nothing(tmp_path: Path) -> None:
    engine = FakeEngine()
    path = tmp_path / "s"
    start = engine.events.last_id

    async def lives() -> AsyncIterator[ApiListener]:
        for _ in range(4):
            listener = ApiListener(create_app(engine), path, emit=engine.emit)
            await listener.start()
            yield listener
            await listener.stop()

    async with connected(path, patience=10) as client:
        watching = asyncio.create_task(seen(client, start, lambda got: len(got) == 40))
        number = 0
        async for listener in lives():
            async with asyncio.timeout(10):
                while listener.counters["streams"] == 0:
                    await asyncio.sleep(0.01)
            for _ in range(5):
                engine.push(draft(number))
                number += 1
            # These are written while nobody serves them.
            await listener.stop()
            for _ in range(5):
                engine.push(draft(number))
                number += 1
        listener = ApiListener(create_app(engine), path, emit=engine.emit)
        await listener.start()
        got = await asyncio.wait_for(watching, 10)
        await listener.stop()

    assert [event.message for event in got] == [f"number {number}" for number in range(40)]
    assert [event.id for event in got] == list(range(start + 1, start + 41))


async def test_a_watch_gives_up_when_nobody_comes_back(tmp_path: Path) -> None:
    began = time.monotonic()
    async with connected(tmp_path / "s", patience=0.5) as client:
        with pytest.raises(UnreachableError):
            await seen(client, None, bool)

    assert 0.4 < time.monotonic() - began < 5


async def test_a_watch_of_a_renewed_store_begins_again() -> None:
    engine = FakeEngine()
    async with served(engine) as listener, connected(listener.path) as client:
        watching = asyncio.create_task(seen(client, 10_000, bool))
        async with asyncio.timeout(10):
            while listener.counters["streams"] == 0:
                await asyncio.sleep(0.01)
        engine.push(draft(1))
        [event] = await asyncio.wait_for(watching, 10)

    assert event.message == "number 1"


async def test_a_watch_is_refused_at_once_for_what_is_not_there() -> None:
    async with served(FakeEngine()) as listener, connected(listener.path) as client:
        with pytest.raises(NotFoundError):
            await anext(aiter(client.events.watch(machine="nobody")))


@pytest.mark.parametrize("text", ["a\u2028b", "a\u0085b", "a\x0bb", "data: x", "\U0001f680", "a\tb"])
async def test_any_text_in_an_event_comes_whole(text: str) -> None:
    engine = FakeEngine()
    start = engine.events.last_id
    async with served(engine) as listener, connected(listener.path) as client:
        engine.push(draft(1, text))
        [event] = await asyncio.wait_for(seen(client, start, bool), 10)

    assert event.message == text


def test_importing_the_client_loads_nothing_heavy() -> None:
    script = "import sys, app.client.http, app.client.endpoint; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    heavy = {"fastapi", "starlette", "uvicorn", "sqlmodel", "sqlalchemy", "scapy", "textual", "httpx", "typer", "rich"}

    assert heavy & {name.partition(".")[0] for name in loaded.split()} == set()
    # What each noun is made of comes with the noun.
    assert {name for name in loaded.split() if name.startswith("app.model.")} == {"app.model.fields", "app.model.query"}
