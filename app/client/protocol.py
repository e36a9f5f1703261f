"""The Client: all that screens and verbs can ask of an engine.

The HTTP implementation is `app.client.http`; the fake for screen tests is in `tests/`; one contract suite runs against
both.

Keys are an id, a name, or `Index:value` (`Name:`, `Mac:`, `Address:`, `Uuid:`). Every call may raise a BootcartError:
UnreachableError when no engine answers, else what the engine said.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any, Protocol, TypeVar

from app.model.bootenv import BootEnv
from app.model.bootview import BootView
from app.model.certificate import Certificate
from app.model.diagnosis import Diagnosis
from app.model.engine import Command, EngineInfo, Interface, Preference, Service
from app.model.event import Event
from app.model.file import File, Upload
from app.model.machine import Machine
from app.model.optionhelp import OptionHelp
from app.model.packets import Dissection, Exchange, Packet
from app.model.profile import Profile
from app.model.query import Page, Query
from app.model.subnet import Reservation
from app.model.subnet6 import AnyLease, AnySubnet
from app.model.timeline import Timeline
from app.model.usage import Usage

T = TypeVar("T")


class Readable(Protocol[T]):
    """A noun that can be listed and shown."""

    async def list(self, query: Query | None = None) -> Page[T]: ...

    async def show(self, key: str) -> T: ...


class Editable(Readable[T], Protocol[T]):
    """A noun that can also be created, changed and deleted."""

    async def create(self, body: Mapping[str, Any]) -> T: ...

    async def update(self, key: str, changes: Mapping[str, Any]) -> T:
        """Change the named fields (JSON merge, RFC 7396, at the top level)."""
        ...

    async def delete(self, key: str) -> None: ...


class Subnets(Editable[AnySubnet], Protocol):
    """Subnets; the key is the name."""

    async def update(self, key: str, changes: Mapping[str, Any], *, drain: bool = False) -> AnySubnet:
        """Change the named fields. Raises ConflictError naming live leases left behind; with `drain` they run out."""
        ...

    async def delete(self, key: str, *, drain: bool = False) -> None: ...

    async def usage(self) -> tuple[Usage, ...]:
        """How full each subnet of IPv4 is."""
        ...


class Machines(Editable[Machine], Protocol):
    """Machines, registered or only seen on the wire."""

    async def assign(self, key: str, bootenv: str, *, reboot: bool = False) -> Machine:
        """Assign a boot environment (empty: the default); `reboot` asks its agent to reboot into it.

        Raises ConflictError when `reboot` is asked and no agent heartbeats: the assignment is kept and the message
        says to power-cycle the machine.
        """
        ...

    async def reboot(self, key: str) -> Machine: ...

    async def set_loader(self, key: str, loader: str) -> Machine:
        """Choose its boot loader: a LoaderChoice, or `next`. Raises ConflictError when there is no next."""
        ...

    async def diagnosis(self, key: str) -> Diagnosis:
        """Why the machine does not boot, looked at now."""
        ...

    async def timeline(self, key: str) -> Timeline: ...

    async def boot(self, key: str, *, architecture: str = "", interface: str = "") -> BootView:
        """What it would be answered and given if it booted now; changes nothing. `key` may be an unknown MAC address.

        `architecture`: a name of FIRMWARES or a number; empty: what it last booted with, else all it could have.
        """
        ...

    async def script(self, key: str) -> str:
        """The boot script the machine would get now, secrets masked."""
        ...


class Leases(Readable[AnyLease], Protocol):
    """Leases; the key is the address."""

    async def delete(self, key: str) -> None:
        """Forget a lease, or clear the quarantine of a declined address."""
        ...


class BootEnvs(Readable[BootEnv], Protocol):
    """Boot environments; the key is the name."""

    async def render(self, key: str, machine: str, template: str = "") -> str:
        """What a template (default: the boot script) renders to for a machine.

        Raises InvalidError with template and line.
        """
        ...


class Services(Readable[Service], Protocol):
    """Services of the engine; the key is the name."""

    async def restart(self, key: str) -> Service: ...


class Interfaces(Readable[Interface], Protocol):
    """Network interfaces of the engine's host; the key is the name."""

    async def probe(self, key: str) -> Interface:
        """Send two DISCOVERs within 1.5 s and listen: which other DHCP servers answer here?"""
        ...


class Prefs(Readable[Preference], Protocol):
    """Preferences; the key is the name."""

    async def set(self, key: str, value: str) -> Preference: ...


