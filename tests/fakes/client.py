"""The fake engine: the whole Client protocol in memory, with errors on demand.

`FakeClient()` starts with the world of `tests.fakes.world`; `FakeClient.empty()` with nothing but the shipped boot
environments and preferences (a first start). `push(...)` makes an event that every watcher sees. `unreachable`,
`fail(...)` and `gate` bring bad days.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError, UnreachableError
from app.model.bootenv import BootEnv
from app.model.bootview import BootView
from app.model.diagnosis import Diagnosis
from app.model.engine import (
    PREFERENCES,
    Command,
    EngineInfo,
    ForeignServer,
    Interface,
    Preference,
    Service,
    ServiceState,
)
from app.model.event import Event, EventDraft
from app.model.fields import Model, normal_mac
from app.model.machine import (
    LoaderChoice,
    Machine,
    MachineState,
    MachineStatus,
    machine_id_for,
    machine_name_for,
    stranger,
)
from app.model.profile import Profile
from app.model.query import Page, Query, apply
from app.model.subnet import LeaseState, Reservation, Subnet
from app.model.subnet6 import AnyLease, AnySubnet
from app.model.timeline import Timeline
from app.model.usage import Usage
from app.netboot.cycle import RING, following
from app.netboot.optionhelp import everything
from tests.fakes import world
from tests.fakes.bootview import bootview
from tests.fakes.files import FILES, FakeCertificates, FakeFiles
from tests.fakes.packets import FakePackets

T = TypeVar("T", bound=Model)
ACTOR = "user:tester"


def checked(kind: type[T], body: Mapping[str, Any]) -> T:
    """The model made from input, its first mistake as an InvalidError that names the field."""
    try:
        return kind.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        field, text = ".".join(str(part) for part in first["loc"]), str(first["msg"]).removeprefix("Value error, ")
        named = re.match(r"([a-z_]+(?:\.\w+)*): (.*)", text)
        if not field and named:
            field, text = named[1], named[2]
        raise InvalidError(text, hint="correct the field and send it again", field=field) from None


def newest(events: Iterable[Event], query: Query) -> Page[Event]:
    """A page of events: without a sort field it counts from the newest back; the items are oldest first."""
    if query.sort:
        return apply(events, query)
    kept = [event for event in events if apply([event], Query(query.filter)).total]
    end = max(0, len(kept) - query.offset)
    return Page(tuple(kept[max(0, end - query.limit) : end]), total=len(kept), offset=query.offset)


class FakeReadable(Generic[T]):
    """A noun in a dictionary."""

    def __init__(self, engine: FakeClient, noun: str, items: Iterable[T], key: Callable[[T], str]) -> None:
        self.engine = engine
        self.noun = noun
        self.key = key
        self.items: dict[str, T] = {key(item): item for item in items}

    def resolve(self, key: str) -> T:
        """By key, name or `Index:value`. Raises NotFoundError."""
        index, colon, value = key.partition(":")
        # As the engine: reservations and leases have no name.
        if colon and index == "Name" and self.noun in ("reservations", "leases"):
            raise InvalidError(f"{self.noun} have no index 'Name'", hint="they have Address:, Mac:", field="key")
        if colon and index in ("Name", "Mac", "Address", "Uuid"):
            for item in self.items.values():
                wanted: Any = {"Name": "name", "Mac": "macs", "Address": "address", "Uuid": "id"}[index]
                found = getattr(item, wanted, getattr(item, "mac", None))
                value = normal_mac(value) if index == "Mac" else value
                if value in found if isinstance(found, tuple) else str(found) == value:
                    return item
        elif key in self.items:
            return self.items[key]
        else:
            for item in self.items.values():
                if getattr(item, "name", None) == key:
                    return item
        raise NotFoundError(f"no {self.noun.removesuffix('s')} {key!r}", hint=f"see: bootcart {self.noun} list")

    async def list(self, query: Query | None = None) -> Page[T]:
        await self.engine.enter(self.noun, "list", query)
        return apply(self.items.values(), query or Query())

    async def show(self, key: str) -> T:
        await self.engine.enter(self.noun, "show", key)
        return self.resolve(key)


class FakeEditable(FakeReadable[T]):
    """A noun that can be changed; each change is logged and can be undone."""

    def __init__(
        self, engine: FakeClient, noun: str, items: Iterable[T], key: Callable[[T], str], kind: type[T]
    ) -> None:
        super().__init__(engine, noun, items, key)
        self.kind = kind

    def made(self, body: Mapping[str, Any]) -> T:
        return checked(self.kind, body)

    def unique(self, item: T, besides: str = "") -> None:
        """Raises ConflictError where another object has this key, name or MAC address."""
        for key, other in self.items.items():
            if key == besides:
                continue
            for field in ("name", "address", "mac", "macs", "cidr"):
                mine, theirs = getattr(item, field, None), getattr(other, field, None)
                same = (
                    bool(set(mine) & set(theirs or ()))
                    if isinstance(mine, tuple)
                    else mine is not None and mine == theirs
                )
                if same and not (self.noun == "machines" and field == "address"):
                    text = ", ".join(mine) if isinstance(mine, tuple) else mine
                    raise ConflictError(
                        f"{field} {text} is taken by {self.noun.removesuffix('s')} {key}",
                        hint="choose another",
                        field=field,
                    )

    def put(self, verb: str, key: str, item: T | None) -> Command:
        """Store (or with None remove) and log."""
        before = self.items.get(key)
        if item is None:
            del self.items[key]
        elif before is not None and self.key(item) != key:
            self.items = {
                self.key(item) if old == key else old: item if old == key else kept for old, kept in self.items.items()
            }
        else:
            self.items[self.key(item)] = item
        return self.engine.log(verb, self.noun, key, before, item)

    async def create(self, body: Mapping[str, Any]) -> T:
        await self.engine.enter(self.noun, "create", dict(body))
        item = self.made(body)
        self.unique(item)
        self.put("create", self.key(item), item)
        return item

    async def update(self, key: str, changes: Mapping[str, Any], *, drain: bool = False) -> T:
        await self.engine.enter(self.noun, "update", key, dict(changes), *(["drain"] if drain else []))
        old = self.resolve(key)
        item = checked(self.kind, {**old.model_dump(mode="json"), **changes})
        self.unique(item, self.key(old))
        self.put("update", self.key(old), item)
        return self.items[self.key(item)]

    async def delete(self, key: str, *, drain: bool = False) -> None:
        await self.engine.enter(self.noun, "delete", key, *(["drain"] if drain else []))
        self.put("delete", self.key(self.resolve(key)), None)


class FakeSubnets(FakeEditable[AnySubnet]):
    async def usage(self) -> tuple[Usage, ...]:
        await self.engine.enter(self.noun, "usage")
        now, found = self.engine.now, list[Usage]()
        for subnet in (one for one in self.items.values() if isinstance(one, Subnet)):
            mine = [one for one in self.engine.leases.items.values() if one.subnet == subnet.name and one.expires > now]
            bound, back = (
                sum(one.state is state for one in mine) for state in (LeaseState.BOUND, LeaseState.DECLINED)
            )
            size = sum(span.size for span in subnet.ranges)
            kept = sum(one.address in subnet.cidr for one in self.engine.reservations.items.values())
            free = size - bound - back
            found.append(Usage(subnet=subnet.name, size=size, bound=bound, quarantined=back, reserved=kept, free=free))
        return tuple(found)


class FakeMachines(FakeEditable[Machine]):
    def put(self, verb: str, key: str, item: Machine | None) -> Command:
        if item is not None:
            said = "" if item.loader is LoaderChoice.AUTO else f"{item.loader.value} (set for it)"
            status = (item.status or MachineStatus()).model_copy(update={"loader": said})
            item = item.model_copy(update={"status": status})
        return super().put(verb, key, item)

    def made(self, body: Mapping[str, Any]) -> Machine:
        macs = [str(text) for text in body.get("macs", [])]
        try:
            known = normal_mac(macs[0]) if macs else ""
        except ValueError as error:
            raise InvalidError(str(error), hint="correct the field and send it again", field="macs.0") from None
        identity = machine_id_for(known) if known else uuid.uuid4()
        name = machine_name_for(known) if known else str(identity)[:8]
        status = {"state": "off"}
        return checked(
            Machine, {"id": str(identity), "name": name, "created": self.engine.now, "status": status, **body}
        )

    async def assign(self, key: str, bootenv: str, *, reboot: bool = False) -> Machine:
        await self.engine.enter(self.noun, "assign", key, bootenv, reboot)
        machine = self.resolve(key)
        if bootenv:
            env = self.engine.bootenvs.resolve(bootenv)
            if env.unknown_only:
                raise InvalidError(
                    f"{bootenv} is only for machines nobody knows",
                    hint="choose another boot environment",
                    field="bootenv",
                )
            if not env.available:
                raise ConflictError(
                    f"{bootenv} cannot be used: {env.errors[0]}",
                    hint=f"see: bootcart bootenvs show {bootenv}",
                    field="bootenv",
                )
        machine = machine.model_copy(update={"bootenv": bootenv, "registered": True})
        self.put("assign", str(machine.id), machine)
        return self.wanted(machine) if reboot else machine

    def wanted(self, machine: Machine) -> Machine:
        if self.engine.now - machine.heartbeat > 30:
            raise ConflictError(
                f"{machine.name} has no agent that listens",
                hint="power-cycle the machine; it boots what it is assigned",
                field="reboot",
            )
        machine = machine.model_copy(update={"reboot_wanted": True})
        self.items[str(machine.id)] = machine
        return machine

    async def reboot(self, key: str) -> Machine:
        await self.engine.enter(self.noun, "reboot", key)
        return self.wanted(self.resolve(key))

    async def set_loader(self, key: str, loader: str) -> Machine:
        await self.engine.enter(self.noun, "set_loader", key, loader)
        machine = self.resolve(key)
        choice = following(machine.loader, RING).value if loader == "next" else loader
        machine = checked(Machine, {**machine.model_dump(mode="json"), "loader": choice})
        self.put("update", str(machine.id), machine)
        return self.resolve(key)

    async def diagnosis(self, key: str) -> Diagnosis:
        await self.engine.enter(self.noun, "diagnosis", key)
        return world.diagnosis(self.resolve(key))

    async def timeline(self, key: str) -> Timeline:
        await self.engine.enter(self.noun, "timeline", key)
        return world.timeline(self.resolve(key))

    async def boot(self, key: str, *, architecture: str = "", interface: str = "") -> BootView:
        await self.engine.enter(self.noun, "boot", key, architecture, interface)
        try:
            machine = self.resolve(key)
        except NotFoundError:
            try:
                machine = stranger(normal_mac(key.removeprefix("Mac:")))
            except ValueError:
                machine = None
            if machine is None:
                raise
        return bootview(machine, self.script_of(machine), machine.bootenv or "discovery", architecture, interface)

    async def script(self, key: str) -> str:
        await self.engine.enter(self.noun, "script", key)
        return self.script_of(self.resolve(key))

    def script_of(self, machine: Machine) -> str:
        env = machine.bootenv or "discovery"
        tree = f"http://10.7.0.1:8090/{env}/amd64"
        return (
            f"#!ipxe\n# {machine.name}: {env}\n"
            f"kernel {tree}/vmlinuz bootcart.token=********\ninitrd {tree}/initrd.img\nboot\n"
        )

    def change(self, key: str, state: MachineState, **status: Any) -> Machine:
        """The wire's doing, not the operator's: set a machine's live status; not in the command log."""
        machine = self.resolve(key)
        fresh = (machine.status or MachineStatus()).model_copy(update={"state": state, **status})
        machine = machine.model_copy(update={"status": fresh})
        self.items[str(machine.id)] = machine
        return machine


