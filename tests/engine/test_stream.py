"""What two terminals see: one stream of events without gap or repetition, one state, one switch over everything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from app.client.http import HttpClient
from app.model.event import Event
from app.model.fields import Model
from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import new_mac
from tests.engine.download import begin
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def _pair(artefacts: Path) -> Iterator[tuple[Engine, str]]:
    with netns.segment("10.7.0.1/24", clients=1) as segment:
        netns.run(segment.clients[0], ["ip", "route", "add", "10.7.0.0/24", "dev", "eth0"])
        with running(segment.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine:
            engine.subnet()
            engine.served()
            yield engine, segment.clients[0]


@pytest.fixture
def pair(_pair: tuple[Engine, str]) -> Iterator[tuple[Engine, str]]:
    """A serving engine and a client's namespace."""
    yield _pair
    _pair[0].sound()


async def collect(client: HttpClient, after: int, seen: list[Event]) -> None:
    """Follow the stream for ever."""
    async with aclosing(cast("AsyncGenerator[Event]", client.events.watch(after))) as events:
        # One by one: others look at `seen` meanwhile.
        async for event in events:
            seen.append(event)  # noqa: PERF401


async def until(seen: list[Event], kind: str, count: int) -> None:
    """A stream has brought so many events of a kind."""
    async with asyncio.timeout(30):
        while sum(event.kind == kind for event in seen) < count:
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def lingering(ns: str) -> Iterator[None]:
    """Who would like the engine to stay: a slow download, one half of a request, a TFTP reader that fell silent."""
    with card(ns, new_mac(), pxe(0)) as firmware:
        address = firmware.boot().address

    def halves() -> tuple[socket.socket, socket.socket]:
        tcp = socket.create_connection(("10.7.0.1", 8090), 10, (address, 0))
        tcp.sendall(b"POST /agent/register HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((address, 0))
        udp.settimeout(10)
        udp.sendto(b"\0\1ipxe.efi\0octet\0", ("10.7.0.1", 69))
        return tcp, udp

    tcp, udp = netns.call(ns, halves)
    download = begin(ns, "10.7.0.1", "/discovery/amd64/initrd.img")
    with tcp, udp, download.stream:
        assert udp.recv(600)[:4] == b"\0\3\0\1"
        yield
        assert download.drain() < download.size


def test_the_stream_resumes_across_restarts(pair: tuple[Engine, str]) -> None:
    """SIGTERM and kill -9, both under a reader who only knows the number of the last event it saw."""
    engine, ns = pair
    after = engine.newest()
    seen: list[Event] = []

    async def follow() -> None:
        client = HttpClient(engine.endpoint, patience=30)
        task = asyncio.create_task(collect(client, after, seen))
        try:
            for end in (engine_stop, engine_kill):
                starts = sum(event.kind == "engine.ready" for event in seen)
                await asyncio.to_thread(lease)
                await until(seen, "dhcp.ack", starts * 2 + 1)
                await asyncio.to_thread(end)
                await until(seen, "engine.ready", starts + 1)
                await asyncio.to_thread(lease)
                await until(seen, "dhcp.ack", starts * 2 + 2)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()

    def lease() -> None:
        with card(ns, new_mac(), pxe(7)) as firmware:
            deadline = time.monotonic() + 30
            # A machine asks until it is answered; the subnet is held while its segment is asked.
            while time.monotonic() < deadline:
                firmware.say("discover", new=True)
                try:
                    offer = firmware.hear(1, match=lambda reply: reply.kind == 2)
                except AssertionError:
                    continue
                assert firmware.take(offer).kind == 5
                return
            raise AssertionError("no offer")

    def engine_stop() -> None:
        with lingering(ns):
            began = time.monotonic()
            process.terminate()
            assert again.ended() == 0
            assert time.monotonic() - began < 5
        again.start()

    def engine_kill() -> None:
        again.kill()
        again.start()

    process, again = engine.process, engine
    # The engine's own loop has to be free, for it is stopped and started meanwhile.
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(asyncio.wait_for(follow(), 120))
        loop.run_until_complete(loop.shutdown_default_executor())

    kept = engine.events(after=after)
    ids = [event.id for event in seen]
    assert ids == sorted(set(ids))
    assert {event.id for event in kept if event.id <= ids[-1]} == set(ids)
    assert [event.kind for event in seen].count("engine.started") == 2
    assert [event.kind for event in seen].count("engine.stopping") == 1


CHANGES: list[tuple[str, str, Any]] = [
    ("subnets", "create", {"name": "nine", "cidr": "10.9.0.0/24", "ranges": ["10.9.0.10-10.9.0.20"]}),
    ("subnets", "update", ("nine", {"lease_time": 600, "description": "the ninth"})),
    ("reservations", "create", {"address": "10.9.0.30", "mac": "52:54:00:99:00:01", "hostname": "n1"}),
    ("reservations", "update", ("10.9.0.30", {"never_boot": True})),
    ("machines", "create", {"name": "node-1", "macs": ["52:54:00:99:00:01"]}),
    ("machines", "assign", ("node-1", "local")),
    ("machines", "update", ("node-1", {"name": "node-2", "held": True})),
    ("prefs", "set", ("loader-uefi", "snponly.efi")),
    ("commands", "undo", ("",)),
    ("reservations", "delete", ("10.9.0.30",)),
    ("machines", "delete", ("node-2",)),
    ("subnets", "delete", ("nine",)),
]


def test_two_terminals_see_the_same(pair: tuple[Engine, str]) -> None:
    engine, _ = pair

    async def state(client: HttpClient) -> dict[str, list[Model]]:
        doors = (client.subnets, client.reservations, client.machines, client.prefs, client.commands)
        found: dict[str, list[Model]] = {door._noun: list((await door.list()).items) for door in doors}
        # How its boot goes is computed from events, which may follow a moment later.
        found["machines"] = [each.model_copy(update={"status": None}) for each in found["machines"]]
        return found

    async def both() -> None:
        first, second = HttpClient(engine.endpoint), HttpClient(engine.endpoint)
        heard: list[Event] = []
        task = asyncio.create_task(collect(second, (await first.events.list()).items[-1].id, heard))
        try:
            before = await state(second)
            for number, (noun, verb, words) in enumerate(CHANGES):
                here, there = (first, second) if number % 2 else (second, first)
                given = words if isinstance(words, tuple) else (words,)
                await getattr(getattr(here, noun), verb)(*given)
                # What one did, the other sees at once, and is told.
                assert await state(there) == await state(here), (noun, verb)
                async with asyncio.timeout(10):
                    while sum(event.kind.startswith("audit.") for event in heard) <= number:
                        await asyncio.sleep(0.01)
            after = await state(first)
            assert {noun: after[noun] for noun in after if noun != "commands"} == {
                noun: before[noun] for noun in before if noun != "commands"
            }
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await first.close()
            await second.close()

    engine.ask(both())
    told = [event for event in engine.events("audit.") if event.actor == "user:root"][-len(CHANGES) :]
    assert [event.kind.removeprefix("audit.") for event in told] == [
        "create", "update", "create", "update", "create", "action", "update", "update", "undo", "delete", "delete",
        "delete",
    ]  # fmt: skip


def test_the_hold_switch_silences_everything_and_outlives_the_engine(pair: tuple[Engine, str], tmp_path: Path) -> None:
    engine, ns = pair
    with card(ns, new_mac(), pxe(7)) as firmware:
        address = firmware.boot().address

        def fetch(url: str, *words: str) -> tuple[int, str]:
            argv = ["curl", "-sS", "--interface", address, "-o", str(tmp_path / "x"), "-w", "%{http_code}", *words]
            done = netns.run(ns, [*argv, url], check=False)
            return done.returncode, done.stdout

        tftp, http = "tftp://10.7.0.1/undionly.kpxe", "http://10.7.0.1:8090/undionly.kpxe"
        assert [fetch(tftp)[0], fetch(http)] == [0, (0, "200")]
        told = engine.told("hold")
        assert "bootcart release" in told
        assert engine.ask(engine.client.info()).holding
        # It holds across a restart, too. An engine that is told to stop is not started again by its supervisor.
        assert engine.told("stop") == "the engine stops\n"
        assert engine.ended() == 0
        done = engine.cli("machines", "list")
        assert (done.returncode, done.stdout) == (6, "")
        assert done.stderr.startswith(f"bootcart: no engine answers at {engine.endpoint} (start one: ")
        engine.start()
        assert engine.ask(engine.client.info()).holding

        silent = engine.newest()
        firmware.say("discover", new=True)
        engine.event(
            "dhcp.silent", after=silent, mac=firmware.mac, match=lambda event: event.data["reason"] == "holding"
        )
        assert firmware.waiting() == []
        assert fetch(http) == (0, "503")
        requests = engine.service("tftp").counters["requests"]
        assert fetch(tftp, "-m", "1")[0] != 0
        assert engine.service("tftp").counters["requests"] == requests

        engine.told("release")
        assert not engine.ask(engine.client.info()).holding
        engine.served()
        assert firmware.discover().address == address
        assert [fetch(tftp)[0], fetch(http)] == [0, (0, "200")]
