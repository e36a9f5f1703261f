"""Scripts that are at hand go out at once, and whatever is not exactly what iPXE sends goes the usual way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from app.model.event import EventDraft
from app.services.boothttp import repeats
from app.services.boothttp.repeats import Repeats, Said
from tests.services.bootfs.world import MAC
from tests.services.boothttp.conftest import HOME, NEIGHBOUR, Listener

PATH = "/boot/52-54-00-00-00-07.ipxe"
HEAD = f"GET {PATH} HTTP/1.1\r\nHost: boot:8090\r\nUser-Agent: iPXE/1.21.1\r\nConnection: keep-alive\r\n\r\n".encode()


class Line:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[bytes, dict[str, str], bytes]:
        """The next answer: status line, headers, body."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")[:-2]
            headers = dict(line.split(": ", 1) for line in lines)
            return first.encode(), headers, await self.reader.readexactly(int(headers.get("Content-Length", 0)))

    async def ask(self, data: bytes) -> tuple[bytes, dict[str, str], bytes]:
        await self.send(data)
        return await self.answer()


@contextlib.asynccontextmanager
async def connected(listener: Listener, peer: object = HOME) -> AsyncGenerator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=(str(peer), 0))
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def _quick(listener: Listener) -> list[EventDraft]:
    return [event for event in listener.world.events if event.kind == "http.sent"]


async def test_a_script_at_hand_is_the_same_answer(listener: Listener) -> None:
    async with connected(listener) as line:
        first = await line.ask(HEAD)
        assert listener.world.tree.script_at_hand(MAC, HOME, HOME) is not None
        second = await line.ask(HEAD)
        del first[1]["Date"], second[1]["Date"]
        assert second == first
    sent = _quick(listener)
    assert len(sent) == 2
    assert {**sent[0].data, "seconds": 0} == {**sent[1].data, "seconds": 0}
    assert (sent[1].mac, sent[1].address, sent[1].message.split()[1]) == (MAC, str(HOME), PATH[1:])
    assert listener.http.counters["requests"] == listener.http.counters["sent"] == 2


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"),
        HEAD.replace(b"Connection: keep-alive", b"Connection: close"),
        HEAD.replace(b".ipxe HTTP", b".ipxe?attempt=1 HTTP"),
        HEAD.replace(b"Host", b"host"),
        HEAD.replace(b"GET /boot", b"GET //boot"),
        HEAD.replace(b"\r\n\r\n", b"\r\nRange: bytes=0-10\r\n\r\n"),
        HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_what_is_not_quite_that_is_answered_the_usual_way(listener: Listener, head: bytes) -> None:
    async with connected(listener) as line:
        await line.ask(HEAD)
    body = listener.world.tree.script_at_hand(MAC, HOME, HOME)
    assert body is not None
    async with connected(listener) as line:
        status, _, text = await line.ask(head)
    assert status.endswith(b" 200 OK")
    assert text == body.body


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"Host: boot:8090\r\n", b""),
        HEAD.replace(b"Host: boot:8090", b"Host: a\r\nHost: b"),
        HEAD.replace(b"Host: boot:8090", b"Host: a b"),
        HEAD.replace(b"User-Agent: ", b"User-Agent : "),
    ],
)
async def test_what_is_no_good_request_is_refused_as_ever(listener: Listener, head: bytes) -> None:
    async with connected(listener) as line:
        await line.ask(HEAD)
    before = len(_quick(listener))
    async with connected(listener) as line:
        status, _, _ = await line.ask(head)
    assert b" 400 " in status
    assert len(_quick(listener)) == before


async def test_another_machine_does_not_get_it(listener: Listener) -> None:
    async with connected(listener) as line:
        await line.ask(HEAD)
    async with connected(listener, NEIGHBOUR) as line:
        status, _, _ = await line.ask(HEAD)
    assert b" 404 " in status


async def test_what_belongs_to_a_request_before_is_no_request(listener: Listener) -> None:
    async with connected(listener) as line:
        await line.ask(HEAD)
        # A body that looks like a request.
        post = f"POST /agent/register HTTP/1.1\r\nHost: boot\r\nContent-Length: {len(HEAD)}\r\n\r\n".encode()
        await line.send(post)
        await asyncio.sleep(0)
        status, _, _ = await line.ask(HEAD)
        assert b" 401 " in status
        before = len(_quick(listener))
        status, _, body = await line.ask(HEAD)
        assert (b" 200 " in status, body[:6]) == (True, b"#!ipxe")
        assert len(_quick(listener)) == before + 1


async def test_a_head_may_come_in_pieces_and_many_at_once(listener: Listener) -> None:
    async with connected(listener) as line:
        whole = await line.ask(HEAD)
        for at in (3, 20, len(HEAD) - 2):
            await line.send(HEAD[:at])
            await asyncio.sleep(0.01)
            assert (await line.ask(HEAD[at:]))[2] == whole[2]
        await line.send(HEAD * 3)
        assert [(await line.answer())[2] for _ in range(3)] == [whole[2]] * 3
        await line.send(HEAD[:9])
        # The rest of one request and the next.
        await line.send(HEAD[9:] + HEAD)
        assert [(await line.answer())[2] for _ in range(2)] == [whole[2]] * 2


async def test_what_happens_again_and_again_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "SECOND", 0.01)
    told: list[Said] = []
    counted = Repeats(told.append)
    for _ in range(15):
        counted.happened(HOME, "a", 200, lambda: Said("http.sent", "a", HOME, MAC, {"path": "a"}))
    counted.happened(HOME, "b", 200, lambda: Said("http.sent", "b", HOME, MAC, {"path": "b"}))
    assert [said.words for said in told] == ["a"] * 10 + ["b"]
    async with asyncio.timeout(10):
        while len(told) < 12:
            await asyncio.sleep(0.01)
    assert (told[-1].words, told[-1].facts) == ("a; 5 times within a second", {"path": "a", "times": 5})
    # Another second begins.
    counted.happened(HOME, "a", 200, lambda: Said("http.sent", "a", HOME, MAC, {"path": "a"}))
    assert told[-1].words == "a"
    counted.flush()
