"""What the API asks of the engine; serve.py joins these to the services and the store.

Synchronous calls are made from worker threads and may block; they raise BootcartError for what an operator can mend.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from app.model.bootenv import BootEnv
from app.model.bootview import BootView
from app.model.certificate import Certificate
from app.model.diagnosis import Diagnosis
from app.model.engine import Command, EngineInfo, Interface, Service
from app.model.event import Event, EventDraft
from app.model.fields import Model
from app.model.file import File, Upload
from app.model.machine import LoaderChoice, Machine
from app.model.packets import Dissection, Exchange, Packet
from app.model.query import Page, Query
from app.model.timeline import Timeline
from app.model.usage import Usage


class CommandsPort(Protocol):
    """The command layer: reads of every stored noun, and every mutation with its actor.

    Nouns: machines, profiles, subnets, reservations, leases, bootenvs, prefs. Each mutation leaves one record in the
    command log.
    """

    def listing(self, noun: str) -> Sequence[Model]: ...

    def resolve(self, noun: str, key: str) -> Model:
        """The object with this id, name or `Index:value`. Raises NotFoundError."""
        ...

    def create(self, actor: str, noun: str, body: Mapping[str, Any]) -> Model: ...

    def update(self, actor: str, noun: str, key: str, changes: Mapping[str, Any], *, drain: bool = False) -> Model: ...

    def delete(self, actor: str, noun: str, key: str, *, drain: bool = False) -> object: ...

    def assign(self, actor: str, key: str, bootenv: str) -> Machine: ...

    def set_reboot(self, actor: str, key: str) -> Machine:
        """Tell the machine's agent to reboot at its next heartbeat. Raises ConflictError when none heartbeats."""
        ...

    def hold(self, actor: str, on: bool) -> None:
        """Turn the switch over everything: while it is on, no boot service answers anyone."""
        ...

    def commands(self, limit: int = 1000) -> Sequence[Command]:
        """The newest commands, oldest first."""
        ...

    def undo(self, actor: str, command_id: int | None = None) -> Command:
        """Take back one command (None: the newest that can be). Returns the command that undid it."""
        ...


class EventsPort(Protocol):
    """The event ring. `machine` is an id or a MAC address, `kind` a prefix such as `dhcp.`; both may be empty."""

    @property
    def last_id(self) -> int:
        """The id of the newest event, 0 when there is none."""
        ...

    def list(self, query: Query | None = None, machine: str = "", kind: str = "") -> Page[Event]:
        """A page of kept events, oldest first; without a sort field it counts from the newest back. Blocks."""
        ...

    def subscribe(self, after_id: int | None = None, machine: str = "", kind: str = "") -> AsyncIterator[Event]:
        """Every event after `after_id`, kept ones first, then those that come, until the ring is closed."""
        ...


class CertificatesPort(Protocol):
    """The appliance's certificates."""

    def listing(self) -> Sequence[Certificate]: ...

    def show(self, key: str) -> Certificate: ...

    def export(self, form: str) -> bytes:
        """The authority's, as `pem`, `der` or `esl`."""
        ...


class FilesPort(Protocol):
    """The operator's files."""

    def listing(self) -> Sequence[File]: ...

    def show(self, key: str) -> File: ...

    def path(self, key: str) -> Path:
        """Where its content is."""
        ...


class SendingPort(Protocol):
    """An upload while some of it comes."""

    @property
    def offset(self) -> int: ...

    def write(self, octets: bytes) -> None: ...

    def end(self, actor: str, sha256: str = "") -> object:
        """Make it a file once all is here, after its checksum."""
        ...

    def close(self) -> None: ...


class InboxPort(Protocol):
    """Uploads, and what takes files away."""

    def uploads(self) -> Sequence[Upload]: ...

    def show(self, key: str) -> Upload: ...

    def begin(self, actor: str, name: str, size: int, *, sha256: str = "", replace: bool = False) -> Upload: ...

    def open(self, key: str, offset: int, count: int | None = None) -> SendingPort: ...

    def abandon(self, actor: str, key: str) -> None: ...

    def delete(self, actor: str, key: str, *, recursive: bool = False) -> None: ...


class RecordingsPort(Protocol):
    """What the flight recorder kept."""

    def packets(self, machine: Machine) -> Sequence[Packet]:
        """What went over the wire in its last boots, oldest first."""
        ...

    def packet(self, machine: Machine, number: int) -> Dissection:
        """One of them, taken apart. Raises NotFoundError for a number none has."""
        ...

    def capture(self, machine: Machine, boots: int) -> bytes:
        """The last boots (0: all that are kept) as a pcapng file. Raises NotFoundError where nothing is kept."""
        ...

    def exchange(self, event: int) -> Exchange:
        """The packets behind an event. Raises NotFoundError for a number no kept event has."""
        ...


class EnginePort(Protocol):
    """The engine as its operators' door sees it."""

    @property
    def commands(self) -> CommandsPort: ...

    @property
    def events(self) -> EventsPort: ...

    @property
    def recordings(self) -> RecordingsPort: ...

    @property
    def certificates(self) -> CertificatesPort: ...

    @property
    def files(self) -> FilesPort: ...

    @property
    def inbox(self) -> InboxPort: ...

    def emit(self, event: EventDraft) -> None:
        """Publish an event; never blocks."""
        ...

    def info(self) -> EngineInfo: ...

    def stop(self) -> None:
        """Begin to stop and return at once, so that the answer still leaves."""
        ...

    def services(self) -> Sequence[Service]: ...

    async def restart(self, service: str) -> Service: ...

    def interfaces(self) -> Sequence[Interface]: ...

    async def probe(self, interface: str) -> Interface: ...

    def timeline(self, machine: Machine) -> Timeline: ...

    def diagnosis(self, machine: Machine) -> Diagnosis:
        """Why the machine does not boot, looked at now."""
        ...

    def boot(self, machine: Machine, architecture: str, interface: str) -> BootView:
        """What the machine would be answered and given if it booted now; changes nothing."""
        ...

    def usage(self) -> Sequence[Usage]:
        """How full each subnet of IPv4 is."""
        ...

    def next_loader(self, machine: Machine) -> LoaderChoice:
        """The boot loader after the one the machine is given now; auto: there is no other."""
        ...

    def reset_loader(self, machine: Machine) -> None:
        """Forget which loaders failed on it."""
        ...

    def script(self, machine: Machine) -> str:
        """The boot script the machine would get now, secrets masked."""
        ...

    def render(self, bootenv: BootEnv, machine: Machine, template: str) -> str:
        """One template (empty: the boot script) for a machine, secrets masked."""
        ...
