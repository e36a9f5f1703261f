"""What each verb does: one function per `run` of `app.cli.nouns`, over the Client alone."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from app.cli.bootview import write as write_boot
from app.cli.call import Call, dumped, query_of
from app.cli.fileverbs import deleted_files, downloaded, exported, unfinished, uploaded
from app.cli.forms import Noun, Verb
from app.cli.inputs import is_source, read_objects
from app.cli.outputs import Output, at, cell, shown
from app.cli.packets import captured, inspected, packets
from app.cli.parsing import body_of
from app.cli.waiting import wait_for
from app.errors import BootcartError, InvalidError, NotFoundError
from app.model.engine import ServiceState
from app.model.event import Event
from app.model.fields import Model
from app.model.query import LIMIT_MAX, Query

STATE = Noun("engine", "the engine", ())
WAIT_SECONDS = 600


async def listed(call: Call) -> int:
    query = query_of(call.given)
    wanted = None if call.given.limit is None else query.limit
    items: list[Model] = []
    while True:
        ask = LIMIT_MAX if wanted is None else min(LIMIT_MAX, wanted - len(items))
        page = await call.door.list(Query(query.filter, query.sort, ask, query.offset + len(items)))
        items += page.items
        if not page.items or query.offset + len(items) >= page.total or len(items) == wanted:
            break
    call.output.listing(call.noun, [dumped(item) for item in items])
    return 0


async def shown_one(call: Call) -> int:
    call.output.one(call.noun, dumped(await call.door.show(call.given.key)))
    return 0


async def exists(call: Call) -> int:
    try:
        await call.door.show(call.given.key)
    except NotFoundError as error:
        # The exit code is the answer; a script wants no words with it.
        return error.exit_code
    return 0


async def waited(call: Call) -> int:
    timeout = WAIT_SECONDS if call.given.timeout is None else float(call.given.timeout)
    item = await wait_for(call.door, call.given.key, call.given.field, call.given.value, timeout, call.output)
    if call.output.form != "text":
        call.output.one(call.noun, item)
    else:
        call.output.line(
            f"{call.noun.one} {shown(item[call.noun.key])}: {call.given.field} is {shown(call.given.value)}"
        )
    return 0


def _inputs(call: Call, named: str) -> list[dict[str, Any]]:
    """The objects to create: from the source if there is one, the flags over it."""
    first, second = getattr(call.given, named), call.given.input
    key, source = ("", first) if is_source(first) and not second else (first, second)
    flags = body_of(call.verb, call.given) | ({named: key} if key else {})
    if not source:
        return [flags]
    objects = read_objects(source)
    if len(objects) > 1 and key:
        raise InvalidError(f"{len(objects)} objects cannot all be called {key!r}", hint="leave the name out")
    return [{**item, **flags} for item in objects]


async def created(call: Call) -> int:
    named = call.verb.arguments[0].name
    bodies = _inputs(call, named)
    if not any(bodies):
        raise InvalidError(f"what {call.noun.one}?", hint=f"give its {named}, or `-` and JSON on standard input")
    for body in bodies:
        call.output.done(call.noun, dumped(await call.door.create(body)), "created")
    return 0


async def updated(call: Call) -> int:
    body = body_of(call.verb, call.given)
    if call.given.input:
        objects = read_objects(call.given.input)
        if len(objects) != 1:
            raise InvalidError("an update takes one object", hint="give one object with the fields to change")
        body = {**objects[0], **body}
    if not body:
        raise InvalidError("no field to change", hint=f"see: bootcart {call.noun.name} update --help")
    drain = {"drain": True} if getattr(call.given, "drain", None) else {}
    call.output.done(call.noun, dumped(await call.door.update(call.given.key, body, **drain)), "updated")
    return 0


async def set_field(call: Call) -> int:
    try:
        value: Any = json.loads(call.given.value)
    except ValueError:
        value = call.given.value
    call.output.done(call.noun, dumped(await call.door.update(call.given.key, {call.given.field: value})), "updated")
    return 0


async def deleted(call: Call) -> int:
    drain = {"drain": True} if getattr(call.given, "drain", None) else {}
    for key in call.given.key:
        await call.door.delete(key, **drain)
        call.output.said(f"{call.noun.one} {shown(key)} deleted", {"deleted": key})
    return 0


async def assigned(call: Call) -> int:
    given = call.given
    machine = await call.client.machines.assign(given.key, given.bootenv, reboot=bool(given.reboot))
    what = f"is assigned {shown(machine.bootenv) or 'the default boot environment'}"
    call.output.done(call.noun, dumped(machine), what + (", reboots into it" if given.reboot else ""))
    return 0


async def rebooted(call: Call) -> int:
    call.output.done(call.noun, dumped(await call.client.machines.reboot(call.given.key)), "is told to reboot")
    return 0


async def loader_chosen(call: Call) -> int:
    machine = await call.client.machines.set_loader(call.given.key, call.given.loader)
    given = machine.status.loader if machine.status is not None else ""
    call.output.done(call.noun, dumped(machine), f"is given the boot loader {given or 'that works'}")
    return 0


async def diagnosed(call: Call) -> int:
    told = dumped(await call.client.machines.diagnosis(call.given.key))
    if call.output.form != "text":
        call.output.said("", told)
        return 0
    if not told["findings"]:
        call.output.line(f"{shown(told['name'])}: nothing wrong is seen")
    for finding in told["findings"]:
        note = {"note": " (note)", "wait": " (longer than usual)"}.get(finding["severity"], "")
        call.output.line(f"{finding['id']} {shown(finding['seen'])}{note}")
        call.output.line(f"    {shown(finding['means'])}")
        command = f": {shown(finding['command'])}" if finding["command"] else ""
        call.output.line(f"    {shown(finding['do'])}{command}")
    return 0


async def timeline(call: Call) -> int:
    told = dumped(await call.client.machines.timeline(call.given.key))
    if call.output.form != "text":
        call.output.said("", told)
        return 0
    if not told["hops"]:
        call.output.line(f"{shown(call.given.key)} has not been seen to boot")
        return 0
    rows = [
        [
            hop["state"],
            shown(hop["title"]),
            "" if hop["delta"] is None else f"+{hop['delta']:.1f} s",
            shown(hop["detail"] or (f"waiting for {hop['waiting_for']}" if hop["waiting_for"] else "")),
        ]
        for hop in told["hops"]
    ]
    call.output.table(("state", "hop", "after", "detail"), rows)
    return 0


async def boot(call: Call) -> int:
    given = call.given
    found = await call.client.machines.boot(
        given.key, architecture=given.architecture or "", interface=given.interface or ""
    )
    if call.output.form == "text":
        write_boot(found, call.output)
    else:
        call.output.said("", dumped(found))
    return 0


async def script(call: Call) -> int:
    call.output.text(await call.client.machines.script(call.given.key))
    return 0


async def rendered(call: Call) -> int:
    if not call.given.machine:
        raise InvalidError("for which machine?", hint="give --machine KEY", field="machine")
    text = await call.client.bootenvs.render(call.given.key, call.given.machine, call.given.template or "")
    call.output.text(text)
    return 0


async def probed(call: Call) -> int:
    told = dumped(await call.client.interfaces.probe(call.given.key))
    if call.output.form != "text":
        call.output.one(call.noun, told)
        return 0
    servers = [cell("server", server["server"]) for server in told["foreign"]]
    heard = f"DHCP servers heard: {', '.join(servers)}" if servers else "no other DHCP server heard"
    call.output.line(f"interface {shown(told['name'])}: {heard}")
    return 0


async def set_pref(call: Call) -> int:
    pref = await call.client.prefs.set(call.given.key, call.given.value)
    call.output.done(call.noun, dumped(pref), f"is {shown(pref.value)}")
    return 0


async def used(call: Call) -> int:
    columns = ("subnet", "size", "bound", "offered", "quarantined", "reserved", "free")
    items = [dumped(item) for item in await call.client.subnets.usage()]
    call.output.listing(replace(call.noun, key="subnet", columns=columns), items)
    return 0


async def restarted(call: Call) -> int:
    service = await call.client.services.restart(call.given.key)
    if service.state is ServiceState.FAILED:
        raise BootcartError(f"{service.name} did not start: {service.reason}", hint=service.hint)
    call.output.done(call.noun, dumped(service), f"is {service.state.value}")
    return 0


async def undone(call: Call) -> int:
    command = await call.client.commands.undo(call.given.key)
    call.output.said(shown(command.summary), dumped(command))
    return 0


async def listed_events(call: Call) -> int:
    given = call.given
    page = await call.client.events.list(query_of(given), machine=given.machine or "", kind=given.kind or "")
    call.output.listing(call.noun, [dumped(event) for event in page.items])
    return 0


async def watched(call: Call) -> int:
    given, output = call.given, call.output
    after = None if given.after is None else int(given.after)
    left = -1 if given.limit is None else int(given.limit)
    if left == 0:
        return 0
    source = call.client.events.watch(after, machine=given.machine or "", kind=given.kind or "")
    async with aclosing(cast("AsyncGenerator[Event]", source)) as events:
        async for event in events:
            _write_event(call, dumped(event))
            output.out.flush()
            left -= 1
            if left == 0:
                break
    return 0


def _write_event(call: Call, told: dict[str, Any]) -> None:
    """One event of a stream: a line, a JSON text, a YAML document or its number."""
    output = call.output
    if output.form == "json":
        output.line(json.dumps(told))
    elif output.form == "yaml":
        output.line("---")
        output.data(told)
    elif output.form == "quiet":
        output.line(str(told["id"]))
    else:
        gap = "  " if output.terminal else "\t"
        output.line(gap.join(cell(name, at(told, name)) for name in call.noun.columns))


async def info(call: Call) -> int:
    told = dumped(await call.client.info())
    if call.output.form == "text":
        call.output.fields({"endpoint": call.client.endpoint, **told})
    else:
        call.output.said("", told)
    return 0


async def held(call: Call) -> int:
    told = dumped(await call.client.hold(True))
    call.output.said("the engine answers no one until: bootcart release", told)
    return 0


async def released(call: Call) -> int:
    call.output.said("the engine answers", dumped(await call.client.hold(False)))
    return 0


async def stopped(call: Call) -> int:
    await call.client.stop_engine()
    call.output.said("the engine stops", {"stopped": True})
    return 0


RUNS: dict[str, Callable[[Call], Awaitable[int]]] = {
    "shown": shown_one,
    **{
        run.__name__: run
        for run in (
            listed, exists, waited, created, updated, set_field, deleted, assigned, rebooted,
            loader_chosen, diagnosed, timeline, boot,
            script, packets, captured, inspected,
            uploaded, unfinished, downloaded, deleted_files, exported,
            rendered, probed, used, set_pref, restarted, undone, listed_events, watched, info, held, released, stopped,
        )
    },
}  # fmt: skip


async def run(verb: Verb, noun: Noun | None, given: argparse.Namespace, endpoint: str, output: Output) -> int:
    """Do one verb against the engine at an endpoint; its exit code. Raises BootcartError."""
    from app.client.http import HttpClient

    client = HttpClient(endpoint)
    try:
        return await RUNS[verb.run](Call(client, noun or STATE, verb, given, output))
    finally:
        await client.close()
