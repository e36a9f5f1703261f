"""The Client over HTTP: every noun of the protocol, spoken to the engine's API.

What a noun's objects are made of is imported when the noun is first asked for: the first rows of the interface need few
of them, and so does a verb of the command line.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from app.client.wire import Wire, model_of, page_of, params_of, path_of
from app.errors import TimedOutError, UnavailableError, UnreachableError
from app.model.fields import Model
from app.model.query import Page, Query

if TYPE_CHECKING:
    from app.client.files import HttpFiles
    from app.client.packets import HttpPackets
    from app.model.bootenv import BootEnv
    from app.model.bootview import BootView
    from app.model.certificate import Certificate
    from app.model.diagnosis import Diagnosis
    from app.model.engine import Command, EngineInfo, Interface, Preference, Service
    from app.model.event import Event
    from app.model.machine import Machine
    from app.model.optionhelp import OptionHelp
    from app.model.profile import Profile
    from app.model.subnet import Reservation
    from app.model.subnet6 import AnyLease, AnySubnet
    from app.model.timeline import Timeline
    from app.model.usage import Usage

ModelT = TypeVar("ModelT", bound=Model)

PATIENCE_SECONDS = 10.0
SILENCE_SECONDS = 40.0
"""The engine fills silence every 15 s: a stream silent for longer is dead."""
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0)


class _Families:
    """Stands for a model where a noun's objects are of IPv4 or of IPv6: network or address tell which."""

    def __init__(self, four: type[Model], six: type[Model]) -> None:
        self._four, self._six = four, six
        self.__name__ = four.__name__

    def model_validate(self, item: Any, **how: Any) -> Model:
        told = item.get("cidr") or item.get("address")
        return (self._six if ":" in str(told) else self._four).model_validate(item, **how)

    def model_validate_json(self, content: bytes | str, **how: Any) -> Model:
        return self.model_validate(json.loads(content), **how)


class _Readable(Generic[ModelT]):
    def __init__(self, wire: Wire, noun: str, kind: type[ModelT]) -> None:
        self._wire = wire
        self._noun = noun
        self._kind = kind

    async def list(self, query: Query | None = None) -> Page[ModelT]:
        return page_of(self._kind, await self._wire.ask("GET", self._noun, params=params_of(query)))

    async def show(self, key: str) -> ModelT:
        return await self._one("GET", path_of(self._noun, key))

    async def _one(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> ModelT:
        return model_of(self._kind, await self._wire.ask(method, path, body=body))


class _Editable(_Readable[ModelT]):
    async def create(self, body: Mapping[str, Any]) -> ModelT:
        return await self._one("POST", self._noun, body)

    async def update(self, key: str, changes: Mapping[str, Any]) -> ModelT:
        return await self._one("PATCH", path_of(self._noun, key), changes)

    async def delete(self, key: str) -> None:
        await self._wire.ask("DELETE", path_of(self._noun, key))


class _Machines(_Editable["Machine"]):
    async def assign(self, key: str, bootenv: str, *, reboot: bool = False) -> Machine:
        return await self._one("POST", path_of(self._noun, key, "assign"), {"bootenv": bootenv, "reboot": reboot})

    async def reboot(self, key: str) -> Machine:
        return await self._one("POST", path_of(self._noun, key, "reboot"))

    async def set_loader(self, key: str, loader: str) -> Machine:
        return await self._one("POST", path_of(self._noun, key, "loader"), {"loader": loader})

    async def diagnosis(self, key: str) -> Diagnosis:
        from app.model.diagnosis import Diagnosis

        return model_of(Diagnosis, await self._wire.ask("GET", path_of(self._noun, key, "diagnosis")))

    async def timeline(self, key: str) -> Timeline:
        from app.model.timeline import Timeline

        return model_of(Timeline, await self._wire.ask("GET", path_of(self._noun, key, "timeline")))

    async def boot(self, key: str, *, architecture: str = "", interface: str = "") -> BootView:
        from app.model.bootview import BootView

        params = [("architecture", architecture), ("interface", interface)]
        return model_of(BootView, await self._wire.ask("GET", path_of(self._noun, key, "boot"), params=params))

    async def script(self, key: str) -> str:
        return (await self._wire.ask("GET", path_of(self._noun, key, "script"))).decode()


class _Subnets(_Editable["AnySubnet"]):
    async def update(self, key: str, changes: Mapping[str, Any], *, drain: bool = False) -> AnySubnet:
        params = [("drain", "true")] if drain else []
        answer = await self._wire.ask("PATCH", path_of(self._noun, key), params=params, body=changes)
        return model_of(self._kind, answer)

    async def delete(self, key: str, *, drain: bool = False) -> None:
        await self._wire.ask("DELETE", path_of(self._noun, key), params=[("drain", "true")] if drain else [])

    async def usage(self) -> tuple[Usage, ...]:
        from app.model.usage import Usage

        return page_of(Usage, await self._wire.ask("GET", "usage")).items


class _Leases(_Readable[ModelT]):
    async def delete(self, key: str) -> None:
        await self._wire.ask("DELETE", path_of(self._noun, key))


class _BootEnvs(_Readable[ModelT]):
    async def render(self, key: str, machine: str, template: str = "") -> str:
        params = [("machine", machine), ("template", template)]
        return (await self._wire.ask("GET", path_of(self._noun, key, "render"), params=params)).decode()


class _Services(_Readable["Service"]):
    async def restart(self, key: str) -> Service:
        return await self._one("POST", path_of(self._noun, key, "restart"))


class _Interfaces(_Readable["Interface"]):
    async def probe(self, key: str) -> Interface:
        return await self._one("POST", path_of(self._noun, key, "probe"))


class _Prefs(_Readable["Preference"]):
    async def set(self, key: str, value: str) -> Preference:
        return await self._one("PUT", path_of(self._noun, key), {"value": value})


class _Certificates(_Readable[ModelT]):
    async def export(self, form: str = "pem") -> bytes:
        return await self._wire.ask("GET", f"{self._noun}/ca/export", params=[("form", form)])


class _Commands(_Readable["Command"]):
    async def undo(self, key: str = "") -> Command:
        return await self._one("POST", path_of(self._noun, key, "undo") if key else f"{self._noun}/undo")


class _Events:
    def __init__(self, wire: Wire, patience: float) -> None:
        self._wire = wire
        self._patience = patience

    async def list(self, query: Query | None = None, *, machine: str = "", kind: str = "") -> Page[Event]:
        from app.model.event import Event

        params = [*params_of(query), ("machine", machine), ("kind", kind)]
        return page_of(Event, await self._wire.ask("GET", "events", params=params))

    async def watch(self, after: int | None = None, *, machine: str = "", kind: str = "") -> AsyncIterator[Event]:
        from app.model.event import Event

        last = after
        failing: float | None = None
        tries = 0
        while True:
            try:
                async with self._wire.stream(
                    "events/stream",
                    [("machine", machine), ("kind", kind)],
                    {} if last is None else {"Last-Event-ID": str(last)},
                    SILENCE_SECONDS,
                ) as lines:
                    async for number, data in _blocks(lines):
                        failing, tries = None, 0
                        if not data:
                            # Where the stream stands; below us when the engine has a new store.
                            last = number if last is None else min(last, number)
                        elif last is None or number > last:
                            last = number
                            yield model_of(Event, data)
            except (UnreachableError, UnavailableError, TimedOutError) as error:
                failing = time.monotonic() if failing is None else failing
                if time.monotonic() - failing >= self._patience:
                    raise error if isinstance(error, UnreachableError) else UnreachableError(error.message) from error
            # A stream that ended without a word ends with its engine, which may be back in a moment.
            await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
            tries += 1


async def _blocks(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, str]]:
    """The id and data of each block of a stream; blocks without an id are keep-alives."""
    number, data = -1, ""
    async for line in lines:
        name, _, value = line.partition(":")
        if name == "id" and value.strip().isdecimal():
            number = int(value)
        elif name == "data":
            data = value.removeprefix(" ")
        elif not line:
            if number >= 0:
                yield number, data
            number, data = -1, ""


