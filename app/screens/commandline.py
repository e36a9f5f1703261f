"""The `:` line: the command line's own forms, their short aliases, names of areas; with completion."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from app.client.readonly import HINT, REFUSED
from app.errors import ForbiddenError, InvalidError, NotFoundError
from app.screens import operations
from app.screens.registry import ACTIONS, CHANGING, LISTS

if TYPE_CHECKING:
    from app.model.machine import Machine
    from app.screens.app import BootcartApp
    from app.screens.session import Session


def _find(session: Session, key: str) -> Machine:
    """A machine by name, id, MAC or `Index:value`. Raises NotFoundError."""
    index, colon, value = key.partition(":")
    bare = value if colon and index in ("Name", "Mac", "Address", "Uuid") else key
    for machine in session.machines.values():
        if bare in (machine.name, str(machine.id), str(machine.address)) or bare.lower() in machine.macs:
            return machine
    raise NotFoundError(f"no machine {key!r}", hint="Tab completes names")


def _need(arguments: Sequence[str], count: int, form: str) -> None:
    if len(arguments) < count:
        raise InvalidError(f"more is needed: {form}", hint="upper-case words stand for your own")


async def _assign(app: BootcartApp, arguments: Sequence[str]) -> None:
    words = [word for word in arguments if not word.startswith("--")]
    _need(words, 2, "boot KEY BOOTENV")
    machine = _find(app.session, words[0])
    await operations.assign(app, [machine], set(), words[1], reboot="--reboot" in arguments)


async def _reboot(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 1, "reboot KEY")
    await operations.reboot(app, [_find(app.session, key) for key in arguments], set())


async def _diagnose(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 1, "machines diagnose KEY")
    # What was found stands above its timeline.
    app.open_machine(str(_find(app.session, arguments[0]).id))


async def _loader(app: BootcartApp, arguments: Sequence[str]) -> None:
    from app.screens.loaders import given

    _need(arguments, 2, "loader KEY LOADER")
    machine = _find(app.session, arguments[0])
    app.say(f"{machine.name}: {given(await app.session.client.machines.set_loader(str(machine.id), arguments[1]))}")


async def _forget(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 1, "forget KEY")
    await operations.forget(app, [_find(app.session, key) for key in arguments], set())


async def _would_get(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 1, "machines boot KEY")
    try:
        key = str(_find(app.session, arguments[0]).id)
    except NotFoundError:
        # The MAC address of a machine that is still to come.
        key = arguments[0]
        if ":" not in key:
            raise
    app.open_boot(key)


async def _capture(app: BootcartApp, arguments: Sequence[str]) -> None:
    from app.screens.areas.inspect import write_capture

    _need(arguments, 1, "machines pcap KEY")
    await write_capture(app, str(_find(app.session, arguments[0]).id))


async def _packets(app: BootcartApp, arguments: Sequence[str]) -> None:
    from app.screens.areas.packets import open_packets

    _need(arguments, 1, "machines packets KEY")
    open_packets(app, str(_find(app.session, arguments[0]).id))


async def _inspect(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 1, "events inspect ID")
    if not arguments[0].isdecimal():
        raise InvalidError(f"{arguments[0]!r} is not an event's number", hint="Enter on an event tells its number")
    app.open_exchange((await app.session.client.packets.exchange(int(arguments[0]))).event)


def _deleter(noun: str, text: str) -> Callable[[BootcartApp, Sequence[str]], Awaitable[None]]:
    async def delete(app: BootcartApp, arguments: Sequence[str]) -> None:
        _need(arguments, 1, f"{noun} delete KEY")
        collection = getattr(app.session.client, noun)
        for key in arguments:
            await collection.show(key)
        await operations.delete(app, noun, [(key, "", False) for key in arguments], [text])

    return delete


async def _reserve(app: BootcartApp, arguments: Sequence[str]) -> None:
    words = [word for word in arguments if word != "--mac"]
    _need(words, 2, "reservations create ADDRESS --mac MAC")
    made = await app.session.client.reservations.create({"address": words[0], "mac": words[1]})
    app.say(f"{made.address} is kept for {made.mac}")


async def _restart(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 1, "services restart KEY")
    service = await app.session.client.services.restart(arguments[0])
    app.say(f"{service.name}: {service.state.value}")


async def _probe(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 1, "interfaces probe KEY")
    found = await app.session.client.interfaces.probe(arguments[0])
    heard = ", ".join(str(one.server) for one in found.foreign)
    app.say(f"{found.name}: " + (f"DHCP server heard: {heard}" if heard else "no other DHCP server heard"))


async def _set(app: BootcartApp, arguments: Sequence[str]) -> None:
    _need(arguments, 2, "prefs set KEY VALUE")
    pref = await app.session.client.prefs.set(arguments[0], " ".join(arguments[1:]))
    app.say(f"{pref.name} is {pref.value}")


async def _undo(app: BootcartApp, arguments: Sequence[str]) -> None:
    await operations.undo(app, arguments[0] if arguments else "")


async def _redo(app: BootcartApp, arguments: Sequence[str]) -> None:
    await operations.redo(app)


async def _hold(app: BootcartApp, arguments: Sequence[str]) -> None:
    wanted = {"on": True, "off": False, "": None}.get(arguments[0] if arguments else "")
    await operations.hold(app, wanted)


async def _stop(app: BootcartApp, arguments: Sequence[str]) -> None:
    if await operations.stop_engine(app):
        app.say("the engine stops")


async def _quit(app: BootcartApp, arguments: Sequence[str]) -> None:
    await app.do_quit()


async def _wizard(app: BootcartApp, arguments: Sequence[str]) -> None:
    app.do_wizard()


async def _help(app: BootcartApp, arguments: Sequence[str]) -> None:
    app.do_help()


RUN: dict[str, Callable[[BootcartApp, Sequence[str]], Awaitable[None]]] = {
    "assign": _assign,
    "reboot": _reboot,
    "fix": _diagnose,
    "loader": _loader,
    "forget": _forget,
    "would_get": _would_get,
    "capture": _capture,
    "packets": _packets,
    "inspect": _inspect,
    "delete_subnet": _deleter("subnets", "The subnet is no longer answered. Its leases stay on record."),
    "delete_reservation": _deleter("reservations", "The address may be given to another machine."),
    "forget_lease": _deleter("leases", "The address may be given to another machine while this one still uses it."),
    "new_reservation": _reserve,
    "restart": _restart,
    "probe": _probe,
    "edit_pref": _set,
    "undo_this": _undo,
    "undo": _undo,
    "redo": _redo,
    "hold": _hold,
    "stop_engine": _stop,
    "quit": _quit,
    "wizard": _wizard,
    "help": _help,
}
"""What each form of the registry runs."""


def forms() -> list[tuple[list[str], str]]:
    """Leading words of every form, and the action; the longest first."""
    found: list[tuple[list[str], str]] = []
    for action in ACTIONS:
        for form in (action.words, *action.aliases):
            lead = [word for word in form.split() if word.islower() and not word.startswith(("[", "-"))]
            if lead:
                found.append((lead, action.id))
    return sorted(found, key=lambda pair: -len(pair[0]))


async def run(app: BootcartApp, text: str) -> None:
    """Run one line. Raises InvalidError for what is no form, and what the engine says."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidError(f"{text!r}: {error}", hint="close the quotation") from None
    if not words:
        return
    for lead, name in forms():
        if words[: len(lead)] == lead:
            if app.read_only and name in CHANGING:
                raise ForbiddenError(REFUSED, hint=HINT)
            await RUN[name](app, words[len(lead) :])
            return
    area = next((one for one in LISTS if one == words[0] or (len(words[0]) > 2 and one.startswith(words[0]))), None)
    if area is not None and (len(words) == 1 or words[1:] == ["list"]):
        app.action_area(area)
        return
    if area == "machines" and words[1:2] == ["show"] and len(words) == 3:
        words = [words[0], words[2]]
    if area == "machines" and len(words) == 2:
        app.open_machine(str(_find(app.session, words[1]).id))
        return
    raise InvalidError(f"no command {text!r}", hint="? lists the forms; Tab completes")