class FakeLeases(FakeReadable[AnyLease]):
    async def delete(self, key: str) -> None:
        await self.engine.enter(self.noun, "delete", key)
        lease = self.resolve(key)
        del self.items[self.key(lease)]
        self.engine.log("delete", self.noun, key, lease, None)


class FakeBootEnvs(FakeReadable[BootEnv]):
    async def render(self, key: str, machine: str, template: str = "") -> str:
        await self.engine.enter(self.noun, "render", key, machine, template)
        env, subject = self.resolve(key), self.engine.machines.resolve(machine)
        name = template or "boot"
        if name not in [one.name for one in env.templates]:
            raise NotFoundError(
                f"{env.name} has no template {name!r}", hint=f"see: bootcart bootenvs show {env.name}", field="template"
            )
        return f"#!ipxe\n# {env.name}/{name} for {subject.name}\nboot\n"


class FakeServices(FakeReadable[Service]):
    async def restart(self, key: str) -> Service:
        await self.engine.enter(self.noun, "restart", key)
        service = self.resolve(key)
        if service.state is ServiceState.DISABLED:
            raise ConflictError(f"{key} is disabled for this run", hint="start the engine without --disable " + key)
        fresh = service.model_copy(
            update={"state": ServiceState.UP, "reason": "", "hint": "", "since": self.engine.now}
        )
        self.items[service.name] = fresh
        self.engine.push(
            EventDraft(time=self.engine.now, kind="service.started", message=f"{key} started", data={"service": key})
        )
        return fresh


