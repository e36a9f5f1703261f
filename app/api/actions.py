"""The verbs of single nouns: assign, reboot, render, restart, probe, set, undo, hold, stop."""

from __future__ import annotations

import logging
import time
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Response
from fastapi import Query as FromQuery
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from app.api.callers import Caller
from app.api.failures import FAILURES, ShieldedRoute
from app.api.guard import calling
from app.api.listings import Listing, PageQuery, answer
from app.api.nouns import named, router_for
from app.api.ports import EnginePort
from app.errors import ConflictError, InvalidError, NotFoundError
from app.model.bootenv import BootEnv
from app.model.bootview import FIRMWARES, BootView
from app.model.diagnosis import Diagnosis
from app.model.engine import Command, EngineInfo, Interface, Preference, Service
from app.model.event import EventDraft, Level
from app.model.fields import normal_mac
from app.model.inert import inert
from app.model.machine import LoaderChoice, Machine, stranger
from app.model.timeline import Timeline
from app.model.usage import Usage

log = logging.getLogger(__name__)

TRACE_MAX = 4000
"""Characters of a fault's trace that are kept."""

_LOADER_WORDS = {LoaderChoice.AUTO: "the boot loader that works"}

ALL = 2**31
"""Commands: as many as the log keeps."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AssignBody(_Body):
    """Which boot environment, and whether to reboot into it."""

    bootenv: str = Field(description="name; empty: the default")
    reboot: bool = Field(default=False, description="ask the machine's agent to reboot")


class LoaderBody(_Body):
    """Which boot loader its firmware is given."""

    loader: Literal["next", "auto", "snponly", "ipxe", "shim", "grub"] = Field(
        description="next: the one after what it is given now; auto: what is found to work, beginning anew"
    )


class PrefBody(_Body):
    """A preference's new value."""

    value: str


class FaultBody(_Body):
    """A fault of an operator's interface; what is longer is cut."""

    id: str = Field(description="as the operator sees it")
    screen: str = ""
    doing: str = Field(default="", description="what it was about")
    error: str = ""
    trace: str = Field(default="", description="where in the program; its end is kept")


class HoldBody(_Body):
    """The switch over everything."""

    on: bool = Field(description="true: answer no one")


def audited(engine: EnginePort, caller: Caller, noun: str, key: str, action: str) -> None:
    """Record an action that the command log does not hold."""
    subject = f"{noun} {key}".strip()
    engine.emit(
        EventDraft(
            time=time.time(),
            kind="audit.action",
            message=f"{caller.actor}: {action} {subject}",
            actor=caller.actor,
            data={"noun": noun, "key": key, "action": action},
        )
    )


