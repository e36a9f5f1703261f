"""Machines: the list everything starts from, with the events below it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from textual.widget import Widget

from app.model.event import Event
from app.model.machine import STATE_GLYPHS, Machine, MachineState
from app.screens import operations
from app.screens.areas.area import ListArea, bindings
from app.screens.diagnosis import fix
from app.screens.registry import Action
from app.screens.widgets.eventlog import EventLog
from app.screens.widgets.lines import Span
from app.screens.widgets.table import Column, Table
from app.screens.words import age, agent_listens, span

STYLE_OF: dict[MachineState, str] = {
    MachineState.NEW: "key",
    MachineState.READY: "calm",
    MachineState.BOOT: "busy",
    MachineState.INSTALL: "busy",
    MachineState.DONE: "good",
    MachineState.FAIL: "bad",
    MachineState.STALE: "warn",
    MachineState.OFF: "dim",
    MachineState.HELD: "warn",
}


def state_of(machine: Machine) -> MachineState:
    """What it is doing; a machine nothing is known of is new."""
    return machine.status.state if machine.status else MachineState.NEW


def boots_next(machine: Machine | None) -> Span:
    """Its boot environment; in brackets one that it is not assigned but gets by a preference."""
    if machine is not None and machine.bootenv:
        return machine.bootenv, ""
    inherited = machine.status.boots if machine is not None and machine.status is not None else ""
    return f"({inherited or 'default'})", "dim"


_OF_MAC = re.compile(r"d[0-9a-f]{2}(?:-[0-9a-f]{2}){5}")


def natural(text: str) -> list[tuple[int, int, str]]:
    """An order in which node-9 comes before node-10, and names made of MAC addresses (hexadecimal) stand as written."""
    if _OF_MAC.fullmatch(text):
        return [(1, 0, text)]
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


_FOR_A_ROW = frozenset(
    {"assign", "edit_machine", "forget", "would_get", "capture", "packets", "mark", "mark_range", "mark_all"}
)


class MachinesArea(ListArea):
    """The list and the pane of events."""

    area = "machines"
    nouns = frozenset({"machines"})
    BINDINGS = bindings("machines")

    def __init__(self) -> None:
        columns: Sequence[Column[Machine]] = (
            Column("S", self._glyph, least=1, most=1),
            Column("NAME", lambda m: m.name, least=8, most=20),
            Column("MAC", lambda m: m.macs[0] if m.macs else "-", least=17, most=17, rank=4),
            Column("IP", lambda m: str(m.address or "-"), least=7, most=15, rank=2),
            Column("BOOTENV", boots_next, least=9, most=16),
            Column("STAGE", self._stage, least=14, most=60, grow=True),
            Column("SINCE", self._since, least=5, most=5),
        )
        super().__init__(
            Table(
                columns,
                key=lambda machine: str(machine.id),
                markable=True,
                empty="no machine yet: power one on on a served segment",
                id="machines",
            )
        )
        self.log_pane = EventLog(lambda event: self.app.session.name_of(event), id="pane")

    def body(self) -> Iterable[Widget]:
        yield from super().body()
        yield self.log_pane

    def about(self, item: Machine) -> str:
        if (waiting := self.app.session.awaited.get(str(item.id))) is not None:
            ago = span(self.app.session.now() - waiting[1])
            return f"{item.name}: waiting {ago} for you to power-cycle it; it then boots {waiting[0] or 'the default'}"
        status = item.status
        if status and status.diagnosis:
            return f"{item.name}: {status.diagnosis}  (f: what to do)"
        what = (status.reason or (f"waiting for {status.waiting_for}" if status.waiting_for else "")) if status else ""
        return f"{item.name}: {what or item.description}" if what or item.description else ""

    # Cells

    def _glyph(self, machine: Machine) -> Span:
        state = state_of(machine)
        return STATE_GLYPHS[state], STYLE_OF[state]

    def _stage(self, machine: Machine) -> Span:
        state = state_of(machine)
        word = state.value.upper()
        if str(machine.id) in self.app.session.awaited:
            return f"{word} power-cycle it", "warn"
        status = machine.status
        if status is None:
            return word, STYLE_OF[state]
        if machine.reboot_wanted:
            return f"{word} told to reboot", "busy"
        if status.diagnosis:
            # A question mark after the rule: it only takes longer than usual.
            sure = not status.diagnosis.partition(" ")[0].endswith("?")
            return f"{word} {status.diagnosis}", "bad" if sure else "warn"
        told = status.reason if state in (MachineState.FAIL, MachineState.HELD, MachineState.STALE) else ""
        detail = told or status.hop
        return f"{word} {detail}".strip(), STYLE_OF[state]

    def _since(self, machine: Machine) -> Span:
        now = self.app.session.now()
        if (waiting := self.app.session.awaited.get(str(machine.id))) is not None:
            return span(now - waiting[1]), "warn"
        status = machine.status
        if status is None or not status.since:
            return "-", "dim"
        # Seconds tick only where something is under way; a screen at rest sends nothing.
        moving = state_of(machine) in (MachineState.BOOT, MachineState.INSTALL) or bool(status.waiting_for)
        return (span if moving else age)(now - status.since), "dim"

    # Data

    async def fetch(self) -> Sequence[Machine]:
        return sorted(self.app.session.machines.values(), key=lambda machine: natural(machine.name))

    def is_known(self) -> bool:
        return self.app.session.listed

    async def load(self) -> None:
        await super().load()
        if not self.log_pane.all:
            self.log_pane.load(self.app.session.events)
        self.log_pane.touch()

    def take(self, events: Sequence[Event]) -> None:
        self.log_pane.add(events)

    def on_screen_resume(self) -> None:
        """Events that came while another screen was seen."""
        super().on_screen_resume()
        self.log_pane.add(list(self.app.session.events))

    def label(self, item: Any) -> str:
        return item.name

    def valid(self, action: Action) -> bool:
        if action.id == "reboot":
            now = self.app.session.now()
            return any(agent_listens(machine, now) for machine in self.targets())
        if action.id == "fix":
            current = self.table.current
            return bool(current and current.status and current.status.diagnosis)
        if action.id in _FOR_A_ROW:
            return bool(self.table.items)
        if action.id == "clear_marks":
            return bool(self.table.marks)
        if action.id in ("pane", "follow"):
            return bool(self.log_pane.display)
        return True

    # Actions

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Open the machine."""
        self.app.open_machine(str(event.item.id))

    async def do_assign(self) -> None:
        """`b`."""
        await operations.assign(self.app, self.targets(), self.hidden())

    async def do_fix(self) -> None:
        """`f`."""
        if self.table.current is not None:
            await fix(self.app, self.table.current)

    async def do_reboot(self) -> None:
        """`R`."""
        await operations.reboot(self.app, self.targets(), self.hidden())

    async def do_forget(self) -> None:
        """`d`, `x`."""
        await operations.forget(self.app, self.targets(), self.hidden())

    async def do_edit_machine(self) -> None:
        """`e`."""
        from app.screens.areas.machine import edit

        if self.table.current is not None:
            await edit(self.app, self.table.current)

    async def do_loader(self) -> None:
        """`L`."""
        from app.screens.loaders import choose

        await choose(self.app, self.targets())

    def do_packets(self) -> None:
        """`K`."""
        from app.screens.areas.packets import open_packets

        if self.table.current is not None:
            open_packets(self.app, str(self.table.current.id))

    async def do_capture(self) -> None:
        """`C`."""
        from app.screens.areas.inspect import write_capture

        if self.table.current is not None:
            await write_capture(self.app, str(self.table.current.id))

    def do_would_get(self) -> None:
        """`w`."""
        if self.table.current is not None:
            self.app.open_boot(str(self.table.current.id))

    def do_follow(self) -> None:
        """`G`."""
        self.log_pane.follow()

    def do_pane(self) -> None:
        """Tab goes between list and events."""
        if self.log_pane.display:
            (self.table if self.log_pane.has_focus else self.log_pane).focus()

    def on_event_log_chosen(self, event: EventLog.Chosen) -> None:
        """Details of an event."""
        from app.screens.dialogs.pages import event_page

        self.app.push_screen(event_page(event.event, self.app.session.name_of(event.event)))
