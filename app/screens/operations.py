"""What operators do, as flows: ask what must be asked, call the engine, say what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from app.errors import BootcartError, ConflictError
from app.model.hostplan import STOP_ENGINE
from app.model.machine import Machine
from app.model.query import Query
from app.screens.dialogs.choose import Choose, Option
from app.screens.dialogs.frame import Ask
from app.screens.session import Link
from app.screens.widgets.lines import Line, line
from app.screens.widgets.text import wrapped
from app.screens.words import agent_listens, plural, safe

if TYPE_CHECKING:
    from app.model.bootenv import BootEnv
    from app.screens.app import BootcartApp

CANCEL = ("escape", "Cancel", "")
REMEMBERED = 200
"""Commands looked through for one to do again."""


def target_lines(names: Sequence[tuple[str, str, bool]]) -> list[Line]:
    """Exact targets of an action: (name, remark, hidden by the filter)."""
    return [
        # What is not seen on the screen behind is said first: a long remark may be cut at the box's edge.
        line(f"  {safe(name):<18} ", ("(hidden by the filter) ", "warn") if hidden else "", (safe(remark), "dim"))
        for name, remark, hidden in names
    ]


async def confirm(
    app: BootcartApp,
    title: str,
    verb: str,
    names: Sequence[tuple[str, str, bool]],
    consequence: Sequence[str],
    *,
    irreversible: bool = True,
) -> bool:
    """One: `y`. Several: their number must be typed. The exact targets are listed; Cancel has the focus."""
    lines: list[Line] = [*target_lines(names), line("")]
    for text in consequence:
        lines += wrapped(text, 70)
    lines += [line(("This cannot be undone.", "bad")) if irreversible else line(("z undoes it.", "dim"))]
    typed = str(len(names)) if len(names) > 1 else ""
    answer = await app.push_screen_wait(
        Ask(title, lines, (CANCEL, ("y", verb, "yes")), typed=typed, what="number of targets")
    )
    return answer == "yes"


async def each(
    app: BootcartApp,
    items: Sequence[Any],
    name: Callable[[Any], str],
    call: Callable[[Any], Awaitable[Any]],
    done: str,
    after: str = "",
) -> None:
    """Do it to each; failures of some do not spare the others, and are told one by one."""
    good: list[str] = []
    for item in items:
        try:
            await call(item)
            good.append(name(item))
        except BootcartError as error:
            app.fail(error, f"{done} {name(item)}")
    app.look_again()
    if good:
        app.say(f"{done} {', '.join(good) if len(good) <= 3 else plural(len(good), 'object')}{after}")


def _remark(app: BootcartApp, machine: Machine) -> str:
    listens = agent_listens(machine, app.session.now())
    return "agent listens" if listens else "no agent listens: power-cycle it by hand"


def _names(app: BootcartApp, machines: Sequence[Machine], hidden: set[str]) -> list[tuple[str, str, bool]]:
    return [(machine.name, _remark(app, machine), str(machine.id) in hidden) for machine in machines]


async def assign(
    app: BootcartApp, machines: Sequence[Machine], hidden: set[str], bootenv: str | None = None, *, reboot: bool = False
) -> None:
    """Choose a boot environment, say what it means for whom, assign, and reboot those whose agent listens."""
    if not machines:
        app.say("no machine here to assign to")
        return
    envs = app.session.bootenvs
    if bootenv is None:
        bootenv = await app.push_screen_wait(_picker(machines, envs))
        if bootenv is None:
            return
    env = next((one for one in envs if one.name == bootenv), None)
    answer = await app.push_screen_wait(_assign_question(app, machines, hidden, bootenv, env))
    if not answer:
        return
    await _assign_all(app, machines, bootenv, reboot=answer == "reboot" or reboot)


def _picker(machines: Sequence[Machine], envs: Sequence[BootEnv]) -> Choose:
    options = [Option("", "(default)", "what the preference default-bootenv says")]
    options += [
        Option(env.name, env.name, env.title or env.description, "; ".join(env.errors))
        for env in envs
        if not env.unknown_only
    ]
    who = machines[0].name if len(machines) == 1 else plural(len(machines), "machine")
    at = machines[0].bootenv if len({machine.bootenv for machine in machines}) == 1 else ""
    return Choose(f"What shall {who} boot?", options, at=at)


def _assign_question(
    app: BootcartApp, machines: Sequence[Machine], hidden: set[str], bootenv: str, env: BootEnv | None
) -> Ask:
    word = bootenv or "the default"
    lines: list[Line] = target_lines(_names(app, machines, hidden))
    listening = [machine for machine in machines if agent_listens(machine, app.session.now())]
    destructive = env is not None and env.destructive
    lines.append(line(""))
    if destructive:
        lines += [line(("WIPES DISKS ", "bad"), f" {word} writes to the disks of what boots it.")]
    if listening:
        lines += wrapped(f"{plural(len(listening), 'agent')} can be told to reboot now. A reboot cannot be undone.", 70)
    if len(listening) < len(machines):
        lines += wrapped("Without an agent: power-cycle the machine by hand; Bootcart waits for it.", 70)
    lines.append(line(("z undoes the assignment, as long as the machine has not booted it.", "dim")))
    now, only = ("y", "Assign and reboot now", "reboot"), ("a", "Assign only", "assign")
    choices = (CANCEL, now, only) if listening else (CANCEL, ("y", "Assign", "assign"))
    typed, what = "", "name"
    if destructive:
        several = len(machines) > 1
        typed, what = (str(len(machines)), "number of machines") if several else (machines[0].name, "machine's name")
    who = machines[0].name if len(machines) == 1 else plural(len(machines), "machine")
    return Ask(f"{who}: boot {word}?", lines, choices, typed=typed, what=what)


async def _assign_all(app: BootcartApp, machines: Sequence[Machine], bootenv: str, *, reboot: bool) -> None:
    client, now = app.session.client, app.session.now()
    rebooting, waiting, kept = [], [], []
    for machine in machines:
        key = str(machine.id)
        wanted = reboot and agent_listens(machine, now)
        try:
            await client.machines.assign(key, bootenv, reboot=wanted)
        except ConflictError as error:
            if error.field != "reboot":
                app.fail(error, f"assigning {bootenv or 'the default'} to {machine.name}")
                continue
            wanted = False
        except BootcartError as error:
            app.fail(error, f"assigning {bootenv or 'the default'} to {machine.name}")
            continue
        if wanted:
            rebooting.append(machine.name)
        elif reboot or not agent_listens(machine, now):
            app.session.awaited[key] = (bootenv, now)
            waiting.append(machine.name)
        else:
            kept.append(machine.name)
    app.look_again()
    parts = [
        f"{words}: {', '.join(names)}"
        for words, names in (
            ("reboots now", rebooting),
            ("assigned, power-cycle it, waiting", waiting),
            ("assigned, boots it next time", kept),
        )
        if names
    ]
    if parts:
        app.say(f"{bootenv or 'default'} - " + "; ".join(parts))


async def reboot(app: BootcartApp, machines: Sequence[Machine], hidden: set[str]) -> None:
    """Ask agents to reboot; machines without one are for the operator's own hand."""
    now = app.session.now()
    deaf = [machine.name for machine in machines if not agent_listens(machine, now)]
    if deaf and len(deaf) == len(machines):
        app.fail(
            ConflictError(
                f"no agent listens on {', '.join(deaf)}",
                hint="power-cycle the machine by hand; it boots what it is assigned",
            ),
            "rebooting",
        )
        return
    text = ["What runs on it is interrupted."]
    if await confirm(app, "Reboot?", "Reboot now", _names(app, machines, hidden), text):
        await each(app, machines, lambda m: m.name, lambda m: app.session.client.machines.reboot(str(m.id)), "reboots:")


