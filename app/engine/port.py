"""What the API asks of the engine, answered by the parts that know."""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from app.clock import Clock
from app.config import Settings
from app.engine.https import Certificates
from app.engine.recordings import Recordings
from app.engine.segments import Segments
from app.model.bootenv import BootEnv
from app.model.bootview import BootView
from app.model.diagnosis import Diagnosis
from app.model.engine import Command, EngineInfo, Interface, Service
from app.model.event import EventDraft
from app.model.fields import Model
from app.model.machine import LoaderChoice, Machine
from app.model.serving import SERVE_UNTIL, ending
from app.model.subnet import Subnet
from app.model.timeline import Timeline
from app.model.usage import Usage
from app.services.commands.layer import LISTED, CommandLayer
from app.services.files import Inbox
from app.services.registry import Registry
from app.store.store import Store
from app.version import VERSION


class Preview(Protocol):
    """Renders what a machine would be given."""

    def preview(self, machine: Machine, bootenv: str = "", template: str = "boot") -> str: ...


class Timelines(Protocol):
    """Knows the newest boot of each machine."""

    def timeline(self, machine: Machine) -> Timeline: ...


class DryRuns(Protocol):
    """Tells what a machine would get if it booted now."""

    def view(self, machine: Machine, architecture: str = "", interface: str = "") -> BootView: ...


class Diagnoser(Protocol):
    """Knows why a machine does not boot."""

    def diagnosis(self, machine: Machine) -> Diagnosis: ...


class Loaders(Protocol):
    """Knows which boot loader suits which machine."""

    def following(self, machine: Machine) -> LoaderChoice: ...

    def reset(self, machine: Machine) -> None: ...


class Counts(Protocol):
    """Knows how full each subnet is."""

    def usage(self) -> Sequence[Usage]: ...


class HeldSubnets:
    """The command layer, whose subnets show why they are held at the moment."""

    def __init__(
        self, layer: CommandLayer, overlay: Callable[[Subnet], Subnet], overlay6: Callable[[Model], Model]
    ) -> None:
        self._layer = layer
        self._overlay = overlay
        self._overlay6 = overlay6

    def _shown(self, model: Model) -> Model:
        return self._overlay(model) if isinstance(model, Subnet) else self._overlay6(model)

    def listing(self, noun: str) -> Sequence[Model]:
        found = self._layer.listing(noun)
        # A listing of machines looks at those alone that are taken from it.
        return [self._shown(model) for model in found] if noun == "subnets" else found

    def resolve(self, noun: str, key: str) -> Model:
        return self._shown(self._layer.resolve(noun, key))

    def create(self, actor: str, noun: str, body: Mapping[str, Any]) -> Model:
        return self._shown(self._layer.create(actor, noun, body))

    def update(self, actor: str, noun: str, key: str, changes: Mapping[str, Any], *, drain: bool = False) -> Model:
        return self._shown(self._layer.update(actor, noun, key, changes, drain=drain))

    def delete(self, actor: str, noun: str, key: str, *, drain: bool = False) -> object:
        return self._layer.delete(actor, noun, key, drain=drain)

    def assign(self, actor: str, key: str, bootenv: str) -> Machine:
        return self._layer.assign(actor, key, bootenv)

    def set_reboot(self, actor: str, key: str) -> Machine:
        return self._layer.set_reboot(actor, key)

    def hold(self, actor: str, on: bool) -> None:
        self._layer.hold(actor, on)

    def commands(self, limit: int = LISTED) -> Sequence[Command]:
        return self._layer.commands(limit)

    def undo(self, actor: str, command_id: int | None = None) -> Command:
        return self._layer.undo(actor, command_id)


class Operations:
    """The engine behind the operators' API (app.api.ports.EnginePort)."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        layer: CommandLayer,
        segments: Segments,
        registry: Registry,
        preview: Preview,
        timelines: Timelines,
        dry_runs: DryRuns,
        diagnoses: Diagnoser,
        recordings: Recordings,
        loaders: Loaders,
        counts: Counts,
        inbox: Inbox,
        overlay6: Callable[[Model], Model],
        certificates: Certificates,
        stop: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._layer = layer
        self._segments = segments
        self._registry = registry
        self._preview = preview
        self._timelines = timelines
        self._dry_runs = dry_runs
        self._diagnoses = diagnoses
        self._loaders = loaders
        self._counts = counts
        self.files = inbox.shelf
        self.inbox = inbox
        self.certificates = certificates
        self._stop = stop
        self._clock = clock
        self._started = clock.now()
        self._instance = uuid.uuid4()
        self.commands = HeldSubnets(layer, segments.gate.overlay, overlay6)
        self.events = store.events
        self.recordings = recordings
        self.ready = False

    def emit(self, event: EventDraft) -> None:
        self._store.events.emit(event)

    def info(self) -> EngineInfo:
        return EngineInfo(
            version=VERSION,
            started=self._started,
            now=self._clock.now(),
            pid=os.getpid(),
            user=_user(),
            data_dir=str(self._settings.data_dir),
            ready=self.ready,
            dhcp=self._settings.dhcp,
            instance=self._instance,
            lab=os.environ.get("BOOTCART_LAB", ""),
            holding=self._store.directory.holding(),
            serve_until=ending(self._store.directory.preference(SERVE_UNTIL)),
        )

    def stop(self) -> None:
        self._stop("an operator asked")

    def services(self) -> Sequence[Service]:
        return self._segments.told(self._registry.services())

    async def restart(self, service: str) -> Service:
        return await self._registry.restart(service)

    def interfaces(self) -> Sequence[Interface]:
        return self._segments.listing()

    async def probe(self, interface: str) -> Interface:
        return await self._segments.ask(interface)

    def timeline(self, machine: Machine) -> Timeline:
        return self._timelines.timeline(machine)

    def diagnosis(self, machine: Machine) -> Diagnosis:
        return self._diagnoses.diagnosis(machine)

    def boot(self, machine: Machine, architecture: str, interface: str) -> BootView:
        return self._dry_runs.view(machine, architecture, interface)

    def usage(self) -> Sequence[Usage]:
        return self._counts.usage()

    def next_loader(self, machine: Machine) -> LoaderChoice:
        return self._loaders.following(machine)

    def reset_loader(self, machine: Machine) -> None:
        self._loaders.reset(machine)

    def script(self, machine: Machine) -> str:
        return self._preview.preview(machine)

    def render(self, bootenv: BootEnv, machine: Machine, template: str) -> str:
        return self._preview.preview(machine, bootenv.name, template or "boot")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A uid without a name: the data directory belongs to it all the same.
        return f"uid {os.getuid()}"