class FakeInterfaces(FakeReadable[Interface]):
    def __init__(
        self, engine: FakeClient, noun: str, items: Iterable[Interface], key: Callable[[Interface], str]
    ) -> None:
        super().__init__(engine, noun, items, key)
        self.answers: dict[str, tuple[ForeignServer, ...]] = {name: item.foreign for name, item in self.items.items()}
        """What a probe of each interface will hear."""

    async def probe(self, key: str) -> Interface:
        await self.engine.enter(self.noun, "probe", key)
        found = self.resolve(key)
        if not found.up:
            raise ConflictError(f"{key} is down", hint=f"bring it up: ip link set {key} up")
        fresh = found.model_copy(update={"probed": self.engine.now, "foreign": self.answers.get(key, ())})
        self.items[key] = fresh
        return fresh


class FakePrefs(FakeReadable[Preference]):
    async def set(self, key: str, value: str) -> Preference:
        await self.engine.enter(self.noun, "set", key, value)
        pref = self.resolve(key)
        if pref.choices and value not in pref.choices:
            raise InvalidError(f"{value!r} is not a choice", hint="one of " + ", ".join(pref.choices), field="value")
        if key.endswith("-bootenv") and value not in self.engine.bootenvs.items:
            raise InvalidError(f"no boot environment {value!r}", hint="see: bootcart bootenvs list", field="value")
        fresh = pref.model_copy(update={"value": value})
        self.items[key] = fresh
        self.engine.log("set", self.noun, key, pref, fresh)
        return fresh


