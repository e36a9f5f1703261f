"""Setting up one interface: proposal, form, a review with every command, and explicit consent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import BootcartError, InvalidError, UnavailableError
from app.model.engine import Interface
from app.model.hostplan import RESTART_FOR_HOST
from app.model.subnet import Subnet
from app.model.subnet6 import AnySubnet
from app.screens.dialogs.form import Field, Form
from app.screens.dialogs.frame import Ask, Page
from app.screens.widgets.lines import Line, line
from app.screens.widgets.text import facts, wrapped
from app.screens.wizard.draft import NONE, Draft, draft, fields
from app.screens.wizard.propose import propose
from app.screens.wizard.resolvers import resolvers
from app.screens.words import ranges

if TYPE_CHECKING:
    from app.screens.app import BootcartApp


@dataclasses.dataclass(frozen=True, slots=True)
class _Segment:
    """What is set up, and what it is checked against."""

    interface: Interface
    why: str
    unknown: str
    subnets: tuple[Subnet, ...]

    def check(self, values: Mapping[str, str]) -> Draft:
        return draft(self.interface, values, self.subnets)


async def set_up(
    app: BootcartApp, interface: Interface, interfaces: Sequence[Interface], *, ready: bool = False
) -> Draft | None:
    """Ask what to serve there and save it; None: nothing was done.

    `ready` begins with the review of what is proposed: one key agrees, another opens the form. A proposal that cannot
    be saved as it is opens the form at once, with the reason beside its field.
    """
    client = app.session.client
    subnets = _of_ipv4((await client.subnets.list()).items)
    proposal = propose(interface, interfaces, [one.cidr for one in subnets], resolvers())
    proposal = dataclasses.replace(proposal, name=_free_name(proposal.name, subnets))
    envs = [one.name for one in (await client.bootenvs.list()).items if one.harmless]
    segment = _Segment(interface, proposal.why, (await client.prefs.show("unknown-bootenv")).value, subnets)
    # Without a launcher nothing on the host can be changed: what needs no change is proposed.
    kept: dict[str, str] = {"nat": NONE, "firewall": NONE} if ready and app.host_plan is None else {}
    error: BootcartError | None = None
    while True:
        form_fields = fields(proposal, interfaces, envs, segment.unknown, kept)
        made = _proposed(segment, form_fields) if ready else None
        if isinstance(made, BootcartError):
            error, made = made, None
        if made is None:
            form = _form(app, segment, form_fields, error)
            made = await app.push_screen_wait(form)
            if made is None:
                return None
            kept.update(form.values)
        answer = await app.push_screen_wait(_review(app, segment, made, ready=ready))
        if ready and answer is None:
            return None
        ready, error = False, None
        if answer != "yes":
            continue
        try:
            # First what can be said twice: a refused subnet is corrected and saved again.
            if made.unknown != segment.unknown:
                await client.prefs.set("unknown-bootenv", made.unknown)
            await client.subnets.create(made.body)
        except InvalidError as problem:
            error = problem
            continue
        return made


def _of_ipv4(found: Sequence[AnySubnet]) -> tuple[Subnet, ...]:
    return tuple(one for one in found if isinstance(one, Subnet))


def _free_name(name: str, subnets: Sequence[Subnet]) -> str:
    taken = {one.name for one in subnets}
    return next(free for free in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if free not in taken)


def _proposed(segment: _Segment, form_fields: Sequence[Field]) -> Draft | BootcartError:
    try:
        return segment.check({one.name: one.value for one in form_fields})
    except InvalidError as error:
        return error


def _form(app: BootcartApp, segment: _Segment, form_fields: Sequence[Field], error: BootcartError | None) -> Form:
    async def check(values: Mapping[str, str]) -> Draft:
        newest = _of_ipv4((await app.session.client.subnets.list()).items)
        return dataclasses.replace(segment, subnets=newest).check(values)

    return Form(
        f"Set up {segment.interface.name}",
        form_fields,
        check,
        lines=[line((f"Proposed: {segment.why}", "dim"))],
        verb="Review",
        error=error,
    )


def _review(app: BootcartApp, segment: _Segment, made: Draft, *, ready: bool) -> Ask:
    interface, subnet = segment.interface, made.subnet
    lines: list[Line] = [*wrapped(f"Proposed: {segment.why}", 70, "dim"), line("")] if ready else []
    lines.append(line(("Will be saved", "key"), (" (z takes it back)", "dim")))
    lines += facts(
        (
            ("subnet", f"{subnet.name}  {subnet.cidr}  {subnet.mode.value} on {subnet.interface}"),
            ("range", ranges(subnet) or "(none: another server gives addresses)"),
            ("router, DNS", f"{subnet.router or '-'}  {', '.join(map(str, subnet.dns)) or '-'}  {subnet.domain}"),
            ("new machines", f"boot {made.unknown}"),
        ),
        70,
    )
    lines += wrapped(made.command(), 70, "dim")
    lines += [line(""), line(("Will be done on this host, and reverted when the engine stops", "key"))]
    lines += [line(f"  {text}") for text in made.plan.preview] or [line(("  nothing", "dim"))]
    if made.plan.preview and app.host_plan is not None:
        lines.append(line(("Each command is shown again, as root will run it, before it runs.", "dim")))
    if interface.uplink:
        lines += [line(""), line(("! ", "bad"), ("This is the uplink: machines of others may be there.", "warn"))]
    if made.contested:
        server = interface.foreign[0].server
        text = f"{server} answers DHCP on {interface.name}. Two servers give out addresses: machines may get either."
        lines += [line(""), line(("DANGER", "bad")), *wrapped(text, 70, "warn")]
    agree = ("y", "I agree: save and do it" if made.plan.preview else "I agree: save it", "yes")
    choices = (
        (("escape", "Cancel", ""), agree, ("e", "Change it first", "change"))
        if ready
        else (("escape", "Back", ""), agree)
    )
    typed = interface.name if made.contested else ""
    return Ask(f"Review: {interface.name}", lines, choices, typed=typed, what="interface's name")


def finish(app: BootcartApp, made: Draft) -> None:
    """Say what was saved; have the launcher change the host, or show what is to be run on it."""
    app.say(f"subnet {made.subnet.name} is saved  (z undoes it)")
    app.look_again()
    if made.plan.empty:
        return
    if app.host_plan is not None:
        write_plan(app.host_plan, made)
        app.exit(RESTART_FOR_HOST)
        return
    lines: list[Line] = [
        *wrapped("The subnet is saved. This interface may not change the host: run these as root.", 70),
        line(""),
        *(line(f"  {text}") for text in made.plan.preview),
    ]
    app.push_screen(Page("To be run on this host", lines))


def write_plan(path: Path, made: Draft) -> None:
    """Leave the plan for the launcher, whole or not at all. Raises UnavailableError where it cannot be written."""
    fresh = path.with_name(path.name + ".new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(made.plan.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"the plan for this host cannot be written to {path}: {error.strerror}",
            hint="the subnet is saved; prepare the interface by hand: " + "; ".join(made.plan.preview),
        ) from error
