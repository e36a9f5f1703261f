"""Boot environments: what machines can boot, and why some cannot be used now."""

from __future__ import annotations

from collections.abc import Sequence

from app.model.bootenv import BootEnv
from app.screens.areas.area import ListArea, bindings
from app.screens.areas.machine_pages import env_lines
from app.screens.dialogs.frame import Page
from app.screens.widgets.lines import Span
from app.screens.widgets.table import Column, Table


def _state(env: BootEnv) -> Span:
    if env.errors:
        return "! NOT NOW", "bad"
    return (". unknown only", "calm") if env.unknown_only else ("+ ready", "good")


class BootenvsArea(ListArea):
    """The list; Enter shows all of one."""

    area = "bootenvs"
    nouns = frozenset({"bootenvs"})
    BINDINGS = bindings("bootenvs")

    def __init__(self) -> None:
        columns: Sequence[Column[BootEnv]] = (
            Column("STATE", _state, least=9, most=14),
            Column("NAME", lambda env: env.name, least=8, most=20),
            Column("KIND", lambda env: env.kind.value, least=6, most=6),
            Column("ARCH", lambda env: ",".join(env.architectures) or "any", least=5, most=12, rank=1),
            Column("DISKS", lambda env: ("WIPES", "warn") if env.destructive else "keeps", least=5, most=5, rank=2),
            Column("TITLE", self._title, least=12, most=70, grow=True),
        )
        super().__init__(Table(columns, key=lambda env: env.name, empty="no boot environment", id="bootenvs"))

    def _title(self, env: BootEnv) -> Span:
        return (env.errors[0], "warn") if env.errors else (env.title or env.description, "")

    def about(self, item: BootEnv) -> str:
        return f"cannot be used now: {'; '.join(item.errors)}" if item.errors else item.description

    async def fetch(self) -> Sequence[BootEnv]:
        return (await self.app.session.client.bootenvs.list()).items

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """All of it."""
        self.app.push_screen(Page(f"Boot environment {event.item.name}", env_lines(event.item, self.size.width - 6)))