class FakeCommands(FakeReadable[Command]):
    async def undo(self, key: str = "") -> Command:
        await self.engine.enter(self.noun, "undo", key)
        if key:
            command = self.resolve(key)
        else:
            open_ones = [c for c in self.items.values() if c.undoable and c.undone_by is None and c.undoes is None]
            if not open_ones:
                raise NotFoundError("there is no command to take back", hint="see: bootcart commands list")
            command = open_ones[-1]
        if not command.undoable or command.undone_by is not None:
            raise ConflictError(f"command {command.id} cannot be undone", hint="see: bootcart commands list")
        collection: FakeReadable[Any] = getattr(self.engine, command.noun)
        before, after = self.engine.keys[command.id]
        now = collection.items.pop(after, None) if command.after is not None else None
        if before is not None:
            collection.items[collection.key(before)] = before
        about = self.items[str(command.undoes)] if command.undoes is not None else command
        verb = "redo" if command.verb == "undo" else "undo"
        said = f"{verb} of {about.id} ({about.summary})"
        done = self.engine.log(verb, command.noun, command.key, now, before, summary=said)
        done = self.items[str(done.id)] = done.model_copy(update={"undoes": about.id})
        for other in list(self.items.values()):
            if other.undone_by == command.id:
                # What an undone undo took back stands again.
                self.items[str(other.id)] = other.model_copy(update={"undone_by": None})
            elif other.id in (command.id, about.id) and (verb == "undo" or other.id == command.id):
                self.items[str(other.id)] = other.model_copy(update={"undone_by": done.id})
        return done


