"""Services of the engine: state, where they listen, why one failed; restarting one, stopping the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from app.model.engine import EngineInfo, Service, ServiceState
from app.screens import operations
from app.screens.areas.area import ListArea, bindings
from app.screens.dialogs.frame import Page
from app.screens.widgets.lines import Span, line
from app.screens.widgets.table import Column, Table
from app.screens.widgets.text import TextView, facts, wrapped
from app.screens.words import age, long_span, stamp

LOOKS: dict[ServiceState, Span] = {
    ServiceState.UP: ("+ up", "good"),
    ServiceState.STARTING: ("> starting", "busy"),
    ServiceState.FAILED: ("! FAILED", "bad"),
    ServiceState.STOPPED: ("- stopped", "warn"),
    ServiceState.DISABLED: ("- disabled", "dim"),
}


def _last_failure(service: Service) -> str:
    """When and why one that may be up again last failed; empty where it never did."""
    return f"last failed {stamp(service.last_failed)}: {service.last_reason}" if service.last_failed else ""


class ServicesArea(ListArea):
    """The list, and the engine itself below it."""

    area = "services"
    nouns = frozenset({"services"})
    BINDINGS = bindings("services")

    def __init__(self) -> None:
        columns: Sequence[Column[Service]] = (
            Column("STATE", lambda one: LOOKS[one.state], least=10, most=10),
            Column("NAME", lambda one: one.name, least=9, most=14),
            Column("SINCE", lambda one: age(self.app.session.now() - one.since) if one.since else "-", least=5, most=5),
            Column("FAILS", lambda one: (str(one.failures), "warn") if one.failures else "-", least=5, most=5),
            Column("LISTENS, OR WHY NOT", self._where, least=20, most=200, grow=True),
        )
        super().__init__(Table(columns, key=lambda one: one.name, empty="no service", id="services"))
        self.engine = TextView(id="engine")

    def _where(self, service: Service) -> Span:
        if service.reason:
            return service.reason, "warn"
        return (", ".join(service.listening) or "-", "")

    def body(self) -> Iterable[Widget]:
        yield from super().body()
        self.engine.can_focus = False
        yield self.engine

    def about(self, item: Service) -> str:
        return " - ".join(part for part in (item.reason, item.hint) if part) or _last_failure(item)

    async def fetch(self) -> Sequence[Service]:
        return (await self.app.session.client.services.list()).items

    async def load(self) -> None:
        await super().load()
        session = self.app.session
        info = session.info
        if info is None:
            return
        self.engine.show(
            [
                line(("Engine", "key")),
                *facts(
                    (
                        ("endpoint", session.endpoint),
                        ("version", f"{info.version}, pid {info.pid}, user {info.user}"),
                        ("started", f"{stamp(info.started)}, {long_span(session.now() - info.started)} ago"),
                        ("data", info.data_dir),
                        ("DHCP at most", info.dhcp),
                        ("lab", info.lab),
                        ("answers", answers(info, session.now())),
                    ),
                    self.size.width - 2,
                ),
            ]
        )

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """All of it."""
        service = event.item
        lines = facts(
            (
                ("state", LOOKS[service.state][0]),
                ("since", stamp(service.since)),
                ("listens", ", ".join(service.listening)),
                ("tried again", stamp(service.retry) if service.retry else ""),
                ("failed", f"{service.failures} times since the engine started" if service.failures else ""),
            ),
            70,
        )
        if service.reason:
            lines += [line(""), line(("Why", "key")), *wrapped(service.reason, 70, "warn")]
        elif service.last_failed:
            lines += [line(""), line(("The last failure", "key")), *wrapped(_last_failure(service), 70, "warn")]
        if service.hint:
            lines += [line(""), line(("What to do", "key")), *wrapped(service.hint, 70)]
        if service.counters:
            lines += [line(""), line(("Counted since the start", "key")), *facts(service.counters.items(), 70)]
        self.app.push_screen(Page(f"Service {service.name}", lines))

    async def do_restart(self) -> None:
        """`R`."""
        service = self.table.current
        if service is None:
            return
        text = ["What it is doing is interrupted: transfers under way begin anew."]
        names = [(service.name, service.state.value, False)]
        if service.state is not ServiceState.UP or await operations.confirm(
            self.app, "Restart?", "Restart", names, text
        ):
            done = await self.app.session.client.services.restart(service.name)
            self.app.say(f"{done.name}: {done.state.value}")
            await self.reload()

    async def do_stop_engine(self) -> None:
        """`X`."""
        if await operations.stop_engine(self.app):
            self.app.say("the engine stops")


def answers(info: EngineInfo, now: float) -> str:
    """Whether machines are answered, and how long yet."""
    if info.holding:
        return "no one: it is held (H)"
    if info.serve_until is None:
        return "yes"
    return f"yes, for {long_span(max(0.0, info.serve_until - now))}, until {stamp(info.serve_until)} (9: serve-until)"