async def forget(app: BootcartApp, machines: Sequence[Machine], hidden: set[str]) -> None:
    """Delete the records of machines."""
    if not machines:
        return
    text = ["Record, assignment and inventory are deleted. A machine that is still on the wire appears again as new."]
    seen = [machine.name for machine in machines if not machine.registered]
    if seen and len(seen) < len(machines):
        text.append(f"z brings back records only: {', '.join(seen)} has none, being only seen on the wire.")
    names = [(machine.name, ", ".join(machine.macs), str(machine.id) in hidden) for machine in machines]
    if await confirm(app, "Forget?", "Forget", names, text, irreversible=len(seen) == len(machines)):
        await each(app, machines, lambda m: m.name, lambda m: app.session.client.machines.delete(str(m.id)), "forgot")


async def delete(
    app: BootcartApp,
    noun: str,
    items: Sequence[tuple[str, str, bool]],
    consequence: Sequence[str],
    *,
    irreversible: bool = False,
    **how: bool,
) -> None:
    """Delete objects by key: items are (key, remark, hidden); `how` goes to the engine."""
    if not items:
        return
    collection = getattr(app.session.client, noun)
    if await confirm(app, "Delete?", "Delete", items, consequence, irreversible=irreversible):
        await each(app, items, lambda one: one[0], lambda one: collection.delete(one[0], **how), "deleted")


