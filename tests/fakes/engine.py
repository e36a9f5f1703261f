"""The engine's ports in memory, over the fake client's world: what the API is tested on."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from app.clock import SystemClock
from app.errors import InvalidError
from app.model.bootenv import BootEnv
from app.model.bootview import BootView
from app.model.certificate import Certificate
from app.model.diagnosis import Diagnosis
from app.model.engine import Command, EngineInfo, Interface, Service
from app.model.event import Event, EventDraft
from app.model.fields import Model
from app.model.machine import LoaderChoice, Machine
from app.model.packets import Dissection, Exchange, Packet
from app.model.query import Page, Query
from app.model.timeline import Timeline
from app.model.usage import Usage
from app.netboot.cycle import RING, following
from app.services.files import Inbox, Shelf
from tests.fakes.client import FakeClient, newest

T = TypeVar("T")


def done(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the fake waited")


class FakeCommandsPort:
    """The command layer; `broken` raises an error nobody foresaw."""

    def __init__(self, world: FakeClient, events: FakeEventsPort) -> None:
        self.world = world
        self.events = events
        self.lock = threading.Lock()
        self.broken: Exception | None = None
        self.actors: list[str] = []

    def _do(self, actor: str, work: Coroutine[Any, Any, T]) -> T:
        with self.lock:
            if self.broken is not None:
                work.close()
                raise self.broken
            self.actors.append(actor)
            result = done(work)
        self.events.tell()
        return result

    def _noun(self, noun: str) -> Any:
        return getattr(self.world, noun)

    def listing(self, noun: str) -> Sequence[Model]:
        if self.broken is not None:
            raise self.broken
        return list(self._noun(noun).items.values())

    def resolve(self, noun: str, key: str) -> Model:
        return self._noun(noun).resolve(key)

    def create(self, actor: str, noun: str, body: Mapping[str, Any]) -> Model:
        return self._do(actor, self._noun(noun).create(body))

    def update(self, actor: str, noun: str, key: str, changes: Mapping[str, Any], *, drain: bool = False) -> Model:
        if noun == "prefs":
            return self._do(actor, self._noun(noun).set(key, changes["value"]))
        return self._do(actor, self._noun(noun).update(key, changes, drain=drain))

    def delete(self, actor: str, noun: str, key: str, *, drain: bool = False) -> object:
        return self._do(actor, self._noun(noun).delete(key, **({"drain": True} if drain else {})))

    def assign(self, actor: str, key: str, bootenv: str) -> Machine:
        return self._do(actor, self.world.machines.assign(key, bootenv))

    def set_reboot(self, actor: str, key: str) -> Machine:
        return self._do(actor, self.world.machines.reboot(key))

    def hold(self, actor: str, on: bool) -> None:
        self._do(actor, self.world.hold(on))

    def commands(self, limit: int = 1000) -> Sequence[Command]:
        return list(self.world.commands.items.values())[-limit:]

    def undo(self, actor: str, command_id: int | None = None) -> Command:
        return self._do(actor, self.world.commands.undo("" if command_id is None else str(command_id)))


class FakeEventsPort:
    """The ring and who follows it."""

    def __init__(self, world: FakeClient) -> None:
        self.world = world
        self.followers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def tell(self) -> None:
        """Something is new; from any thread."""
        for loop, news in list(self.followers):
            loop.call_soon_threadsafe(news.set)

    @property
    def last_id(self) -> int:
        return self.world.events.ring[-1].id if self.world.events.ring else 0

    def list(self, query: Query | None = None, machine: str = "", kind: str = "") -> Page[Event]:
        return newest(self._wanted(self.world.events.ring, machine, kind), query or Query())

    def _wanted(self, events: Iterable[Event], machine: str, kind: str) -> Iterable[Event]:
        known = self.world.machines.items.get(machine)
        macs = known.macs if known else (machine,)
        return [event for event in events if event.kind.startswith(kind) and (not machine or event.mac in macs)]

    async def subscribe(self, after_id: int | None = None, machine: str = "", kind: str = "") -> AsyncIterator[Event]:
        at = self.last_id if after_id is None else after_id
        me = (asyncio.get_running_loop(), asyncio.Event())
        self.followers.add(me)
        try:
            while True:
                me[1].clear()
                fresh = [event for event in self.world.events.ring if event.id > at]
                for event in self._wanted(fresh, machine, kind):
                    yield event
                at = fresh[-1].id if fresh else at
                if self.last_id > at:
                    continue
                await me[1].wait()
        finally:
            self.followers.discard(me)


class FakeRecordings:
    """The recorder's port over the world's."""

    def __init__(self, world: FakeClient) -> None:
        self.world = world

    def packets(self, machine: Machine) -> Sequence[Packet]:
        return done(self.world.packets.list(str(machine.id))).items

    def packet(self, machine: Machine, number: int) -> Dissection:
        return done(self.world.packets.show(str(machine.id), number))

    def capture(self, machine: Machine, boots: int) -> bytes:
        return done(self.world.packets.capture(str(machine.id), boots=boots))

    def exchange(self, event: int) -> Exchange:
        return done(self.world.packets.exchange(event))


class FakeCertificatesPort:
    """The fake client's certificates."""

    def __init__(self, world: FakeClient) -> None:
        self.world = world

    def listing(self) -> Sequence[Certificate]:
        return list(self.world.certificates.items.values())

    def show(self, key: str) -> Certificate:
        return done(self.world.certificates.show(key))

    def export(self, form: str) -> bytes:
        return done(self.world.certificates.export(form))


