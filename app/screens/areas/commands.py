"""The command log: who changed what, what can be taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from app.model.engine import Command
from app.model.query import Query
from app.screens import operations
from app.screens.areas.area import ListArea, bindings
from app.screens.dialogs.frame import Page
from app.screens.registry import Action
from app.screens.widgets.lines import Line, Span, line
from app.screens.widgets.table import Column, Table
from app.screens.widgets.text import facts
from app.screens.words import clock, safe, stamp


def _state(command: Command) -> Span:
    if command.undone_by is not None:
        return f"- undone by {command.undone_by}", "dim"
    return ("+ undoable", "good") if command.undoable else (". for good", "dim")


class CommandsArea(ListArea):
    """Newest first."""

    area = "commands"
    nouns = frozenset({"commands"})
    BINDINGS = bindings("commands")

    def __init__(self) -> None:
        columns: Sequence[Column[Command]] = (
            Column("ID", lambda one: str(one.id), least=3, most=7),
            Column("TIME", self._time, least=8, most=19, rank=1),
            Column("BY", lambda one: one.actor, least=6, most=16),
            Column("UNDO", _state, least=10, most=18),
            Column("WHAT", lambda one: one.summary, least=16, most=120, grow=True),
        )
        super().__init__(
            Table(columns, key=lambda one: str(one.id), empty="nobody has changed anything yet", id="commands")
        )

    def _time(self, one: Command) -> str:
        # What was done is what one looks for: the date takes room from it only where it says something.
        today = stamp(self.app.session.now())
        return clock(one.time) if stamp(one.time)[:10] == today[:10] else stamp(one.time)

    def about(self, item: Command) -> str:
        return item.summary

    async def fetch(self) -> Sequence[Command]:
        return (await self.app.session.client.commands.list(Query(sort="-id", limit=500))).items

    def valid(self, action: Action) -> bool:
        if action.id == "undo_this":
            command: Command | None = self.table.current
            return command is not None and command.undoable and command.undone_by is None
        return True

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """What it changed."""
        one = event.item
        lines: list[Line] = facts(
            (
                ("command", one.id),
                ("time", stamp(one.time)),
                ("by", one.actor),
                ("what", one.summary),
                ("object", f"{one.noun} {one.key}"),
                ("undo", _state(one)[0]),
            ),
            70,
        )
        before, after = one.before or {}, one.after or {}
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if changed:
            lines += [line(""), line(("What changed", "key"))]
        for name in changed:
            lines += [
                line((f"{name}", "dim")),
                line("  - ", (safe(json.dumps(before.get(name))), "dim")),
                line("  + ", safe(json.dumps(after.get(name)))),
            ]
        self.app.push_screen(Page(f"Command {one.id}", lines))

    async def do_undo_this(self) -> None:
        """`u`."""
        if self.table.current is not None:
            await operations.undo(self.app, str(self.table.current.id))
            await self.reload()
