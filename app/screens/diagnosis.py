"""Why a machine does not boot: as lines above its timeline, and the key that opens what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.model.diagnosis import Diagnosis, Finding, Severity
from app.model.machine import Machine
from app.screens import loaders, operations
from app.screens.registry import LISTS
from app.screens.widgets.lines import Line, line
from app.screens.widgets.text import wrapped
from app.screens.words import clock, safe

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

# How it looks: its first line, the sign before it, what to do about it.
_STYLES: dict[Severity, tuple[str, tuple[str, str], str]] = {
    Severity.PROBLEM: ("bad", (" ! ", "bad"), "warn"),
    Severity.WAIT: ("warn", (" ? ", "warn"), ""),
    Severity.NOTE: ("key", (" i ", "calm"), ""),
}
TABS = ("timeline", "inventory", "bootenv", "script", "events", "history")


def diagnosis_lines(found: Diagnosis | None, width: int) -> list[Line]:
    """What is wrong, what it means, what to do: three lines each, and a blank one at the end."""
    lines: list[Line] = []
    for number, finding in enumerate(found.findings if found is not None else ()):
        lines += _finding_lines(finding, width, key=not number)
    return [*lines, line("")] if lines else []


def _finding_lines(finding: Finding, width: int, *, key: bool) -> list[Line]:
    style, sign, told_style = _STYLES[finding.severity]
    seen, when = f"{finding.id} {finding.seen}", clock(finding.since)
    if len(seen) + len(when) < width - 4:
        seen += f" {when}"
    first, *more = wrapped(seen, width - 4)
    text = first.spans[0][0]
    lines = [line(sign, (text, style))]
    lines += [line("   ", *one.spans) for one in more]
    lines += wrapped(finding.means, width - 4, indent=3)
    told = finding.do + (f" (f: {finding.action.replace('_', ' ')})" if finding.action and key else "")
    return lines + wrapped(told, width - 4, told_style, indent=3)


async def fix(app: BootcartApp, machine: Machine) -> None:
    """Do what the first finding says, or open the screen on which it is done."""
    found = await app.session.client.machines.diagnosis(str(machine.id))
    if not found.findings:
        app.say(f"{machine.name}: nothing wrong is seen")
        return
    first = found.findings[0]
    app.say(safe(f"{first.id}: {first.do}"))
    await _act(app, machine, first.action)


async def _act(app: BootcartApp, machine: Machine, action: str) -> None:
    if action == "assign":
        await operations.assign(app, [machine], set())
    elif action == "loader":
        await loaders.choose(app, [machine])
    elif action == "edit_machine":
        from app.screens.areas.machine import edit

        await edit(app, machine)
    elif action == "hold":
        await operations.hold(app, False)
    elif action == "wizard":
        app.do_wizard()
    elif action in TABS:
        app.open_machine(str(machine.id), action)
    elif action in LISTS:
        app.action_area(action)