class FakeEngine:
    """EnginePort in memory. `world` is the fake client whose objects it serves."""

    def __init__(self, world: FakeClient | None = None) -> None:
        self.world = world or FakeClient()
        self.events = FakeEventsPort(self.world)
        self.commands = FakeCommandsPort(self.world, self.events)
        self.recordings = FakeRecordings(self.world)
        self.certificates = FakeCertificatesPort(self.world)
        self.emitted: list[EventDraft] = []
        self.loaders_reset: list[str] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._inbox: Inbox | None = None

    @property
    def inbox(self) -> Inbox:
        """The real one, with the world's files, in a directory that goes with this engine."""
        if self._inbox is None:
            self._folder = tempfile.TemporaryDirectory(prefix="bc-files-")
            shelf = Shelf(Path(self._folder.name))
            self._inbox = Inbox(shelf, self.emit, SystemClock(), reserve=0)
            for name, octets in self.world.files.contents.items():
                draft = Path(self._folder.name) / "draft"
                draft.write_bytes(octets)
                shelf.put(draft, name, hashlib.sha256(octets).hexdigest(), replace=False)
        return self._inbox

    @property
    def files(self) -> Shelf:
        return self.inbox.shelf

    def close(self) -> None:
        """Take the directory away."""
        if self._folder is not None:
            self._folder.cleanup()

    def push(self, draft: EventDraft | Event) -> Event:
        """Something happened."""
        event = self.world.push(draft)
        self.events.tell()
        return event

    def emit(self, event: EventDraft) -> None:
        self.emitted.append(event)
        self.push(event)

    def info(self) -> EngineInfo:
        return done(self.world.info())

    def stop(self) -> None:
        self.world.stopped = True

    def services(self) -> Sequence[Service]:
        return list(self.world.services.items.values())

    async def restart(self, service: str) -> Service:
        result = await self.world.services.restart(service)
        self.events.tell()
        return result

    def interfaces(self) -> Sequence[Interface]:
        return list(self.world.interfaces.items.values())

    async def probe(self, interface: str) -> Interface:
        return await self.world.interfaces.probe(interface)

    def diagnosis(self, machine: Machine) -> Diagnosis:
        return done(self.world.machines.diagnosis(str(machine.id)))

    def timeline(self, machine: Machine) -> Timeline:
        return done(self.world.machines.timeline(str(machine.id)))

    def boot(self, machine: Machine, architecture: str, interface: str) -> BootView:
        key = str(machine.id) if machine.registered else machine.macs[0]
        return done(self.world.machines.boot(key, architecture=architecture, interface=interface))

    def usage(self) -> Sequence[Usage]:
        return done(self.world.subnets.usage())

    def next_loader(self, machine: Machine) -> LoaderChoice:
        return following(machine.loader, RING)

    def reset_loader(self, machine: Machine) -> None:
        self.loaders_reset.append(machine.name)

    def script(self, machine: Machine) -> str:
        return done(self.world.machines.script(str(machine.id)))

    def render(self, bootenv: BootEnv, machine: Machine, template: str) -> str:
        if template == "broken":
            raise InvalidError("boot.ipxe.j2:3: 'ntp' is undefined", hint="set the param", field="template")
        return done(self.world.bootenvs.render(bootenv.name, str(machine.id), template))