def complete(session: Session, text: str) -> tuple[str, str]:
    """The line with its last word completed as far as it is certain, and the choices where there are several."""
    words = text.split(" ")
    before, last = words[:-1], words[-1]
    found = sorted({choice for choice in _choices(session, before) if choice.startswith(last)})
    if not found:
        return text, ""
    if len(found) == 1:
        return " ".join([*before, found[0]]) + " ", ""
    common = found[0]
    for choice in found[1:]:
        while not choice.startswith(common):
            common = common[:-1]
    return " ".join([*before, common]), "  ".join(found[:12]) + ("  ..." if len(found) > 12 else "")


def _choices(session: Session, before: Sequence[str]) -> list[str]:
    if not before:
        return [lead[0] for lead, _ in forms()] + list(LISTS)
    found: list[str] = []
    for lead, name in forms():
        if len(before) < len(lead) and lead[: len(before)] == list(before):
            found.append(lead[len(before)])
        elif lead == list(before[: len(lead)]):
            found += _values(session, name, len(before) - len(lead))
    if list(before) in (["machines"], ["machines", "show"]):
        found += [machine.name for machine in session.machines.values()]
    return found


def _values(session: Session, name: str, place: int) -> list[str]:
    from app.screens.loaders import OPTIONS

    machines = [machine.name for machine in session.machines.values()]
    known: dict[tuple[str, int], list[str]] = {
        ("assign", 0): machines,
        ("assign", 1): [env.name for env in session.bootenvs],
        ("reboot", place): machines,
        ("fix", 0): machines,
        ("loader", 0): machines,
        ("loader", 1): [option.value for option in OPTIONS],
        ("forget", place): machines,
        ("would_get", 0): machines,
        ("capture", 0): machines,
        ("packets", 0): machines,
        ("delete_subnet", place): [subnet.name for subnet in session.subnets],
        ("restart", 0): [service.name for service in session.services],
        ("probe", 0): [interface.name for interface in session.interfaces],
        ("hold", 0): ["on", "off"],
    }
    return known.get((name, place), [])