def machine_actions(engine: EnginePort) -> APIRouter:
    """What is done to and read of one machine besides the common verbs."""
    router = router_for("machines")
    reading, writing = calling("machines.read"), calling("machines.write")

    def machine(key: str) -> Machine:
        return cast("Machine", engine.commands.resolve("machines", key))

    def anybody(key: str) -> Machine:
        """The machine, or one nobody has seen, where the key is a MAC address."""
        try:
            return machine(key)
        except NotFoundError:
            try:
                return stranger(normal_mac(key.removeprefix("Mac:")))
            except ValueError:
                pass
            raise

    @router.post("/{key}/assign", response_model=Machine, summary="Assign a boot environment")
    def assign(key: str, body: AssignBody, caller: Caller = writing) -> Machine:
        assigned = engine.commands.assign(caller.actor, key, body.bootenv)
        if not body.reboot:
            return assigned
        try:
            return engine.commands.set_reboot(caller.actor, str(assigned.id))
        except ConflictError as error:
            # The assignment stands; only its second half could not be done.
            given = body.bootenv or "the default"
            told = f"{assigned.name} is assigned {given}, but cannot be rebooted: {error.message}"
            raise ConflictError(told, hint=error.hint or "power-cycle the machine", field="reboot") from error

    @router.post("/{key}/reboot", response_model=Machine, summary="Ask the machine's agent to reboot")
    def reboot(key: str, caller: Caller = writing) -> Machine:
        return engine.commands.set_reboot(caller.actor, key)

    @router.post("/{key}/loader", response_model=Machine, summary="Choose its boot loader")
    def loader(key: str, body: LoaderBody, caller: Caller = writing) -> Machine:
        found = machine(key)
        wanted = engine.next_loader(found) if body.loader == "next" else LoaderChoice(body.loader)
        if body.loader == "next" and wanted is LoaderChoice.AUTO:
            why = f"there is no other boot loader here for {found.name}"
            raise ConflictError(why, hint="bring more of them: packaging/loaders", field="loader")
        if wanted is LoaderChoice.AUTO:
            engine.reset_loader(found)
        change = {"loader": wanted.value}
        changed = cast("Machine", engine.commands.update(caller.actor, "machines", str(found.id), change))
        engine.emit(
            EventDraft(
                time=time.time(),
                kind="machine.loader",
                message=f"{caller.actor}: {found.name} is given {_LOADER_WORDS.get(wanted, wanted.value)} from now on",
                mac=next(iter(found.macs), ""),
                machine=found.id,
                actor=caller.actor,
                data={"loader": wanted.value, "before": found.loader.value},
            )
        )
        return changed

    @router.get("/{key}/diagnosis", response_model=Diagnosis, dependencies=[reading], summary="Why it does not boot")
    def diagnosis(key: str) -> Diagnosis:
        return engine.diagnosis(machine(key))

    @router.get(
        "/{key}/timeline", response_model=Timeline, dependencies=[reading], summary="The newest boot, hop by hop"
    )
    def timeline(key: str) -> Timeline:
        return engine.timeline(machine(key))

    @router.get(
        "/{key}/boot",
        response_model=BootView,
        dependencies=[reading],
        summary="What it would be answered and given if it booted now; a dry run, secrets masked",
    )
    def boot(
        key: str,
        architecture: Annotated[
            str, FromQuery(description=f"{', '.join(FIRMWARES)} or a number; empty: what it last booted with")
        ] = "",
        interface: Annotated[str, FromQuery(description="where it boots; empty: where it was last heard")] = "",
    ) -> BootView:
        return engine.boot(anybody(key), architecture, interface)

    @router.get(
        "/{key}/script",
        response_class=PlainTextResponse,
        dependencies=[reading],
        summary="The boot script it would get now, secrets masked",
    )
    def script(key: str) -> str:
        return engine.script(machine(key))

    _ = (assign, reboot, loader, diagnosis, timeline, boot, script)
    return router


def usage_routes(engine: EnginePort) -> APIRouter:
    """How full subnets are."""
    router = router_for("usage")

    @router.get(
        "",
        response_model=Listing[Usage],
        dependencies=[calling("subnets.read")],
        summary="How many addresses of each subnet of IPv4 are leased, offered, kept back, reserved and free",
    )
    def counted(params: PageQuery) -> Response:
        return answer(engine.usage(), params)

    _ = counted
    return router


def bootenv_actions(engine: EnginePort) -> APIRouter:
    """Rendering."""
    router = router_for("bootenvs")

    @router.get(
        "/{key}/render",
        response_class=PlainTextResponse,
        dependencies=[calling("bootenvs.read"), calling("machines.read")],
        summary="What a template renders to for a machine, secrets masked",
    )
    def render(
        key: str,
        machine: Annotated[str, FromQuery(description="the machine's key")],
        template: Annotated[str, FromQuery(description="its name; empty: the boot script")] = "",
    ) -> str:
        bootenv = cast("BootEnv", engine.commands.resolve("bootenvs", key))
        subject = cast("Machine", engine.commands.resolve("machines", machine))
        return engine.render(bootenv, subject, template)

    _ = render
    return router


def pref_actions(engine: EnginePort) -> APIRouter:
    """Setting a preference."""
    router = router_for("prefs")
    writing = calling("prefs.write")

    @router.put("/{key}", response_model=Preference, summary="Set a preference")
    def put(key: str, body: PrefBody, caller: Caller = writing) -> Preference:
        return cast("Preference", engine.commands.update(caller.actor, "prefs", key, {"value": body.value}))

    _ = put
    return router


def service_routes(engine: EnginePort) -> APIRouter:
    """Services: list, show, restart."""
    router = router_for("services")
    reading, writing = calling("services.read"), calling("services.write")

    @router.get("", response_model=Listing[Service], dependencies=[reading], summary="List services")
    def listed(params: PageQuery) -> Response:
        return answer(engine.services(), params)

    @router.get("/{key}", response_model=Service, dependencies=[reading], summary="Show one service")
    def shown(key: str) -> Service:
        return named("service", key, engine.services())

    @router.post("/{key}/restart", response_model=Service, summary="Stop and start a service")
    async def restart(key: str, caller: Caller = writing) -> Service:
        service: Service = named("service", key, engine.services())
        audited(engine, caller, "services", service.name, "restart")
        return await engine.restart(service.name)

    _ = (listed, shown, restart)
    return router