class FakeEvents:
    """The ring and its watchers."""

    def __init__(self, engine: FakeClient, drafts: Iterable[EventDraft]) -> None:
        self.engine = engine
        self.ring: list[Event] = []
        self.news = asyncio.Event()
        for draft in drafts:
            self.add(draft)

    def add(self, draft: EventDraft) -> Event:
        event = Event(id=len(self.ring) + 1, **draft.model_dump())
        self.ring.append(event)
        news, self.news = self.news, asyncio.Event()
        news.set()
        return event

    def _about(self, machine: str, kind: str) -> Callable[[Event], bool]:
        macs = set(self.engine.machines.resolve(machine).macs) if machine else set[str]()
        return lambda event: event.kind.startswith(kind) and (not machine or event.mac in macs)

    async def list(self, query: Query | None = None, *, machine: str = "", kind: str = "") -> Page[Event]:
        await self.engine.enter("events", "list", query, machine, kind)
        wanted = self._about(machine, kind)
        return newest([event for event in self.ring if wanted(event)], query or Query())

    async def watch(self, after: int | None = None, *, machine: str = "", kind: str = "") -> AsyncIterator[Event]:
        at = len(self.ring) if after is None else after
        await self.engine.enter("events", "watch", after, machine, kind)
        wanted = self._about(machine, kind)
        while True:
            news = self.news
            for event in self.ring[at:]:
                at = event.id
                if wanted(event):
                    yield event
            if news is self.news:
                await news.wait()
            self.engine.reachable()