async def undo(app: BootcartApp, key: str = "") -> None:
    """Take back one command."""
    done = await app.session.client.commands.undo(key)
    app.look_again()
    # The way back stands first: the summary may be longer than the line.
    said = "done again (z undoes it)" if done.verb == "redo" else "undone (Z does it again)"
    app.say(f"{said}: {safe(done.summary)}")


async def redo(app: BootcartApp) -> None:
    """Do again what was taken back last, as long as nothing else was done since."""
    commands = app.session.client.commands
    log = (await commands.list(Query(sort="-id", limit=REMEMBERED))).items
    for one in log:
        if one.undoes is None:
            break
        if one.verb == "undo" and one.undone_by is None:
            await undo(app, str(one.id))
            return
    app.say("nothing to do again: Z follows z, before anything else is changed")


async def hold(app: BootcartApp, wanted: bool | None = None) -> None:
    """The switch over everything, with confirmation."""
    info = app.session.info
    on = (not (info and info.holding)) if wanted is None else wanted
    if on:
        title, verb = "Hold: answer no one?", "Hold"
        lines = [*wrapped("No boot service answers any machine until the hold is lifted: no address, no file.", 70)]
        lines += wrapped("Machines that are up keep running; leases are not renewed meanwhile.", 70)
    else:
        title, verb = "Lift the hold?", "Answer again"
        lines = wrapped("Boot services answer machines again.", 70)
    lines.append(line(("H takes it back.", "dim")))
    if await app.push_screen_wait(Ask(title, lines, (CANCEL, ("y", verb, "yes")))) == "yes":
        app.session.info = await app.session.client.hold(on)
        app.say("held: no one is answered" if on else "machines are answered again")


async def confirm_stop(app: BootcartApp) -> bool:
    """Stop everything? Asked with a word typed."""
    lines = [*wrapped("All services stop: no machine gets an address or a file until an engine is started again.", 70)]
    lines += wrapped("Leases and everything saved stay.", 70)
    choices = (CANCEL, ("y", "Stop the engine", "yes"))
    return await app.push_screen_wait(Ask("Stop the engine?", lines, choices, typed="stop", what="word")) == "yes"


async def stop_engine(app: BootcartApp) -> bool:
    """Stop the engine, asked; true when it was told to."""
    if not await confirm_stop(app):
        return False
    await app.session.client.stop_engine()
    return True


async def leave(app: BootcartApp, *, ask: bool) -> None:
    """Leave the interface; asks only when services would stop, which one that only looks cannot do."""
    if not ask or app.read_only:
        if app.session.link is not Link.CONNECTING:
            app.farewell = f"The engine goes on at {app.session.endpoint}; bootcart attaches again."
        app.exit(0)
        return
    lines = wrapped("The engine can go on without this interface: machines are served, `bootcart` attaches again.", 70)
    choices = (("d", "Detach", "detach"), ("s", "Stop the engine", "stop"), CANCEL)
    answer = await app.push_screen_wait(Ask("Leave Bootcart?", lines, choices))
    if answer == "detach":
        await leave(app, ask=False)
    elif answer == "stop" and await confirm_stop(app):
        if app.host_plan is not None:
            # The launcher is waiting for us: it stops the engine, and puts the host back as it was.
            app.exit(STOP_ENGINE)
        else:
            await app.session.client.stop_engine()
            app.exit(0)