def interface_routes(engine: EnginePort) -> APIRouter:
    """Interfaces: list, show, probe."""
    router = router_for("interfaces")
    reading, writing = calling("interfaces.read"), calling("interfaces.write")

    @router.get("", response_model=Listing[Interface], dependencies=[reading], summary="List network interfaces")
    def listed(params: PageQuery) -> Response:
        return answer(engine.interfaces(), params)

    @router.get("/{key}", response_model=Interface, dependencies=[reading], summary="Show one interface")
    def shown(key: str) -> Interface:
        return named("interface", key, engine.interfaces())

    @router.post("/{key}/probe", response_model=Interface, summary="Ask the segment for other DHCP servers")
    async def probe(key: str, caller: Caller = writing) -> Interface:
        interface: Interface = named("interface", key, engine.interfaces())
        audited(engine, caller, "interfaces", interface.name, "probe")
        return await engine.probe(interface.name)

    _ = (listed, shown, probe)
    return router


def command_routes(engine: EnginePort) -> APIRouter:
    """The command log: list, show, undo."""
    router = router_for("commands")
    reading, writing = calling("commands.read"), calling("commands.write")

    def number(key: str) -> int:
        if not key.isdecimal() or len(key) > 18:
            raise InvalidError(f"{key!r} is not a command's number", hint="see: bootcart commands list", field="key")
        return int(key)

    @router.get("", response_model=Listing[Command], dependencies=[reading], summary="List commands, oldest first")
    def listed(params: PageQuery) -> Response:
        return answer(engine.commands.commands(), params)

    @router.post("/undo", response_model=Command, summary="Take back the newest command that can be taken back")
    def undo_newest(caller: Caller = writing) -> Command:
        return engine.commands.undo(caller.actor)

    @router.get("/{key}", response_model=Command, dependencies=[reading], summary="Show one command")
    def shown(key: str) -> Command:
        wanted = number(key)
        found = next((command for command in engine.commands.commands(ALL) if command.id == wanted), None)
        return found or named("command", key, ())

    @router.post("/{key}/undo", response_model=Command, summary="Take back one command")
    def undo(key: str, caller: Caller = writing) -> Command:
        return engine.commands.undo(caller.actor, number(key))

    _ = (listed, undo_newest, shown, undo)
    return router


def engine_routes(engine: EnginePort) -> APIRouter:
    """The engine itself: info, hold, stop."""
    router = APIRouter(tags=["engine"], route_class=ShieldedRoute, responses=FAILURES, redirect_slashes=False)
    reading, writing = calling("engine.read"), calling("engine.write")

    @router.get("/info", response_model=EngineInfo, dependencies=[reading], summary="What the engine says of itself")
    def info() -> EngineInfo:
        return engine.info()

    @router.post("/hold", response_model=EngineInfo, summary="Answer no one, or answer again")
    def hold(body: HoldBody, caller: Caller = writing) -> EngineInfo:
        engine.commands.hold(caller.actor, body.on)
        return engine.info()

    @router.post("/stop", response_model=EngineInfo, status_code=202, summary="Stop the engine for good")
    def stop(caller: Caller = writing) -> EngineInfo:
        audited(engine, caller, "engine", "", "stop")
        info = engine.info()
        engine.stop()
        return info

    @router.post("/faults", status_code=204, summary="Keep a fault of an interface as an event")
    def fault(body: FaultBody, caller: Caller = reading) -> None:
        said = {name: inert(value[:200]) for name, value in body.model_dump(exclude={"trace"}).items()}
        trace = inert(" | ".join(body.trace.splitlines())[-TRACE_MAX:])
        log.error("the interface of %s failed on %s: %s %s", caller.actor, said["screen"], said["error"], trace)
        engine.emit(
            EventDraft(
                time=time.time(),
                kind="ui.failed",
                level=Level.ERROR,
                message=f"the interface of {caller.actor} failed on {said['screen']}: {said['error']} ({said['id']})",
                actor=caller.actor,
                data={**said, "trace": trace},
            )
        )

    _ = (info, hold, stop, fault)
    return router