class HttpClient:
    """The Client of one engine; make one per event loop and `close()` it."""

    def __init__(self, endpoint: str, *, patience: float = PATIENCE_SECONDS) -> None:
        """`patience` is how many seconds `events.watch` tries to connect. Raises InvalidError for a bad endpoint."""
        self._wire = Wire(endpoint)
        self.endpoint = endpoint
        self.events = _Events(self._wire, patience)

    @property
    def machines(self) -> _Machines:
        from app.model.machine import Machine

        return _Machines(self._wire, "machines", Machine)

    @property
    def profiles(self) -> _Editable[Profile]:
        from app.model.profile import Profile

        return _Editable(self._wire, "profiles", Profile)

    @property
    def packets(self) -> HttpPackets:
        from app.client.packets import HttpPackets

        return HttpPackets(self._wire)

    @property
    def subnets(self) -> _Subnets:
        from app.model.subnet import Subnet
        from app.model.subnet6 import Subnet6

        return _Subnets(self._wire, "subnets", cast("Any", _Families(Subnet, Subnet6)))

    @property
    def options(self) -> _Readable[OptionHelp]:
        from app.model.optionhelp import OptionHelp

        return _Readable(self._wire, "options", OptionHelp)

    @property
    def reservations(self) -> _Editable[Reservation]:
        from app.model.subnet import Reservation

        return _Editable(self._wire, "reservations", Reservation)

    @property
    def leases(self) -> _Leases[AnyLease]:
        from app.model.subnet import Lease
        from app.model.subnet6 import Lease6

        return _Leases(self._wire, "leases", cast("Any", _Families(Lease, Lease6)))

    @property
    def bootenvs(self) -> _BootEnvs[BootEnv]:
        from app.model.bootenv import BootEnv

        return _BootEnvs(self._wire, "bootenvs", BootEnv)

    @property
    def services(self) -> _Services:
        from app.model.engine import Service

        return _Services(self._wire, "services", Service)

    @property
    def interfaces(self) -> _Interfaces:
        from app.model.engine import Interface

        return _Interfaces(self._wire, "interfaces", Interface)

    @property
    def prefs(self) -> _Prefs:
        from app.model.engine import Preference

        return _Prefs(self._wire, "prefs", Preference)

    @property
    def certificates(self) -> _Certificates[Certificate]:
        from app.model.certificate import Certificate

        return _Certificates(self._wire, "certificates", Certificate)

    @property
    def files(self) -> HttpFiles:
        from app.client.files import HttpFiles

        return HttpFiles(self._wire)

    @property
    def commands(self) -> _Commands:
        from app.model.engine import Command

        return _Commands(self._wire, "commands", Command)

    async def info(self) -> EngineInfo:
        from app.model.engine import EngineInfo

        return model_of(EngineInfo, await self._wire.ask("GET", "info"))

    async def hold(self, on: bool) -> EngineInfo:
        from app.model.engine import EngineInfo

        return model_of(EngineInfo, await self._wire.ask("POST", "hold", body={"on": on}))

    async def tell_fault(self, fault: Mapping[str, str]) -> None:
        await self._wire.ask("POST", "faults", body=fault)

    async def stop_engine(self) -> None:
        await self._wire.ask("POST", "stop")

    async def close(self) -> None:
        await self._wire.close()