class Certificates(Readable[Certificate], Protocol):
    """The appliance's certificates; the key is `ca` or `server`."""

    async def export(self, form: str = "pem") -> bytes:
        """The authority's certificate as `pem`, `der` or `esl` (an EFI signature list)."""
        ...


class Files(Readable[File], Protocol):
    """The operator's own files; the key is the name, a path."""

    async def delete(self, key: str, *, recursive: bool = False) -> None:
        """Delete a file; with `recursive` also a directory and all in it, which is refused otherwise."""
        ...

    def download(self, key: str) -> AsyncIterator[bytes]:
        """The content, in parts."""
        ...

    async def unfinished(self, query: Query | None = None) -> Page[Upload]:
        """Uploads that have not come to their end."""
        ...

    async def begin(self, name: str, size: int, *, sha256: str = "", replace: bool = False) -> str:
        """Begin an upload; its key. `sha256`: what the whole must have; `replace`: a file may be there.

        Raises InvalidError for a name that cannot be, ConflictError where something is in the way, UnavailableError
        where the disk has no room.
        """
        ...

    async def offset(self, key: str) -> int:
        """How many bytes of an upload are there: after a break it goes on behind them."""
        ...

    async def send(self, key: str, offset: int, content: AsyncIterable[bytes], *, sha256: str = "") -> int:
        """Send more of an upload; how many bytes are there then. With the last of them it becomes a file.

        `sha256`: of the whole, where it is known by now. Raises InvalidError where it is another: nothing is kept.
        """
        ...

    async def abandon(self, key: str) -> None:
        """Throw an upload away."""
        ...


class Commands(Readable[Command], Protocol):
    """The command log."""

    async def undo(self, key: str = "") -> Command:
        """Take back one command; without a key, the newest that can be taken back.

        Returns the command that undid it.
        """
        ...


class Packets(Protocol):
    """What the flight recorder kept."""

    async def list(self, machine: str, query: Query | None = None) -> Page[Packet]:
        """What went over the wire in a machine's last boots, oldest first."""
        ...

    async def show(self, machine: str, number: int) -> Dissection:
        """One of them, taken apart."""
        ...

    async def capture(self, machine: str, *, boots: int = 0) -> bytes:
        """The same as a pcapng file, of the last `boots` (0: all). Raises NotFoundError where nothing is kept."""
        ...

    async def exchange(self, event: int) -> Exchange:
        """The request and the reply an event is about, taken apart."""
        ...


class Events(Protocol):
    """The event ring and its stream."""

    async def list(self, query: Query | None = None, *, machine: str = "", kind: str = "") -> Page[Event]:
        """Newest last; `kind` is a prefix such as `dhcp.`."""
        ...

    def watch(self, after: int | None = None, *, machine: str = "", kind: str = "") -> AsyncIterator[Event]:
        """Follow the stream from after event `after` (None: from now), re-connecting and losing nothing.

        Raises UnreachableError after it could not connect for a while; the caller decides when to try again.
        """
        ...


class Client(Protocol):
    """The door. `endpoint` is shown to the operator, for example `unix:/run/bootcart/api.sock`."""

    @property
    def endpoint(self) -> str: ...

    @property
    def machines(self) -> Machines: ...

    @property
    def profiles(self) -> Editable[Profile]: ...

    @property
    def subnets(self) -> Subnets: ...

    @property
    def options(self) -> Readable[OptionHelp]:
        """DHCP options by name or number."""
        ...

    @property
    def reservations(self) -> Editable[Reservation]: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def bootenvs(self) -> BootEnvs: ...

    @property
    def events(self) -> Events: ...

    @property
    def packets(self) -> Packets: ...

    @property
    def services(self) -> Services: ...

    @property
    def interfaces(self) -> Interfaces: ...

    @property
    def prefs(self) -> Prefs: ...

    @property
    def certificates(self) -> Certificates: ...

    @property
    def files(self) -> Files: ...

    @property
    def commands(self) -> Commands: ...

    async def info(self) -> EngineInfo: ...

    async def hold(self, on: bool) -> EngineInfo:
        """The switch over everything: while on, no boot service answers anyone."""
        ...

    async def tell_fault(self, fault: Mapping[str, str]) -> None:
        """Have the engine keep a fault of this interface: id, screen, doing, error, trace."""
        ...

    async def stop_engine(self) -> None:
        """Ask the engine to stop; its supervisor does not start it again."""
        ...

    async def close(self) -> None: ...