class FakeClient:
    """An engine in memory. Knobs: `unreachable`, `fail(error)`, `gate` (calls wait for it), `now`, `calls`, `push`."""

    def __init__(self, *, empty: bool = False) -> None:
        self.endpoint = "unix:/run/bootcart/api.sock"
        self.now = world.NOW
        self.calls: list[tuple[Any, ...]] = []
        self.gate: asyncio.Event | None = None
        self.closed = False
        self.stopped = False
        self.keys: dict[int, tuple[Any, str]] = {}
        self._down = False
        self._errors: list[tuple[str, BootcartError]] = []
        self._info = EngineInfo(
            version="0.1.0",
            started=world.NOW - 7200,
            now=world.NOW,
            pid=4242,
            user="bootcart",
            data_dir="/var/lib/bootcart/data",
            ready=True,
            dhcp="authoritative",
            instance=uuid.UUID("00000000-0000-4000-8000-000000000001"),
        )
        self.bootenvs = FakeBootEnvs(self, "bootenvs", world.bootenvs(), lambda item: item.name)
        self.machines = FakeMachines(
            self, "machines", [] if empty else world.machines(), lambda item: str(item.id), Machine
        )
        self.profiles = FakeEditable(
            self, "profiles", [] if empty else world.profiles(), lambda item: item.name, Profile
        )
        self.subnets = FakeSubnets(self, "subnets", [] if empty else world.subnets(), lambda item: item.name, Subnet)
        self.options = FakeReadable(self, "options", everything(), lambda item: item.name)
        self.reservations = FakeEditable(
            self, "reservations", [] if empty else world.reservations(), lambda item: str(item.address), Reservation
        )
        self.leases = FakeLeases(self, "leases", [] if empty else world.leases(), lambda item: str(item.address))
        self.services = FakeServices(self, "services", world.services(), lambda item: item.name)
        self.interfaces = FakeInterfaces(self, "interfaces", world.interfaces(), lambda item: item.name)
        self.prefs = FakePrefs(self, "prefs", PREFERENCES, lambda item: item.name)
        self.certificates = FakeCertificates(self)
        self.files = FakeFiles(self, {} if empty else FILES)
        self.packets = FakePackets(self)
        self.commands = FakeCommands(self, "commands", [], lambda item: str(item.id))
        self.events = FakeEvents(self, world.events()[:1] if empty else world.events())

    @classmethod
    def empty(cls) -> FakeClient:
        """A first start: no subnet, no machine."""
        return cls(empty=True)

    @property
    def unreachable(self) -> bool:
        """While true every call, and every open watch, raises UnreachableError."""
        return self._down

    @unreachable.setter
    def unreachable(self, down: bool) -> None:
        self._down = down
        # Watchers wake to find out; those that come later wait for news of their own.
        news, self.events.news = self.events.news, asyncio.Event()
        news.set()

    def fail(self, error: BootcartError, call: str = "") -> None:
        """The next call (or the next one named, such as `machines.assign`) raises this error, once."""
        self._errors.append((call, error))

    def push(self, event: EventDraft | Event) -> Event:
        """Something happened: store it under the next number and show it to every watcher."""
        return self.events.add(EventDraft.model_validate(event.model_dump(exclude={"id"})))

    def reachable(self) -> None:
        if self._down:
            raise UnreachableError(
                f"no engine answers at {self.endpoint}", hint="start one: sudo ./bootcart, or bootcart serve"
            )

    async def enter(self, noun: str, verb: str, *arguments: Any) -> None:
        """What every call does first."""
        self.calls.append((noun, verb, *arguments))
        if self.gate is not None:
            await self.gate.wait()
        self.reachable()
        for number, (call, error) in enumerate(self._errors):
            if call in ("", f"{noun}.{verb}"):
                del self._errors[number]
                raise error

    def log(
        self,
        verb: str,
        noun: str,
        key: str,
        before: Model | None,
        after: Model | None,
        *,
        undoable: bool = True,
        summary: str = "",
    ) -> Command:
        """One entry of the command log and its audit event."""
        command = Command(
            id=len(self.commands.items) + 1,
            time=self.now,
            actor=ACTOR,
            verb=verb,
            noun=noun,
            key=key,
            summary=summary or f"{verb} {noun} {getattr(after or before, 'name', key)}",
            before=before.model_dump(mode="json") if before else None,
            after=after.model_dump(mode="json") if after else None,
            undoable=undoable,
        )
        collection: FakeReadable[Any] = getattr(self, noun)
        self.keys[command.id] = (before, collection.key(after) if after else key)
        self.commands.items[str(command.id)] = command
        kinds = {"create": "audit.create", "delete": "audit.delete", "undo": "audit.undo", "redo": "audit.undo"}
        kind = kinds.get(verb, "audit.update")
        self.push(
            EventDraft(
                time=self.now,
                kind=kind,
                message=f"{ACTOR}: {command.summary}",
                actor=ACTOR,
                data={"noun": noun, "key": key},
            )
        )
        return command

    async def info(self) -> EngineInfo:
        await self.enter("engine", "info")
        return self._info.model_copy(update={"now": self.now})

    async def hold(self, on: bool) -> EngineInfo:
        await self.enter("engine", "hold", on)
        self._info = self._info.model_copy(update={"holding": on, "now": self.now})
        return self._info

    async def tell_fault(self, fault: Mapping[str, str]) -> None:
        await self.enter("engine", "fault", dict(fault))
        said = f"the interface of {ACTOR} failed on {fault['screen']}: {fault['error']} ({fault['id']})"
        self.push(EventDraft(time=self.now, kind="ui.failed", message=said, actor=ACTOR, data=dict(fault)))

    async def stop_engine(self) -> None:
        await self.enter("engine", "stop")
        self.stopped = True
        self.unreachable = True

    async def close(self) -> None:
        self.closed = True
